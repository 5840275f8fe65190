// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * region DEV INDEX: copy a region of a VFIO device to standard output.
 *
 * region DEV INDEX OFFSET: print a byte of the region.
 *
 * region DEV INDEX OFFSET BYTE...: write bytes to the region.
 */
#include "device.h"

static void copy(const struct vfiomig_device *dev, unsigned int index)
{
	uint64_t size = region_info(dev, index).size;
	char buf[65536];

	for (uint64_t at = 0; at < size; at += sizeof(buf)) {
		size_t n = size - at < sizeof(buf) ? size - at : sizeof(buf);

		region_read(dev, index, at, buf, n);
		if (!write_all(STDOUT_FILENO, buf, n))
			err(1, "write");
	}
}

int main(int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	unsigned int index;
	unsigned char byte;
	off_t at;

	if (argc < 3)
		errx(2, "usage: region DEV INDEX [OFFSET [BYTE...]]");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	index = strtoul(argv[2], NULL, 0);
	if (argc == 3) {
		copy(dev, index);
		return 0;
	}
	at = strtoul(argv[3], NULL, 0);
	for (int i = 4; i < argc; i++) {
		byte = strtoul(argv[i], NULL, 0);
		region_write(dev, index, at++, &byte, 1);
	}
	if (argc == 4) {
		region_read(dev, index, at, &byte, 1);
		printf("%u\n", byte);
	}
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
