// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * livesave DEV PERCENT RUNS: save an ivshmem device while PERCENT of its pages are written each
 * second, with PRE_COPY and without it in turns. Each save prints a line: "precopy|stopcopy
 * BYTES-MOVED-WHEN-STOPPED DOWNTIME-NS ROUNDS".
 */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "device.h"

static volatile unsigned char *memory;
static size_t pages;
static double pages_per_second;
static atomic_bool stop;

static void *write_pages(void *arg)
{
	struct timespec tick = { .tv_nsec = 10000000 };
	double due = 0;
	size_t page = 0;

	(void)arg;
	while (!stop) {
		nanosleep(&tick, NULL);
		for (due += pages_per_second / 100; due >= 1; due--) {
			/*
			 * The pages are all over the memory, and none comes twice within a while.
			 */
			page = (page + 7919) % pages;
			memory[page * 4096 + 17]++;
		}
	}
	return NULL;
}

static void save(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, bool precopy)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	pthread_t writer;

	stop = false;
	opt.no_precopy = !precopy;
	if (pthread_create(&writer, NULL, write_pages, NULL))
		errx(1, "no thread");
	if (vfiomig_save(dev, fd, &opt, &r))
		errx(1, "save: %s", vfiomig_get_error(ctx));
	stop = true;
	pthread_join(writer, NULL);
	close(fd);
	printf("%s %llu %llu %u\n", precopy ? "precopy" : "stopcopy",
	       (unsigned long long)(r.bytes - r.precopy_bytes), (unsigned long long)r.downtime_ns,
	       r.rounds);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	size_t size;

	if (argc != 4)
		errx(2, "usage: livesave DEV PERCENT RUNS");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	memory = region_map(dev, VFIO_PCI_BAR2_REGION_INDEX, &size);
	pages = size / 4096;
	pages_per_second = pages * atof(argv[2]) / 100;
	for (size_t i = 0; i < pages; i++)
		memory[i * 4096] = i * 2654435761u >> 24;

	for (int i = 0; i < atoi(argv[3]); i++) {
		save(ctx, dev, true);
		save(ctx, dev, false);
	}
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
