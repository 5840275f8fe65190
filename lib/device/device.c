// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device: what sysfs says of it, and whether it is open. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cdev.h"
#include "facts.h"
#include "holder/held.h"
#include "lock.h"
#include "name.h"
#include "sysfs.h"
#include "variant.h"

/*
 * What is not there is one thing, what cannot be read another: an image with
 * half of a device's identity would be taken for one of another device.
 */
static int fail_read(struct vfiomig_device *dev, const char *name, int err)
{
	return ctx_fail(dev->ctx, err, "cannot read %s/%s: %s", dev->syspath, name, strerror(-err));
}

static int read_pci_id(struct vfiomig_device *dev)
{
	static const char *const names[] = { "vendor",		 "device", "subsystem_vendor",
					     "subsystem_device", "class",  "revision" };
	unsigned long n[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int err = sysfs_read_number(dev->syspath, names[i], &n[i]);

		if (err)
			return err == -ENOENT ? 0 : fail_read(dev, names[i], err);
	}
	dev->pci = (struct vfiomig_pci_id){
		.vendor = n[0],
		.device = n[1],
		.subsystem_vendor = n[2],
		.subsystem_device = n[3],
		.class_code = n[4],
		.revision = n[5],
	};
	dev->is_pci = true;
	return 0;
}

/* Where a link of the device points to; NULL where it has none. */
static int read_link(struct vfiomig_device *dev, const char *name, char **value)
{
	*value = sysfs_link_name(dev->syspath, name);
	return *value || errno == ENOENT ? 0 : fail_read(dev, name, -errno);
}

static int read_cdev(struct vfiomig_device *dev)
{
	dev->cdev = sysfs_first_entry(dev->syspath, "vfio-dev");
	return dev->cdev || errno == ENOENT ? 0 : fail_read(dev, "vfio-dev", -errno);
}

int device_refresh(struct vfiomig_device *dev)
{
	int err, cdev_err;

	free(dev->driver);
	free(dev->cdev);
	err = read_link(dev, "driver", &dev->driver);
	cdev_err = read_cdev(dev);
	return err ? err : cdev_err;
}

static int read_sysfs(struct vfiomig_device *dev)
{
	_cleanup_free_ char *group = NULL;
	int err = read_link(dev, "iommu_group", &group);

	dev->group = group ? atoi(group) : -1;
	if (!err)
		err = read_link(dev, "subsystem", &dev->bus);
	if (!err)
		err = read_link(dev, "driver", &dev->driver);
	if (!err)
		err = read_link(dev, "mdev_type", &dev->mdev_type);
	if (!err && dev->bus && strcmp(dev->bus, "pci") == 0)
		err = read_pci_id(dev);
	return err ? err : read_cdev(dev);
}

static const char *base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

EXPORT int vfiomig_device_new(struct vfiomig_ctx *ctx, const char *name,
			      struct vfiomig_device **devp)
{
	struct vfiomig_device *dev = calloc(1, sizeof(*dev));
	int err;

	if (!dev)
		return ctx_fail(ctx, -ENOMEM, "out of memory");
	dev->refs = 1;
	dev->ctx = vfiomig_ref(ctx);
	dev->group = -1;
	dev->fd = dev->iommufd = dev->group_fd = dev->container = dev->claim = -1;
	dev->identity = calloc(1, sizeof(*dev->identity));
	err = dev->identity ? origin_find(ctx, name, &dev->origin, dev->identity)
			    : ctx_fail(ctx, -ENOMEM, "out of memory");
	if (!err && dev->identity->count == 1) {
		dev->syspath = dev->identity->syspath[0];
		err = read_sysfs(dev);
	}
	if (!err) {
		dev->name = strdup(dev->syspath ? base_name(dev->syspath) : name);
		if (!dev->name)
			err = ctx_fail(ctx, -ENOMEM, "out of memory");
	}
	if (err)
		vfiomig_device_unref(dev);
	else
		*devp = dev;
	return err;
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
	vfiomig_device_close(dev);
	if (dev->identity)
		identity_free(dev->identity);
	free(dev->identity);
	free(dev->origin.path);
	free(dev->name);
	free(dev->bus);
	free(dev->driver);
	free(dev->cdev);
	free(dev->mdev_type);
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
	return dev->syspath;
}

EXPORT const char *vfiomig_device_get_bus(const struct vfiomig_device *dev)
{
	return dev->bus;
}

EXPORT const char *vfiomig_device_get_driver(const struct vfiomig_device *dev)
{
	return dev->driver;
}

EXPORT const char *vfiomig_device_get_cdev(const struct vfiomig_device *dev)
{
	return dev->cdev;
}

EXPORT const char *vfiomig_device_get_mdev_type(const struct vfiomig_device *dev)
{
	return dev->mdev_type;
}

EXPORT int vfiomig_device_get_group(const struct vfiomig_device *dev)
{
	return dev->group;
}

EXPORT bool vfiomig_device_get_pci_id(const struct vfiomig_device *dev, struct vfiomig_pci_id *id)
{
	if (dev->is_pci)
		*id = dev->pci;
	return dev->is_pci;
}

/* A device without a VFIO driver: which one has it, and which would fit. */
static int fail_not_bound(struct vfiomig_device *dev)
{
	_cleanup_free_ char *variant = variant_driver_for(dev);
	char class[PATH_MAX];

	snprintf(class, sizeof(class), "%s/class/vfio-dev", dev->ctx->sysfs);
	if (access(class, F_OK) && !dev->is_pci)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO loaded; load the driver that made the device");
	if (access(class, F_OK))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO loaded; run \"vfiomig bind %s\", which loads %s",
			dev->name, variant ? variant : "vfio-pci");
	if (!dev->is_pci)
		return ctx_fail(
			dev->ctx, -ENODEV,
			"not bound to a VFIO driver (bound to %s); the driver that made it binds it",
			dev->driver ? dev->driver : "no driver");
	return ctx_fail(
		dev->ctx, -ENODEV,
		"not bound to a VFIO driver (bound to %s); run \"vfiomig bind %s\", which binds it to %s",
		dev->driver ? dev->driver : "no driver", dev->name, variant ? variant : "vfio-pci");
}

/*
 * A session starts in RUNNING, but a driver may keep the state that the last
 * one ended in (mtty does). Nothing leads out of ERROR, and RESUMING has lost
 * its data_fd: mtty of Linux 6.12 even takes a NULL pointer on the arc to STOP.
 * A reset takes nothing away from a session that has just begun.
 */
static void start_clean(struct vfiomig_device *dev)
{
	uint64_t flags;
	int state;

	if (vfiomig_device_get_migration(dev, &flags))
		return;
	state = vfiomig_device_get_state(dev);
	if (state != VFIOMIG_STATE_ERROR && state != VFIOMIG_STATE_RESUMING)
		return;
	ctx_log(dev->ctx, "found in %s, which its last session left", vfiomig_state_name(state));
	vfiomig_device_reset(dev);
}

EXPORT void vfiomig_device_set_via(struct vfiomig_device *dev, enum vfiomig_via via)
{
	dev->via = via;
}

EXPORT void vfiomig_device_set_wait(struct vfiomig_device *dev, int seconds)
{
	dev->wait = seconds;
}

/* ---- One at a time ------------------------------------------------------- */

int device_lock(struct vfiomig_device *dev)
{
	size_t count = dev->identity ? dev->identity->count : 0;
	struct turn turn = turn_begin(dev->ctx, dev->wait);
	int err = 0;

	dev->locks = calloc(count + 1, sizeof(*dev->locks));
	if (!dev->locks)
		return ctx_fail(dev->ctx, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		dev->locks[i].fd = -1;
	for (size_t i = 0; i < count && !err; i++)
		err = lock_take(&dev->locks[i], base_name(dev->identity->syspath[i]), &turn);
	/*
	 * Where there is no run-time directory, the kernel itself gives a
	 * device to one process only, unless it is borrowed.
	 */
	if ((err == -ENOENT || err == -EACCES || err == -EROFS) &&
	    dev->origin.kind == ORIGIN_SYSFS) {
		ctx_log(dev->ctx, "no lock: %s", dev->ctx->error);
		err = 0;
	}
	if (err == -ENOENT || err == -EACCES || err == -EROFS)
		err = ctx_fail(dev->ctx, err, "nowhere to lock it: %s; set XDG_RUNTIME_DIR",
			       dev->ctx->error);
	if (err)
		device_unlock(dev);
	return err;
}

static void end_lock(struct vfiomig_device *dev, void (*fn)(struct lock *lock))
{
	for (size_t i = 0; dev->locks && i < dev->identity->count; i++)
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

/* ---- Open ---------------------------------------------------------------- */

static const struct backend *choose_backend(const struct vfiomig_device *dev)
{
	/* A holder that cannot be asked is one too. */
	if (dev->origin.kind == ORIGIN_PROCESS)
		return &backend_process;
	if (dev->origin.kind == ORIGIN_FD)
		return &backend_fd;
	if (dev->origin.kind == ORIGIN_SOCKET || held_by(dev))
		return &backend_holder;
	if (dev->via == VFIOMIG_VIA_GROUP || (dev->via == VFIOMIG_VIA_AUTO && !cdev_exists(dev)))
		return &backend_group;
	return &backend_cdev;
}

static int read_info(struct vfiomig_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info))
		return ctx_fail(dev->ctx, -errno, "VFIO_DEVICE_GET_INFO: %m");
	dev->info_flags = info.flags;
	if (!dev->syspath)
		dev->is_pci = facts_pci_id(dev, &dev->pci);
	return 0;
}

/* Under the lock: who has had it may have changed what there is. */
static int open_locked(struct vfiomig_device *dev)
{
	int err;

	dev->backend = choose_backend(dev);
	/* Since Linux 6.1 a device shows its registration with VFIO in sysfs. */
	if (!dev->backend->borrows && !dev->cdev)
		return fail_not_bound(dev);
	err = dev->backend->open(dev);
	if (!err && !dev->unbound)
		err = read_info(dev);
	if (err)
		return err;
	ctx_log(dev->ctx, "opened %s (%s) through its %s", dev->name,
		dev->driver ? dev->driver : "no driver", dev->backend->name);
	if (!dev->backend->borrows && !dev->unbound)
		start_clean(dev);
	return 0;
}

static void close_after_failure(struct vfiomig_device *dev)
{
	char why[sizeof(dev->ctx->error)];

	/* That its holder has ended as well is not why it failed. */
	memcpy(why, dev->ctx->error, sizeof(why));
	vfiomig_device_close(dev);
	memcpy(dev->ctx->error, why, sizeof(why));
}

EXPORT int vfiomig_device_open(struct vfiomig_device *dev)
{
	int err;

	if (dev->fd >= 0)
		return 0;
	err = device_lock(dev);
	if (!err)
		err = open_locked(dev);
	if (err)
		close_after_failure(dev);
	return err;
}

EXPORT int vfiomig_device_open_unbound(struct vfiomig_device *dev)
{
	int err;

	dev->unbound = true;
	err = vfiomig_device_open(dev);
	dev->unbound = false;
	return err;
}

EXPORT bool vfiomig_device_is_borrowed(const struct vfiomig_device *dev)
{
	return dev->fd >= 0 && dev->backend->borrows;
}

EXPORT int vfiomig_device_peek_state(const struct vfiomig_device *dev)
{
	char dir[PATH_MAX], state[32];
	int err = held_state(dev);

	if (err >= 0)
		return err;
	snprintf(dir, sizeof(dir), "%s/kernel/debug/vfio/%s/migration", dev->ctx->sysfs, dev->name);
	err = sysfs_read_text(dir, "state", state, sizeof(state));
	return err ? err : vfiomig_state_from_name(state);
}

EXPORT int vfiomig_device_close(struct vfiomig_device *dev)
{
	int err;

	/* The device before what it hangs on. */
	close_fdp(&dev->fd);
	close_fdp(&dev->iommufd);
	close_fdp(&dev->group_fd);
	close_fdp(&dev->container);
	dev->fd = dev->iommufd = dev->group_fd = dev->container = -1;
	dev->migration = 0;
	err = held_give_back(dev);
	device_unlock(dev);
	return err;
}

EXPORT void vfiomig_device_get_fds(const struct vfiomig_device *dev, struct vfiomig_fds *fds)
{
	*fds = (struct vfiomig_fds){
		.device = dev->fd,
		.iommufd = dev->iommufd,
		.group = dev->group_fd,
		.container = dev->container,
	};
}

EXPORT int vfiomig_device_get_fd(const struct vfiomig_device *dev)
{
	return dev->fd >= 0 ? dev->fd : -EBADF;
}

EXPORT uint32_t vfiomig_device_get_info_flags(const struct vfiomig_device *dev)
{
	return dev->info_flags;
}
