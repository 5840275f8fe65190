/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VFIOMIG_RESTORE_H
#define VFIOMIG_RESTORE_H

#include "device/device.h"

/*
 * See vfiomig_restore_set(); one device is a set of one. @names is NULL, or has the device's name
 * in the image, or NULL for its own. @opt is checked, and each of the @count results is as a
 * transfer begins with it. @whole is the set's. If the failure is a device's, @failed receives its
 * number. Returns 0 or what ctx_fail() returned.
 */
int restore_devices(struct vfiomig_device *const *devices, const char *const *names, int count,
		    int fd, const struct vfiomig_options *opt,
		    struct vfiomig_result *const *results, struct vfiomig_result *whole,
		    int *failed);

#endif
