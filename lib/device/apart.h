/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work in a process of its own. A read or a write in sysfs, debugfs or of another process's
 * descriptor may sleep in the kernel for ever, and no signal ends that. A process that does not
 * come back is left behind: it has none of the caller's descriptors, and the caller goes on and can
 * end.
 */
#ifndef VFIOMIG_APART_H
#define VFIOMIG_APART_H

#include "internal.h"

struct apart {
	int pid;	/* 0 if there is no process */
	int pidfd;	/* readable when the process has ended */
	bool is_orphan; /* it is not a child of this process, and somebody else reaps it */
};

#define APART_NONE ((struct apart){ .pidfd = -1 })

/* Returns zeroed memory that is shared with such processes, or NULL. Release it with
 * apart_free(). */
void *apart_alloc(size_t size);
void apart_free(void *shared, size_t size);

/*
 * Start a process that calls @fn, which leaves its result in shared memory. It has no descriptor
 * open, blocks all signals, and may use what is safe in the child of a process with threads.
 * Returns 0 or a negative errno, without a sentence.
 */
int apart_start(struct apart *a, void (*fn)(void *arg), void *arg);
/* The same for a process that has the @count descriptors in @keep, which may be negative and are
 * sorted by this. */
int apart_start_with(struct apart *a, void (*fn)(void *arg), void *arg, int *keep, size_t count);
/* The same for a function that allocates memory. This process is made with fork(2), twice, and is
 * no child of the caller. It does not end with the caller. */
int apart_start_allocating(struct apart *a, void (*fn)(void *arg), void *arg);
/* Wait until the process has ended. Returns 0, -ETIMEDOUT at the time @until (see now_ns()), or
 * -EINTR when the context was interrupted, unless @ctx is NULL; without a sentence. */
int apart_wait(struct vfiomig_ctx *ctx, const struct apart *a, uint64_t until);
/* Whether the process runs, or would if it had a processor, and so is not stuck. */
bool apart_is_running(const struct vfiomig_ctx *ctx, const struct apart *a);
/* In the process: go on when the caller ends. Before that, the end of the caller's thread ends the
 * process, too. */
void apart_outlive(void);
/* Forget the process, and let it go on. It is reaped after its end, when another one is started. */
void apart_leave(struct apart *a);
/* Reap @pid, a child of fork(2) that does not end, when another process is started later. */
void apart_adopt(int pid);
/* How long the process could not run because others had the processors, in nanoseconds; 0 if the
 * kernel does not tell. */
uint64_t apart_delay_ns(const struct vfiomig_ctx *ctx, const struct apart *a);
/* Kill the process, without waiting for its end: the end of many is waited for once. */
void apart_kill(const struct apart *a);
/* Forget the process. One that has not ended is killed, or left behind if that does not help.
 * Returns whether it has ended. */
bool apart_end(struct apart *a);
/* The same, until the time @until at most, for one of many that apart_kill() has killed. */
bool apart_end_until(struct apart *a, uint64_t until);
/* How long a process may take to die, in nanoseconds. */
#define APART_DYING    100000000ULL

/* How long the kernel may take for what normally takes no time, in nanoseconds. */
#define APART_PATIENCE 500000000ULL

/*
 * Call @fn in such a process, with a copy of the @size bytes at @arg, and wait for its end. Then
 * @arg is what @fn has left in the copy. Returns 0, -ETIMEDOUT if the process sleeps at the time
 * @until, -EINTR when the context was interrupted, unless @ctx is NULL, or another negative errno
 * if there was no such process; without a sentence.
 */
int apart_call(struct vfiomig_ctx *ctx, void (*fn)(void *arg), void *arg, size_t size,
	       uint64_t until);

/* The same as open(2): returns a descriptor or a negative errno, which may also be one of
 * apart_call(). */
int apart_open(struct vfiomig_ctx *ctx, const char *path, int flags, uint64_t until);

/* A file of sysfs or debugfs that is to be read. */
struct apart_reading {
	const char *dir, *name;
	char *text; /* receives @size bytes at most */
	size_t size;
	int err; /* receives what apart_read_text() returns */
	/* apart_read_all()'s own */
	struct apart apart;
	struct apart_text *shared;
};

/* Read @n files at the same time. */
void apart_read_all(struct vfiomig_ctx *ctx, struct apart_reading *list, size_t n, uint64_t until);

/* The same as sysfs_read_text(), but returns -ETIMEDOUT if the kernel makes the reader sleep until
 * the time @until. */
int apart_read_text(struct vfiomig_ctx *ctx, const char *dir, const char *name, char *text,
		    size_t size, uint64_t until);

#endif
