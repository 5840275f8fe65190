/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VFIO_DEVICE_FEATURE is called here and nowhere else. */
#ifndef VFIOMIG_FEATURE_H
#define VFIOMIG_FEATURE_H

#include "device.h"

/*
 * @flags: VFIO_DEVICE_FEATURE_GET, _SET or _PROBE, and the feature's number
 * @data: the feature's structure, copied in before and out after the call
 *
 * Returns 0 or the ioctl's errno.
 */
int feature_ioctl(const struct vfiomig_device *dev, uint32_t flags, void *data, size_t size);

/* See vfiomig_device_probe(), vfiomig_device_get_migration() and vfiomig_device_get_data_size(). */
unsigned int feature_probe(const struct vfiomig_device *dev, unsigned int feature);
int feature_migration(struct vfiomig_device *dev, uint64_t *flags);
int feature_data_size(struct vfiomig_device *dev, uint64_t *bytes);

/* Say that the device's driver has no migration support, and which driver would. Returns
 * -EOPNOTSUPP. */
int feature_fail_no_migration(struct vfiomig_device *dev);

#endif
