// SPDX-License-Identifier: LGPL-2.1-or-later
/* The PCI configuration space of an open device. */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

/* Find the configuration space among the regions of the device descriptor. */
static int find_region(int fd, uint32_t info_flags, struct vfio_region_info *info)
{
	if (!(info_flags & VFIO_DEVICE_FLAGS_PCI))
		return -ENOTTY;
	*info = (struct vfio_region_info){
		.argsz = sizeof(*info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	return ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info) ? -errno : 0;
}

ssize_t config_read(int fd, uint32_t info_flags, uint8_t config[CONFIG_SIZE_MAX])
{
	struct vfio_region_info info;
	int err = find_region(fd, info_flags, &info);
	size_t size, done = 0;

	if (err)
		return err;
	size = info.size < CONFIG_SIZE_MAX ? info.size : CONFIG_SIZE_MAX;
	while (done < size) {
		ssize_t n = pread(fd, config + done, size - done, info.offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		/* More than was asked for cannot be. */
		if ((size_t)n > size - done)
			return -EIO;
		done += n;
	}
	return done;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, bytes + done, size - done, at + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		if ((size_t)n > size - done)
			return -EIO;
		done += n;
	}
	return 0;
}

bool config_is_valid(const char *hex)
{
	size_t length;

	if (!hex)
		return true;
	length = strlen(hex);
	return length % 2 == 0 && length >= 2 * (PCI_COMMAND + 2) &&
	       length <= 2 * CONFIG_SIZE_MAX && strspn(hex, "0123456789abcdef") == length;
}

int config_restore_command(const struct vfiomig_device *dev, const char *hex)
{
	struct vfio_region_info info;
	unsigned int low = 0, high = 0;
	uint8_t command[2];
	int err = find_region(dev->fd, dev->info_flags, &info);

	if (err == -ENOTTY)
		return 0;
	if (err)
		return ctx_fail(dev->ctx, err, "cannot find the configuration space: %s",
				strerror(-err));
	sscanf(hex + 2 * PCI_COMMAND, "%2x%2x", &low, &high);
	command[0] = low;
	command[1] = high;
	err = write_all(dev->fd, command, 2, info.offset + PCI_COMMAND);
	if (err)
		return ctx_fail(dev->ctx, err, "cannot write the PCI command register: %s",
				strerror(-err));
	ctx_log(dev->ctx, "PCI command register: %04x", low | high << 8);
	return 0;
}
