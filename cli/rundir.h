/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run-time directory of this user: the locks, and the sockets of holders. */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <vfiomig.h>

/* Tell the library where it is. Returns 0 or a negative errno. */
int rundir_set(struct vfiomig_ctx *ctx);

/* How a sentence about a device that could not be opened with @err goes on: with what to do, if this
 * user has no session directory, or with nothing. */
const char *rundir_hint(int err);

#endif
