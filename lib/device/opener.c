// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which process has a device open. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "process.h"

/* A directory that this process may not read is passed over. A directory that could be read, but
 * not opened for want of descriptors, is a failure. */
static int missed(void)
{
	return is_exhausted(errno) ? -errno : -ENOENT;
}

/* Returns 0 if one of the descriptors in @fd_dir is of @path, or a negative errno. */
static int look_for(const char *fd_dir, const char *path)
{
	char target[PATH_MAX];
	struct dirent *entry;
	int err = -ENOENT;
	DIR *d = opendir(fd_dir);

	if (!d)
		return missed();
	while (err && (entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, path) == 0)
			err = 0;
	}
	closedir(d);
	return err;
}

static int opener_of(const struct vfiomig_ctx *ctx, const char *path, int *pid, char comm[16])
{
	char fd_dir[PATH_MAX];
	struct dirent *entry;
	int err = -ENOENT;
	DIR *d = opendir(ctx->procfs);

	if (!d)
		return missed();
	while (err == -ENOENT && (entry = readdir(d))) {
		int n = atoi(entry->d_name);

		/* Skip this process, which may be about to open the device. */
		if (n <= 0 || n == getpid())
			continue;
		snprintf(fd_dir, sizeof(fd_dir), "%s/%d/fd", ctx->procfs, n);
		err = look_for(fd_dir, path);
		if (!err) {
			*pid = n;
			process_comm(ctx, n, comm);
		}
	}
	closedir(d);
	return err;
}

int device_get_opener(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	char path[PATH_MAX];
	int err = -ENOENT;

	if (dev->sys.group >= 0) {
		snprintf(path, sizeof(path), "%s/vfio/%d", dev->ctx->devfs, dev->sys.group);
		err = opener_of(dev->ctx, path, pid, comm);
	}
	if (err == -ENOENT && dev->sys.cdev) {
		snprintf(path, sizeof(path), "%s/vfio/devices/%s", dev->ctx->devfs, dev->sys.cdev);
		err = opener_of(dev->ctx, path, pid, comm);
	}
	return err;
}
