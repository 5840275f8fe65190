// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device: what sysfs says of it, and whether it is open. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void read_pci_id(struct vfiomig_device *dev)
{
	const char *dir = dev->syspath;
	unsigned long vendor, device, sub_vendor, sub_device, class, revision;

	if (sysfs_read_number(dir, "vendor", &vendor) ||
	    sysfs_read_number(dir, "device", &device) ||
	    sysfs_read_number(dir, "subsystem_vendor", &sub_vendor) ||
	    sysfs_read_number(dir, "subsystem_device", &sub_device) ||
	    sysfs_read_number(dir, "class", &class) ||
	    sysfs_read_number(dir, "revision", &revision))
		return;
	dev->pci = (struct vfiomig_pci_id){
		.vendor = vendor,
		.device = device,
		.subsystem_vendor = sub_vendor,
		.subsystem_device = sub_device,
		.class_code = class,
		.revision = revision,
	};
	dev->is_pci = true;
}

/* Takes @syspath over, also on failure. */
static int device_from_syspath(struct vfiomig_ctx *ctx, char *syspath,
			       struct vfiomig_device **devp)
{
	struct vfiomig_device *dev = calloc(1, sizeof(*dev));
	_cleanup_free_ char *group = NULL;

	if (!dev) {
		free(syspath);
		return ctx_fail(ctx, -ENOMEM, "out of memory");
	}
	dev->refs = 1;
	dev->ctx = vfiomig_ref(ctx);
	dev->fd = dev->held[0] = dev->held[1] = -1;
	dev->syspath = syspath;
	dev->name = strdup(strrchr(syspath, '/') + 1);
	dev->bus = sysfs_link_name(syspath, "subsystem");
	dev->driver = sysfs_link_name(syspath, "driver");
	dev->cdev = sysfs_first_entry(syspath, "vfio-dev");
	dev->mdev_type = sysfs_link_name(syspath, "mdev_type");
	group = sysfs_link_name(syspath, "iommu_group");
	dev->group = group ? atoi(group) : -1;
	if (!dev->name || !dev->bus) {
		vfiomig_device_unref(dev);
		return ctx_fail(ctx, -ENOMEM, "out of memory");
	}
	if (strcmp(dev->bus, "pci") == 0)
		read_pci_id(dev);
	*devp = dev;
	return 0;
}

EXPORT int vfiomig_device_new(struct vfiomig_ctx *ctx, const char *name,
			      struct vfiomig_device **dev)
{
	char *syspath;
	int err = name_to_syspath(ctx, name, &syspath);

	return err ? err : device_from_syspath(ctx, syspath, dev);
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
	free(dev->syspath);
	free(dev->name);
	free(dev->bus);
	free(dev->driver);
	free(dev->cdev);
	free(dev->mdev_type);
	vfiomig_unref(dev->ctx);
	free(dev);
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct vfiomig_device *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

EXPORT int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
				  int (*fn)(struct vfiomig_device *dev,
					    void *data),
				  void *data)
{
	struct vfiomig_device **devs;
	struct dirent **entries;
	char path[PATH_MAX];
	int n, found = 0, ret = 0;

	/* Every device that is registered with VFIO, whatever its bus. */
	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	n = scandir(path, &entries, is_visible, NULL);
	if (n < 0)
		return 0;
	devs = calloc(n + 1, sizeof(*devs));
	for (int i = 0; i < n; i++) {
		/* One that goes away while we look is none of ours. */
		if (devs && vfiomig_device_new(ctx, entries[i]->d_name,
					       &devs[found]) == 0)
			found++;
		free(entries[i]);
	}
	free(entries);
	if (!devs)
		return -ENOMEM;

	qsort(devs, found, sizeof(*devs), by_name);
	for (int i = 0; i < found; i++) {
		if (!ret)
			ret = fn(devs[i], data);
		vfiomig_device_unref(devs[i]);
	}
	free(devs);
	return ret;
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

EXPORT const char *
vfiomig_device_get_mdev_type(const struct vfiomig_device *dev)
{
	return dev->mdev_type;
}

EXPORT int vfiomig_device_get_group(const struct vfiomig_device *dev)
{
	return dev->group;
}

EXPORT bool vfiomig_device_get_pci_id(const struct vfiomig_device *dev,
				      struct vfiomig_pci_id *id)
{
	if (dev->is_pci)
		*id = dev->pci;
	return dev->is_pci;
}

EXPORT int vfiomig_device_get_opener(const struct vfiomig_device *dev, int *pid,
				     char comm[16])
{
	char path[PATH_MAX];
	int err = -ENOENT;

	if (dev->group >= 0) {
		snprintf(path, sizeof(path), "%s/vfio/%d", dev->ctx->devfs,
			 dev->group);
		err = opener_of(dev->ctx, path, pid, comm);
	}
	if (err && dev->cdev) {
		snprintf(path, sizeof(path), "%s/vfio/devices/%s",
			 dev->ctx->devfs, dev->cdev);
		err = opener_of(dev->ctx, path, pid, comm);
	}
	return err;
}

/* A device without a VFIO driver: which one has it, and which would fit. */
static int fail_not_bound(struct vfiomig_device *dev)
{
	_cleanup_free_ char *variant = variant_driver_for(dev);
	char bound[128], class[PATH_MAX];

	snprintf(class, sizeof(class), "%s/class/vfio-dev", dev->ctx->sysfs);
	if (access(class, F_OK))
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"the kernel has no VFIO loaded; load vfio-pci or the device's variant driver, and bind the device to it");
	if (dev->driver)
		snprintf(bound, sizeof(bound), "bound to %s", dev->driver);
	else
		snprintf(bound, sizeof(bound), "bound to no driver");
	if (variant)
		return ctx_fail(
			dev->ctx, -ENODEV,
			"not bound to a VFIO driver (%s); bind it to %s", bound,
			variant);
	return ctx_fail(
		dev->ctx, -ENODEV,
		"not bound to a VFIO driver (%s); bind it to vfio-pci or to its variant driver",
		bound);
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
	ctx_log(dev->ctx, "found in %s, which its last session left",
		vfiomig_state_name(state));
	vfiomig_device_reset(dev);
}

EXPORT void vfiomig_device_set_via(struct vfiomig_device *dev,
				   enum vfiomig_via via)
{
	dev->via = via;
}

static const struct backend *choose_backend(const struct vfiomig_device *dev)
{
	if (dev->via == VFIOMIG_VIA_GROUP ||
	    (dev->via == VFIOMIG_VIA_AUTO && !cdev_exists(dev)))
		return &backend_group;
	return &backend_cdev;
}

EXPORT int vfiomig_device_open(struct vfiomig_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	const struct backend *backend = choose_backend(dev);
	int err;

	if (dev->fd >= 0)
		return 0;
	/* Since Linux 6.1 a device shows its registration with VFIO in sysfs.
	 */
	if (!dev->cdev)
		return fail_not_bound(dev);
	err = backend->open(dev);
	if (err) {
		vfiomig_device_close(dev);
		return err;
	}
	if (ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info)) {
		err = ctx_fail(dev->ctx, -errno, "VFIO_DEVICE_GET_INFO: %m");
		vfiomig_device_close(dev);
		return err;
	}
	dev->info_flags = info.flags;
	ctx_log(dev->ctx, "opened %s (%s) through its %s", dev->name,
		dev->driver ? dev->driver : "no driver", backend->name);
	start_clean(dev);
	return 0;
}

EXPORT int vfiomig_device_peek_state(const struct vfiomig_device *dev)
{
	char dir[PATH_MAX], state[32];
	int err;

	snprintf(dir, sizeof(dir), "%s/kernel/debug/vfio/%s/migration",
		 dev->ctx->sysfs, dev->name);
	err = sysfs_read_text(dir, "state", state, sizeof(state));
	return err ? err : vfiomig_state_from_name(state);
}

EXPORT void vfiomig_device_close(struct vfiomig_device *dev)
{
	/* The device before what it hangs on. */
	close_fdp(&dev->fd);
	for (size_t i = 0; i < ARRAY_SIZE(dev->held); i++)
		close_fdp(&dev->held[i]);
	dev->fd = dev->held[0] = dev->held[1] = -1;
	dev->migration = 0;
}

EXPORT int vfiomig_device_get_fd(const struct vfiomig_device *dev)
{
	return dev->fd >= 0 ? dev->fd : -EBADF;
}

EXPORT uint32_t vfiomig_device_get_info_flags(const struct vfiomig_device *dev)
{
	return dev->info_flags;
}
