// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device reached through its IOMMU group and a type1 container, the way that
 * every kernel with VFIO has.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

/* Failing to open one of VFIO's nodes means a few things that can be told. */
static int fail_open(struct vfiomig_device *dev, const char *path, int err)
{
	int pid;
	char comm[16];

	switch (err) {
	case EBUSY:
		if (vfiomig_device_get_opener(dev, &pid, comm) == 0)
			return ctx_fail(dev->ctx, -EBUSY,
					"busy: process %d (%s) has %s open",
					pid, comm, path);
		return ctx_fail(dev->ctx, -EBUSY,
				"busy: another process has %s open", path);
	case EACCES:
	case EPERM:
		return ctx_fail(
			dev->ctx, -err,
			"not permitted to open %s; run as root, or give this user access to it",
			path);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO here: no %s; load vfio_iommu_type1 and the device's VFIO driver",
			path);
	default:
		return ctx_fail(dev->ctx, -err, "cannot open %s: %s", path,
				strerror(err));
	}
}

static int open_node(struct vfiomig_device *dev, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? fail_open(dev, path, errno) : fd;
}

/*
 * A group can be used only when nobody but VFIO drives the devices in it.
 * Name the first that somebody else drives.
 */
static int fail_not_viable(struct vfiomig_device *dev)
{
	char path[PATH_MAX], member[PATH_MAX];
	struct dirent *entry;
	DIR *d;

	snprintf(path, sizeof(path), "%s/iommu_group/devices", dev->syspath);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		_cleanup_free_ char *driver = NULL;
		_cleanup_free_ char *vfio = NULL;
		int n = snprintf(member, sizeof(member), "%s/%s", path,
				 entry->d_name);

		if (entry->d_name[0] == '.' || n >= (int)sizeof(member))
			continue;
		vfio = sysfs_first_entry(member, "vfio-dev");
		driver = sysfs_link_name(member, "driver");
		/* The drivers that leave a group usable: they do no DMA. */
		if (vfio || !driver || strcmp(driver, "pci-stub") == 0 ||
		    strcmp(driver, "pcieport") == 0)
			continue;
		ctx_fail(
			dev->ctx, -EBUSY,
			"IOMMU group %d is not viable: %s is in it and bound to %s; unbind it, or bind it to a VFIO driver too",
			dev->group, entry->d_name, driver);
		closedir(d);
		return -EBUSY;
	}
	if (d)
		closedir(d);
	return ctx_fail(
		dev->ctx, -EBUSY,
		"IOMMU group %d is not viable: a device in it is bound to another driver",
		dev->group);
}

static int open_container(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/vfio/vfio", dev->ctx->devfs);
	fd = open_node(dev, path);
	if (fd < 0)
		return fd;
	dev->held[0] = fd;
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return ctx_fail(dev->ctx, -EOPNOTSUPP,
				"%s speaks an unknown version of VFIO", path);
	if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no type1 IOMMU; load vfio_iommu_type1");
	return 0;
}

static int open_group(struct vfiomig_device *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/vfio/%d", dev->ctx->devfs, dev->group);
	fd = open_node(dev, path);
	if (fd < 0)
		return fd;
	dev->held[1] = fd;
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status))
		return ctx_fail(dev->ctx, -errno, "VFIO_GROUP_GET_STATUS: %m");
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return fail_not_viable(dev);
	return 0;
}

static int attach(struct vfiomig_device *dev)
{
	int container = dev->held[0], group = dev->held[1];

	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container)) {
		/* Newer kernels find out only here who owns the group's DMA. */
		if (errno == EPERM || errno == EBUSY)
			return fail_not_viable(dev);
		return ctx_fail(dev->ctx, -errno,
				"VFIO_GROUP_SET_CONTAINER: %m");
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

	if (dev->group < 0)
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

	dev->fd = ioctl(dev->held[1], VFIO_GROUP_GET_DEVICE_FD, dev->name);
	if (dev->fd < 0)
		return ctx_fail(dev->ctx, -errno,
				"cannot open the device in group %d: %m",
				dev->group);
	return 0;
}

const struct backend backend_group = {
	.name = "group",
	.open = group_open,
};
