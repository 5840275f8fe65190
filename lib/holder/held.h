/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device that a holder has: its other side, for those who use it. */
#ifndef VFIOMIG_HELD_H
#define VFIOMIG_HELD_H

#include "wire.h"

/* A connection, or -ENOENT when there is no such socket, -ECONNREFUSED when
 * nobody serves it, or another errno with its sentence. */
int held_connect(struct vfiomig_ctx *ctx, const char *path);

/* What the holder on @path has, see WIRE_QUERY. -ENOENT if there is none. */
int held_query(struct vfiomig_ctx *ctx, const char *path, struct wire_reply *reply);

/* The PID of the device's holder, 0 if it has none, or a negative errno when
 * that cannot be told. */
int held_by(const struct vfiomig_device *dev);
/* The state that the device is in there, or a negative number. */
int held_state(const struct vfiomig_device *dev);

/* The claim on the device ends; the holder keeps it as it is. -EOWNERDEAD if
 * there is no holder any more. */
int held_give_back(struct vfiomig_device *dev);

#endif
