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
#include "group.h"
#include "node.h"
#include "refusal.h"
#include "token.h"

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

/*
 * Whether the kernel takes a VF token here. It then knows more of the structure than the kernels
 * that do not, and looks whether the rest, which it does not know, is zero. Nothing is bound.
 */
static bool takes_token(const struct vfiomig_device *dev)
{
	struct {
		struct vfio_device_bind_iommufd_token bind;
		uint64_t unknown;
	} probe = {
		.bind = { .argsz = sizeof(probe), .iommufd = -1 },
		.unknown = 1,
	};

	return ctx_ioctl(dev->ctx, dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &probe) && errno == E2BIG;
}

static int fail_token(struct vfiomig_device *dev)
{
	return ctx_fail(
		dev->ctx, -EOPNOTSUPP,
		"the kernel takes no VF token through the cdev, which Linux 6.17 does; --via=group takes it");
}

static int bind_iommufd(struct vfiomig_device *dev)
{
	struct vfio_device_bind_iommufd_token bind = {
		.argsz = sizeof(struct vfio_device_bind_iommufd),
		.iommufd = dev->iommufd,
	};
	uint8_t token[TOKEN_SIZE];

	if (token_is_set(dev)) {
		if (!takes_token(dev))
			return fail_token(dev);
		token_bytes(dev, token);
		bind.argsz = sizeof(bind);
		bind.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		bind.token_uuid_ptr = (uintptr_t)token;
	}
	return ctx_ioctl(dev->ctx, dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind)
		       ? refusal_bind(dev, -errno)
		       : 0;
}

/* Whether it has the iommufd of another device of its group. */
static bool shares_iommufd(const struct vfiomig_device *dev)
{
	return dev->companion && dev->companion->iommufd >= 0;
}

/* Give the device an empty address space of its own, in which it cannot do DMA anywhere. The kernel
 * has one for a group. */
static int attach_ioas(struct vfiomig_device *dev)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};

	if (shares_iommufd(dev))
		alloc.out_ioas_id = dev->companion->ioas;
	else if (ctx_ioctl(dev->ctx, dev->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return ctx_fail(dev->ctx, -errno, "IOMMU_IOAS_ALLOC: %m");
	dev->ioas = attach.pt_id = alloc.out_ioas_id;
	if (ctx_ioctl(dev->ctx, dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return refusal_attach(dev, -errno);
	return 0;
}

static int open_iommufd(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/iommu", dev->ctx->devfs);
	fd = shares_iommufd(dev) ? node_share(dev, dev->companion->iommufd) : node_open(dev, path);
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

/* The user may have access to the group alone. */
static int fail_permission(struct vfiomig_device *dev, int err)
{
	if (dev->via != VFIOMIG_VIA_CDEV || !group_is_permitted(dev))
		return err;
	return ctx_fail(dev->ctx, err, "%s, or open the device with --via=group",
			ctx_sentence(dev->ctx));
}

static int open_nodes(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int fd, err = open_iommufd(dev);

	if (err)
		return err;
	node_path(dev, path);
	fd = node_open(dev, path);
	if (fd < 0)
		return fd;
	dev->fd = fd;
	return 0;
}

/* The kernel has the cdev, or /dev/iommu, only if it was built or loaded with it. */
static int fail_no_cdev(struct vfiomig_device *dev)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/vfio-dev/%s/dev", dev->ctx->sysfs, dev->sys.cdev);
	if (access(path, F_OK) && node_is_noiommu(dev))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no cdev for a device without an IOMMU (noiommu mode), which Linux 7.3 has; go through its group");
	return ctx_fail(
		dev->ctx, -EOPNOTSUPP,
		"the kernel has no cdev for the device, or no /dev/iommu (IOMMUFD, VFIO_DEVICE_CDEV); go through its group");
}

static int cdev_open(struct vfiomig_device *dev)
{
	int err;

	if (!cdev_exists(dev))
		return fail_no_cdev(dev);
	err = open_nodes(dev);
	if (err == -EACCES || err == -EPERM)
		return fail_permission(dev, err);
	/* Whoever gets an unbound cdev gives it the token. */
	if (!err && !dev->unbound && token_is_set(dev) && !takes_token(dev))
		return fail_token(dev);
	return err;
}

/* If nothing was said about the way, the group is as good where only the nodes of the cdev, or its
 * kernel, stand in the way. */
static bool cdev_gives_way(const struct vfiomig_device *dev, int err)
{
	return dev->via == VFIOMIG_VIA_AUTO && group_is_permitted(dev) &&
	       (err == -EACCES || err == -EPERM || err == -EOPNOTSUPP);
}

const struct backend backend_cdev = {
	.name = "cdev",
	.fits = cdev_fits,
	.open = cdev_open,
	.gives_way = cdev_gives_way,
	.bind = cdev_bind,
};
