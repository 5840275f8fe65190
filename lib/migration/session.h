/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transfer's way through the device's states, from the state it is found in to the state it is
 * left in. */
#ifndef VFIOMIG_SESSION_H
#define VFIOMIG_SESSION_H

#include "device/device.h"

/* These return 0 or what ctx_fail() returned. */

/*
 * Find out what a transfer must know before it touches the device: where it starts, and that from
 * the data transfer state @via the protocol has a way to the state @leave.
 */
int session_check(struct vfiomig_device *dev, int via, int leave, struct vfiomig_result *result);

/* Enter STOP_COPY, PRE_COPY or RESUMING with a new data transfer session. */
int session_start(struct vfiomig_device *dev, int state, int *data_fd,
		  struct vfiomig_result *result);

/* After all of the state was moved: go to the state that the device is to be left in. If that
 * fails, go home. */
int session_leave(struct vfiomig_device *dev, int state, struct vfiomig_result *result);

/*
 * After the failure @err: bring the device back to the state that it was found in, and note how.
 * The sentence about the failure stays.
 *
 * @state is the data transfer state that the device must be in, or negative where an arc may have
 * left it anywhere. If it is elsewhere, somebody else has ended the session, and what the device
 * held is lost. If it is there, but in a session that its owner has begun since, or may have begun
 * (the session of this transfer is over, and the owner is running), it is left alone.
 * Returns @err or, if that only follows from this, -ENOTRECOVERABLE.
 */
int session_abort(struct vfiomig_device *dev, int state, int err, struct vfiomig_result *result);

/*
 * The first half of that. Returns whether the device is this transfer's to be brought back; if not,
 * it is left alone. *@err receives what session_abort() would return.
 */
bool session_settle(struct vfiomig_device *dev, int state, int *err, struct vfiomig_result *result);

/* The device has the state of an image, which it is not to keep: bring it back by a reset. If it
 * cannot be reset, a whole state comes back by arcs, and a part of one stays where it is. */
void session_drop(struct vfiomig_device *dev, struct vfiomig_result *result);

/* Do no more than bring the device back. */
void session_go_home(struct vfiomig_device *dev, struct vfiomig_result *result);

#endif
