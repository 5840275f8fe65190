// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a PCI function is used for, so that nobody loses it by mistake. */
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "binding.h"
#include "carried.h"
#include "device/apart.h"
#include "device/process.h"
#include "device/sysfs.h"
#include "disk.h"
#include "usage.h"

/* Read the number in the file @dir/@name, or 0 if there is no such file. */
static int read_number(struct vfiomig_device *dev, const char *dir, const char *name,
		       unsigned long *value)
{
	int err = sysfs_read_number(dir, name, value);

	if (err)
		*value = 0;
	errno = -err;
	return err ? carried_fail_exhausted(dev, dir) : 0;
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

/* The interfaces of another network namespace are not shown in sysfs. Only their directory is. */
static int check_namespaces(struct vfiomig_device *dev)
{
	_cleanup_free_ char *shown = sysfs_first_entry(dev->sys.syspath, "net");
	int err = shown ? 0 : carried_fail_exhausted(dev, dev->sys.syspath);
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/net", dev->sys.syspath);
	if (err || shown || access(path, F_OK))
		return err;
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
	return carried_foreach(dev, "class/graphics", fail_console);
}

/* The virtual functions would be gone with the driver that made them. */
int usage_check_virtual_functions(struct vfiomig_device *dev)
{
	char text[32] = "";
	unsigned long n;
	int err;

	/* The kernel tells the number with the device's lock held. */
	err = apart_read_text(dev->ctx, dev->sys.syspath, "sriov_numvfs", text, sizeof(text),
			      now_ns() + APART_PATIENCE);
	if (err == -ETIMEDOUT)
		return binding_fail_changing(dev);
	if (err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	errno = -err;
	if (err)
		return carried_fail_exhausted(dev, dev->sys.syspath);
	n = strtoul(text, NULL, 0);
	if (!n)
		return 0;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s has %lu virtual functions, which would be lost; write 0 to its sriov_numvfs first",
		dev->name, n);
}

/* The same goes for mediated devices. Removing one waits until nobody has it open. */
static int fail_mediated(struct vfiomig_device *dev, const char *name, const char *dir)
{
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s has the mediated device %s, which would be lost; write 1 to %s/remove first, or use --force",
		dev->name, name, dir);
}

/*
 * A driver may wait, when the function is taken from it, until the last process has closed its
 * nodes: of sound, graphics, video and others. A disk that is open and not mounted would be lost,
 * too.
 */
static int check_nodes(struct vfiomig_device *dev, struct look *look)
{
	const char *hint = "; use --force to bind it all the same";
	struct nodes nodes;
	char node[64], comm[16];
	int unknown = nodes_read(dev, &nodes), pid = 0;
	int err = look_make(look, dev, false);

	if (look->openers)
		pid = openers_of_nodes(look->openers, &nodes, node);
	nodes_free(&nodes);
	/* A process that was not seen may keep the driver waiting for ever. */
	if (!pid && unknown == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (!pid && unknown)
		return ctx_fail(
			dev->ctx, unknown,
			"cannot tell whether %s is in use: cannot find out which nodes its driver has: %s%s",
			dev->name, strerror(-unknown), hint);
	if (!pid && err)
		return look_fail(look, dev, hint);
	if (!pid)
		return 0;
	process_comm(dev->ctx, pid, comm);
	return ctx_fail(
		dev->ctx, -EBUSY,
		"%s is in use: process %d (%s) has %s open, and its driver may wait for that; end the process, or use --force",
		dev->name, pid, comm, node);
}

int usage_check(struct vfiomig_device *dev, struct look *look)
{
	int err = disk_check_unused(dev);

	if (!err)
		err = carried_foreach(dev, "class/net", check_interface);
	if (!err)
		err = check_namespaces(dev);
	if (!err)
		err = check_console(dev);
	if (!err)
		err = usage_check_virtual_functions(dev);
	if (!err)
		err = carried_foreach(dev, "bus/mdev/devices", fail_mediated);
	if (!err && dev->sys.driver && !dev->sys.cdev)
		err = check_nodes(dev, look);
	return err;
}
