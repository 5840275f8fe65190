/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls into the driver that may take long, and that must not be interrupted lightly: an arc of the
 * migration state, and a reset.
 *
 * A signal makes a driver that sleeps interruptibly fail such a call in the middle, which can leave
 * the device in any state. So the call is made by a thread of its own, which no signal reaches. If
 * the context is interrupted meanwhile, the caller first waits, and tells the user what for. If it
 * is interrupted once more, or the driver takes too long, the call is broken off.
 */
#ifndef VFIOMIG_PATIENCE_H
#define VFIOMIG_PATIENCE_H

#include "internal.h"

/* How a call went. */
struct patience {
	uint64_t ns;	 /* the time that it took */
	bool broken_off; /* the caller had enough of waiting, and has interrupted the driver */
};

/*
 * Call @fn with @arg on another thread. It returns 0 or a negative errno, without a sentence, and
 * sleeps in system calls only. @what is what the user is told that the driver is busy with: "arc
 * STOP_COPY -> STOP".
 *
 * Returns what @fn returned.
 */
int patience_call(struct vfiomig_ctx *ctx, const char *what, int (*fn)(void *arg), void *arg,
		  struct patience *p);

#endif
