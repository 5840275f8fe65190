// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bareloop DEV: copy the device's state to standard output in a loop of reads and writes of 1 MiB,
 * and print on standard error for how many microseconds the device was stopped. The benchmark
 * compares a save with this.
 */
#include <inttypes.h>
#include <stdio.h>

#include "device.h"

static char buf[1 << 20];

static void copy(int from)
{
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (!write_all(STDOUT_FILENO, buf, n))
			err(1, "write");
	if (n < 0)
		err(1, "read");
}

int main(int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	uint64_t start;
	int data_fd;

	if (argc != 2)
		errx(2, "usage: bareloop DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	start = now_us();
	data_fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	copy(data_fd);
	close(data_fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	fprintf(stderr, "%" PRIu64 "\n", now_us() - start);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
