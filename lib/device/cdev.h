/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Character devices of VFIO devices. */
#ifndef VFIOMIG_CDEV_H
#define VFIOMIG_CDEV_H

#include "device.h"

/* Whether a device has what backend_cdev needs. */
bool cdev_exists(const struct vfiomig_device *dev);

/* Bind dev->fd to an iommufd, with an address space of its own: to that of
 * $VFIOMIG_IOMMUFD, or a new one. */
int cdev_bind(struct vfiomig_device *dev);

#endif
