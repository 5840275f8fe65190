// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allocs DEV: one allocation of the kernel's fails, in each of the operations
 * on an ivshmem device: the first, then the second, and so on, until the
 * operation comes to its end without a fault. What failed can be done again,
 * and has left the device where the uAPI allows it to be.
 */
#include <poll.h>
#include <sys/mman.h>

#include "fault.h"
#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static struct whole good;
static size_t size; /* of the device's memory */
static int data_fd = -1;

/* Returns 0, or the errno. */
typedef int operation(void);

/* ---- What an operation can be -------------------------------------------- */

static int open_it(void)
{
	return -vfiomig_device_open(dev, 0);
}

static int set_state(int state)
{
	int fd, ret = -vfiomig_device_set_state(dev, state, &fd);

	if (fd >= 0)
		data_fd = fd;
	return ret;
}

static int to_pre_copy(void)
{
	return set_state(VFIOMIG_STATE_PRE_COPY);
}

static int to_stop_copy(void)
{
	return set_state(VFIOMIG_STATE_STOP_COPY);
}

static int to_resuming(void)
{
	return set_state(VFIOMIG_STATE_RESUMING);
}

static int to_running(void)
{
	return set_state(VFIOMIG_STATE_RUNNING);
}

/*
 * Buffers that the kernel finds not there yet: what it copies to or from them
 * it allocates on the way, in the middle of a piece.
 */
enum {
	BUFFER = 1 << 16
};

static void *fresh(int fd, off_t offset)
{
	int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
	void *p = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, flags, fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

/* What has been read so far. */
static struct whole out;

static int read_it(void)
{
	ssize_t n;

	do {
		char *buffer = fresh(-1, 0);

		if (!buffer)
			return errno;
		n = read(data_fd, buffer, BUFFER);
		if (n > 0) {
			memcpy(out.data + out.size, buffer, n);
			out.size += n;
		}
		munmap(buffer, BUFFER);
	} while (n > 0);
	return n && errno != ENOMSG ? errno : 0;
}

/* The stream as a file, and how much of it has been written. */
static int in = -1;
static size_t written;

static int write_it(void)
{
	while (written < good.size) {
		size_t skip = written % 4096, rest = good.size - written;
		char *buffer = fresh(in, written - skip);
		ssize_t n;

		if (!buffer)
			return errno;
		if (rest > BUFFER - skip)
			rest = BUFFER - skip;
		n = write(data_fd, buffer + skip, rest);
		munmap(buffer, BUFFER);
		if (n < 0)
			return errno;
		written += n;
	}
	return 0;
}

static int ask(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct pollfd p = { .fd = data_fd, .events = POLLIN };
	uint64_t bytes;

	if (ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, &info) || poll(&p, 1, 0) < 0)
		return errno;
	return -vfiomig_device_get_data_size(dev, &bytes);
}

/* Of each page a read and a write, in a mapping of its own. */
static int touch(void)
{
	struct vfio_region_info info = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX);
	volatile char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 vfiomig_device_get_fd(dev), info.offset);

	if (at == MAP_FAILED)
		return errno;
	for (size_t i = 0; i < size; i += 4096) {
		char byte = at[i];

		at[i] = byte;
	}
	munmap((void *)at, size);
	return 0;
}

static int access_it(void)
{
	struct vfio_region_info info = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX);
	int fd = vfiomig_device_get_fd(dev);

	char page[4096];

	if (pread(fd, page, 4096, info.offset) != 4096 ||
	    pwrite(fd, page, 4096, info.offset) != 4096)
		return errno;
	return 0;
}

static int reset_it(void)
{
	return -vfiomig_device_reset(dev);
}

/* ---- What is between two of them ----------------------------------------- */

static void close_data(void)
{
	if (data_fd >= 0)
		close(data_fd);
	data_fd = -1;
}

/* On the way that a failed SET_STATE was on, and nowhere else. */
static bool is_sane(void)
{
	int state = vfiomig_device_get_state(dev);

	return state >= 0 && state != VFIOMIG_STATE_ERROR;
}

/*
 * Have one allocation fail after the other, until none is left that could.
 * Between two attempts @again makes good for what the last one may have done.
 */
static void sweep(const char *what, operation *op, void (*again)(void), int max)
{
	int nth, failed = 0;
	bool came, sane = true;

	for (nth = 1; nth <= max; nth++) {
		int error;

		again();
		fault_allocation(nth);
		error = op();
		came = fault_allocation_came();
		if (!came && error)
			sane = false;
		failed += error != 0;
		if (op != open_it)
			sane &= is_sane();
		if (!came || !sane)
			break;
	}
	tap(sane && nth <= max, "%s: %d allocations failed one by one, %d of them it told of", what,
	    nth - 1, failed);
}

static void home(void)
{
	close_data();
	if (vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING)
		device_reset(dev);
	device_go(dev, VFIOMIG_STATE_RUNNING);
}

static void closed(void)
{
	vfiomig_device_close(dev);
}

static void nothing(void)
{
}

/* A transfer that goes on where it was, whatever fails. */
static void test_streams(void)
{
	for (int precopy = 0; precopy < 2; precopy++) {
		home();
		out.size = 0;
		data_fd =
			device_go(dev, precopy ? VFIOMIG_STATE_PRE_COPY : VFIOMIG_STATE_STOP_COPY);
		if (precopy)
			sweep("questions in PRE_COPY", ask, nothing, 100);
		sweep(precopy ? "reads in PRE_COPY" : "reads", read_it, nothing, 400);
		if (precopy) {
			sweep("PRE_COPY to STOP_COPY", to_stop_copy, nothing, 100);
			sweep("reads after PRE_COPY", read_it, nothing, 100);
		}
		tap(out.size == good.size && memcmp(out.data, good.data, good.size) == 0,
		    "what was read is whole");
	}
	home();
	data_fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	written = 0;
	sweep("writes", write_it, nothing, 400);
	sweep("RESUMING to RUNNING", to_running, nothing, 100);
	tap(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING && whole_is(dev, &good),
	    "what was written is there");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: allocs DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
	good = whole_save(dev);
	/* Room that is there needs no fault. */
	out.size = 0;
	whole_room(&out, 4 * good.size);
	memset(out.data, 0, out.room);
	in = memfd_create("stream", MFD_CLOEXEC);
	if (in < 0 || !write_all(in, good.data, good.size))
		err(1, "memfd");

	sweep("RUNNING to PRE_COPY", to_pre_copy, home, 200);
	sweep("RUNNING to STOP_COPY", to_stop_copy, home, 200);
	sweep("RUNNING to RESUMING", to_resuming, home, 200);
	/* Which has cleared the registers. */
	home();
	whole_load(dev, &good);
	test_streams();
	home();
	sweep("touching the memory", touch, nothing, 400);
	data_fd = device_go(dev, VFIOMIG_STATE_PRE_COPY);
	sweep("touching the memory in PRE_COPY", touch, nothing, 400);
	home();
	sweep("access to the regions", access_it, nothing, 100);
	sweep("a reset", reset_it, nothing, 100);
	tap(whole_works(dev, &good), "it can be saved and restored");
	sweep("opening it", open_it, closed, 2000);
	tap(whole_works(dev, &good), "it can be saved and restored");
	printf("# %d faults\n", fault_count);
	free(out.data);
	free(good.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
