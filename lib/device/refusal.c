// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Why the kernel refuses to give a device away. The first half of this file has the causes. Each
 * function looks for one: it returns 0 if that is not the case, and else leaves a sentence and
 * returns a negative errno. The second half tells which of them each request can have, from the
 * sources of Linux 6.1, 6.12 and 7.3: drivers/vfio, drivers/iommu.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "node.h"
#include "refusal.h"
#include "sysfs.h"
#include "token.h"

/* ---- Causes ---------------------------------------------------------------- */

int refusal_other_driver(struct vfiomig_device *dev)
{
	char name[256], driver[256];

	if (node_get_other_obstacle(dev, name, driver))
		return 0;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"IOMMU group %d is not viable: %s is in it and bound to %s; run \"vfiomig bind --group %s\", which takes it along",
		dev->sys.group, name, driver, dev->name);
}

/* Whether somebody has the group's node open, or the cdev of one of its devices: then the kernel
 * does not open the node. That can be found out about processes that are hidden, too. */
static bool is_group_taken(const struct vfiomig_device *dev)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	/* While this process has the group open, nobody else has. */
	if (dev->sys.group < 0 || dev->group_fd >= 0)
		return false;
	node_group_path(dev, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 && errno == EBUSY;
}

/* A process has the device, its group, or another device of the group. */
static int other_process(struct vfiomig_device *dev)
{
	int busy = node_check_unused(dev);

	if (busy)
		return busy;
	if (is_group_taken(dev))
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: a process that cannot be seen from here has the device, or another one of IOMMU group %d",
			dev->sys.group);
	return 0;
}

int refusal_find_reserved(const char *path, unsigned long long *first, unsigned long long *last)
{
	char type[32];
	int err = -ENOENT;
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	while (err && fscanf(f, "%llx %llx %31s", first, last, type) == 3)
		/* "direct-relaxable" is for the kernel's own drivers only. */
		if (strcmp(type, "direct") == 0)
			err = 0;
	fclose(f);
	return err;
}

int refusal_reserved_region(struct vfiomig_device *dev)
{
	unsigned long long first, last;
	char path[PATH_MAX];

	if (!dev->sys.syspath)
		return 0;
	snprintf(path, sizeof(path), "%s/iommu_group/reserved_regions", dev->sys.syspath);
	if (refusal_find_reserved(path, &first, &last))
		return 0;
	return ctx_fail(
		dev->ctx, -EPERM,
		"not permitted: the firmware has reserved the memory 0x%llx to 0x%llx for the device or its group (RMRR, IVMD; see %s and the kernel's log); ask the platform's vendor",
		first, last, path);
}

enum remapping refusal_get_remapping(const struct vfiomig_ctx *ctx)
{
	enum remapping remapping = REMAPPING_UNKNOWN;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/interrupts", ctx->procfs);
	f = fopen(path, "re");
	while (f && remapping != REMAPPING_ON && getline(&line, &size, f) > 0) {
		if (strstr(line, " IR-"))
			remapping = REMAPPING_ON;
		else if (strstr(line, " IO-APIC"))
			remapping = REMAPPING_OFF;
	}
	free(line);
	if (f)
		fclose(f);
	return remapping;
}

bool refusal_allows_unsafe(const struct vfiomig_ctx *ctx, const char *module)
{
	char dir[PATH_MAX], text[4];

	snprintf(dir, sizeof(dir), "%s/module/%s/parameters", ctx->sysfs, module);
	return sysfs_read_text(dir, "allow_unsafe_interrupts", text, sizeof(text)) == 0 &&
	       text[0] == 'Y';
}

/* The device could send any interrupt. Where the platform does not tell, @other may be the cause,
 * too. */
static int unsafe_interrupts(struct vfiomig_device *dev, const char *module, const char *other)
{
	enum remapping remapping = refusal_get_remapping(dev->ctx);
	const char *elsewhere = "";

	if (remapping == REMAPPING_ON || refusal_allows_unsafe(dev->ctx, module))
		return 0;
	if (strcmp(module, "iommufd") == 0 && refusal_allows_unsafe(dev->ctx, "vfio_iommu_type1"))
		elsewhere = ", which is set for --via=group";
	if (remapping == REMAPPING_UNKNOWN)
		return ctx_fail(
			dev->ctx, -EPERM,
			"not permitted: the platform may not isolate the interrupts of devices (then set allow_unsafe_interrupts of %s%s), or %s; the kernel's log may tell more",
			module, elsewhere, other);
	return ctx_fail(
		dev->ctx, -EPERM,
		"not permitted: the platform has no interrupt remapping; enable it, or set allow_unsafe_interrupts of %s%s",
		module, elsewhere);
}

/* The number of blanks that the line begins with. */
static size_t indent(const char *line)
{
	return strspn(line, " ");
}

/* /proc/iomem has the claim inside of the BAR, which has the function's name. Only root sees the
 * addresses there, but everybody sees the names. */
int refusal_claimed_bar(struct vfiomig_device *dev)
{
	char path[PATH_MAX], line[256], *name;
	size_t bar = SIZE_MAX;
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/iomem", dev->ctx->procfs);
	f = fopen(path, "re");
	while (f && !err && fgets(line, sizeof(line), f)) {
		name = strstr(line, " : ");
		if (!name)
			continue;
		name += 3;
		name[strcspn(name, "\n")] = '\0';
		if (bar != SIZE_MAX && indent(line) > bar)
			err = ctx_fail(dev->ctx, -EBUSY,
				       "busy: '%s' has claimed a BAR of it, as %s shows", name,
				       path);
		else
			bar = strcmp(name, dev->name) == 0 ? indent(line) : SIZE_MAX;
	}
	if (f)
		fclose(f);
	return err;
}

/* The kernel holds the device's lock for a reset, or to bind or unbind a driver. */
static int locked(struct vfiomig_device *dev, int err)
{
	if (err != -EAGAIN)
		return 0;
	return ctx_fail(
		dev->ctx, -EBUSY,
		"busy: the device is being reset, or bound to a driver, at this moment; try again");
}

static int gone(struct vfiomig_device *dev, int err)
{
	if (err != -ENODEV)
		return 0;
	return ctx_fail(
		dev->ctx, err,
		"its driver is giving the device up at this moment, or has no IOMMU for it");
}

/* Nothing was found. */
static int unknown(struct vfiomig_device *dev, const char *request, int err)
{
	return ctx_fail(dev->ctx, err, "%s: %s; the kernel's log may tell more", request,
			strerror(-err));
}

/* A mediated device needs no IOMMU. Of a descriptor it may not be known which device it is. */
static int incoherent(struct vfiomig_device *dev, int err)
{
	const char *syspath = dev->sys.syspath;

	if (dev->sys.mdev_type)
		return 0;
	return ctx_fail(
		dev->ctx, err,
		"VFIO_DEVICE_BIND_IOMMUFD: %s; the device's IOMMU may not keep caches coherent, which --via=group does not need; the kernel's log%s%s%s may tell more",
		strerror(-err), syspath ? " and " : "", syspath ? syspath : "",
		syspath ? "/iommu_group/reserved_regions" : "");
}

static int unknown_owner(struct vfiomig_device *dev)
{
	return ctx_fail(
		dev->ctx, -EBUSY,
		"IOMMU group %d is not viable: the kernel itself uses it, or a process that cannot be seen from here does",
		dev->sys.group);
}

/* ---- Requests -------------------------------------------------------------- */

/* These have nothing to do with the device. */
static bool is_plain(int err)
{
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EINTR;
}

static int fail_plain(struct vfiomig_device *dev, const char *request, int err)
{
	return ctx_fail(dev->ctx, err, "%s: %s", request, strerror(-err));
}

/*
 * EPERM: interrupts are not isolated, or somebody else owns the group's DMA. EINVAL: another
 * descriptor of the cdev is bound; the group's IOMMU has to map memory for the firmware; the IOMMU
 * is not coherent. EBUSY: the group's node is open, the kernel uses the group for PASIDs, a BAR is
 * claimed. EACCES, EINVAL: the VF token.
 */
int refusal_bind(struct vfiomig_device *dev, int err)
{
	int cause = token_refusal(dev, err);

	if (is_plain(err))
		return fail_plain(dev, "VFIO_DEVICE_BIND_IOMMUFD", err);
	if (err == -EBADFD)
		return ctx_fail(dev->ctx, err, "descriptor %d is not an iommufd", dev->iommufd);
	if (!cause)
		cause = locked(dev, err) ?: gone(dev, err);
	if (!cause && (err == -EPERM || err == -EBUSY))
		cause = refusal_other_driver(dev);
	if (!cause && (err == -EPERM || err == -EBUSY || err == -EINVAL))
		cause = other_process(dev) ?: refusal_reserved_region(dev);
	if (!cause && err == -EPERM)
		cause = unsafe_interrupts(
				dev, "iommufd",
				"the kernel itself, or a process that cannot be seen from here, uses its IOMMU group")
				?: unknown_owner(dev);
	if (!cause && err == -EBUSY)
		cause = refusal_claimed_bar(dev) ?: unknown_owner(dev);
	if (!cause && err == -EINVAL)
		cause = incoherent(dev, err);
	return cause ? cause : unknown(dev, "VFIO_DEVICE_BIND_IOMMUFD", err);
}

/* EBUSY: a device of the group is being reset (7.3). EINVAL: another device of the group
 * is attached to another address space of an iommufd that was inherited. */
int refusal_attach(struct vfiomig_device *dev, int err)
{
	int cause = is_plain(err) ? fail_plain(dev, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", err)
				  : locked(dev, err == -EBUSY ? -EAGAIN : err);

	if (!cause && (err == -EINVAL || err == -EPERM))
		cause = refusal_reserved_region(dev);
	if (!cause && err == -ENOSPC)
		cause = ctx_fail(
			dev->ctx, err,
			"the IOMMU has no domain left for the device; close other devices");
	if (!cause && (err == -EOPNOTSUPP || err == -ENODEV))
		cause = ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the device's IOMMU has no address space for iommufd (%s); --via=group may work",
			strerror(-err));
	if (!cause && err == -EINVAL)
		cause = ctx_fail(
			dev->ctx, err,
			"VFIO_DEVICE_ATTACH_IOMMUFD_PT: %s; the IOMMU refuses this address space for the device, or another device of IOMMU group %d has another one; the kernel's log may tell more",
			strerror(-err), dev->sys.group);
	return cause ? cause : unknown(dev, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", err);
}

/* The group is open here, so that no other process has one of its devices. */
int refusal_viable(struct vfiomig_device *dev)
{
	return refusal_other_driver(dev) ?: unknown_owner(dev);
}

/* EPERM: somebody else owns the group's DMA; noiommu mode. EBUSY: the kernel uses the group for
 * PASIDs. EINVAL: memory for the firmware. ENODEV: the device went away. */
int refusal_container(struct vfiomig_device *dev, int err)
{
	int cause = 0;

	if (is_plain(err))
		return fail_plain(dev, "VFIO_GROUP_SET_CONTAINER", err);
	if (err == -EPERM)
		cause = node_check_raw_io(dev);
	if (!cause && (err == -EPERM || err == -EBUSY))
		cause = refusal_other_driver(dev);
	if (!cause && (err == -EPERM || err == -EINVAL))
		cause = refusal_reserved_region(dev);
	if (!cause && (err == -EPERM || err == -EBUSY))
		cause = unknown_owner(dev);
	if (!cause)
		cause = gone(dev, err);
	return cause ? cause : unknown(dev, "VFIO_GROUP_SET_CONTAINER", err);
}

/* EPERM: interrupts are not isolated, or (6.1) memory for the firmware. EINVAL: the
 * IOMMU takes no domain. ENODEV: no module for this kind of IOMMU. */
int refusal_iommu(struct vfiomig_device *dev, int err)
{
	int cause = 0;

	if (is_plain(err))
		return fail_plain(dev, "VFIO_SET_IOMMU", err);
	if (err == -EPERM || err == -EINVAL)
		cause = refusal_reserved_region(dev);
	if (!cause && err == -EPERM)
		cause = unsafe_interrupts(
			dev, "vfio_iommu_type1",
			"the firmware has reserved memory for the device or its group");
	if (!cause && err == -ENODEV)
		cause = ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no type1 IOMMU for the device; load vfio_iommu_type1");
	if (!cause && err == -ENOSPC)
		cause = ctx_fail(
			dev->ctx, err,
			"the IOMMU has no domain left for the device; close other devices");
	return cause ? cause : unknown(dev, "VFIO_SET_IOMMU", err);
}

/* EACCES, EINVAL: the VF token. ENODEV: no such device in the group. EPERM: noiommu mode. EBUSY: a
 * BAR is claimed. Everything else is the driver's. */
int refusal_device(struct vfiomig_device *dev, int err)
{
	int cause = is_plain(err) ? 0 : token_refusal(dev, err) ?: locked(dev, err);

	if (!cause && err == -EPERM)
		cause = node_check_raw_io(dev);
	if (!cause && err == -EBUSY)
		cause = refusal_claimed_bar(dev);
	if (!cause && err == -ENODEV)
		cause = ctx_fail(
			dev->ctx, err,
			"IOMMU group %d has no device %s; its driver is giving it up at this moment",
			dev->sys.group, dev->name);
	if (!cause)
		cause = ctx_fail(dev->ctx, err, "cannot open the device in group %d: %s%s",
				 dev->sys.group, strerror(-err),
				 is_plain(err) ? "" : "; the kernel's log may tell more");
	return cause;
}
