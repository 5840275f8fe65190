// SPDX-License-Identifier: LGPL-2.1-or-later
/* The context: what failed last, the log, the interrupt flag. */
#include <ctype.h>
#include <stdio.h>

#include "internal.h"

EXPORT int vfiomig_new(struct vfiomig_ctx **ctxp)
{
	struct vfiomig_ctx *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return -ENOMEM;
	ctx->refs = 1;
	ctx->sysfs = "/sys";
	ctx->devfs = "/dev";
	ctx->procfs = "/proc";
	*ctxp = ctx;
	return 0;
}

EXPORT struct vfiomig_ctx *vfiomig_ref(struct vfiomig_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

EXPORT struct vfiomig_ctx *vfiomig_unref(struct vfiomig_ctx *ctx)
{
	if (ctx && --ctx->refs == 0)
		free(ctx);
	return NULL;
}

EXPORT const char *vfiomig_get_error(const struct vfiomig_ctx *ctx)
{
	return ctx->error;
}

EXPORT void vfiomig_set_log(struct vfiomig_ctx *ctx,
			    void (*fn)(void *data, const char *line),
			    void *data)
{
	ctx->log = fn;
	ctx->log_data = data;
}

EXPORT void vfiomig_set_interrupt(struct vfiomig_ctx *ctx,
				  const volatile sig_atomic_t *flag)
{
	ctx->interrupt = flag;
}

bool ctx_interrupted(const struct vfiomig_ctx *ctx)
{
	return ctx->interrupt && *ctx->interrupt;
}

int ctx_fail(struct vfiomig_ctx *ctx, int err, const char *fmt, ...)
{
	char text[sizeof(ctx->error)];
	va_list ap;

	/* Through a copy: an argument may be the error before this one. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	/* Names come from users and from sysfs: nothing that drives a terminal.
	 */
	for (size_t i = 0; i < sizeof(text); i++) {
		ctx->error[i] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
		if (!text[i]) {
			ctx->error[i] = '\0';
			break;
		}
	}
	return err;
}

void ctx_log(struct vfiomig_ctx *ctx, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!ctx->log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	ctx->log(ctx->log_data, line);
}
