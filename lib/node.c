// SPDX-License-Identifier: LGPL-2.1-or-later
/* VFIO's nodes in /dev, and what it means when they cannot be opened. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "node.h"

int node_fail_busy(struct vfiomig_device *dev)
{
	char comm[16];
	int pid;

	if (vfiomig_device_get_opener(dev, &pid, comm) == 0)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: process %d (%s) has the device or its group open",
			pid, comm);
	return ctx_fail(
		dev->ctx, -EBUSY,
		"busy: another process has the device or its group open");
}

/* Failing to open one of VFIO's nodes means a few things that can be told. */
static int fail_open(struct vfiomig_device *dev, const char *path, int err)
{
	switch (err) {
	case EBUSY:
		return node_fail_busy(dev);
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

int node_open(struct vfiomig_device *dev, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? fail_open(dev, path, errno) : fd;
}

/*
 * A group can be used only when nobody but VFIO drives the devices in it.
 * Name the first that somebody else drives.
 */
int node_fail_not_viable(struct vfiomig_device *dev)
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
