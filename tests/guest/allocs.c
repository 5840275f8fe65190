// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * allocs DEV: in each operation on an ivshmem device, one of the kernel's allocations fails: the
 * first one, then the second one, and so on, until the operation succeeds without a fault. An
 * operation that failed can be repeated, and has left the device in a state that the uAPI allows.
 *
 * The allocations are those of this thread, so it makes the calls itself: the library makes some of
 * them in other threads and processes.
 */
#include <poll.h>
#include <sys/mman.h>

#include "fault.h"
#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static struct whole good;
static size_t size; /* the size of the device's memory */
static int data_fd = -1;

/* Returns 0, or the errno. */
typedef int operation(void);

/* ---- The operations ------------------------------------------------------ */

static int group = -1, opened = -1;

/* Prepare the device's group, through which the device is opened. Returns the container. */
static int open_group(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%d", vfiomig_device_get_group(dev));
	group = open(path, O_RDWR | O_CLOEXEC);
	if (container < 0 || group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		err(1, "%s", path);
	return container;
}

static int open_it(void)
{
	opened = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, vfiomig_device_get_name(dev));
	return opened < 0 ? errno : 0;
}

static int set_state(int state)
{
	int fd, ret = -device_set_state(dev, state, &fd);

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
 * Buffers whose pages are not present yet: the kernel allocates them while it copies, in the middle
 * of a piece.
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

/* The stream as far as it has been read. */
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

/* The stream in a file, and how much of it has been written to the device. */
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

/* Read and write each page of the memory in a new mapping. */
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
	return ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_RESET) ? errno : 0;
}

/* ---- Between two operations ---------------------------------------------- */

static void close_data(void)
{
	if (data_fd >= 0)
		close(data_fd);
	data_fd = -1;
}

/* After a failed SET_STATE the device must have a state, and must not be in ERROR. */
static bool is_sane(void)
{
	int state = vfiomig_device_get_state(dev);

	return state >= 0 && state != VFIOMIG_STATE_ERROR;
}

/*
 * Repeat the operation while its first allocation fails, then its second one, and so on, until it
 * makes no more allocations. @again is called before each attempt and undoes what the last one may
 * have done.
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
	tap(sane && nth <= max, "%s: %d allocations failed one by one, %d of them were reported",
	    what, nth - 1, failed);
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
	if (opened >= 0)
		close(opened);
	opened = -1;
}

static void nothing(void)
{
}

/* A transfer goes on where it was, whatever fails. */
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
		    "the stream that was read is complete");
	}
	home();
	data_fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	written = 0;
	sweep("writes", write_it, nothing, 400);
	sweep("RESUMING to RUNNING", to_running, nothing, 100);
	tap(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING && whole_is(dev, &good),
	    "the device has the state that was written");
}

static void test_open(void)
{
	int container;

	vfiomig_device_close(dev);
	container = open_group();
	sweep("opening the device", open_it, closed, 2000);
	closed();
	close(group);
	close(container);
	device_reopen(dev);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: allocs DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
	good = whole_save(dev);
	/* Touch the buffer now, so that it causes no page faults later. */
	out.size = 0;
	whole_room(&out, 4 * good.size);
	memset(out.data, 0, out.room);
	in = memfd_create("stream", MFD_CLOEXEC);
	if (in < 0 || !write_all(in, good.data, good.size))
		err(1, "memfd");

	sweep("RUNNING to PRE_COPY", to_pre_copy, home, 200);
	sweep("RUNNING to STOP_COPY", to_stop_copy, home, 200);
	sweep("RUNNING to RESUMING", to_resuming, home, 200);
	/* RESUMING has cleared the registers. */
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
	tap(whole_works(dev, &good), "the device can be saved and restored");
	test_open();
	tap(whole_works(dev, &good), "the device can be saved and restored");
	printf("# %d faults\n", fault_count);
	free(out.data);
	free(good.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
