/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child that goes on in the background, and tells its parent when it is ready. */
#ifndef VFIOMIG_BACKGROUND_H
#define VFIOMIG_BACKGROUND_H

#include "internal.h"

/*
 * Like fork(2). @word receives the parent's or the child's end of a socket, over which the child
 * says that it is ready, or why it cannot be.
 *
 * The child is in a session of its own, has lost the signals that were sent to the caller's process
 * group, and has all signals blocked: it first sets its own handlers.
 */
int background_fork(struct vfiomig_ctx *ctx, int *word);
/* In the child: say that it is ready, or what failed. A parent that is gone does no harm. */
void background_say(int word, const struct failure *failure);
/*
 * In the parent: wait for that. Returns 0, or a negative errno after the child was ended: what the
 * child said, -ECHILD when it has ended without a word, or -EINTR.
 */
int background_wait(struct vfiomig_ctx *ctx, int pid, int word);

#endif
