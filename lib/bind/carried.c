// SPDX-License-Identifier: LGPL-2.1-or-later
/* The devices of other classes that a PCI function carries: its disks, interfaces, displays. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "carried.h"

int carried_fail_exhausted(struct vfiomig_device *dev, const char *path)
{
	if (!is_exhausted(errno))
		return 0;
	return ctx_fail(dev->ctx, -errno, "cannot tell whether %s is in use: cannot read %s: %m",
			dev->name, path);
}

static bool is_below(const struct vfiomig_device *dev, const char *path)
{
	size_t length = strlen(dev->sys.syspath);
	char real[PATH_MAX];

	return realpath(path, real) && strncmp(real, dev->sys.syspath, length) == 0 &&
	       real[length] == '/';
}

/* Returns 1 if a link to an NVMe controller in the directory @dir leads to the function, 0 if none
 * does, or a negative errno. */
static int has_controller_below(struct vfiomig_device *dev, const char *dir)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	bool found = false;
	DIR *d = opendir(dir);

	if (!d)
		return carried_fail_exhausted(dev, dir);
	while (!found && (entry = readdir(d))) {
		if (strncmp(entry->d_name, "nvme", 4) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		found = is_below(dev, path);
	}
	closedir(d);
	return found;
}

/*
 * An NVMe disk with several paths is below its subsystem, which has links to the controllers. A
 * partition is one step further down.
 */
static int has_path_below(struct vfiomig_device *dev, const char *name, const char *dir)
{
	char parent[PATH_MAX + 8];
	int found;

	if (strncmp(name, "nvme", 4) != 0)
		return 0;
	snprintf(parent, sizeof(parent), "%s/../..", dir);
	found = has_controller_below(dev, parent);
	if (found)
		return found;
	parent[strlen(parent) - 3] = '\0';
	return has_controller_below(dev, parent);
}

int carried_foreach(struct vfiomig_device *dev, const char *kind,
		    int (*fn)(struct vfiomig_device *dev, const char *name, const char *dir))
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dev->ctx->sysfs, kind);
	d = opendir(path);
	if (!d)
		return carried_fail_exhausted(dev, path);
	while (!ret && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' ||
		    snprintf(dir, sizeof(dir), "%s/%s", path, entry->d_name) >= (int)sizeof(dir))
			continue;
		ret = is_below(dev, dir) ? 1 : has_path_below(dev, entry->d_name, dir);
		if (ret > 0)
			ret = fn(dev, entry->d_name, dir);
	}
	closedir(d);
	return ret;
}
