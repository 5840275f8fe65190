/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other processes: their descriptors, and whether they run. */
#ifndef VFIOMIG_PROCESS_H
#define VFIOMIG_PROCESS_H

#include "internal.h"

/* The command name, "?" if it cannot be had. */
void process_comm(const struct vfiomig_ctx *ctx, int pid, char comm[16]);

/* A duplicate of descriptor @number of process @pid, or a negative errno:
 * -ESRCH, -EBADF, -EPERM with what is missing. */
int process_take_fd(struct vfiomig_ctx *ctx, int pid, int number);

/* Calls @fn with each descriptor and what it links to, until it returns
 * something else than 0, which is returned; or a negative errno. */
int process_foreach_fd(struct vfiomig_ctx *ctx, int pid,
		       int (*fn)(void *data, int number, const char *target), void *data);

/* Whether a thread of the process beside the first one was seen to run, or the
 * first one to compute, for a fifth of a second. */
bool process_is_busy(const struct vfiomig_ctx *ctx, int pid);

#endif
