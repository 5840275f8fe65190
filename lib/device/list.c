// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every device that is registered with VFIO, as an object that the caller can work with. */
#include "device.h"

int device_foreach(struct vfiomig_ctx *ctx, int (*fn)(struct vfiomig_device *dev, void *data),
		   void *data)
{
	struct sysdevs all;
	int ret = sysdevs_read(ctx, &all);

	for (size_t i = 0; i < all.count && !ret; i++) {
		struct vfiomig_device *dev;

		ret = device_from_sysdev(ctx, &all.list[i], &dev);
		if (ret)
			break;
		ret = fn(dev, data);
		vfiomig_device_unref(dev);
	}
	sysdevs_free(&all);
	return ret;
}
