/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the C programs that test in the guest do to a device. Where something fails that no test is
 * about, the program ends.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <err.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <vfiomig.h>

#include "file.h"

/* New in Linux 6.2. Debian 12's header is older. */
#ifndef VFIO_MIG_GET_PRECOPY_INFO
struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};
#define VFIO_MIG_GET_PRECOPY_INFO _IO(VFIO_TYPE, VFIO_BASE + 21)
#endif

/* New in Linux 7.1. */
#ifndef VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 12
#endif

/* Whether the guest's kernel is the old one, which has neither MIG_DATA_SIZE nor PRE_COPY. */
static inline bool old_kernel(void)
{
	const char *kernel = getenv("KERNEL");

	return kernel && strcmp(kernel, "6.1") == 0;
}

/* Registers in BAR 0 of an ivshmem device. Reading INTR_STATUS clears it. */
enum {
	INTR_MASK = 0,
	INTR_STATUS = 4,
	IV_POSITION = 8,
	DOORBELL = 12,
};

static inline bool is_saving(int state)
{
	return state == VFIOMIG_STATE_PRE_COPY || state == VFIOMIG_STATE_PRE_COPY_P2P ||
	       state == VFIOMIG_STATE_STOP_COPY;
}

static inline uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static inline struct vfiomig_ctx *new_context(void)
{
	struct vfiomig_ctx *ctx;

	if (vfiomig_new(&ctx))
		errx(1, "no context");
	return ctx;
}

/*
 * Find the device. Opening it may take as long as it takes: a debug kernel on a busy machine needs
 * more than the second that is the default.
 */
static inline struct vfiomig_device *device_new(struct vfiomig_ctx *ctx, const char *name)
{
	struct vfiomig_device *dev;

	if (vfiomig_device_new(ctx, name, &dev))
		errx(1, "%s: %s", name, vfiomig_get_error(ctx));
	vfiomig_device_set_wait(dev, -1);
	return dev;
}

static inline struct vfiomig_device *device_open(struct vfiomig_ctx *ctx, const char *name)
{
	struct vfiomig_device *dev = device_new(ctx, name);

	if (vfiomig_device_open(dev, 0))
		errx(1, "%s: %s", name, vfiomig_get_error(ctx));
	return dev;
}

/* Open again a device that was closed. */
static inline void device_reopen(struct vfiomig_device *dev)
{
	if (vfiomig_device_open(dev, 0))
		errx(1, "cannot open %s again", vfiomig_device_get_name(dev));
}

/*
 * SET_STATE as it is, because the library refuses by itself what it knows that the kernel refuses.
 * Returns 0 or a negative errno.
 */
static inline int device_set_state(struct vfiomig_device *dev, int state, int *data_fd)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_mig_state mig;
	} set = {
		.feature = { .argsz = sizeof(set),
			     .flags = VFIO_DEVICE_FEATURE_SET |
				      VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		.mig = { .device_state = state, .data_fd = -1 },
	};
	int err = ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_FEATURE, &set) ? -errno : 0;

	*data_fd = err ? -1 : set.mig.data_fd;
	return err;
}

/* SET of a feature that has no data. Returns 0 or a negative errno. */
static inline int device_set_feature(struct vfiomig_device *dev, unsigned int feature)
{
	struct vfio_device_feature set = {
		.argsz = sizeof(set),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_FEATURE, &set) ? -errno : 0;
}

/* Drive the device to @state. Returns the data_fd of the session that this starts, or -1. */
static inline int device_go(struct vfiomig_device *dev, int state)
{
	int data_fd;

	if (vfiomig_device_drive(dev, state, &data_fd, NULL, NULL))
		errx(1, "the device does not go to %s", vfiomig_state_name(state));
	return data_fd;
}

static inline void device_reset(struct vfiomig_device *dev)
{
	if (vfiomig_device_reset(dev))
		err(1, "VFIO_DEVICE_RESET");
}

/*
 * Reset all functions of the bus of the device that @device_fd is, which was opened through the
 * same group as @dev. Returns 0 or a negative errno.
 */
static inline int device_hot_reset(const struct vfiomig_device *dev, int device_fd)
{
	_Alignas(struct vfio_pci_hot_reset) char buffer[sizeof(struct vfio_pci_hot_reset) + 4] = {
		0
	};
	struct vfio_pci_hot_reset *reset = (struct vfio_pci_hot_reset *)buffer;
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;

	vfiomig_device_get_fds(dev, &fds);
	reset->argsz = sizeof(buffer);
	/* Through the cdev no groups are named. */
	if (fds.group >= 0) {
		reset->count = 1;
		reset->group_fds[0] = fds.group;
	}
	return ioctl(device_fd, VFIO_DEVICE_PCI_HOT_RESET, reset) ? -errno : 0;
}

static inline struct vfio_region_info region_info(const struct vfiomig_device *dev,
						  unsigned int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_GET_REGION_INFO, &info))
		err(1, "region %u", index);
	return info;
}

static inline void region_read(const struct vfiomig_device *dev, unsigned int index, off_t at,
			       void *data, size_t size)
{
	at += region_info(dev, index).offset;
	if (pread(vfiomig_device_get_fd(dev), data, size, at) != (ssize_t)size)
		err(1, "reading region %u", index);
}

static inline void region_write(const struct vfiomig_device *dev, unsigned int index, off_t at,
				const void *data, size_t size)
{
	at += region_info(dev, index).offset;
	if (pwrite(vfiomig_device_get_fd(dev), data, size, at) != (ssize_t)size)
		err(1, "writing region %u", index);
}

static inline void *region_map(const struct vfiomig_device *dev, unsigned int index, size_t *size)
{
	struct vfio_region_info info = region_info(dev, index);
	void *p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vfiomig_device_get_fd(dev), info.offset);

	if (p == MAP_FAILED)
		err(1, "mapping region %u", index);
	*size = info.size;
	return p;
}

static inline uint32_t reg_read(const struct vfiomig_device *dev, off_t reg)
{
	uint32_t value;

	region_read(dev, VFIO_PCI_BAR0_REGION_INDEX, reg, &value, 4);
	return value;
}

static inline void reg_write(const struct vfiomig_device *dev, off_t reg, uint32_t value)
{
	region_write(dev, VFIO_PCI_BAR0_REGION_INDEX, reg, &value, 4);
}

static inline uint16_t command_read(const struct vfiomig_device *dev)
{
	uint16_t command;

	region_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2);
	return command;
}

static inline void command_write(const struct vfiomig_device *dev, uint16_t command)
{
	region_write(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2);
}

#endif
