/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a PCI function carries a disk that is in use. */
#ifndef VFIOMIG_DISK_H
#define VFIOMIG_DISK_H

#include "device/device.h"

/* Returns 0, -EBUSY with a sentence that says what the disk is used for, or another negative errno
 * if that cannot be told. */
int disk_check_unused(struct vfiomig_device *dev);

#endif
