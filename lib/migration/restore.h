/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VFIOMIG_RESTORE_H
#define VFIOMIG_RESTORE_H

#include "device/device.h"

/* See vfiomig_restore(). @opt is checked, and @result is as a transfer begins with it. Returns 0 or
 * what ctx_fail() returned. */
int restore_device(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		   struct vfiomig_result *result);

#endif
