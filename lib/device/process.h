/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other processes: their names, their descriptors, and whether they run. */
#ifndef VFIOMIG_PROCESS_H
#define VFIOMIG_PROCESS_H

#include "internal.h"

/* @comm receives the name of the command, or "?" if it cannot be read. */
void process_comm(const struct vfiomig_ctx *ctx, int pid, char comm[16]);

/* Returns a duplicate of descriptor @number of process @pid, or a negative errno: -ESRCH when there
 * is no such process, -ENOENT when it has no such descriptor, -EPERM with a sentence that says
 * which permission is missing. */
int process_take_fd(struct vfiomig_ctx *ctx, int pid, int number);

/* Call @fn for each descriptor, with the target of its link in /proc, until @fn returns something
 * other than 0. Returns that, or a negative errno. */
int process_foreach_fd(struct vfiomig_ctx *ctx, int pid,
		       int (*fn)(void *data, int number, const char *target), void *data);

/* Watch the process for a fifth of a second. Returns whether one of its threads other than the
 * first one ran, or the first one computed. */
bool process_is_busy(const struct vfiomig_ctx *ctx, int pid);

#endif
