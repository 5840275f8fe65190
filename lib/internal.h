/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context, and what else all files of the library share. */
#ifndef VFIOMIG_INTERNAL_H
#define VFIOMIG_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "uapi.h"
#include "vfiomig.h"

/* Images and states are larger than 2 GiB, on 32-bit machines too. */
_Static_assert(sizeof(off_t) == 8, "-D_FILE_OFFSET_BITS=64 is missing");

/* A failure that is kept while something else is tried, which may fail as well. */
struct failure {
	int err;
	char sentence[512];
};

/* What the caller of a transfer is told while it goes on; see ctx_progress(). */
struct progress {
	/* NULL when the caller wants to be told nothing. */
	int (*fn)(void *data, uint64_t bytes, uint64_t expected);
	void *data;
	pthread_t caller; /* of the transfer: the only thread that calls @fn */
	/* The number of bytes moved so far: @bytes points to it while a pipeline runs, and @moved
	 * has it before and after. */
	const _Atomic uint64_t *bytes;
	uint64_t moved;
	uint64_t expected;
	_Atomic int ended; /* what @fn returned to end the transfer, or 0 */
};

/* What a process that works apart tells its parent of, in shared memory: see device/apart.h. */
struct account {
	char doing[160]; /* what it asked the kernel or a holder for last, or "" */
	_Atomic int
		server; /* the process that serves the holder's socket, 0 if that is not known */
	_Atomic bool yields; /* another command has the device, and it waits for that */
};

/* The failures of one thread, see ctx_begin_other(). */
struct other {
	struct other *next;
	pthread_t thread;
	struct failure failure;
};

struct vfiomig_ctx {
	int refs;
	/* Where /sys, /dev and /proc are. Tests set other trees. */
	const char *sysfs, *devfs, *procfs;
	/* Where the kernel's modules are, if not in the usual place. */
	const char *modules;
	char *rundir; /* see vfiomig_set_rundir(); NULL for the default */
	void (*log)(void *data, const char *line);
	void *log_data;
	void (*notice)(void *data, const char *line);
	void *notice_data;
	struct progress progress;
	struct account *account; /* NULL except in a process that works apart */
	bool mute;		 /* see ctx_mute() */
	/* A call into the driver was broken off since the context was interrupted: the user has
	 * waited long enough. */
	_Atomic bool hurries;
	/* How often; counted by signal handlers, read by threads. Interruptions that come at once
	 * with the first one, which came at @interrupted_ms (CLOCK_MONOTONIC), do not insist. */
	_Atomic int interrupted, insisted;
	_Atomic int interrupted_ms;
	_Atomic int cancelled; /* the pipeline that runs has failed */
	/* An eventfd that ends a poll(2), so that one of the two flags above is looked at. It may
	 * be readable without them: another thread interrupts the context in two steps. */
	int wake;
	/* Whoever reads this makes a call into a driver that must not be interrupted. Whoever
	 * writes it lets in signals that would do so. */
	pthread_rwlock_t arc;
	pthread_mutex_t talk; /* the functions @log and @notice are called one at a time */

	pthread_mutex_t lock; /* of the members below, while several threads run */
	bool keep_first, have_first;
	int error_code;
	char error[512];
	struct other *others; /* of threads that have something else to do than the pipeline */
};

__attribute__((format(printf, 3, 4))) int ctx_note_failure(struct vfiomig_ctx *ctx, int err,
							   const char *fmt, ...);
static inline int ctx_only_fail(int err)
{
	return err;
}

/*
 * Note why something failed; returns @err, so that a failing function ends in
 * "return ctx_fail(ctx, -EWHY, "sentence")". In a mute context the arguments of the sentence are
 * not even evaluated.
 */
#define ctx_fail(ctx, err, ...) \
	((ctx)->mute ? ctx_only_fail(err) : ctx_note_failure(ctx, err, __VA_ARGS__))
/*
 * In the child of a process that may have threads: make no sentence, and call no function of the
 * program. Another thread may have held a lock at the fork, of the allocator or of the messages of
 * strerror(3), and in the child nobody releases that lock. Only the errnos are left, of which the
 * parent makes sentences.
 */
void ctx_mute(struct vfiomig_ctx *ctx);
__attribute__((format(printf, 2, 3))) void ctx_log(struct vfiomig_ctx *ctx, const char *fmt, ...);
/* Tell the user what is waited for, see vfiomig_set_notice(). */
__attribute__((format(printf, 2, 3))) void ctx_notice(struct vfiomig_ctx *ctx, const char *fmt,
						      ...);
/* Note in the account what comes next and may never come back, "VFIO_DEVICE_GET_INFO". */
__attribute__((format(printf, 2, 3))) void ctx_doing(struct vfiomig_ctx *ctx, const char *fmt, ...);
/* ioctl(2), noted in the account. */
#define ctx_ioctl(ctx, fd, request, ...) \
	(ctx_doing(ctx, "%s", #request), ioctl(fd, request, ##__VA_ARGS__))
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
 * Each function of vfiomig.h that can fail begins with api_begin() and returns what api_end()
 * returns, which is @ret; see api.c. After a success no sentence is left of the failures that were
 * coped with on the way. After a failure there always is a sentence.
 *
 * For api_end(), a result of 0 or more is a success. api_end_zero() is for functions that return
 * what a function of their caller returned: for these, 0 alone is a success.
 */
void api_begin(struct vfiomig_ctx *ctx);
int api_end(struct vfiomig_ctx *ctx, int ret);
int api_end_zero(struct vfiomig_ctx *ctx, int ret);
/* CLOCK_MONOTONIC */
uint64_t now_ns(void);
/* Wait for @cond, with @lock held, @ns nanoseconds at most. Returns whether that ended early. */
bool wait_cond(pthread_cond_t *cond, pthread_mutex_t *lock, long ns);
/* Why something failed last in this thread. It is valid until something fails again, and may be an
 * argument of the sentence of that. */
const char *ctx_sentence(struct vfiomig_ctx *ctx);
struct failure ctx_get_failure(struct vfiomig_ctx *ctx);
void ctx_set_failure(struct vfiomig_ctx *ctx, const struct failure *failure);
/* While @keep is set, only the first failure is noted: of the failures of a pipeline's threads, the
 * others follow from it. */
void ctx_keep_first_error(struct vfiomig_ctx *ctx, bool keep);
/* Between these two calls, the failures of this thread are noted in @other, apart from those of
 * other threads: the last of them, as outside of a pipeline. Returns that one. The calls nest. */
void ctx_begin_other(struct vfiomig_ctx *ctx, struct other *other);
struct failure ctx_end_other(struct vfiomig_ctx *ctx, struct other *other);
/* Whether this thread is to call the progress function now and then. */
bool ctx_has_progress(const struct vfiomig_ctx *ctx);
/*
 * Call the progress function of the transfer that runs; on other threads than the caller's, do
 * nothing: ctx_cancel() ends them. Returns 0 to go on. Otherwise returns what that function
 * returned to end the transfer, after ctx_fail().
 */
int ctx_progress(struct vfiomig_ctx *ctx);
/* Have the threads of the pipeline that runs give up waiting, because it has failed. */
void ctx_cancel(struct vfiomig_ctx *ctx);
/* End each poll(2) that waits for ctx->wake, once. */
void ctx_wake(struct vfiomig_ctx *ctx);
/* Make ctx->wake unreadable, unless there is a reason to stop waiting. A loop that waits for it
 * calls this each time: the wake of an interruption may come after vfiomig_resume(). */
void ctx_forget_wake(struct vfiomig_ctx *ctx);

/* In the child of a fork: @wake is what ctx_new_wake() made before it. An interruption was the
 * parent's. */
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

/* Whether @ret, which may be what a function of the caller returned, is a negative errno. */
static inline bool is_negative_errno(int ret)
{
	return ret < 0 && ret >= -4095;
}

/* Whether two paths lead to the same file. */
static inline bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether all bytes are equal. */
static inline bool is_constant(const void *data, size_t size)
{
	const char *p = data;

	return size < 2 || memcmp(p, p + 1, size - 1) == 0;
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
