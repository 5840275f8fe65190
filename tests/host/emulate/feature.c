// SPDX-License-Identifier: GPL-2.0-or-later
/* VFIO_DEVICE_FEATURE. */
#include "emulate.h"

#include <errno.h>

static int feature_state(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_mig_state *mig = (void *)feature->data;
	const char *dir = dir_of(t);
	int fd, err, held;

	if (feature->flags & VFIO_DEVICE_FEATURE_GET) {
		held = lock(dir, "lock");
		err = meet(dir, "get", NULL);
		mig->device_state = get_state(dir);
		mig->data_fd = -1;
		unlock(held);
		return err < 0 ? err : 0;
	}
	err = meet(dir, "set", mig->device_state < NR_STATES ? states[mig->device_state] : "?");
	if (err)
		return err < 0 ? err : 0;
	held = lock(dir, "lock");
	err = walk(t, flags, mig->device_state, &fd);
	unlock(held);
	if (err) {
		close_if(fd);
		fd = -1;
	}
	mig->data_fd = fd;
	return err;
}

static int feature_migration(const struct thing *t, struct vfio_device_feature *feature,
			     uint64_t flags)
{
	struct vfio_device_feature_migration *mig = (void *)feature->data;
	int err = meet(dir_of(t), "migration", NULL);

	mig->flags = flags;
	return err < 0 ? err : 0;
}

static int feature_size(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_mig_data_size *size = (void *)feature->data;
	int err = meet(dir_of(t), "size", NULL);

	(void)flags;
	size->stop_copy_length = setting(dir_of(t), "data_size", memory_size(dir_of(t)));
	return err < 0 ? err : 0;
}

static int low_power_entry(const struct thing *t, struct vfio_device_feature *feature,
			   uint64_t flags)
{
	(void)feature, (void)flags;
	write_text(dir_of(t), "asleep", "1");
	return 0;
}

static int low_power_exit(const struct thing *t, struct vfio_device_feature *feature,
			  uint64_t flags)
{
	(void)feature, (void)flags;
	write_text(dir_of(t), "asleep", "0");
	return 0;
}

static const struct {
	int feature;
	uint32_t ops;
	size_t size;
	int (*fn)(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags);
} features[] = {
	{ VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_GET,
	  sizeof(struct vfio_device_feature_migration), feature_migration },
	{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
	  sizeof(struct vfio_device_feature_mig_state), feature_state },
	{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_GET,
	  sizeof(struct vfio_device_feature_mig_data_size), feature_size },
#define FIRST_OF_LOGGING 3
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_SET,
	  sizeof(struct vfio_device_feature_dma_logging_control), logging_start },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_SET, 0, logging_stop },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_GET,
	  sizeof(struct vfio_device_feature_dma_logging_report), logging_report },
#define FIRST_OF_POWER 6
	{ VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, VFIO_DEVICE_FEATURE_SET, 0, low_power_entry },
	{ VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, VFIO_DEVICE_FEATURE_SET, 0, low_power_exit },
};

/* Whether the device has the feature with this index. */
static bool has_feature(const char *dir, size_t i)
{
	if (i >= FIRST_OF_POWER)
		return setting(dir, "low_power", 0);
	return i < FIRST_OF_LOGGING || setting(dir, "logging", 0);
}

int device_feature(const struct thing *t, struct vfio_device_feature *feature)
{
	uint64_t flags = setting(dir_of(t), "flags", 0);
	uint32_t ops = feature->flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);
	size_t i = 0, nr = sizeof(features) / sizeof(features[0]);

	while (i < nr && features[i].feature != (int)(feature->flags & VFIO_DEVICE_FEATURE_MASK))
		i++;
	if (i == nr || !flags || !has_feature(dir_of(t), i))
		return -ENOTTY;
	if (ops & ~features[i].ops)
		return -EINVAL;
	if (feature->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!ops || ops == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET) ||
	    feature->argsz < sizeof(*feature) + features[i].size)
		return -EINVAL;
	return features[i].fn(t, feature, flags);
}
