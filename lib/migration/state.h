/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The migration state of an open device: reading it, driving it, and the way home.
 *
 * These return 0 (state_get() the state) or a negative errno, after ctx_fail().
 */
#ifndef VFIOMIG_STATE_H
#define VFIOMIG_STATE_H

#include "device/device.h"

/* Note the states that the device passes through from here on, and give what was noted. */
void path_begin(struct vfiomig_device *dev, int state);
void path_end(const struct vfiomig_device *dev, struct vfiomig_result *result);

/* See vfiomig_device_get_state() and so on, in vfiomig.h. */
int state_get(struct vfiomig_device *dev);
/* Find out whether the device is where this transfer has left it. -ENOTRECOVERABLE: somebody else
 * has taken it away from there, and so has ended the transfer's session. */
int state_expect(struct vfiomig_device *dev, int state);
bool state_is_saving(int state);
int state_set(struct vfiomig_device *dev, int state, int *data_fd);
int state_drive(struct vfiomig_device *dev, int state, int *data_fd,
		int (*step)(void *data, int state, uint64_t ns), void *data);
/* Drive the device from the state @from in which this transfer has left it, or return what
 * state_expect() returned. */
int state_continue(struct vfiomig_device *dev, int from, int state);
int state_reset(struct vfiomig_device *dev);

/* Go to @state by arcs, by way of STOP where the protocol has no straight way, as from STOP_COPY
 * back to PRE_COPY. */
int state_walk(struct vfiomig_device *dev, int state);

/* See vfiomig_device_walk_home() and vfiomig_device_reset_home(). */
int state_walk_home(struct vfiomig_device *dev, int home);
int state_reset_home(struct vfiomig_device *dev, int home, bool *reset);
/*
 * Bring the device back to the state @home after a failure: by arcs, or by a reset if no arc leads
 * there. The sentence about the failure stays. @reset receives whether there was a reset.
 */
int state_bring_home(struct vfiomig_device *dev, int home, bool *reset);

/* Reset a device that was opened just now, if its last session has left it in a state that no arc
 * leads out of. Does nothing if somebody else has the session. */
void state_start_clean(struct vfiomig_device *dev);

/* The state that debugfs has of the device, or a negative errno. */
int state_from_debugfs(const struct vfiomig_device *dev);
/* The same in this process, which may sleep for ever. */
int state_read_debugfs(const struct vfiomig_device *dev);

#endif
