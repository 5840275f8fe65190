// SPDX-License-Identifier: GPL-2.0-or-later
/* The ioctls of a device, and its regions. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONFIG_SIZE  256
#define BAR_SIZE     4096
#define REGION_SHIFT 40

static bool is_pci(const struct thing *t)
{
	return access(DIR_ROOT, F_OK) == 0 && setting(dir_of(t), "pci", 1);
}

static int get_info(const struct thing *t, struct vfio_device_info *info)
{
	int err = meet(dir_of(t), "info", NULL);

	info->flags = VFIO_DEVICE_FLAGS_RESET | (is_pci(t) ? VFIO_DEVICE_FLAGS_PCI : 0);
	info->num_regions = VFIO_PCI_NUM_REGIONS;
	info->num_irqs = VFIO_PCI_NUM_IRQS;
	return err < 0 ? err : 0;
}

static int get_region(const struct thing *t, struct vfio_region_info *info)
{
	int err = meet(dir_of(t), "region", NULL);

	if (info->index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info->offset = (uint64_t)info->index << REGION_SHIFT;
	info->size = info->index == VFIO_PCI_CONFIG_REGION_INDEX ? CONFIG_SIZE
		     : info->index == VFIO_PCI_BAR0_REGION_INDEX ? BAR_SIZE
								 : 0;
	return err < 0 ? err : 0;
}

static int get_irq(const struct thing *t, struct vfio_irq_info *info)
{
	bool has = info->index == setting(dir_of(t), "irq", ~0ULL);

	info->flags = has ? VFIO_IRQ_INFO_EVENTFD : 0;
	info->count = has;
	return info->index < VFIO_PCI_NUM_IRQS ? 0 : -EINVAL;
}

static int bind_iommufd(const struct thing *t, int fd, struct vfio_device_bind_iommufd *bind)
{
	const char *dir = dir_of(t);
	char path[PATH_MAX];
	int err = meet(dir, "bind", NULL);

	if (err < 0)
		return err;
	if (thing_of(bind->iommufd).kind != KIND_IOMMUFD)
		return -EBADFD;
	snprintf(path, sizeof(path), "/dev/vfio/%llu",
		 (unsigned long long)setting(dir, "group", 0));
	if (is_taken(path))
		return -EBUSY;
	if (position(fd) || flock(fd, LOCK_EX | LOCK_NB))
		return -EINVAL;
	set_position(fd, 1);
	begin_session(dir);
	bind->out_devid = 1;
	note(dir, "open");
	return 0;
}

int device_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	int err;

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return t->kind == KIND_CDEV ? bind_iommufd(t, fd, arg) : -ENOTTY;
	if (t->kind == KIND_CDEV && !position(fd))
		return -EINVAL;
	switch (request) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		err = meet(dir_of(t), "attach", NULL);
		return err < 0 ? err : 0;
	case VFIO_DEVICE_GET_INFO:
		return get_info(t, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region(t, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq(t, arg);
	case VFIO_DEVICE_RESET:
		return reset(t);
	case VFIO_DEVICE_FEATURE:
		return device_feature(t, arg);
	default:
		return -ENOTTY;
	}
}

/* The file of the region at @at, and the position in it. */
static int open_region(const struct thing *t, off_t *at)
{
	int index = *at >> REGION_SHIFT;

	*at &= (1ULL << REGION_SHIFT) - 1;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return open_in(dir_of(t), "config", O_RDWR);
	return index ? -1 : open_in(dir_of(t), "bar", O_RDWR | O_CREAT);
}

ssize_t region_access(const struct thing *t, bool writes, void *buf, size_t size, off_t at)
{
	int err = meet(dir_of(t), writes ? "region-write" : "region-read", NULL);
	int fd = open_region(t, &at);
	ssize_t n;

	if (err < 0 || fd < 0) {
		close_if(fd);
		return err < 0 ? err : -EINVAL;
	}
	n = syscall(writes ? SYS_pwrite64 : SYS_pread64, fd, buf, size, at);
	close_if(fd);
	return n;
}
