// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device: looked up by its name, locked, opened and closed. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device.h"
#include "facts.h"
#include "header.h"
#include "lock.h"
#include "origin.h"
#include "rundir.h"
#include "sized.h"
#include "variant.h"

static struct vfiomig_device *device_alloc(struct vfiomig_ctx *ctx)
{
	struct vfiomig_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->refs = 1;
	dev->ctx = vfiomig_ref(ctx);
	dev->sys = SYSDEV_NONE;
	dev->origin = (struct origin){ .fd = -1, .given = FDS_NONE };
	dev->fd = dev->iommufd = dev->group_fd = dev->container = dev->claim = dev->owner_fd = -1;
	return dev;
}

/* Give @to what it has in common with @from, which has nothing of it afterwards. */
static void keep_common(char **to, char **from, bool is_first)
{
	if (is_first) {
		*to = *from;
		*from = NULL;
	} else if (*to && (!*from || strcmp(*to, *from) != 0)) {
		free(*to);
		*to = NULL;
	}
}

/* A descriptor can be several devices. Usually they are functions of one card, of which the bus and
 * the driver are certain. */
static int read_common(struct vfiomig_device *dev)
{
	struct sysdev *common = &dev->sys, other;
	int err = 0;

	for (size_t i = 0; i < dev->identity.count && !err; i++) {
		err = sysdev_read(dev->ctx, dev->identity.syspath[i], &other);
		keep_common(&common->bus, &other.bus, !i);
		keep_common(&common->driver, &other.driver, !i);
		keep_common(&common->mdev_type, &other.mdev_type, !i);
		sysdev_free(&other);
	}
	return err;
}

int device_check_identity(const struct vfiomig_device *dev)
{
	/* A name of sysfs is one device. */
	if (!dev->origin.backend || dev->identity.count == 1 || (dev->sys.bus && dev->sys.driver))
		return 0;
	return ctx_fail(
		dev->ctx, -ENOTUNIQ,
		"cannot tell which device %s is, which an image has to say: %s; --raw does without",
		dev->name,
		dev->identity.count ? "devices of different drivers fit" : "nothing in sysfs fits");
}

/* Complete a device of which the origin and the identity are known, or free it if finding them
 * failed with @err. @name is the name of a device that is not in sysfs. */
static int finish(struct vfiomig_device *dev, const char *name, int err,
		  struct vfiomig_device **devp)
{
	if (!err && !dev->sys.syspath && dev->identity.count == 1)
		err = sysdev_read(dev->ctx, dev->identity.syspath[0], &dev->sys);
	if (!err && dev->identity.count > 1)
		err = read_common(dev);
	if (!err) {
		dev->name = strdup(dev->sys.syspath ? dev->sys.name : name);
		if (!dev->name)
			err = ctx_fail_memory(dev->ctx);
	}
	if (err)
		vfiomig_device_unref(dev);
	else
		*devp = dev;
	return err;
}

int device_new(struct vfiomig_ctx *ctx, const char *name, struct vfiomig_device **devp)
{
	struct vfiomig_device *dev = device_alloc(ctx);

	if (!dev)
		return ctx_fail_memory(ctx);
	return finish(dev, name, origin_find(ctx, name, &dev->origin, &dev->identity), devp);
}

static const struct sized fds_type = SIZED(vfiomig_fds, container, "VFIOMIG_FDS_INIT", 0xff);
static const struct sized pci_id_type = SIZED(vfiomig_pci_id, revision, "VFIOMIG_PCI_ID_INIT", 0);

int device_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *given,
		    struct vfiomig_device **devp)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *dev;
	char name[32];
	int err = sized_read(ctx, &fds_type, given, &fds);

	if (err)
		return err;
	if (fds.device < 0)
		return ctx_fail(ctx, -EINVAL, "there is no device without a device descriptor");
	dev = device_alloc(ctx);
	if (!dev)
		return ctx_fail_memory(ctx);
	snprintf(name, sizeof(name), "fd:%d", fds.device);
	return finish(dev, name, origin_from_fds(ctx, &fds, &dev->origin, &dev->identity), devp);
}

int device_from_sysdev(struct vfiomig_ctx *ctx, struct sysdev *s, struct vfiomig_device **devp)
{
	struct vfiomig_device *dev = device_alloc(ctx);
	int err;

	if (!dev)
		return ctx_fail_memory(ctx);
	dev->sys = *s;
	*s = SYSDEV_NONE;
	err = identity_add(ctx, &dev->identity, dev->sys.syspath);
	return finish(dev, NULL, err, devp);
}

int device_refresh(struct vfiomig_device *dev)
{
	return sysdev_refresh(dev->ctx, &dev->sys);
}

EXPORT struct vfiomig_device *vfiomig_device_ref(struct vfiomig_device *dev)
{
	dev->refs++;
	return dev;
}

EXPORT struct vfiomig_device *vfiomig_device_unref(struct vfiomig_device *dev)
{
	if (!dev || --dev->refs > 0)
		return NULL;
	dev->keeps_lock = false;
	/* The device is closed last by its own descriptor, see close_last(). */
	if (dev->fd >= 0) {
		close_fdp(&dev->origin.given.device);
		dev->origin.given.device = -1;
	}
	if (device_close(dev) == -EINTR)
		ctx_notice(dev->ctx, "%s", ctx_sentence(dev->ctx));
	origin_free(&dev->origin);
	identity_free(&dev->identity);
	sysdev_free(&dev->sys);
	free(dev->name);
	vfiomig_unref(dev->ctx);
	free(dev);
	return NULL;
}

EXPORT const char *vfiomig_device_get_name(const struct vfiomig_device *dev)
{
	return dev->name;
}

EXPORT const char *vfiomig_device_get_syspath(const struct vfiomig_device *dev)
{
	return dev->sys.syspath;
}

EXPORT const char *vfiomig_device_get_bus(const struct vfiomig_device *dev)
{
	return dev->sys.bus;
}

EXPORT const char *vfiomig_device_get_driver(const struct vfiomig_device *dev)
{
	return dev->sys.driver;
}

EXPORT const char *vfiomig_device_get_cdev(const struct vfiomig_device *dev)
{
	return dev->sys.cdev;
}

EXPORT const char *vfiomig_device_get_mdev_type(const struct vfiomig_device *dev)
{
	return dev->sys.mdev_type;
}

EXPORT int vfiomig_device_get_group(const struct vfiomig_device *dev)
{
	return dev->sys.group;
}

EXPORT bool vfiomig_device_get_pci_id(const struct vfiomig_device *dev, struct vfiomig_pci_id *id)
{
	if (!dev->sys.is_pci || !sized_is_valid(&pci_id_type, id))
		return false;
	sized_write(&pci_id_type, id, &dev->sys.pci);
	return true;
}

int device_fail_not_bound(struct vfiomig_device *dev)
{
	_cleanup_free_ char *variant = variant_driver_for(dev);
	char class[PATH_MAX];

	snprintf(class, sizeof(class), "%s/class/vfio-dev", dev->ctx->sysfs);
	if (access(class, F_OK) && !dev->sys.is_pci)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO loaded; load the driver that made the device");
	if (access(class, F_OK))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO loaded; run \"vfiomig bind %s\", which loads %s",
			dev->name, variant ? variant : "vfio-pci");
	if (!dev->sys.is_pci)
		return ctx_fail(
			dev->ctx, -ENODEV,
			"not bound to a VFIO driver (bound to %s); the driver that made it binds it",
			dev->sys.driver ? dev->sys.driver : "no driver");
	return ctx_fail(
		dev->ctx, -ENODEV,
		"not bound to a VFIO driver (bound to %s); run \"vfiomig bind %s\", which binds it to %s",
		dev->sys.driver ? dev->sys.driver : "no driver", dev->name,
		variant ? variant : "vfio-pci");
}

EXPORT void vfiomig_device_set_via(struct vfiomig_device *dev, enum vfiomig_via via)
{
	dev->via = via;
}

EXPORT void vfiomig_device_set_wait(struct vfiomig_device *dev, int seconds)
{
	dev->wait = seconds;
}

int device_check_open(const struct vfiomig_device *dev)
{
	if (dev->fd < 0)
		return ctx_fail(dev->ctx, -EBADF, "the device is not open");
	if (dev->unbound)
		return ctx_fail(
			dev->ctx, -EBADF,
			"the device was opened without being bound to an iommufd, so nothing can be asked of it");
	return 0;
}

/* ---- One command at a time ----------------------------------------------- */

int device_begin_lock(struct vfiomig_device *dev)
{
	if (dev->locks)
		return ctx_fail(dev->ctx, -EBUSY, "busy: this process has the device open");
	dev->locks = calloc(dev->identity.count + 1, sizeof(*dev->locks));
	if (!dev->locks)
		return ctx_fail_memory(dev->ctx);
	for (size_t i = 0; i < dev->identity.count; i++)
		dev->locks[i].fd = -1;
	return 0;
}

const char *device_lock_name(const struct vfiomig_device *dev, size_t i)
{
	return strrchr(dev->identity.syspath[i], '/') + 1;
}

int device_take_lock(struct vfiomig_device *dev, size_t i, const struct turn *turn)
{
	int err = lock_take(&dev->locks[i], device_lock_name(dev, i), turn);

	/*
	 * Without a lock the kernel itself still gives a device to one process only, unless the
	 * device is borrowed. If the default directory is not there, nobody else has locks either.
	 */
	if ((rundir_is_nowhere(err) && !dev->origin.backend) ||
	    (err == -ENOENT && !dev->ctx->rundir)) {
		ctx_log(dev->ctx, "no lock: %s", ctx_sentence(dev->ctx));
		err = 0;
	}
	if (rundir_is_nowhere(err))
		err = ctx_fail(dev->ctx, err, "nowhere to lock it: %s", ctx_sentence(dev->ctx));
	return err;
}

int device_lock(struct vfiomig_device *dev)
{
	struct turn turn = turn_begin(dev->ctx, dev->wait);
	int err = device_begin_lock(dev);

	if (err)
		return err;
	for (size_t i = 0; i < dev->identity.count && !err; i++)
		err = device_take_lock(dev, i, &turn);
	if (err)
		device_unlock(dev);
	return err;
}

static void end_lock(struct vfiomig_device *dev, void (*fn)(struct lock *lock))
{
	for (size_t i = 0; dev->locks && i < dev->identity.count; i++)
		fn(&dev->locks[i]);
	free(dev->locks);
	dev->locks = NULL;
}

void device_unlock(struct vfiomig_device *dev)
{
	end_lock(dev, lock_drop);
}

void device_forget_lock(struct vfiomig_device *dev)
{
	end_lock(dev, lock_forget);
}

void device_forget_fds(struct vfiomig_device *dev)
{
	dev->origin.fd = -1;
	dev->origin.given = FDS_NONE;
}

/* ---- Open ---------------------------------------------------------------- */

static const struct backend *choose_backend(const struct vfiomig_device *dev)
{
	size_t i = 0;

	if (dev->origin.backend)
		return dev->origin.backend;
	/* The last back end of the table fits every device. */
	while (!backends[i]->fits || !backends[i]->fits(dev))
		i++;
	return backends[i];
}

static int read_info(struct vfiomig_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ctx_ioctl(dev->ctx, dev->fd, VFIO_DEVICE_GET_INFO, &info))
		return ctx_fail(dev->ctx, -errno, "VFIO_DEVICE_GET_INFO: %m");
	dev->info_flags = info.flags;
	if (!dev->sys.syspath)
		dev->sys.is_pci = facts_pci_id(dev->fd, info.flags, &dev->sys.pci);
	return 0;
}

/* The index in the table of the back end that was chosen. */
static size_t index_of(const struct backend *backend)
{
	size_t i = 0;

	while (backends[i] != backend)
		i++;
	return i;
}

static int open_by_backend(struct vfiomig_device *dev)
{
	int err = dev->backend->open(dev);

	if (err && dev->backend->gives_way && dev->backend->gives_way(dev, err)) {
		device_close_fds(dev);
		dev->backend = backends[index_of(dev->backend) + 1];
		ctx_log(dev->ctx, "%s; trying its %s", ctx_sentence(dev->ctx), dev->backend->name);
		err = dev->backend->open(dev);
	}
	/* Only a cdev can stay unbound. */
	dev->unbound = dev->unbound && dev->backend->bind;
	if (!err && !dev->unbound && dev->backend->bind)
		err = dev->backend->bind(dev);
	return err;
}

static bool begins_session(const struct vfiomig_device *dev)
{
	return !(dev->backend->flags & BACKEND_SESSION_GOES_ON);
}

/* The message is about the first failure, even if the holder turns out to have ended as well. */
static void close_after_failure(struct vfiomig_device *dev)
{
	struct failure why = ctx_get_failure(dev->ctx);

	device_close(dev);
	ctx_set_failure(dev->ctx, &why);
}

/* The device is open already. A holder that serves it has dropped its lock. */
static int keep_lock(struct vfiomig_device *dev)
{
	if (dev->has_holder && !dev->locks)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: its holder gives it to other programs, so its lock cannot be kept");
	dev->keeps_lock = true;
	return 0;
}

int device_check_way(const struct vfiomig_device *dev, unsigned int flags)
{
	const unsigned int known =
		VFIOMIG_OPEN_UNBOUND | VFIOMIG_OPEN_AS_IS | VFIOMIG_OPEN_KEEP_LOCK;

	if (flags & ~known)
		return ctx_fail(dev->ctx, -EINVAL, "flags 0x%x for opening a device are unknown",
				flags & ~known);
	/* An open device is not opened again. */
	if (dev->fd < 0 && dev->via > VFIOMIG_VIA_GROUP)
		return ctx_fail(dev->ctx, -EINVAL, "there is no way %d to open a device",
				(int)dev->via);
	return 0;
}

int device_open_locked(struct vfiomig_device *dev, unsigned int flags)
{
	int err;

	dev->unbound = flags & VFIOMIG_OPEN_UNBOUND;
	dev->backend = choose_backend(dev);
	/* Since Linux 6.1 a device shows its registration with VFIO in sysfs. */
	if (begins_session(dev) && !dev->sys.cdev)
		return device_fail_not_bound(dev);
	err = begins_session(dev) && dev->sys.is_pci ? header_check(dev) : 0;
	if (!err)
		err = open_by_backend(dev);
	if (!err && !dev->unbound)
		err = read_info(dev);
	if (err)
		return err;
	ctx_log(dev->ctx, "opened %s (%s) through its %s", dev->name,
		dev->sys.driver ? dev->sys.driver : "no driver", dev->backend->name);
	dev->keeps_lock = flags & VFIOMIG_OPEN_KEEP_LOCK;
	return 0;
}

int device_open(struct vfiomig_device *dev, unsigned int flags)
{
	int err = device_check_way(dev, flags);

	if (err)
		return err;
	if (dev->fd >= 0)
		return flags & VFIOMIG_OPEN_KEEP_LOCK ? keep_lock(dev) : 0;
	/* The lock may have been kept. */
	err = dev->locks ? 0 : device_lock(dev);
	if (err)
		return err;
	err = device_open_locked(dev, flags);
	if (err)
		close_after_failure(dev);
	return err;
}

EXPORT bool vfiomig_device_is_borrowed(const struct vfiomig_device *dev)
{
	return device_is(dev, BACKEND_SESSION_GOES_ON);
}

int device_get_fds(const struct vfiomig_device *dev, struct vfiomig_fds *fds)
{
	const struct vfiomig_fds own = {
		.device = dev->fd,
		.iommufd = dev->iommufd,
		.group = dev->group_fd,
		.container = dev->container,
	};
	int err = sized_check(dev->ctx, &fds_type, fds);

	if (!err)
		sized_write(&fds_type, fds, &own);
	return err;
}

EXPORT uint32_t vfiomig_device_get_info_flags(const struct vfiomig_device *dev)
{
	return dev->info_flags;
}
