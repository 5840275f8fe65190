// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * VFIO_DEVICE_FEATURE tells what an open device can do. Kernels differ, so the library probes for
 * features and never compares versions.
 */
#include <string.h>

#include "feature.h"
#include "variant.h"

static void note_feature(const struct vfiomig_device *dev, uint32_t flags)
{
	const char *name = vfiomig_feature_name(flags & VFIO_DEVICE_FEATURE_MASK);

	ctx_doing(dev->ctx, "VFIO_DEVICE_FEATURE (%s%s)",
		  flags & VFIO_DEVICE_FEATURE_PROBE ? "probing "
		  : flags & VFIO_DEVICE_FEATURE_SET ? "SET "
						    : "GET ",
		  name ? name : "an unknown feature");
}

int feature_ioctl(const struct vfiomig_device *dev, uint32_t flags, void *data, size_t size)
{
	uint64_t buf[8]; /* aligned for every structure of the uAPI */
	struct vfio_device_feature *feature = (void *)buf;
	int ret;

	if (sizeof(*feature) + size > sizeof(buf))
		return -EINVAL;
	memset(buf, 0, sizeof(buf));
	feature->argsz = sizeof(*feature) + size;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	note_feature(dev, flags);
	ret = ioctl(dev->fd, VFIO_DEVICE_FEATURE, feature) ? -errno : 0;
	/* Copy the data back after a failure too, because SET_STATE sets data_fd to -1 then. */
	if (size)
		memcpy(data, feature->data, size);
	return ret;
}

static const char *const feature_names[] = {
	[VFIO_DEVICE_FEATURE_PCI_VF_TOKEN] = "PCI_VF_TOKEN",
	[VFIO_DEVICE_FEATURE_MIGRATION] = "MIGRATION",
	[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = "MIG_DEVICE_STATE",
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY] = "LOW_POWER_ENTRY",
	[VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP] = "LOW_POWER_ENTRY_WITH_WAKEUP",
	[VFIO_DEVICE_FEATURE_LOW_POWER_EXIT] = "LOW_POWER_EXIT",
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = "DMA_LOGGING_START",
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP] = "DMA_LOGGING_STOP",
	[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = "DMA_LOGGING_REPORT",
	[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = "MIG_DATA_SIZE",
	[VFIO_DEVICE_FEATURE_BUS_MASTER] = "BUS_MASTER",
	[VFIO_DEVICE_FEATURE_DMA_BUF] = "DMA_BUF",
	[VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2] = "MIG_PRECOPY_INFOv2",
	[VFIO_DEVICE_FEATURE_ZPCI_ERROR] = "ZPCI_ERROR",
};

EXPORT const char *vfiomig_feature_name(unsigned int feature)
{
	return feature < ARRAY_SIZE(feature_names) ? feature_names[feature] : NULL;
}

unsigned int feature_probe(const struct vfiomig_device *dev, unsigned int feature)
{
	static const struct {
		uint32_t flag;
		unsigned int op;
	} ops[] = {
		{ VFIO_DEVICE_FEATURE_GET, VFIOMIG_FEATURE_GET },
		{ VFIO_DEVICE_FEATURE_SET, VFIOMIG_FEATURE_SET },
	};
	unsigned int found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (feature_ioctl(dev,
				  VFIO_DEVICE_FEATURE_PROBE | ops[i].flag |
					  (feature & VFIO_DEVICE_FEATURE_MASK),
				  NULL, 0) == 0)
			found |= ops[i].op;
	return found;
}

EXPORT unsigned int vfiomig_device_probe(const struct vfiomig_device *dev, unsigned int feature)
{
	return feature_probe(dev, feature);
}

int feature_fail_no_migration(struct vfiomig_device *dev)
{
	_cleanup_free_ char *fits = variant_driver_for(dev);
	/* While somebody takes the driver from the device, it is known no longer. */
	const char *blank = dev->sys.driver ? " " : "", *now = dev->sys.driver ?: "";

	if (fits && strcmp(fits, now) != 0)
		return ctx_fail(
			dev->ctx, -EOPNOTSUPP,
			"its driver%s%s has no migration support; run \"vfiomig bind %s\", which binds it to %s",
			blank, now, dev->name, fits);
	return ctx_fail(dev->ctx, -EOPNOTSUPP, "its driver%s%s has no migration support; %s", blank,
			now,
			dev->sys.bus && strcmp(dev->sys.bus, "pci") == 0
				? "a variant driver for the device is needed"
				: "a newer version of it may have");
}

int feature_migration(struct vfiomig_device *dev, uint64_t *flags)
{
	struct vfio_device_feature_migration mig = { 0 };
	int err;

	if (!dev->migration) {
		err = feature_ioctl(dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
				    &mig, sizeof(mig));
		/* "at least VFIO_MIGRATION_STOP_COPY must be set" */
		if (!err && !(mig.flags & VFIO_MIGRATION_STOP_COPY))
			err = -EOPNOTSUPP;
		if (err == -ENOTTY || err == -EINVAL || err == -EOPNOTSUPP)
			return feature_fail_no_migration(dev);
		if (err)
			return ctx_fail(dev->ctx, err, "VFIO_DEVICE_FEATURE_MIGRATION: %s",
					strerror(-err));
		dev->migration = mig.flags;
	}
	*flags = dev->migration;
	return 0;
}

int feature_data_size(struct vfiomig_device *dev, uint64_t *bytes)
{
	struct vfio_device_feature_mig_data_size size = { 0 };
	int err = feature_ioctl(dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
				&size, sizeof(size));

	if (err == -ENOTTY || err == -EINVAL)
		err = -EOPNOTSUPP;
	if (err)
		return ctx_fail(dev->ctx, err, "the kernel cannot tell the size of the state: %s",
				strerror(-err));
	*bytes = size.stop_copy_length;
	return 0;
}
