// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fast FILE HOW STATE: save a device that delivers the state in the file STATE as fast as memory is
 * copied, to standard output. Add a line to FILE: the time that this took, its processor time, and
 * for how long the device was stopped, in microseconds. The kernel is replaced at ioctl(2) and
 * read(2) (see --wrap in the Makefile). HOW:
 *
 *	loop	reads and writes of 1 MiB, without vfiomig
 *	keep	reads of 1 MiB into memory that is kept, and no writes, without vfiomig
 *	raw	raw state
 *	0 to 19	an image, at this level of compression
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../unit/feature.h"

#define HUGE_PAGE (2u << 20)
#define READ	  (1u << 20)

static struct {
	int state, data_fd;
	char *bytes;
	size_t size, at;
} device = { .state = VFIOMIG_STATE_RUNNING, .data_fd = -1 };

/* ---- The kernel ---------------------------------------------------------- */

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	mig->data_fd = -1;
	if (mig->device_state == VFIOMIG_STATE_STOP_COPY)
		mig->data_fd = device.data_fd = feature_null();
	device.state = mig->device_state;
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
	return feature_answer(feature, VFIOMIG_STOP_COPY | VFIOMIG_P2P, device.state, set_state);
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	if (fd != device.data_fd)
		return __real_read(fd, buf, size);
	if (size > device.size - device.at)
		size = device.size - device.at;
	memcpy(buf, device.bytes + device.at, size);
	device.at += size;
	return size;
}

/* ---- Memory -------------------------------------------------------------- */

static char *new_memory(size_t size)
{
	char *memory;

	size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	memory = aligned_alloc(HUGE_PAGE, size);
	if (!memory)
		err(1, "no memory");
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void load_device(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	device.size = st.st_size;
	device.bytes = new_memory(device.size);
	/* A device's memory is no part of the process. */
	madvise(device.bytes, device.size, MADV_DONTFORK);
	for (size_t done = 0; done < device.size;) {
		ssize_t n = __real_read(fd, device.bytes + done, device.size - done);

		if (n <= 0)
			err(1, "%s", path);
		done += n;
	}
	close(fd);
}

/* ---- Both sides ---------------------------------------------------------- */

static long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static long cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static void write_all(const char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(STDOUT_FILENO, bytes + done, size - done);

		if (n < 0)
			err(1, "write");
		done += n;
	}
}

/* Returns for how many microseconds the device was stopped. */
static long loop(bool keep)
{
	char *buf = new_memory(keep ? device.size + READ : READ), *to = buf;
	long start = now_us(), stopped;
	ssize_t n;

	device.data_fd = feature_null();
	while ((n = read(device.data_fd, to, READ)) > 0)
		if (keep)
			to += n;
		else
			write_all(to, n);
	stopped = now_us() - start;
	close(device.data_fd);
	free(buf);
	return stopped;
}

/* Returns the same. */
static long save(struct vfiomig_ctx *ctx, const char *how)
{
	struct vfiomig_device *dev = feature_device(ctx, feature_null());
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;

	dev->name = strdup("device");
	opt.raw = strcmp(how, "raw") == 0;
	opt.level = opt.raw ? 0 : atoi(how);
	if (vfiomig_save(dev, STDOUT_FILENO, &opt, &result))
		errx(1, "%s", vfiomig_get_error(ctx));
	vfiomig_device_unref(dev);
	return result.downtime_ns / 1000;
}

int main(int argc, char **argv)
{
	long start, cpu, stopped;
	struct vfiomig_ctx *ctx;
	bool keep, bare;
	FILE *f;

	if (argc != 4)
		errx(2, "usage: fast FILE HOW STATE");
	keep = strcmp(argv[2], "keep") == 0;
	bare = keep || strcmp(argv[2], "loop") == 0;
	if (vfiomig_new(&ctx))
		errx(1, "no context");
	load_device(argv[3]);
	start = now_us();
	cpu = cpu_us();
	stopped = bare ? loop(keep) : save(ctx, argv[2]);
	cpu = cpu_us() - cpu;
	start = now_us() - start;
	vfiomig_unref(ctx);
	free(device.bytes);
	f = fopen(argv[1], "a");
	if (!f || fprintf(f, "%ld %ld %ld\n", start, cpu, stopped) < 0 || fclose(f))
		err(1, "%s", argv[1]);
	return 0;
}
