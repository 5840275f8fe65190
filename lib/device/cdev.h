/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Character devices of VFIO devices. */
#ifndef VFIOMIG_CDEV_H
#define VFIOMIG_CDEV_H

#include "device.h"

/* Bind dev->fd to dev->iommufd, or to a new iommufd, with an address space of its own. Returns 0 or
 * a negative errno. */
int cdev_bind(struct vfiomig_device *dev);

#endif
