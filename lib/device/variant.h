/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VFIO driver fits a PCI function. */
#ifndef VFIOMIG_VARIANT_H
#define VFIOMIG_VARIANT_H

#include "device.h"

/* Returns the name of the VFIO driver that is made for this PCI function, or NULL if there is none
 * but vfio-pci, which fits every function. free() it. */
char *variant_driver_for(const struct vfiomig_device *dev);

#endif
