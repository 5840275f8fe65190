/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's nodes in /dev. All of these functions leave a sentence when they fail. */
#ifndef VFIOMIG_NODE_H
#define VFIOMIG_NODE_H

#include "device.h"

/* Returns a descriptor, or a negative errno: -EBUSY, -EACCES, -EPERM, -EOPNOTSUPP when there is no
 * such node, or another. */
int node_open(struct vfiomig_device *dev, const char *path);
/* The same as vfiomig_device_get_obstacle(). */
int node_get_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256]);
/* Both return -EBUSY. */
int node_fail_busy(struct vfiomig_device *dev);
int node_fail_not_viable(struct vfiomig_device *dev);
/* Wait until a device that was just bound can be opened. Returns 0, -ENODEV when the driver that
 * took it is no VFIO driver, -ETIMEDOUT or -EINTR. */
int node_wait(struct vfiomig_device *dev);

#endif
