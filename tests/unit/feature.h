/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An open device behind which a test is the kernel: the device itself, and how VFIO_DEVICE_FEATURE
 * is answered. Fuzz targets use this too.
 */
#ifndef FEATURE_H
#define FEATURE_H

#include <fcntl.h>
#include <string.h>

#include "device/device.h"

/*
 * Make a device that is open on @fd, in a session of its own. The device has no name, and closes
 * @fd when it is freed.
 */
static inline struct vfiomig_device *feature_device(struct vfiomig_ctx *c, int fd)
{
	static const struct backend opened = { .name = "a test" };
	struct vfiomig_device *dev = calloc(1, sizeof(*dev));

	if (!dev || fd < 0)
		abort();
	dev->refs = 1;
	dev->ctx = vfiomig_ref(c);
	dev->backend = &opened;
	dev->origin = (struct origin){ .fd = -1, .given = FDS_NONE };
	dev->iommufd = dev->group_fd = dev->container = dev->claim = -1;
	dev->fd = fd;
	return dev;
}

static inline int feature_null(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

/*
 * Answer the ioctl for a device with these migration flags that is in @state; @set_state is what
 * takes it elsewhere. Every other feature is unknown. Returns what the ioctl returns.
 */
static inline int feature_answer(struct vfio_device_feature *f, uint64_t flags, int state,
				 int (*set_state)(struct vfio_device_feature_mig_state *mig))
{
	struct vfio_device_feature_mig_state *mig = (void *)f->data;

	switch (f->flags) {
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION:
		memcpy(f->data, &flags, sizeof(flags));
		return 0;
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		mig->device_state = state;
		return 0;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return set_state(mig);
	default:
		errno = ENOTTY;
		return -1;
	}
}

#endif
