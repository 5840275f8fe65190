/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCI configuration space of an open device, as VFIO shows it. */
#ifndef VFIOMIG_CONFIG_H
#define VFIOMIG_CONFIG_H

#include "device.h"

#define CONFIG_SIZE_MAX 4096

/* The number of bytes, or a negative errno; -ENOTTY if it is no PCI function. */
ssize_t config_read(const struct vfiomig_device *dev, uint8_t config[CONFIG_SIZE_MAX]);

/* Whether an image may have this: NULL, or a space as hexadecimal digits. */
bool config_is_valid(const char *hex);

/*
 * "After a restore a PCI device needs its command register back (bus mastering,
 * memory decode) before it can work": write that of a saved configuration
 * space, given as hexadecimal digits. Returns 0 or what ctx_fail() returned.
 */
int config_restore_command(const struct vfiomig_device *dev, const char *hex);

#endif
