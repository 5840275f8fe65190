/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The PCI configuration space of an open device, as VFIO shows it. */
#ifndef VFIOMIG_CONFIG_H
#define VFIOMIG_CONFIG_H

#include "device.h"

#define CONFIG_SIZE_MAX 4096

/*
 * Read the configuration space of the device descriptor @fd; @info_flags are those of its struct
 * vfio_device_info. Returns the number of bytes, or a negative errno: -ENOTTY for a device that is
 * no PCI function.
 */
ssize_t config_read(int fd, uint32_t info_flags, uint8_t config[CONFIG_SIZE_MAX]);

/* Whether an image's header may have this text: NULL, or a space as hexadecimal digits. */
bool config_is_valid(const char *hex);

/*
 * Without memory decoding and bus mastering a restored PCI function does not work. Set these two
 * bits of the command register, and I/O decoding if the function has I/O ports, as they are in the
 * saved configuration space @hex. If that is NULL, because the state came without one, switch them
 * on. All other bits stay as they are. Returns 0 or a negative errno, after ctx_fail().
 */
int config_restore_command(const struct vfiomig_device *dev, const char *hex);
/* Leave the command register to the owner of the device. Tell the user if one of these bits is not
 * set. */
void config_check_command(const struct vfiomig_device *dev, const char *hex);

#endif
