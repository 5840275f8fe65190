/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VFIO driver fits a PCI function. */
#ifndef VFIOMIG_VARIANT_H
#define VFIOMIG_VARIANT_H

#include "device/device.h"

/* The VFIO driver that is made for this PCI function, or NULL if
 * that is none (vfio-pci fits all of them); free() it. */
char *variant_driver_for(const struct vfiomig_device *dev);

#endif
