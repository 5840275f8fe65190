// SPDX-License-Identifier: LGPL-2.1-or-later
/* The functions that a bind or an unbind is about. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device/header.h"
#include "device/sysfs.h"
#include "member.h"
#include "record.h"

/*
 * VFIO takes functions with an ordinary header, and bridges have other ones. Returns 0 for such a
 * function, -EOPNOTSUPP for a bridge, or another negative errno, with a sentence, when the header
 * cannot be read.
 */
static int check_header(const struct vfiomig_device *dev)
{
	int type = header_read_type(dev);

	if (type < 0)
		return type;
	if (type & 0x7f)
		return ctx_fail(dev->ctx, -EOPNOTSUPP,
				"a bridge, which VFIO does not take; bind the functions behind it");
	return 0;
}

static int check(struct vfiomig_device *dev)
{
	int err;

	if (dev->origin.backend)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"named by who has it open; only a PCI function that nobody has open can be bound, by its address");
	if (!dev->sys.is_pci && strcmp(dev->sys.bus, "mdev") == 0)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"a mediated device, which the kernel binds by itself when it is made; only PCI functions can be bound");
	if (!dev->sys.is_pci)
		return ctx_fail(dev->ctx, -EINVAL,
				"a device of the bus %s; only PCI functions can be bound",
				dev->sys.bus);
	/* What VFIO has is no bridge. It can be taken from VFIO after it has failed, too. */
	if (dev->sys.cdev)
		return 0;
	err = check_header(dev);
	/* A function that is being removed does not answer. */
	if (err == -EIO && !dev->sys.driver && sysdev_is_changing(dev->ctx, &dev->sys))
		return binding_fail_changing(dev);
	return err;
}

/* Add @dev, and take its reference over. */
static int add(struct members *members, struct vfiomig_device *dev)
{
	struct member *list = reallocarray(members->list, members->n + 1, sizeof(*list));

	if (!list) {
		struct vfiomig_ctx *ctx = dev->ctx;

		vfiomig_device_unref(dev);
		return ctx_fail_memory(ctx);
	}
	members->list = list;
	list[members->n++] = (struct member){ .dev = dev };
	return 0;
}

/*
 * Whether this member of a group is to be bound: 1 or 0, or a negative errno when that cannot be
 * told. A part of the chipset without a driver does no harm, and may be needed. A function without
 * a driver that does not answer does no harm either.
 */
static int belongs(const struct vfiomig_device *dev)
{
	int err;

	if (!dev->sys.is_pci || (dev->sys.pci.class_code >> 16 == 0x06 && !dev->sys.driver))
		return 0;
	if (dev->sys.cdev)
		return 1;
	err = check_header(dev);
	if (err == -EOPNOTSUPP)
		return 0;
	if (err && err != -EINTR && !dev->sys.driver && !is_exhausted(-err)) {
		ctx_notice(dev->ctx, "%s; it has no driver and is left alone", dev->ctx->error);
		return 0;
	}
	return err ? err : 1;
}

/* @path is that of a member in sysfs: not every member is a PCI function. */
static int add_other(struct members *members, struct vfiomig_device *dev, const char *path)
{
	struct vfiomig_device *other;
	int err = device_new(dev->ctx, path, &other);

	if (err)
		return err;
	other->wait = dev->wait;
	err = belongs(other);
	if (err > 0)
		return add(members, other);
	if (!err)
		ctx_log(dev->ctx, "%s of group %d is left alone", other->name, dev->sys.group);
	vfiomig_device_unref(other);
	return err;
}

static int add_group(struct members *members, struct vfiomig_device *dev)
{
	char name[NAME_MAX + 32], path[PATH_MAX];
	struct dirent **entries;
	int n, err = binding_path(dev, "iommu_group/devices", path);

	/* Without an IOMMU there is no group before a VFIO driver has the function. */
	if (dev->sys.group < 0)
		return add(members, vfiomig_device_ref(dev));
	if (err)
		return err;
	n = scandir(path, &entries, sysfs_is_visible, alphasort);
	if (n < 0)
		return ctx_fail(dev->ctx, -errno, "cannot read %s: %m", path);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "iommu_group/devices/%s", entries[i]->d_name);
		if (!err && strcmp(entries[i]->d_name, dev->name) == 0) {
			err = add(members, vfiomig_device_ref(dev));
		} else if (!err) {
			err = binding_path(dev, name, path);
			if (!err)
				err = add_other(members, dev, path);
		}
		free(entries[i]);
	}
	free(entries);
	return err;
}

int members_collect(struct vfiomig_device *dev, bool group, struct members *members)
{
	int err;

	*members = (struct members){ .dir = -1 };
	err = check(dev);
	if (err)
		return err;
	return group ? add_group(members, dev) : add(members, vfiomig_device_ref(dev));
}

/* Lock them in the order of their names, so that two commands cannot wait for each other. */
int members_lock(struct members *members)
{
	int err = 0;

	for (size_t i = 0; i < members->n && !err; i++) {
		struct vfiomig_device *dev = members->list[i].dev;

		if (dev->fd >= 0)
			return ctx_fail(dev->ctx, -EBUSY, "busy: this process has the device open");
		err = device_lock(dev);
	}
	return err;
}

void members_clear(struct members *members)
{
	for (size_t i = 0; i < members->n; i++) {
		struct member *m = &members->list[i];

		/* The lock of an open device was not taken here. */
		if (m->dev->fd < 0)
			device_unlock(m->dev);
		vfiomig_device_unref(m->dev);
		binding_clear(&m->was);
		binding_clear(&m->to);
		free(m->lost);
	}
	free(members->list);
	close_fdp(&members->dir);
	*members = (struct members){ .dir = -1 };
}

/*
 * The kernel goes on with a step of this one, and nobody takes the next step. The sentence about
 * @err goes on with what that comes to, and what to do about it.
 */
static int fail_in_progress(const struct members *members, struct member *m, int err)
{
	struct vfiomig_ctx *ctx = m->dev->ctx;
	struct failure why = ctx_get_failure(ctx);
	struct binding former = { 0 };
	bool noted = record_read(m->dev, members->dir, &former) == 0;

	if (noted && former.driver)
		ctx_fail(
			ctx, err,
			"%s; after that %s may have another driver or none, and \"vfiomig unbind %s\" gives it back to %s",
			why.sentence, m->dev->name, m->dev->name, former.driver);
	else if (noted)
		ctx_fail(
			ctx, err,
			"%s; after that %s may have another driver, and \"vfiomig unbind %s\" leaves it without one, as it was before",
			why.sentence, m->dev->name, m->dev->name);
	else
		ctx_fail(
			ctx, err,
			"%s; after that %s may have no driver: \"vfiomig bind %s\" gives it to VFIO again, and writing %s to %s/bus/pci/drivers_probe has the kernel choose a driver",
			why.sentence, m->dev->name, m->dev->name, m->dev->name, ctx->sysfs);
	binding_clear(&former);
	return err;
}

/* Take back all changes. The sentence about @err goes on with what became of the functions. */
static int undo(struct members *members, int err)
{
	struct vfiomig_ctx *ctx = members->list[0].dev->ctx;
	const struct member *first = NULL, *stuck = NULL;
	struct failure why, trouble = { 0 };
	size_t back = 0;

	for (size_t i = 0; i < members->n; i++)
		if (members->list[i].in_progress)
			err = fail_in_progress(members, &members->list[i], err);
	why = ctx_get_failure(ctx);
	for (size_t i = members->n; i-- > 0;) {
		struct member *m = &members->list[i];

		if (!m->touched)
			continue;
		if (m->in_progress)
			continue;
		if (binding_set(m->dev, &m->was, true) == 0) {
			if (m->recorded)
				record_remove(m->dev, members->dir);
			first = m;
			back++;
		} else if (!stuck) {
			stuck = m;
			trouble = ctx_get_failure(ctx);
		}
	}
	if (stuck)
		return ctx_fail(
			ctx, err,
			"%s; and %s, which was bound to %s, could not be given back and is bound to %s: %s",
			why.sentence, stuck->dev->name,
			stuck->was.driver ? stuck->was.driver : "no driver",
			stuck->dev->sys.driver ? stuck->dev->sys.driver : "no driver",
			trouble.sentence);
	if (back > 1)
		return ctx_fail(ctx, err,
				"%s; all %zu functions are back with the drivers they had",
				why.sentence, back);
	if (back)
		return ctx_fail(ctx, err, "%s; %s is back with %s", why.sentence, first->dev->name,
				first->was.driver ? first->was.driver : "no driver, as it was");
	return err;
}

int members_change(struct members *members, int (*change)(struct member *m, int dir))
{
	int err = 0;

	for (size_t i = 0; i < members->n && !err; i++) {
		struct member *m = &members->list[i];

		if (m->leave)
			continue;
		if (m->dev->ctx->interrupted)
			err = ctx_fail_interrupted(m->dev->ctx);
		else
			err = change(m, members->dir);
		/* The kernel is still at work on this one, so nothing can be done about it. */
		if (err == -EINPROGRESS) {
			m->in_progress = true;
			err = -EINTR;
		}
	}
	return err ? undo(members, err) : 0;
}
