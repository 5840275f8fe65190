/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The devices of other kinds that a PCI function carries: its disks, interfaces, displays. */
#ifndef VFIOMIG_CARRIED_H
#define VFIOMIG_CARRIED_H

#include "device/device.h"

/*
 * Call @fn for each device that the function carries and that the directory @kind of sysfs lists
 * ("class/net"), with the name and the directory of that device, until @fn returns something other
 * than 0. Returns that, or a negative errno.
 */
int carried_foreach(struct vfiomig_device *dev, const char *kind,
		    int (*fn)(struct vfiomig_device *dev, const char *name, const char *dir));

/*
 * A file that could not be opened for want of descriptors may say that the function is in use. If
 * errno is of that kind, return it as a failure with a sentence about @path; otherwise return 0.
 */
int carried_fail_exhausted(struct vfiomig_device *dev, const char *path);

#endif
