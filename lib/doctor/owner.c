// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The process that has the device open, and is no holder: whether "pid:" can have the device from
 * there. Its descriptors are told apart by what /proc calls them. To try one would ask the driver.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device/identity.h"
#include "device/lock.h"
#include "device/process.h"
#include "owner.h"

struct search {
	char cdev[NAME_MAX + 16], group[40]; /* how the paths of these nodes end */
	bool has_cdev, has_group, has_iommufd;
	bool anonymous; /* a device of a group has no path */
};

static bool ends_in(const char *path, const char *end)
{
	size_t length = strlen(path), n = strlen(end);

	return n && length >= n && strcmp(path + length - n, end) == 0;
}

static int note(void *data, int number, const char *target)
{
	struct search *search = data;

	(void)number;
	if (*target != '/')
		search->anonymous |= identity_may_be_device(target);
	search->has_cdev |= ends_in(target, search->cdev);
	search->has_group |= ends_in(target, search->group);
	search->has_iommufd |= ends_in(target, "/iommu");
	return 0;
}

static void name_nodes(const struct vfiomig_device *dev, struct search *search)
{
	char group[32];

	if (dev->sys.cdev)
		snprintf(search->cdev, sizeof(search->cdev), "/vfio/devices/%s", dev->sys.cdev);
	if (sysdev_group_name(dev->ctx, &dev->sys, group))
		snprintf(search->group, sizeof(search->group), "/vfio/%s", group);
}

enum owner owner_of(struct vfiomig_device *dev, int pid, const char *comm)
{
	struct search search = { .anonymous = false };
	int err;

	/* Another user's command has its lock in another directory. */
	if (lock_owner(dev->ctx, dev->name) == pid || strcmp(comm, "vfiomig") == 0)
		return OWNER_AT_WORK;
	name_nodes(dev, &search);
	err = process_foreach_fd(dev->ctx, pid, note, &search);
	if (err)
		return err == -ESRCH ? OWNER_GONE : OWNER_HIDDEN;
	if (search.anonymous || (search.has_cdev && search.has_iommufd))
		return OWNER_LENDS;
	if (search.has_cdev)
		return OWNER_UNBOUND;
	return search.has_group ? OWNER_HAS_GROUP : OWNER_HAS_NONE;
}
