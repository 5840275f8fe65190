/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that a holder has: the side of those who use it. */
#ifndef VFIOMIG_HELD_H
#define VFIOMIG_HELD_H

#include "device/device.h"
#include "wire.h"

extern const struct backend backend_holder;

/* Returns a connection, or a negative errno: -ENOENT when there is no such socket, -ECONNREFUSED
 * when nobody serves it. */
int held_connect(struct vfiomig_ctx *ctx, const char *path);

/* Ask the holder on @path what it has, see WIRE_QUERY. Returns 0 or a negative errno: -ENOENT if
 * there is no holder. */
int held_query(struct vfiomig_ctx *ctx, const char *path, struct wire_reply *reply);

/* Whether there is a socket on which the device's holder would serve it. */
bool held_has_socket(const struct vfiomig_device *dev);
/* Say that the device's holder, process @pid (0: not known), does not answer, and what to do.
 * Returns -EBUSY. */
int held_fail_silent(const struct vfiomig_device *dev, int pid);
/* The same as held_query(), for the device's holder. */
int held_ask(const struct vfiomig_device *dev, struct wire_reply *reply);
/* Returns the PID of the device's holder, 0 if it has none, or a negative errno when that cannot be
 * told. */
int held_by(const struct vfiomig_device *dev);
/* The same as vfiomig_device_get_holder(). */
int held_get_pid(const struct vfiomig_device *dev, int *pid);
/* Returns the state that the holder sees the device in, or a negative number. */
int held_state(const struct vfiomig_device *dev);

/* Have the holder close the device and end, see vfiomig_device_release(). */
int held_release(struct vfiomig_device *dev);

#endif
