// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scribble DEV: write to the memory of an ivshmem device, over and over, as a
 * guest would while it runs. The device is one that a holder has: the mapping
 * outlives our use of it, and others can work on the device.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "device.h"

int main(int argc, char **argv)
{
	struct vfio_region_info info;
	volatile unsigned char *memory;
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;

	if (argc != 2)
		errx(2, "usage: scribble DEV");
	if (vfiomig_new(&ctx))
		errx(1, "no context");
	dev = device_open(ctx, argv[1]);
	info = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX);
	memory = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      vfiomig_device_get_fd(dev), info.offset);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	puts("writing");
	fclose(stdout);
	for (;;)
		for (size_t at = 0; at < info.size; at += 4096)
			memory[at]++;
}
