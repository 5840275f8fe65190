/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's nodes in /dev. All of these functions leave a sentence when they fail. */
#ifndef VFIOMIG_NODE_H
#define VFIOMIG_NODE_H

#include <limits.h>

#include "device.h"

/* Whether the device has no IOMMU and the kernel's VFIO is in its noiommu mode. */
bool node_is_noiommu(const struct vfiomig_device *dev);
/* The node of the device's group. */
void node_group_path(const struct vfiomig_device *dev, char path[PATH_MAX]);
/* Whether this user may open the node, as far as its mode tells. */
bool node_is_permitted(const char *path);
/* Returns a descriptor, or a negative errno: -EBUSY, -EACCES, -EPERM, -EOPNOTSUPP when there is no
 * such node, or another. */
int node_open(struct vfiomig_device *dev, const char *path);
/* The same as vfiomig_device_get_obstacle(). */
int node_get_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256]);
/* Find the process that has the device open, or its group, or another device of the group: @name
 * receives the name of that device. */
bool node_find_user(const struct vfiomig_device *dev, char name[256], int *pid, char comm[16]);
/* Say who that is. Returns -EBUSY. */
int node_fail_busy(struct vfiomig_device *dev);
/* Wait until a device that was just bound can be opened. Returns 0, -ENODEV when the driver that
 * took it is no VFIO driver, -ETIMEDOUT or -EINTR. */
int node_wait(struct vfiomig_device *dev);

#endif
