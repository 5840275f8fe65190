// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pci-command DEV: "After a restore a PCI device needs its command register
 * back": saved with bus mastering and interrupts off, it has that after a
 * restore, whatever happened to it meanwhile. In one session, for closing ends
 * it.
 */
#include <err.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vfiomig.h>

#include "tap.h"

static struct vfiomig_device *dev;

static off_t command_offset(void)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};

	if (ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_GET_REGION_INFO, &info))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	return info.offset + PCI_COMMAND;
}

static uint16_t read_command(void)
{
	uint16_t command;

	if (pread(vfiomig_device_get_fd(dev), &command, 2, command_offset()) != 2)
		err(1, "pread");
	return command;
}

static void write_command(uint16_t command)
{
	if (pwrite(vfiomig_device_get_fd(dev), &command, 2, command_offset()) != 2)
		err(1, "pwrite");
}

int main(int argc, char **argv)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_result result;
	struct vfiomig_ctx *ctx;
	uint16_t saved;

	if (argc != 2)
		errx(2, "usage: pci-command DEV");
	if (vfiomig_new(&ctx) || vfiomig_device_new(ctx, argv[1], &dev) ||
	    vfiomig_device_open(dev, 0))
		errx(1, "%s", vfiomig_get_error(ctx));

	saved = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	write_command(saved);
	tap(read_command() == saved, "the command register is %04x", saved);
	tap(vfiomig_save(dev, fd, &opt, &result) == 0, "save");
	tap(read_command() == saved, "a save leaves it alone");
	write_command(0);
	tap(read_command() == 0, "it is cleared");
	lseek(fd, 0, SEEK_SET);
	tap(vfiomig_restore(dev, fd, &opt, &result) == 0, "restore");
	tap(read_command() == saved, "a restore brings it back (%04x)", read_command());

	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
