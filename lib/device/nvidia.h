/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes of NVIDIA's driver, which sysfs does not know. */
#ifndef VFIOMIG_NVIDIA_H
#define VFIOMIG_NVIDIA_H

#include "device.h"

/*
 * Find the character device of the function (195:0 is /dev/nvidia0), if NVIDIA's driver has it.
 * Returns 0, -ENOENT if the driver has not got the function, or another negative errno if the
 * driver does not tell; without a sentence.
 */
int nvidia_get_node(const struct vfiomig_device *dev, dev_t *number);

#endif
