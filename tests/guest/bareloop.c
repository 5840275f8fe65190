// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bareloop DEV [MIB]: copy the device's state to standard output in a loop of reads and writes of 1
 * MiB, and print on standard error for how many microseconds the device was stopped. With MIB, read
 * into so much new memory, which is to be 1 MiB more than the state, and write nothing. The
 * benchmark compares a save with this.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "device.h"

#define READ	  (1u << 20)
#define HUGE_PAGE (2u << 20)

static char buf[READ];

static void copy(int from)
{
	ssize_t n;

	while ((n = read(from, buf, READ)) > 0)
		if (!write_all(STDOUT_FILENO, buf, n))
			err(1, "write");
	if (n < 0)
		err(1, "read");
}

static void keep(int from, size_t room)
{
	char *memory = aligned_alloc(HUGE_PAGE, room);
	size_t done = 0;
	ssize_t n;

	if (!memory)
		err(1, "no memory");
	madvise(memory, room, MADV_HUGEPAGE);
	while (room - done >= READ && (n = read(from, memory + done, READ)) > 0)
		done += n;
	if (room - done < READ)
		errx(1, "the state does not fit into %zu bytes", room);
	if (n < 0)
		err(1, "read");
	/* The memory ends with the program, because to free it takes time. */
}

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
		keep(data_fd, (size_t)atoi(argv[2]) << 20);
	else
		copy(data_fd);
	close(data_fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	fprintf(stderr, "%" PRIu64 "\n", now_us() - start);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
