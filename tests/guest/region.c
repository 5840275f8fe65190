// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * region DEV INDEX [OFFSET [BYTE...]]: write the bytes to a region of a VFIO
 * device; without any, read one and print it; without an offset, copy all of
 * the region to standard output.
 */
#include <err.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vfiomig.h>

static void copy(int fd, const struct vfio_region_info *info)
{
	char buf[65536];
	ssize_t n;

	for (uint64_t at = 0; at < info->size; at += n) {
		n = pread(fd, buf, sizeof(buf), info->offset + at);
		if (n <= 0 || write(STDOUT_FILENO, buf, n) != n)
			err(1, "copy");
	}
}

int main(int argc, char **argv)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	unsigned char byte;
	off_t at;
	int fd;

	if (argc < 3)
		errx(2, "usage: region DEV INDEX [OFFSET [BYTE...]]");
	if (vfiomig_new(&ctx) || vfiomig_device_new(ctx, argv[1], &dev) ||
	    vfiomig_device_open(dev, 0))
		errx(1, "%s", vfiomig_get_error(ctx));
	fd = vfiomig_device_get_fd(dev);
	info.index = strtoul(argv[2], NULL, 0);
	if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	if (argc == 3) {
		copy(fd, &info);
		return 0;
	}
	at = info.offset + strtoul(argv[3], NULL, 0);
	for (int i = 4; i < argc; i++) {
		byte = strtoul(argv[i], NULL, 0);
		if (pwrite(fd, &byte, 1, at++) != 1)
			err(1, "pwrite");
	}
	if (argc == 4) {
		if (pread(fd, &byte, 1, at) != 1)
			err(1, "pread");
		printf("%u\n", byte);
	}
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
