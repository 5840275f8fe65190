// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device is reached through its own character device and an iommufd. Kernels have that since
 * Linux 6.6, if they were built with VFIO_DEVICE_CDEV.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cdev.h"
#include "node.h"

static void node_path(const struct vfiomig_device *dev, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/vfio/devices/%s", dev->ctx->devfs, dev->sys.cdev);
}

static bool cdev_exists(const struct vfiomig_device *dev)
{
	char path[PATH_MAX], iommu[PATH_MAX];

	node_path(dev, path);
	snprintf(iommu, sizeof(iommu), "%s/iommu", dev->ctx->devfs);
	return access(path, F_OK) == 0 && access(iommu, F_OK) == 0;
}

static int bind_iommufd(struct vfiomig_device *dev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = dev->iommufd,
	};
	char comm[16];
	int pid, err;

	if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0)
		return 0;
	/* device_get_opener() changes errno. */
	err = -errno;
	/* EINVAL: the cdev is bound already, through another descriptor. EBUSY: the group is open,
	 * or a driver does DMA for a device in it. */
	if (err == -EINVAL || (err == -EBUSY && device_get_opener(dev, &pid, comm) == 0))
		return node_fail_busy(dev);
	if (err == -EBUSY || err == -EPERM)
		return node_fail_not_viable(dev);
	return ctx_fail(dev->ctx, err, "VFIO_DEVICE_BIND_IOMMUFD: %s", strerror(-err));
}

/* Give the device an empty address space of its own, in which it cannot do DMA anywhere. */
static int attach_ioas(struct vfiomig_device *dev)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};

	if (ioctl(dev->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return ctx_fail(dev->ctx, -errno, "IOMMU_IOAS_ALLOC: %m");
	attach.pt_id = alloc.out_ioas_id;
	if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return ctx_fail(dev->ctx, -errno, "VFIO_DEVICE_ATTACH_IOMMUFD_PT: %m");
	return 0;
}

static int open_iommufd(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/iommu", dev->ctx->devfs);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->iommufd = fd;
	return 0;
}

int cdev_bind(struct vfiomig_device *dev)
{
	int err = dev->iommufd < 0 ? open_iommufd(dev) : 0;

	if (!err)
		err = bind_iommufd(dev);
	return err ? err : attach_ioas(dev);
}

static bool cdev_fits(const struct vfiomig_device *dev)
{
	return dev->via == VFIOMIG_VIA_CDEV || (dev->via == VFIOMIG_VIA_AUTO && cdev_exists(dev));
}

static int cdev_open(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd, err;

	if (!cdev_exists(dev))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no cdev for the device, or no /dev/iommu (IOMMUFD, VFIO_DEVICE_CDEV); go through its group");
	err = open_iommufd(dev);
	if (err)
		return err;
	node_path(dev, path);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->fd = fd;
	return dev->unbound ? 0 : cdev_bind(dev);
}

const struct backend backend_cdev = {
	.name = "cdev",
	.fits = cdev_fits,
	.open = cdev_open,
};
