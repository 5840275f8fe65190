/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a PCI function is used for, so that nobody loses it by mistake. */
#ifndef VFIOMIG_USAGE_H
#define VFIOMIG_USAGE_H

#include "device/opener.h"

/* Returns 0, or -EBUSY with a sentence if the function carries a disk that is in use, a network
 * interface that is up, the console, or virtual functions. */
int usage_check(struct vfiomig_device *dev, struct look *look);
/* The same for virtual functions alone: whoever takes the driver away loses them. */
int usage_check_virtual_functions(struct vfiomig_device *dev);

#endif
