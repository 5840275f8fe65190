/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the name of a device to an open device, and back. */
#ifndef DEVICE_H
#define DEVICE_H

#include "cli.h"

/* Each of these returns 0, or the exit status after a message. */
int find_device(struct cli *cli, struct vfiomig_device **dev);
/* Set how the device is to be opened, as the options say. */
int set_way(const struct cli *cli, struct vfiomig_device *dev);
int open_found(struct cli *cli, struct vfiomig_device *dev, unsigned int flags);
/* Find and open a device that must have migration support. */
int open_migratable(struct cli *cli, struct vfiomig_device **dev, uint64_t *flags);
/* Close the device before success is reported, because its holder may have ended meanwhile. If it
 * has, and *@status is still 0, print a message that ends with @then, set *@status, and return
 * false. */
bool give_back(const struct cli *cli, struct vfiomig_device *dev, int *status, const char *then);
/* Warn if the process that owns the device is running, and may change the device at any time. */
void warn_of_owner(const struct cli *cli, struct vfiomig_device *dev);
/* After a failure: bring the device back to the state that it was found in, and note in @result how
 * that went. This replaces the library's sentence about the failure. */
void bring_home(struct vfiomig_device *dev, struct vfiomig_result *result);

#endif
