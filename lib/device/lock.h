/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Only one command at a time works on a device, whatever names the commands used. */
#ifndef VFIOMIG_LOCK_H
#define VFIOMIG_LOCK_H

#include "internal.h"

/* One file in the run-time directory, while its lock is held. */
struct lock {
	int fd;
	char *path;
};

/* How long to wait for another command to end. */
struct turn {
	struct vfiomig_ctx *ctx;
	uint64_t until; /* CLOCK_MONOTONIC in ns */
};

/* @seconds: 0 for no waiting, negative for as long as it takes. */
struct turn turn_begin(struct vfiomig_ctx *ctx, int seconds);
/* Wait a little. Returns 0 if the caller is to try again, -EBUSY when the time is up, or -EINTR. */
int turn_wait(const struct turn *turn);
/* The same where another command has what is waited for. */
int turn_yield(const struct turn *turn);

/*
 * Lock the device called @name for this process. Returns 0, -EBUSY with a sentence that says which
 * process has the lock, or another negative errno when there is no usable run-time directory.
 */
int lock_take(struct lock *lock, const char *name, const struct turn *turn);
void lock_drop(struct lock *lock);
/* Returns the process that has the lock of the device called @name, 0 if none is known. */
int lock_owner(struct vfiomig_ctx *ctx, const char *name);
/* In the child of a fork: the lock stays the parent's. */
void lock_forget(struct lock *lock);

#endif
