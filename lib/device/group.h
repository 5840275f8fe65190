/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IOMMU groups of VFIO devices. */
#ifndef VFIOMIG_GROUP_H
#define VFIOMIG_GROUP_H

#include "device.h"

/* Whether the device is in a group, and this user may open the nodes for it. */
bool group_is_permitted(const struct vfiomig_device *dev);

#endif
