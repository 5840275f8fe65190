/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one check has found out. */
#ifndef VFIOMIG_FINDING_H
#define VFIOMIG_FINDING_H

#include "owner.h"

/* The device is looked at once, by whichever check needs that first. */
struct use {
	bool known, silent, holder;
	int pid;	  /* of who has the device open, or 0 */
	int worker;	  /* the command that works on the device, or 0 */
	enum owner owner; /* if that is neither 0 nor a holder */
	int state, error;
	char comm[16], sentence[512];
};

struct finding {
	struct vfiomig_ctx *ctx;
	struct vfiomig_device *dev; /* NULL for the host alone */
	unsigned int flags;
	struct use use;

	enum vfiomig_verdict verdict;
	char what[768], advice[512];
};

/*
 * Set the verdict, and what is the case. Whoever reads that nothing is in the way needs no advice,
 * so finding_pass() returns 0. After each of the others a check returns finding_advise().
 */
__attribute__((format(printf, 2, 3))) int finding_pass(struct finding *f, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void finding_warn(struct finding *f, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void finding_fail(struct finding *f, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void finding_unknown(struct finding *f, const char *fmt, ...);
/* Say what to do about it. Returns 0. */
__attribute__((format(printf, 2, 3))) int finding_advise(struct finding *f, const char *fmt, ...);

/*
 * Take a sentence, of which the part after the last semicolon says what to do. @otherwise says that
 * if the sentence has no such part. finding_take_error() takes the sentence of the last failure,
 * @err: a want of memory or an interruption is no finding, and is returned. Otherwise they return
 * 0.
 */
int finding_take(struct finding *f, enum vfiomig_verdict verdict, const char *sentence,
		 const char *otherwise);
int finding_take_error(struct finding *f, enum vfiomig_verdict verdict, int err,
		       const char *otherwise);

#endif
