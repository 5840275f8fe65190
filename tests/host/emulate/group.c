// SPDX-License-Identifier: GPL-2.0-or-later
/* The way to a device through its group and a container, and the iommufd. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

/* Returns the number of the device, or -1. */
static int device_named(const char *name)
{
	char dir[16], known[64];

	for (int i = 0; i < NR_DEVICES; i++) {
		snprintf(dir, sizeof(dir), "vfio%d", i);
		if (!read_text(dir, "name", known, sizeof(known)))
			continue;
		known[strcspn(known, "\n")] = '\0';
		if (strcmp(known, name) == 0)
			return i;
	}
	return -1;
}

static int get_device_fd(const struct thing *group, int group_fd, const char *name)
{
	int number = device_named(name), err = meet(COMMON, "device-fd", NULL), fd;
	struct thing t = { .kind = KIND_DEVICE, .number = number };

	if (err < 0)
		return err;
	if (!position(group_fd))
		return -EINVAL;
	if (number < 0 || (int)setting(dir_of(&t), "group", 0) != group->number)
		return -ENODEV;
	fd = open_in(dir_of(&t), "device", O_RDWR);
	/* The first descriptor begins the session, which all of them share. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		begin_session(dir_of(&t));
		note(dir_of(&t), "open");
	}
	flock(fd, LOCK_SH);
	return fd;
}

int group_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;
	int err;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		err = meet(COMMON, "status", NULL);
		status->flags = err ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return err < 0 ? err : 0;
	case VFIO_GROUP_SET_CONTAINER:
		err = meet(COMMON, "set-container", NULL);
		if (err < 0)
			return err;
		if (thing_of(*(int *)arg).kind != KIND_CONTAINER)
			return -EINVAL;
		set_position(fd, 1);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(t, fd, arg);
	default:
		return -ENOTTY;
	}
}

int container_ioctl(int fd, unsigned long request, void *arg)
{
	int err;

	switch (request) {
	case VFIO_GET_API_VERSION:
		err = meet(COMMON, "api-version", NULL);
		return err < 0 ? err : VFIO_API_VERSION + err;
	case VFIO_CHECK_EXTENSION:
		err = meet(COMMON, "extension", NULL);
		if (err)
			return err < 0 ? err : 0;
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU || (uintptr_t)arg == VFIO_TYPE1_IOMMU;
	case VFIO_SET_IOMMU:
		err = meet(COMMON, "set-iommu", NULL);
		if (err < 0)
			return err;
		set_position(fd, 1);
		return 0;
	default:
		return -ENOTTY;
	}
}

int iommufd_ioctl(unsigned long request, void *arg)
{
	int err;

	if (request != IOMMU_IOAS_ALLOC)
		return -ENOTTY;
	err = meet(COMMON, "ioas", NULL);
	((struct iommu_ioas_alloc *)arg)->out_ioas_id = 1;
	return err < 0 ? err : 0;
}
