/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes have which device nodes open: one look at the descriptors of all processes, which
 * serves any number of devices. */
#ifndef VFIOMIG_OPENER_H
#define VFIOMIG_OPENER_H

#include "nodes.h"

struct openers;

/*
 * Look at all descriptors that this user may see, until the time @until (see now_ns()). Returns 0,
 * or a negative errno without a sentence: -ETIMEDOUT, -EINTR when the context was interrupted, or
 * another. Release @openers with openers_free() in each case. After a failure it has what was found
 * until then. A descriptor that does not answer is passed over, and is no failure.
 */
int openers_look(struct vfiomig_ctx *ctx, uint64_t until, struct openers **openers);
/* The same after an interruption, which does not end it. */
int openers_look_back(struct vfiomig_ctx *ctx, uint64_t until, struct openers **openers);
void openers_free(struct openers *openers);

/* A look that serves all functions that a command takes from their drivers. It begins as zeros. */
struct look {
	bool made;
	int err;
	struct openers *openers; /* NULL if there was no memory */
};

/*
 * Look like openers_look(), unless that was done, and as long as it takes. If that is long, the
 * user gets a notice about @dev. An interruption ends it, unless this is the way @back. A
 * descriptor that does not answer is a failure: it may be of the device. Call look_clear() in each
 * case.
 */
int look_make(struct look *look, struct vfiomig_device *dev, bool back);
/* After a failure: say why it is not known whether @dev is in use. Returns the failure. @hint is
 * the end of the sentence. */
int look_fail(const struct look *look, struct vfiomig_device *dev, const char *hint);
void look_clear(struct look *look);

/* Returns the first process that has the VFIO device or its group open, or 0. */
int openers_of_device(const struct openers *openers, const struct vfiomig_device *dev);
/* Returns the first process that has one of the nodes open, or 0. @node receives what to call that
 * node: "/dev/snd/controlC0". */
int openers_of_nodes(const struct openers *openers, const struct nodes *nodes, char node[64]);

#endif
