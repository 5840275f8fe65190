// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a PCI function is used for, so that it is not taken away from that. */
#include <dirent.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "device/sysfs.h"
#include "usage.h"

int usage_fail_exhausted(struct vfiomig_device *dev, const char *path)
{
	if (!is_exhausted(errno))
		return 0;
	return ctx_fail(dev->ctx, -errno, "cannot tell whether %s is in use: cannot read %s: %m",
			dev->name, path);
}

/* A number in @dir, 0 if there is none. */
static int read_number(struct vfiomig_device *dev, const char *dir, const char *name,
		       unsigned long *value)
{
	int err = sysfs_read_number(dir, name, value);

	if (err)
		*value = 0;
	errno = -err;
	return err ? usage_fail_exhausted(dev, dir) : 0;
}

static bool is_below(const struct vfiomig_device *dev, const char *path)
{
	size_t length = strlen(dev->sys.syspath);
	char real[PATH_MAX];

	return realpath(path, real) && strncmp(real, dev->sys.syspath, length) == 0 &&
	       real[length] == '/';
}

/* Of the links to NVMe controllers in this directory, does one lead there? 1, 0
 * or a negative errno. */
static int has_controller_below(struct vfiomig_device *dev, const char *dir)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	bool found = false;
	DIR *d = opendir(dir);

	if (!d)
		return usage_fail_exhausted(dev, dir);
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
 * An NVMe disk that may have several paths hangs on its subsystem, which has
 * links to the controllers; a partition is one step further down.
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

int usage_foreach(struct vfiomig_device *dev, const char *class,
		  int (*fn)(struct vfiomig_device *dev, const char *name, const char *dir))
{
	char path[PATH_MAX], dir[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/class/%s", dev->ctx->sysfs, class);
	d = opendir(path);
	if (!d)
		return usage_fail_exhausted(dev, path);
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

static int check_interface(struct vfiomig_device *dev, const char *name, const char *dir)
{
	unsigned long flags;
	int err = read_number(dev, dir, "flags", &flags);

	if (err || !(flags & IFF_UP))
		return err;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s carries the network interface %s, which is up; take it down (ip link set %s down), or use --force",
		dev->name, name, name);
}

/* Interfaces of another network namespace are not shown, only that there are
 * some. */
static int check_namespaces(struct vfiomig_device *dev)
{
	_cleanup_free_ char *shown = sysfs_first_entry(dev->sys.syspath, "net");
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/net", dev->sys.syspath);
	if (shown || access(path, F_OK))
		return 0;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s carries a network interface that is in another network namespace; take it back from there, or use --force",
		dev->name);
}

static int fail_console(struct vfiomig_device *dev, const char *name, const char *dir)
{
	(void)dir;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s is the display that the machine booted with, and the console is on it (%s); use --force to take it away",
		dev->name, name);
}

static int check_console(struct vfiomig_device *dev)
{
	unsigned long boot_vga;
	int err = read_number(dev, dev->sys.syspath, "boot_vga", &boot_vga);

	if (err || !boot_vga)
		return err;
	return usage_foreach(dev, "graphics", fail_console);
}

/* They would be gone with the driver that made them. */
int usage_check_virtual_functions(struct vfiomig_device *dev)
{
	unsigned long n;
	int err = read_number(dev, dev->sys.syspath, "sriov_numvfs", &n);

	if (err || !n)
		return err;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s has %lu virtual functions, which would be lost; write 0 to its sriov_numvfs first",
		dev->name, n);
}

int usage_check(struct vfiomig_device *dev)
{
	int err = disk_usage_check(dev);

	if (!err)
		err = usage_foreach(dev, "net", check_interface);
	if (!err)
		err = check_namespaces(dev);
	if (!err)
		err = check_console(dev);
	if (!err)
		err = usage_check_virtual_functions(dev);
	return err;
}
