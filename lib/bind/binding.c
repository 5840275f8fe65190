// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a PCI function is bound to, and changing it through sysfs. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "binding.h"
#include "device/apart.h"
#include "device/device.h"
#include "device/node.h"
#include "device/opener.h"
#include "device/process.h"
#include "device/sysfs.h"
#include "holder/held.h"
#include "step.h"

/* How long the kernel may keep the lock of the device, or of its group, before that counts as busy.
 */
#define PATIENCE_NS 1000000000ULL

int binding_path(const struct vfiomig_device *dev, const char *name, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s/%s", dev->sys.syspath, name) < PATH_MAX)
		return 0;
	return ctx_fail(dev->ctx, -ENAMETOOLONG, "the path of %s in sysfs is too long", dev->name);
}

void binding_clear(struct binding *b)
{
	free(b->driver);
	free(b->override);
	*b = (struct binding){ 0 };
}

static int fail_no_override(const struct vfiomig_device *dev)
{
	return ctx_fail(dev->ctx, -EOPNOTSUPP, "the kernel has no driver_override for %s",
			dev->name);
}

/* @driver receives NULL if the function has no driver. */
static int read_driver(const struct vfiomig_device *dev, char **driver)
{
	*driver = sysfs_link_name(dev->sys.syspath, "driver");
	if (*driver || errno == ENOENT)
		return 0;
	return ctx_fail(dev->ctx, -errno, "cannot read what %s is bound to: %m", dev->name);
}

int binding_fail_changing(const struct vfiomig_device *dev)
{
	struct wire_reply reply;
	int pid = 0;
	char comm[16];

	if (held_ask(dev, &reply) == 0)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: somebody is taking %s from its driver, and process %u still holds it; run \"vfiomig release %s\"",
			dev->name, reply.holder, dev->name);
	if (device_get_opener(dev, &pid, comm) == 0)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: somebody is taking %s from its driver, and process %d (%s) still has the device or its group open",
			dev->name, pid, comm);
	return ctx_fail(
		dev->ctx, -EBUSY,
		"busy: somebody is giving %s to a driver or taking it from one, and the kernel has not done that yet",
		dev->name);
}

int binding_read(const struct vfiomig_device *dev, struct binding *b)
{
	char override[NAME_MAX + 1];
	int err = apart_read_text(dev->ctx, dev->sys.syspath, "driver_override", override,
				  sizeof(override), now_ns() + PATIENCE_NS);

	if (err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (err == -ETIMEDOUT)
		return binding_fail_changing(dev);
	if (err == -ENOENT)
		return fail_no_override(dev);
	if (err)
		return ctx_fail(dev->ctx, err, "cannot read driver_override: %s", strerror(-err));
	err = read_driver(dev, &b->driver);
	if (err)
		return err;
	/* The kernel prints "(null)" for an override that is not set. */
	if (!*override || strcmp(override, "(null)") == 0)
		return 0;
	b->override = strdup(override);
	return b->override ? 0 : ctx_fail_memory(dev->ctx);
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static bool is_bound_to(const struct vfiomig_device *dev, const char *driver)
{
	return sysfs_links_to(dev->sys.syspath, "driver", driver);
}

static int fail_write(struct vfiomig_device *dev, int err, const char *what)
{
	if (err == -EINPROGRESS)
		return err;
	if (err == -EACCES || err == -EPERM)
		return ctx_fail(dev->ctx, -EPERM, "not permitted to %s %s; run as root", what,
				dev->name);
	if (err == -EROFS)
		return ctx_fail(
			dev->ctx, -EPERM,
			"not permitted to %s %s: %s is mounted read-only, as in a container; do it outside of it",
			what, dev->name, dev->ctx->sysfs);
	return ctx_fail(dev->ctx, -EIO, "cannot %s %s: %s", what, dev->name, strerror(-err));
}

/* A step towards something new ends soon after a signal; one on the way back gets more time. */
static unsigned int grace_ms(bool back)
{
	return back ? 5000 : 500;
}

static int set_override(struct vfiomig_device *dev, const char *override, bool back)
{
	char what[256];
	int err;

	snprintf(what, sizeof(what), "setting the driver_override of %s", dev->name);
	err = step_write(dev, dev->sys.syspath, "driver_override", override ? override : "\n", what,
			 grace_ms(back));
	return err ? fail_write(dev, err, "set the driver_override of") : 0;
}

/*
 * Open the group. The kernel lets a VFIO group be opened only once, and not while one of its
 * devices is open in another way. So as long as the group is open here, nobody uses its devices.
 * Otherwise the write to "unbind" would wait for any user that comes in between. The kernel keeps
 * whoever opens the group waiting as long as somebody else is opening one of its devices.
 */
static int hold_group(struct vfiomig_device *dev, int *fd, bool back)
{
	char path[PATH_MAX], group[32];

	*fd = -1;
	if (!sysdev_group_name(dev->ctx, &dev->sys, group))
		return 0;
	snprintf(path, sizeof(path), "%s/vfio/%s", dev->ctx->devfs, group);
	*fd = apart_open(back ? NULL : dev->ctx, path, O_RDWR | O_CLOEXEC, now_ns() + PATIENCE_NS);
	if (*fd == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (*fd == -ETIMEDOUT)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: the kernel has not opened %s within %llu second; another process may be opening a device of the group",
			path, PATIENCE_NS / 1000000000ULL);
	if (is_exhausted(-*fd) || *fd == -EAGAIN)
		return ctx_fail(dev->ctx, *fd,
				"cannot tell whether %s is in use: cannot open %s: %s", dev->name,
				path, strerror(-*fd));
	/* Another failure may mean that the kernel has no groups. */
	return *fd == -EBUSY ? node_fail_busy(dev) : 0;
}

int binding_check_idle(struct vfiomig_device *dev, struct look *look, bool back)
{
	_cleanup_close_ int fd = -1;
	int pid, err, busy = 0;

	if (!dev->sys.cdev)
		return 0;
	pid = held_by(dev);
	/* A holder that does not answer may have the device all the same. */
	if (pid < 0)
		return pid;
	if (pid)
		return ctx_fail(dev->ctx, -EBUSY,
				"busy: process %d holds %s; run \"vfiomig release %s\"", pid,
				dev->name, dev->name);
	err = look_make(look, dev, back);
	if (look->openers && openers_of_device(look->openers, dev))
		busy = node_check_openers(dev, look->openers);
	if (busy)
		return busy;
	return err ? look_fail(look, dev, "") : hold_group(dev, &fd, back);
}

int binding_check_permitted(struct vfiomig_device *dev)
{
	char path[PATH_MAX];
	int err = binding_path(dev, "driver_override", path);

	if (err)
		return err;
	if (access(path, W_OK) == 0)
		return 0;
	if (errno == ENOENT)
		return fail_no_override(dev);
	return fail_write(dev, errno == EROFS ? -EROFS : -EPERM, "change the driver of");
}

static int detach(struct vfiomig_device *dev, const char *driver, bool back)
{
	_cleanup_close_ int group = -1;
	char dir[PATH_MAX], what[256];
	struct look look = { .made = false };
	int err;

	/* Look again, because this may have changed since the plan was made. */
	err = device_refresh(dev);
	if (!err)
		err = binding_check_idle(dev, &look, back);
	look_clear(&look);
	if (!err && dev->sys.cdev)
		err = hold_group(dev, &group, back);
	if (err)
		return err;
	snprintf(dir, sizeof(dir), "%s/bus/pci/drivers/%s", dev->ctx->sysfs, driver);
	snprintf(what, sizeof(what), "taking %s from %s", dev->name, driver);
	ctx_log(dev->ctx, "%s", what);
	err = step_write(dev, dir, "unbind", dev->name, what, grace_ms(back));
	if (err == -EINPROGRESS)
		return err;
	/* If the function has lost its driver meanwhile, there is nothing left to do. */
	if (err && is_bound_to(dev, driver))
		return fail_write(dev, err, "unbind");
	return 0;
}

static int attach(struct vfiomig_device *dev, const struct binding *to, bool back)
{
	struct vfiomig_ctx *ctx = dev->ctx;
	char dir[PATH_MAX], what[256];
	int err;

	snprintf(what, sizeof(what), "giving %s to %s", dev->name, to->driver);
	ctx_log(ctx, "%s", what);
	if (same(to->driver, to->override)) {
		snprintf(dir, sizeof(dir), "%s/bus/pci", ctx->sysfs);
		err = step_write(dev, dir, "drivers_probe", dev->name, what, grace_ms(back));
	} else {
		/* Name the driver, because more than one may fit. */
		snprintf(dir, sizeof(dir), "%s/bus/pci/drivers/%s", ctx->sysfs, to->driver);
		err = step_write(dev, dir, "bind", dev->name, what, grace_ms(back));
	}
	if (err == -EINPROGRESS)
		return err;
	if (is_bound_to(dev, to->driver))
		return 0;
	if (err == -EACCES || err == -EPERM || err == -EROFS)
		return fail_write(dev, err, "bind");
	return ctx_fail(ctx, -EIO, "%s did not take %s%s%s; the kernel's log (dmesg) may say why",
			to->driver, dev->name, err ? ": " : "", err ? strerror(-err) : "");
}

int binding_set(struct vfiomig_device *dev, const struct binding *to, bool back)
{
	_cleanup_free_ char *now = NULL;
	int err = read_driver(dev, &now), refresh_err;

	if (!err)
		err = set_override(dev, to->override, back);
	if (!err && !same(now, to->driver)) {
		if (now)
			err = detach(dev, now, back);
		if (!err && to->driver)
			err = attach(dev, to, back);
	}
	refresh_err = device_refresh(dev);
	return err ? err : refresh_err;
}

int binding_set_default(struct vfiomig_device *dev)
{
	struct binding none = { 0 };
	char dir[PATH_MAX], what[256];
	int err = binding_set(dev, &none, false);

	if (err)
		return err;
	snprintf(dir, sizeof(dir), "%s/bus/pci", dev->ctx->sysfs);
	snprintf(what, sizeof(what), "finding a driver for %s", dev->name);
	err = step_write(dev, dir, "drivers_probe", dev->name, what, grace_ms(false));
	if (err == -EINPROGRESS)
		return err;
	/* Another failure says that no driver takes the function, which is fine. */
	return device_refresh(dev);
}
