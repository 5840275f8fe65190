/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library's files share and its users do not see. */
#ifndef VFIOMIG_INTERNAL_H
#define VFIOMIG_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "uapi.h"
#include "vfiomig.h"

/* Images and states are larger than 2 GiB, on 32-bit machines too. */
_Static_assert(sizeof(off_t) == 8, "-D_FILE_OFFSET_BITS=64 is missing");

struct vfiomig_ctx {
	int refs;
	/* Where /sys, /dev and /proc are; tests put other trees there. */
	const char *sysfs, *devfs, *procfs;
	/* Where the kernel's modules are, if not in the usual place. */
	const char *modules;
	char *rundir; /* see vfiomig_set_rundir(); NULL for the default */
	void (*log)(void *data, const char *line);
	void *log_data;
	/* Called on the caller's thread while a transfer goes on. */
	void (*tick)(void *data);
	void *tick_data;
	_Atomic int interrupted; /* set by signal handlers, read by threads */
	int wake;		 /* an eventfd: readable when threads have to look up */

	pthread_mutex_t lock; /* of what follows, while a pipeline runs */
	bool keep_first, have_first;
	int error_code;
	char error[512];
};

/*
 * Note why something failed; returns @err, so that a failing function ends in
 * "return ctx_fail(ctx, -EWHY, "sentence")".
 */
__attribute__((format(printf, 3, 4))) int ctx_fail(struct vfiomig_ctx *ctx, int err,
						   const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void ctx_log(struct vfiomig_ctx *ctx, const char *fmt, ...);
/* The two failures that can happen nearly everywhere. */
static inline int ctx_fail_memory(struct vfiomig_ctx *ctx)
{
	return ctx_fail(ctx, -ENOMEM, "out of memory");
}

static inline int ctx_fail_interrupted(struct vfiomig_ctx *ctx)
{
	return ctx_fail(ctx, -EINTR, "interrupted by a signal");
}

/*
 * What each function of vfiomig.h that can fail begins and ends with, see api.c. api_end() returns
 * @ret: after a success (0 or more) no sentence is left of what failed on the way and was coped
 * with, and after a failure there always is one.
 */
void api_begin(struct vfiomig_ctx *ctx);
int api_end(struct vfiomig_ctx *ctx, int ret);
/* CLOCK_MONOTONIC */
uint64_t now_ns(void);
/* Of the failures of a pipeline's threads, keep the first. */
void ctx_keep_first_error(struct vfiomig_ctx *ctx, bool keep);
void ctx_tick(const struct vfiomig_ctx *ctx);
/* Have a thread that waits in fd_read() look up and give up. */
void ctx_wake(struct vfiomig_ctx *ctx);

/* In the child of a fork: @wake is what ctx_new_wake() made before it, because the child
 * has nobody to tell that it failed. */
int ctx_new_wake(struct vfiomig_ctx *ctx);
void ctx_after_fork(struct vfiomig_ctx *ctx, int wake);

/*
 * Whether @err, an errno, says that no file could be opened, and nothing of the
 * one that was to be: it may well be there.
 */
static inline bool is_exhausted(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM;
}

static inline void free_charp(char **p)
{
	free(*p);
}

static inline void close_fdp(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_	__attribute__((cleanup(free_charp)))
#define _cleanup_close_ __attribute__((cleanup(close_fdp)))
#define EXPORT		__attribute__((visibility("default")))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
