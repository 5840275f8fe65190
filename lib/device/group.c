// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device is reached through its IOMMU group and a type1 container. Every kernel with VFIO has
 * that way.
 */
#include <limits.h>
#include <stdio.h>

#include "node.h"

static int open_container(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd, version, type1;

	snprintf(path, sizeof(path), "%s/vfio/vfio", dev->ctx->devfs);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->container = fd;
	version = ioctl(fd, VFIO_GET_API_VERSION);
	if (version < 0)
		return ctx_fail(dev->ctx, -errno, "VFIO_GET_API_VERSION: %m");
	if (version != VFIO_API_VERSION)
		return ctx_fail(dev->ctx, -EOPNOTSUPP, "%s speaks an unknown version of VFIO",
				path);
	type1 = ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);
	if (type1 < 0)
		return ctx_fail(dev->ctx, -errno, "VFIO_CHECK_EXTENSION: %m");
	if (type1 != 1)
		return ctx_fail(dev->ctx, -EOPNOTSUPP,
				"the kernel has no type1 IOMMU; load vfio_iommu_type1");
	return 0;
}

static int open_group(struct vfiomig_device *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/vfio/%d", dev->ctx->devfs, dev->sys.group);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->group_fd = fd;
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		return ctx_fail(dev->ctx, -errno, "VFIO_GROUP_GET_STATUS: %m");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return node_fail_not_viable(dev);
	return 0;
}

static int attach(struct vfiomig_device *dev)
{
	int container = dev->container, group = dev->group_fd;

	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) {
		/* Since Linux 5.19 only this call tells that another driver owns the DMA of the
		 * group. */
		if (errno == EPERM || errno == EBUSY)
			return node_fail_not_viable(dev);
		return ctx_fail(dev->ctx, -errno, "VFIO_GROUP_SET_CONTAINER: %m");
	}
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)) {
		if (errno == EPERM)
			return ctx_fail(
				dev->ctx, -EPERM,
				"not permitted: the platform has no interrupt remapping; enable it, or set allow_unsafe_interrupts of vfio_iommu_type1");
		return ctx_fail(dev->ctx, -errno, "VFIO_SET_IOMMU: %m");
	}
	return 0;
}

static int group_open(struct vfiomig_device *dev)
{
	int err;

	if (dev->sys.group < 0)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the device has no IOMMU group; enable the IOMMU (firmware setup, intel_iommu=on)");
	err = open_container(dev);
	if (!err)
		err = open_group(dev);
	if (!err)
		err = attach(dev);
	if (err)
		return err;

	dev->fd = ioctl(dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, dev->name);
	if (dev->fd < 0)
		return ctx_fail(dev->ctx, -errno, "cannot open the device in group %d: %m",
				dev->sys.group);
	return 0;
}

/* Every device that VFIO takes is in a group, so this is the last resort. */
static bool group_fits(const struct vfiomig_device *dev)
{
	(void)dev;
	return true;
}

const struct backend backend_group = {
	.name = "group",
	.fits = group_fits,
	.open = group_open,
};
