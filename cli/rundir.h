/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run-time directory of this user: the locks, and the sockets of holders. */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <vfiomig.h>

/* Tell the library where it is. Returns 0 or a negative errno. */
int tell_rundir(struct vfiomig_ctx *ctx);

/* Returns what to do, for the end of the sentence @why, if that is about this user's run-time
 * directory and there is none to make it in; or "". */
const char *rundir_hint(const char *why);

#endif
