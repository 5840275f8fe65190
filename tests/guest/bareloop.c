// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bareloop DEV [MIB]: copy the device's state to standard output in a loop, and print on standard
 * error for how many microseconds the device was stopped. With MIB, read a state of at most that
 * size into new memory, and write nothing. The benchmark compares a save with this.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../bench/loops.h"
#include "device.h"

int main(int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	uint64_t start;
	int data_fd;

	if (argc != 2 && argc != 3)
		errx(2, "usage: bareloop DEV [MIB]");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	start = now_us();
	data_fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	if (argc == 3)
		loop_keep(data_fd, (size_t)atoi(argv[2]) << 20);
	else
		loop_copy(data_fd);
	close(data_fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	fprintf(stderr, "%" PRIu64 "\n", now_us() - start);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
