/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A holder that cannot be found by the name of its device. */
#ifndef VFIOMIG_STRAY_H
#define VFIOMIG_STRAY_H

#include "internal.h"

/*
 * No holder serves the device where it is expected. Say who has the device open all the same, as
 * far as this user may see. Returns -EBUSY if that is a holder, because its socket is gone or in
 * another directory, and -ENOENT otherwise.
 */
int stray_fail(const struct vfiomig_device *dev);

#endif
