/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways between states that the protocol has only in parts. */
#ifndef VFIOMIG_STATE_H
#define VFIOMIG_STATE_H

#include "device/device.h"

/*
 * A session starts in RUNNING, but some drivers keep the state that the last session ended in. No
 * arc leads out of ERROR, and RESUMING has lost its data_fd (mtty of Linux 6.12 even follows a NULL
 * pointer on the arc to STOP): reset the device then, which takes nothing away from a session that
 * has just begun.
 */
void state_start_clean(struct vfiomig_device *dev);

/* The state that debugfs has of the device, or a negative errno. */
int state_from_debugfs(const struct vfiomig_device *dev);

/* Note the states from here on, and give what was noted. */
void path_begin(struct vfiomig_device *dev, int state);
void path_end(const struct vfiomig_device *dev, struct vfiomig_result *result);

/* To @state by arcs; by way of STOP where there is no straight way, as from
 * STOP_COPY back to PRE_COPY. Returns as vfiomig_device_drive(). */
int state_walk(struct vfiomig_device *dev, int state);

#endif
