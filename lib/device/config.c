// SPDX-License-Identifier: LGPL-2.1-or-later
/* The PCI configuration space of an open device. */
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "config.h"

/* A driver that fails with EINTR for ever must not be tried for ever. */
#define TRIES_MAX 3

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

static int read_all(int fd, uint8_t *bytes, size_t size, off_t at)
{
	size_t done = 0;
	int tries = 0;

	while (done < size) {
		ssize_t n = pread(fd, bytes + done, size - done, at + done);

		if (n < 0 && errno == EINTR && tries++ < TRIES_MAX)
			continue;
		if (n <= 0 || (size_t)n > size - done)
			return n < 0 ? -errno : -EIO;
		done += n;
	}
	return 0;
}

ssize_t config_read(int fd, uint32_t info_flags, uint8_t config[CONFIG_SIZE_MAX])
{
	struct vfio_region_info info;
	int err = find_region(fd, info_flags, &info);
	size_t size;

	if (err)
		return err;
	size = info.size < CONFIG_SIZE_MAX ? info.size : CONFIG_SIZE_MAX;
	err = read_all(fd, config, size, info.offset);
	return err ? err : (ssize_t)size;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, off_t at)
{
	size_t done = 0;
	int tries = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, bytes + done, size - done, at + done);

		if (n < 0 && errno == EINTR && tries++ < TRIES_MAX)
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

static uint16_t get_le16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

/* Whether one of the base address registers is of I/O ports. */
static bool has_ports(const uint8_t *header)
{
	bool upper = false; /* half of an address of 64 bits */

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		uint8_t bar = header[PCI_BASE_ADDRESS_0 + 4 * i];

		if (!upper && (bar & PCI_BASE_ADDRESS_SPACE_IO))
			return true;
		upper = !upper &&
			(bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
	}
	return false;
}

/* The command register in a saved configuration space. */
static uint16_t saved_command(const char *hex)
{
	unsigned int low = 0, high = 0;

	sscanf(hex + 2 * PCI_COMMAND, "%2x%2x", &low, &high);
	return low | high << 8;
}

/* The command register: what it is, what a restored function needs, and where it is. */
struct command {
	uint16_t now, then;
	off_t at;
};

/* Returns -ENOTTY, without a sentence, if the device is no PCI function. */
static int plan_command(const struct vfiomig_device *dev, const char *hex, struct command *c)
{
	uint16_t bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	uint8_t header[PCI_STD_HEADER_SIZEOF];
	struct vfio_region_info info;
	int err = find_region(dev->fd, dev->info_flags, &info);

	if (err == -ENOTTY)
		return err;
	if (err)
		return ctx_fail(dev->ctx, err, "cannot find the configuration space: %s",
				strerror(-err));
	err = read_all(dev->fd, header, sizeof(header), info.offset);
	if (err)
		return ctx_fail(dev->ctx, err, "cannot read the configuration space: %s",
				strerror(-err));
	if (has_ports(header))
		bits |= PCI_COMMAND_IO;
	c->now = get_le16(header + PCI_COMMAND);
	c->then = (c->now & ~bits) | (bits & (hex ? saved_command(hex) : bits));
	c->at = info.offset + PCI_COMMAND;
	return 0;
}

int config_restore_command(const struct vfiomig_device *dev, const char *hex)
{
	struct command c;
	int err = plan_command(dev, hex, &c);

	if (err)
		return err == -ENOTTY ? 0 : err;
	err = write_all(dev->fd, (const uint8_t[]){ c.then & 0xff, c.then >> 8 }, 2, c.at);
	if (err)
		return ctx_fail(dev->ctx, err, "cannot write the PCI command register: %s",
				strerror(-err));
	ctx_log(dev->ctx, "PCI command register: %04x, after %04x", c.then, c.now);
	return 0;
}

void config_check_command(const struct vfiomig_device *dev, const char *hex)
{
	struct command c;

	if (plan_command(dev, hex, &c) == 0 && (c.then & ~c.now))
		ctx_notice(
			dev->ctx,
			"its owner has the PCI command register at 0x%04x: the device cannot work before that is 0x%04x",
			c.now, c.then | c.now);
}
