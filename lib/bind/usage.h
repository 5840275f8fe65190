/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a PCI function is used for, so that it is not taken away from that. */
#ifndef VFIOMIG_USAGE_H
#define VFIOMIG_USAGE_H

#include "device/device.h"

/* -EBUSY, with the sentence, if the function carries a disk that is in use, a
 * network interface that is up, the console, or virtual functions. */
int usage_check(struct vfiomig_device *dev);
/* Of these, the virtual functions: who takes the driver away loses them. */
int usage_check_virtual_functions(struct vfiomig_device *dev);
/* What could not be opened for want of descriptors may be in use: with errno,
 * 0 if that is not the reason. */
int usage_fail_exhausted(struct vfiomig_device *dev, const char *path);
/* disk.c: of these, the disk. */
int disk_usage_check(struct vfiomig_device *dev);

/*
 * Call @fn for each device of a class ("net") that the function carries, with
 * its name and its directory, until it returns something else than 0, which is
 * returned then.
 */
int usage_foreach(struct vfiomig_device *dev, const char *class,
		  int (*fn)(struct vfiomig_device *dev, const char *name, const char *dir));

#endif
