// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pci-command DEV: after a restore a PCI device needs its command register back. The device is
 * saved with memory decoding and bus mastering on, and must have both after a restore, whatever
 * happened in between. All of this is one session, because closing the device would reset it.
 */
#include "device.h"
#include "tap.h"

int main(int argc, char **argv)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_device *dev;
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	struct vfiomig_ctx *ctx;
	uint16_t saved;

	if (argc != 2)
		errx(2, "usage: pci-command DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);

	saved = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	command_write(dev, saved);
	tap(command_read(dev) == saved, "the command register is %04x", saved);
	tap(vfiomig_save(dev, fd, &opt, &result) == 0, "save");
	tap(command_read(dev) == saved, "a save leaves the command register alone");
	command_write(dev, 0);
	tap(command_read(dev) == 0, "the command register is cleared");
	lseek(fd, 0, SEEK_SET);
	tap(vfiomig_restore(dev, fd, &opt, &result) == 0, "restore");
	tap(command_read(dev) == saved, "a restore brings the command register back (%04x)",
	    command_read(dev));

	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
