// SPDX-License-Identifier: LGPL-2.1-or-later
/* What one check has found out: a verdict, and two sentences. */
#include <stdio.h>
#include <string.h>

#include "finding.h"

static const char *const names[] = { "PASS", "WARN", "FAIL", "UNKNOWN" };

EXPORT const char *vfiomig_verdict_name(enum vfiomig_verdict verdict)
{
	return verdict < ARRAY_SIZE(names) ? names[verdict] : "?";
}

__attribute__((format(printf, 3, 0))) static void
set(struct finding *f, enum vfiomig_verdict verdict, const char *fmt, va_list ap)
{
	f->verdict = verdict;
	f->advice[0] = '\0';
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
}

#define SET(f, verdict, fmt)               \
	({                                 \
		va_list ap_;               \
                                           \
		va_start(ap_, fmt);        \
		set(f, verdict, fmt, ap_); \
		va_end(ap_);               \
	})

int finding_pass(struct finding *f, const char *fmt, ...)
{
	SET(f, VFIOMIG_PASS, fmt);
	return 0;
}

void finding_warn(struct finding *f, const char *fmt, ...)
{
	SET(f, VFIOMIG_WARN, fmt);
}

void finding_fail(struct finding *f, const char *fmt, ...)
{
	SET(f, VFIOMIG_FAIL, fmt);
}

void finding_unknown(struct finding *f, const char *fmt, ...)
{
	SET(f, VFIOMIG_UNKNOWN, fmt);
}

int finding_advise(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->advice, sizeof(f->advice), fmt, ap);
	va_end(ap);
	return 0;
}

/* The last "; " outside of parentheses, or NULL. */
static const char *last_part(const char *sentence)
{
	const char *last = NULL;
	int depth = 0;

	for (const char *p = sentence; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (!depth && p[0] == ';' && p[1] == ' ')
			last = p;
	}
	return last;
}

int finding_take(struct finding *f, enum vfiomig_verdict verdict, const char *sentence,
		 const char *otherwise)
{
	const char *part = last_part(sentence);

	f->verdict = verdict;
	snprintf(f->what, sizeof(f->what), "%.*s",
		 part ? (int)(part - sentence) : (int)strlen(sentence), sentence);
	snprintf(f->advice, sizeof(f->advice), "%s", part ? part + 2 : otherwise);
	return 0;
}

int finding_take_error(struct finding *f, enum vfiomig_verdict verdict, int err,
		       const char *otherwise)
{
	if (err == -ENOMEM || err == -EINTR)
		return err;
	return finding_take(f, verdict, f->ctx->error, otherwise);
}
