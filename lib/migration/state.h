/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways between states that the protocol has only in parts. */
#ifndef VFIOMIG_STATE_H
#define VFIOMIG_STATE_H

#include "device/device.h"

/* Note the states from here on, and give what was noted. */
void path_begin(struct vfiomig_device *dev, int state);
void path_end(const struct vfiomig_device *dev, struct vfiomig_result *result);

/* To @state by arcs; by way of STOP where there is no straight way, as from
 * STOP_COPY back to PRE_COPY. Returns as vfiomig_device_drive(). */
int state_walk(struct vfiomig_device *dev, int state);

#endif
