// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device is reached through its IOMMU group and a container, of type1 or, in the kernel's noiommu
 * mode, of none. Every kernel with VFIO has that way.
 */
#include <limits.h>
#include <stdio.h>

#include "group.h"
#include "node.h"
#include "refusal.h"
#include "token.h"

static void container_path(const struct vfiomig_device *dev, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/vfio/vfio", dev->ctx->devfs);
}

bool group_is_permitted(const struct vfiomig_device *dev)
{
	char container[PATH_MAX], group[PATH_MAX];

	container_path(dev, container);
	node_group_path(dev, group);
	return dev->sys.group >= 0 && node_is_permitted(container) && node_is_permitted(group);
}

static unsigned long iommu_type(const struct vfiomig_device *dev)
{
	return node_is_noiommu(dev) ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU;
}

static int fail_type(struct vfiomig_device *dev)
{
	if (node_is_noiommu(dev))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the device has no IOMMU; set enable_unsafe_noiommu_mode of vfio, if that is wanted");
	return ctx_fail(dev->ctx, -EOPNOTSUPP,
			"the kernel has no type1 IOMMU; load vfio_iommu_type1");
}

static int open_container(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd, version, known;

	container_path(dev, path);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->container = fd;
	version = ctx_ioctl(dev->ctx, fd, VFIO_GET_API_VERSION);
	if (version < 0)
		return ctx_fail(dev->ctx, -errno, "VFIO_GET_API_VERSION: %m");
	if (version != VFIO_API_VERSION)
		return ctx_fail(dev->ctx, -EOPNOTSUPP, "%s speaks an unknown version of VFIO",
				path);
	known = ctx_ioctl(dev->ctx, fd, VFIO_CHECK_EXTENSION, iommu_type(dev));
	if (known < 0)
		return ctx_fail(dev->ctx, -errno, "VFIO_CHECK_EXTENSION: %m");
	return known == 1 ? 0 : fail_type(dev);
}

static int open_group(struct vfiomig_device *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];
	int fd;

	node_group_path(dev, path);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->group_fd = fd;
	if (ctx_ioctl(dev->ctx, fd, VFIO_GROUP_GET_STATUS, &status))
		return ctx_fail(dev->ctx, -errno, "VFIO_GROUP_GET_STATUS: %m");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return refusal_viable(dev);
	return 0;
}

static int attach(struct vfiomig_device *dev)
{
	int container = dev->container, group = dev->group_fd;

	if (ctx_ioctl(dev->ctx, group, VFIO_GROUP_SET_CONTAINER, &container))
		return refusal_container(dev, -errno);
	return ctx_ioctl(dev->ctx, container, VFIO_SET_IOMMU, iommu_type(dev))
		       ? refusal_iommu(dev, -errno)
		       : 0;
}

/* The kernel takes the token as a part of the device's name. */
static int get_device(struct vfiomig_device *dev)
{
	char name[512];

	snprintf(name, sizeof(name), "%s%s%s", dev->name, token_is_set(dev) ? " vf_token=" : "",
		 dev->vf_token);
	dev->fd = ctx_ioctl(dev->ctx, dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, name);
	return dev->fd < 0 ? refusal_device(dev, -errno) : 0;
}

static int open_alone(struct vfiomig_device *dev)
{
	int err = open_container(dev);

	if (!err)
		err = open_group(dev);
	return err ? err : attach(dev);
}

/* A group can be opened once. */
static int share(struct vfiomig_device *dev, const struct vfiomig_device *companion)
{
	dev->container = node_share(dev, companion->container);
	if (dev->container < 0)
		return dev->container;
	dev->group_fd = node_share(dev, companion->group_fd);
	return dev->group_fd < 0 ? dev->group_fd : 0;
}

static int group_open(struct vfiomig_device *dev)
{
	int err;

	if (dev->sys.group < 0)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the device has no IOMMU group; enable the IOMMU (firmware setup, intel_iommu=on)");
	if (dev->companion && dev->companion->group_fd >= 0)
		err = share(dev, dev->companion);
	else
		err = open_alone(dev);
	return err ? err : get_device(dev);
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
