/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO's nodes in /dev. All of these functions leave a sentence when they fail. */
#ifndef VFIOMIG_NODE_H
#define VFIOMIG_NODE_H

#include <limits.h>

#include "opener.h"

/* Whether the device has no IOMMU and the kernel's VFIO is in its noiommu mode. */
bool node_is_noiommu(const struct vfiomig_device *dev);
/* Returns -EPERM if the device has no IOMMU, which needs CAP_SYS_RAWIO, and that is missing. */
int node_check_raw_io(struct vfiomig_device *dev);
/* The node of the device's group. */
void node_group_path(const struct vfiomig_device *dev, char path[PATH_MAX]);
/* Whether this user may open the node, as far as its mode tells. */
bool node_is_permitted(const char *path);
/* Say why the node cannot be opened, although it is there: @err is EACCES or EPERM. Returns a
 * negative errno. */
int node_fail_permission(struct vfiomig_device *dev, const char *path, int err);
/* Whether /dev lacks a node that the kernel has registered for the device, which has a VFIO driver.
 * @path receives the first one. */
bool node_is_missing(const struct vfiomig_device *dev, char path[PATH_MAX]);
/* Returns a descriptor, or a negative errno: -EBUSY, -EACCES, -EPERM, -EOPNOTSUPP when there is no
 * such node, or another. */
int node_open(struct vfiomig_device *dev, const char *path);
/* A duplicate of the descriptor of such a node, or a negative errno. */
int node_share(struct vfiomig_device *dev, int fd);
/* The same as vfiomig_device_get_obstacle(). */
int node_get_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256]);
/* The same, but for the device itself. */
int node_get_other_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256]);
/* Returns 0, or -EBUSY with a sentence about the process that has the device open, or its group, or
 * another device of the group, if one of @openers does. */
int node_check_openers(struct vfiomig_device *dev, const struct openers *openers);
/* The same with a look of its own, which takes a second at most. */
int node_check_unused(struct vfiomig_device *dev);
/* Another process has the device or its group: say which one, if it is seen. Returns -EBUSY. */
int node_fail_busy(struct vfiomig_device *dev);
/* Wait until a device that was just bound can be opened. Returns 0, -ENODEV when the driver that
 * took it is no VFIO driver, -ETIMEDOUT or -EINTR. */
int node_wait(struct vfiomig_device *dev);

#endif
