/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A data transfer session, from the state that the device is in to the one that
 * it is left in. */
#ifndef VFIOMIG_SESSION_H
#define VFIOMIG_SESSION_H

#include "device/device.h"

/*
 * What a transfer must know before it touches the device: where it starts, and
 * that from the data transfer state @via it can end where it is to.
 */
int session_check(struct vfiomig_device *dev, int via, int leave, struct vfiomig_result *result);

/* Enter STOP_COPY or RESUMING with a new session. */
int session_start(struct vfiomig_device *dev, int state, int *data_fd,
		  struct vfiomig_result *result);

/* With all of the state moved, go where the device is to be left; or home. */
int session_leave(struct vfiomig_device *dev, int state, struct vfiomig_result *result);

#endif
