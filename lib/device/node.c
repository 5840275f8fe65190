// SPDX-License-Identifier: LGPL-2.1-or-later
/* VFIO's nodes in /dev, and the reasons for which they cannot be opened. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "node.h"
#include "process.h"
#include "sysfs.h"

#define LOOK_NS 1000000000ULL

/* Returns the first process that has another device of the group open, or 0. @name receives what
 * that device is called. */
static int find_user_of_group(const struct vfiomig_device *dev, const struct openers *openers,
			      char name[256])
{
	char path[PATH_MAX], member[PATH_MAX];
	struct dirent *entry;
	int pid = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/iommu_group/devices", dev->sys.syspath);
	d = opendir(path);
	while (d && !pid && (entry = readdir(d))) {
		/* As much of a device as openers_of_device() looks at. */
		struct vfiomig_device other = { .ctx = dev->ctx, .sys = SYSDEV_NONE };
		int n = snprintf(member, sizeof(member), "%s/%s", path, entry->d_name);

		if (!sysfs_is_visible(entry) || strcmp(entry->d_name, dev->name) == 0 ||
		    n >= (int)sizeof(member))
			continue;
		other.sys.cdev = sysfs_first_entry(member, "vfio-dev");
		if (other.sys.cdev)
			pid = openers_of_device(openers, &other);
		snprintf(name, 256, "%s", entry->d_name);
		free(other.sys.cdev);
	}
	if (d)
		closedir(d);
	return pid;
}

int node_check_openers(struct vfiomig_device *dev, const struct openers *openers)
{
	int pid = openers_of_device(openers, dev);
	char name[256] = "", comm[16];

	if (!pid)
		pid = find_user_of_group(dev, openers, name);
	if (!pid)
		return 0;
	process_comm(dev->ctx, pid, comm);
	if (!*name)
		return ctx_fail(dev->ctx, -EBUSY,
				"busy: process %d (%s) has the device or its group open", pid,
				comm);
	return ctx_fail(dev->ctx, -EBUSY,
			"busy: process %d (%s) has %s open, which is in the same IOMMU group %d",
			pid, comm, name, dev->sys.group);
}

int node_check_unused(struct vfiomig_device *dev)
{
	struct openers *openers;
	int busy;

	ctx_doing(dev->ctx, "the look for the process that has it open");
	openers_look(dev->ctx, now_ns() + LOOK_NS, &openers);
	busy = openers ? node_check_openers(dev, openers) : 0;
	openers_free(openers);
	return busy;
}

int node_fail_busy(struct vfiomig_device *dev)
{
	int busy = node_check_unused(dev);

	return busy ? busy
		    : ctx_fail(dev->ctx, -EBUSY,
			       "busy: another process has the device or its group open");
}

bool node_is_noiommu(const struct vfiomig_device *dev)
{
	char path[PATH_MAX];

	/* A kernel without groups has the cdev alone. */
	if (dev->sys.cdev && strncmp(dev->sys.cdev, "noiommu-", 8) == 0)
		return true;
	snprintf(path, sizeof(path), "%s/class/vfio/noiommu-%d", dev->ctx->sysfs, dev->sys.group);
	return access(path, F_OK) == 0;
}

int node_check_raw_io(struct vfiomig_device *dev)
{
	if (!node_is_noiommu(dev) || process_is_capable(dev->ctx, CAP_SYS_RAWIO))
		return 0;
	return ctx_fail(
		dev->ctx, -EPERM,
		"not permitted: a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO%s",
		geteuid()
			? "; run as root"
			: ", which root has not got here (a container needs --cap-add=SYS_RAWIO)");
}

void node_group_path(const struct vfiomig_device *dev, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/vfio/%s%d", dev->ctx->devfs,
		 node_is_noiommu(dev) ? "noiommu-" : "", dev->sys.group);
}

bool node_is_permitted(const char *path)
{
	return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
}

int node_fail_permission(struct vfiomig_device *dev, const char *path, int err)
{
	/* The mode of a node leads to EACCES. */
	if (err == EPERM && node_check_raw_io(dev))
		return -EPERM;
	/* Root is stopped by a container's list of devices, or by a security module. */
	if (geteuid() == 0)
		return ctx_fail(
			dev->ctx, -err,
			"not permitted to open %s, although this is root: a device cgroup (a container needs --device=%s) or a security module forbids it",
			path, path);
	return ctx_fail(dev->ctx, -err,
			"not permitted to open %s; run as root, or give this user access to it",
			path);
}

/* Say why one of VFIO's nodes could not be opened. */
static int fail_open(struct vfiomig_device *dev, const char *path, int err)
{
	switch (err) {
	case EBUSY:
		return node_fail_busy(dev);
	case EACCES:
	case EPERM:
		return node_fail_permission(dev, path, err);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO here: no %s; load vfio_iommu_type1 and the device's VFIO driver",
			path);
	default:
		return ctx_fail(dev->ctx, -err, "cannot open %s: %s", path, strerror(err));
	}
}

int node_open(struct vfiomig_device *dev, const char *path)
{
	int fd;

	ctx_doing(dev->ctx, "open(%s)", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? fail_open(dev, path, errno) : fd;
}

int node_share(struct vfiomig_device *dev, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? ctx_fail(dev->ctx, -errno, "cannot duplicate a descriptor: %m") : own;
}

/* Returns 0 if this member of the group is an obstacle, -ENOENT if it is none, or another negative
 * errno. */
static int check_obstacle(const char *member, char driver[256])
{
	_cleanup_free_ char *bound = sysfs_link_name(member, "driver"), *vfio = NULL;

	if (!bound)
		return is_exhausted(errno) ? -errno : -ENOENT;
	vfio = sysfs_first_entry(member, "vfio-dev");
	if (!vfio && is_exhausted(errno))
		return -errno;
	/* These two drivers do no DMA, so VFIO accepts them. */
	if (vfio || strcmp(bound, "pci-stub") == 0 || strcmp(bound, "pcieport") == 0)
		return -ENOENT;
	snprintf(driver, 256, "%s", bound);
	return 0;
}

/* @but: a member that is not looked at, or NULL */
static int find_obstacle(const struct vfiomig_device *dev, const char *but, char name[256],
			 char driver[256])
{
	char path[PATH_MAX], member[PATH_MAX];
	struct dirent *entry;
	int err = -ENOENT;
	DIR *d;

	snprintf(path, sizeof(path), "%s/iommu_group/devices", dev->sys.syspath);
	d = opendir(path);
	if (!d)
		return is_exhausted(errno) ? -errno : -ENOENT;
	while (err == -ENOENT && (entry = readdir(d))) {
		int n = snprintf(member, sizeof(member), "%s/%s", path, entry->d_name);

		if (entry->d_name[0] == '.' || n >= (int)sizeof(member) ||
		    (but && strcmp(entry->d_name, but) == 0))
			continue;
		err = check_obstacle(member, driver);
		if (!err)
			snprintf(name, 256, "%s", entry->d_name);
	}
	closedir(d);
	return err;
}

int node_get_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256])
{
	return find_obstacle(dev, NULL, name, driver);
}

int node_get_other_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256])
{
	return find_obstacle(dev, dev->name, name, driver);
}

#define WAIT_NS	    (10 * 1000000000ULL)
#define INTERVAL_MS 10

bool node_is_missing(const struct vfiomig_device *dev, char path[PATH_MAX])
{
	const struct vfiomig_ctx *ctx = dev->ctx;
	char group[32];

	/* The kernel has a cdev for the device if there is this file. */
	snprintf(path, PATH_MAX, "%s/class/vfio-dev/%s/dev", ctx->sysfs, dev->sys.cdev);
	if (access(path, F_OK) == 0) {
		snprintf(path, PATH_MAX, "%s/vfio/devices/%s", ctx->devfs, dev->sys.cdev);
		if (access(path, F_OK))
			return true;
	}
	if (!sysdev_group_name(ctx, &dev->sys, group))
		return false;
	snprintf(path, PATH_MAX, "%s/class/vfio/%s", ctx->sysfs, group);
	if (access(path, F_OK))
		return false;
	snprintf(path, PATH_MAX, "%s/vfio/%s", ctx->devfs, group);
	return access(path, F_OK) != 0;
}

int node_wait(struct vfiomig_device *dev)
{
	struct pollfd wake = { .fd = dev->ctx->wake, .events = POLLIN };
	uint64_t end = now_ns() + WAIT_NS;
	char path[PATH_MAX];

	/* A VFIO driver registers its device before its probe function returns. */
	if (!dev->sys.cdev)
		return ctx_fail(
			dev->ctx, -ENODEV,
			"%s is not a VFIO driver: it took %s and did not register it with VFIO",
			dev->sys.driver ? dev->sys.driver : "its new driver", dev->name);
	while (node_is_missing(dev, path)) {
		if (dev->ctx->interrupted)
			return ctx_fail_interrupted(dev->ctx);
		if (now_ns() > end)
			return ctx_fail(dev->ctx, -ETIMEDOUT,
					"%s has not appeared within %llu seconds; is udev running?",
					path, WAIT_NS / 1000000000ULL);
		poll(&wake, 1, INTERVAL_MS);
		ctx_forget_wake(dev->ctx);
	}
	return 0;
}
