// SPDX-License-Identifier: LGPL-2.1-or-later
/* The options and the result of a transfer. */
#include "options.h"
#include "frame.h"
#include "sized.h"

static const struct sized options_type =
	SIZED(vfiomig_options, progress_data, "VFIOMIG_OPTIONS_INIT", 0);
static const struct sized result_type = SIZED(vfiomig_result, path, "VFIOMIG_RESULT_INIT", 0);

int options_read(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
		 struct vfiomig_options *opt)
{
	int err;

	*opt = (struct vfiomig_options)VFIOMIG_OPTIONS_INIT;
	err = given ? sized_read(ctx, &options_type, given, opt) : 0;
	if (err)
		return err;
	if (!opt->downtime_ms)
		opt->downtime_ms = 300;
	if (!opt->chunk_size)
		opt->chunk_size = CHUNK_SIZE_DEFAULT;
	if (opt->leave < -1 || opt->leave >= VFIOMIG_NR_STATES)
		return ctx_fail(ctx, -EINVAL, "there is no state %d to leave the device in",
				opt->leave);
	if (opt->threads < 0 || opt->threads > VFIOMIG_THREADS_MAX)
		return ctx_fail(ctx, -EINVAL, "%d threads are out of bounds", opt->threads);
	if (opt->level < 0 || opt->level > VFIOMIG_LEVEL_MAX)
		return ctx_fail(ctx, -EINVAL, "there is no compression level %d", opt->level);
	if (opt->chunk_size < VFIOMIG_CHUNK_SIZE_MIN || opt->chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return ctx_fail(ctx, -EINVAL, "a chunk size of %zu is not from %u KiB to %u MiB",
				opt->chunk_size, VFIOMIG_CHUNK_SIZE_MIN >> 10,
				VFIOMIG_CHUNK_SIZE_MAX >> 20);
	return 0;
}

int result_check(struct vfiomig_ctx *ctx, const struct vfiomig_result *given)
{
	return given ? sized_check(ctx, &result_type, given) : 0;
}

void result_write(struct vfiomig_result *given, const struct vfiomig_result *result)
{
	if (given)
		sized_write(&result_type, given, result);
}
