// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fast FILE HOW STATE [COUNT SPEED]: save a device that delivers the state in the file STATE as
 * fast as memory is copied, to standard output; or a set of COUNT of them, each of which delivers
 * SPEED megabytes in a second. Add a line to FILE: the time that this took, its processor time, and
 * for how long the devices were stopped, in microseconds. The kernel is replaced at ioctl(2) and
 * read(2) (see --wrap in the Makefile). HOW:
 *
 *	loop	the loop of reads and writes in loops.h, without vfiomig
 *	keep	the loop there that keeps what it reads, and writes nothing
 *	raw	raw state
 *	0 to 19	an image, at this level of compression
 */
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "../unit/feature.h"
#include "loops.h"

static struct device {
	struct vfiomig_device *dev;
	int state, data_fd;
	long start; /* of its stream */
	size_t at;
} devices[VFIOMIG_SET_MAX];

static int count = 1;
static long speed; /* bytes in a microsecond; 0 for all that is possible */

/* What each of the devices delivers */
static char *bytes;
static size_t total;

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

/* ---- The kernel ---------------------------------------------------------- */

static struct device *device_of(int fd)
{
	for (int i = 0; i < count; i++)
		if (devices[i].dev && devices[i].dev->fd == fd)
			return &devices[i];
	errx(1, "descriptor %d is no device", fd);
}

/* The call that is answered is of this device. */
static __thread struct device *asked;

static int begin_stream(struct device *d)
{
	d->start = now_us();
	d->data_fd = feature_null();
	return d->data_fd;
}

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	asked->state = mig->device_state;
	/* The number of a data_fd that was closed is soon that of another file. */
	asked->start = 0;
	mig->data_fd = asked->state == VFIOMIG_STATE_STOP_COPY ? begin_stream(asked) : -1;
	return 0;
}

static int answer_size(struct vfio_device_feature *feature)
{
	const struct vfio_device_feature_mig_data_size size = { total };

	memcpy(feature->data, &size, sizeof(size));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vfio_device_feature *feature;
	va_list ap;

	va_start(ap, request);
	feature = va_arg(ap, void *);
	va_end(ap);
	if (request != VFIO_DEVICE_FEATURE)
		errx(1, "ioctl %#lx of descriptor %d", request, fd);
	asked = device_of(fd);
	if (feature->flags == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE))
		return answer_size(feature);
	return feature_answer(feature, VFIOMIG_STOP_COPY | VFIOMIG_P2P, asked->state, set_state);
}

static void sleep_until(long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static ssize_t deliver(struct device *d, void *buf, size_t size)
{
	if (size > total - d->at)
		size = total - d->at;
	memcpy(buf, bytes + d->at, size);
	d->at += size;
	if (speed)
		sleep_until(d->start + d->at / speed);
	return size;
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	for (int i = 0; i < count; i++)
		if (devices[i].data_fd == fd && devices[i].start)
			return deliver(&devices[i], buf, size);
	return __real_read(fd, buf, size);
}

static void load_state(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	total = st.st_size;
	bytes = huge_alloc(total);
	/* A device's memory is no part of the process. */
	madvise(bytes, total, MADV_DONTFORK);
	for (size_t done = 0; done < total;) {
		ssize_t n = __real_read(fd, bytes + done, total - done);

		if (n <= 0)
			err(1, "%s", path);
		done += n;
	}
	close(fd);
}

/* ---- Both sides ---------------------------------------------------------- */

static long cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

/* Both return for how many microseconds the devices were stopped. */
static long loop(bool keep)
{
	long start = now_us();
	int data_fd = begin_stream(devices);

	if (keep)
		loop_keep(data_fd, total);
	else
		loop_copy(data_fd);
	close(data_fd);
	return now_us() - start;
}

static long save(struct vfiomig_ctx *ctx, const char *how)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	struct vfiomig_member members[VFIOMIG_SET_MAX] = { 0 };

	for (int i = 0; i < count; i++) {
		struct vfiomig_device *dev = feature_device(ctx, feature_null());

		if (asprintf(&dev->name, "device-%d", i) < 0)
			err(1, "no memory");
		devices[i].dev = members[i].device = dev;
		devices[i].state = VFIOMIG_STATE_RUNNING;
	}
	opt.raw = strcmp(how, "raw") == 0;
	opt.level = opt.raw ? 0 : atoi(how);
	if (vfiomig_save_set(members, count, STDOUT_FILENO, &opt, &result, NULL))
		errx(1, "%s", vfiomig_get_error(ctx));
	for (int i = 0; i < count; i++)
		vfiomig_device_unref(members[i].device);
	return result.downtime_ns / 1000;
}

int main(int argc, char **argv)
{
	long start, cpu, stopped;
	struct vfiomig_ctx *ctx;
	bool keep, bare;
	FILE *f;

	if (argc != 4 && argc != 6)
		errx(2, "usage: fast FILE HOW STATE [COUNT SPEED]");
	if (argc == 6) {
		count = atoi(argv[4]);
		speed = atol(argv[5]);
	}
	if (count < 1 || count > VFIOMIG_SET_MAX || speed < 0)
		errx(2, "no such devices");
	keep = strcmp(argv[2], "keep") == 0;
	bare = keep || strcmp(argv[2], "loop") == 0;
	if (vfiomig_new(&ctx))
		errx(1, "no context");
	load_state(argv[3]);
	start = now_us();
	cpu = cpu_us();
	stopped = bare ? loop(keep) : save(ctx, argv[2]);
	cpu = cpu_us() - cpu;
	start = now_us() - start;
	vfiomig_unref(ctx);
	free(bytes);
	f = fopen(argv[1], "a");
	if (!f || fprintf(f, "%ld %ld %ld\n", start, cpu, stopped) < 0 || fclose(f))
		err(1, "%s", argv[1]);
	return 0;
}
