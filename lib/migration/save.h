/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VFIOMIG_SAVE_H
#define VFIOMIG_SAVE_H

#include "device/device.h"

/* See vfiomig_save(). @opt is checked, and @result is as a transfer begins with it. Returns 0 or
 * what ctx_fail() returned. */
int save_device(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct vfiomig_result *result);

#endif
