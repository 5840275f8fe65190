// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scribble DEV: write to the memory of an ivshmem device again and again, as a guest would while it
 * runs. A holder must have the device, so that other commands can use it: the mapping outlives this
 * program's turn.
 */
#include "device.h"

int main(int argc, char **argv)
{
	volatile unsigned char *memory;
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	size_t size;

	if (argc != 2)
		errx(2, "usage: scribble DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	memory = region_map(dev, VFIO_PCI_BAR2_REGION_INDEX, &size);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	puts("writing");
	fclose(stdout);
	for (;;)
		for (size_t at = 0; at < size; at += 4096)
			memory[at]++;
}
