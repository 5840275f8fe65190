// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * precopy DEV [ivshmem]: PRE_COPY, line by line as the text of the uAPI describes it. The names of
 * the tests quote the text. Where the text says "should", a failure of a device other than ivshmem
 * is only a remark.
 */
#include <poll.h>
#include <pthread.h>

#include "device.h"
#include "klog.h"
#include "tap.h"

#define PAGE 4096

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static bool ours;
static volatile char *memory;
static char buf[1 << 20];

/* A check of what the text only recommends. */
__attribute__((format(printf, 2, 3))) static void should(bool good, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (good || ours)
		tap(good, "%s", text);
	else
		printf("# this driver does not: %s\n", text);
}

static int go(int state)
{
	return device_go(dev, state);
}

/* Returns 0 or the errno. */
static int try_info(int fd, struct vfio_precopy_info *info)
{
	*info = (struct vfio_precopy_info){ .argsz = sizeof(*info) };
	return ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? errno : 0;
}

static struct vfio_precopy_info get_info(int fd)
{
	struct vfio_precopy_info info;

	errno = try_info(fd, &info);
	if (errno)
		err(1, "VFIO_MIG_GET_PRECOPY_INFO");
	return info;
}

/* Returns the events that come within that time. */
static int events(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDHUP };

	if (poll(&p, 1, ms) < 0)
		err(1, "poll");
	return p.revents;
}

/* Read up to the temporary end. Returns the errno of the last read, or 0 if that returned 0. */
static int read_to_end(int fd, uint64_t *bytes)
{
	ssize_t n;

	for (*bytes = 0; (n = read(fd, buf, sizeof(buf))) > 0; *bytes += n)
		;
	return n ? errno : 0;
}

static void expect_temporary_end(int fd, const char *when)
{
	struct vfio_precopy_info info = get_info(fd);
	ssize_t n = read(fd, buf, sizeof(buf));

	should(info.initial_bytes + info.dirty_bytes == 0,
	       "\"reached when both initial_bytes and dirty_byte are zero\" (%s)", when);
	should(n < 0 && errno == ENOMSG,
	       "\"the kernel driver should return ENOMSG from read()\" (%s; %zd)", when, n);
	should(events(fd, 0) == 0, "\"wait for more data (...) by using poll\": not readable (%s)",
	       when);
}

/* Returns the first session's data_fd, which is at its temporary end. */
static int test_initial(void)
{
	int fd = go(VFIOMIG_STATE_PRE_COPY), end;
	struct vfio_precopy_info info, now;
	uint64_t bytes;

	tap(fd >= 0, "\"These arcs (...) return a new data_fd\"");
	info = get_info(fd);
	tap(info.initial_bytes > 0, "\"This field should have a non-zero initial value\"");
	tap(info.dirty_bytes == 0, "dirty_bytes: \"This field starts at zero\"");
	tap(events(fd, 0) == POLLIN, "poll: readable while there is data");
	/* mtty's first copy is hardly longer. */
	if (read(fd, buf, 8) != 8)
		err(1, "8 bytes");
	now = get_info(fd);
	tap(now.initial_bytes == info.initial_bytes - 8,
	    "\"and decrease as migration data is read from the device\"");

	end = read_to_end(fd, &bytes);
	now = get_info(fd);
	tap(now.initial_bytes == 0, "initial_bytes \"reaches zero\" (%s)", strerror(end));
	tap(bytes == info.initial_bytes - 8, "there were as many bytes as initial_bytes said");
	expect_temporary_end(fd, "after the first pass");
	return fd;
}

static void test_ioctl(int fd)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) - 1 };

	tap(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) && errno == EINVAL,
	    "a smaller argsz is EINVAL");
	info.argsz = sizeof(info) + 8;
	tap(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) == 0, "a larger one is fine");
	tap(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL) && errno == EFAULT,
	    "a bad pointer is EFAULT");
	tap(ioctl(fd, _IO(VFIO_TYPE, VFIO_BASE + 99), &info) && errno == ENOTTY,
	    "another ioctl is ENOTTY");
}

/* Take the session to its end and close its data_fd. */
static void test_stop_copy(int fd)
{
	struct vfio_precopy_info info;
	uint64_t left, bytes;

	tap(go(VFIOMIG_STATE_PRE_COPY_P2P) < 0 && get_info(fd).argsz,
	    "\"Entering PRE_COPY_P2P continues all the behaviors of PRE_COPY\"");
	tap(go(VFIOMIG_STATE_PRE_COPY) < 0 && get_info(fd).argsz,
	    "\"returning (...) while continuing all the behaviors\"");
	if (ours) {
		memory[5 * PAGE] ^= 1;
		memory[7 * PAGE] ^= 1;
	}
	tap(go(VFIOMIG_STATE_STOP_COPY) < 0,
	    "\"does not terminate or otherwise affect the associated fd\"");
	tap(try_info(fd, &info) == EINVAL, "\"-EINVAL from any other migration state\": STOP_COPY");
	tap(events(fd, 0) & POLLIN, "STOP_COPY: \"poll (...) readable\"");
	/* Our driver looks for changes when it is read. */
	if (ours && read(fd, buf, 1) != 1)
		err(1, "1 byte");
	if (vfiomig_device_get_data_size(dev, &left))
		errx(1, "%s", vfiomig_get_error(ctx));
	tap(read_to_end(fd, &bytes) == 0, "\"ENOMSG may not be returned in STOP_COPY\"");
	should(bytes == left, "MIG_DATA_SIZE was right (%zu, %zu)", (size_t)left, (size_t)bytes);
	tap(read(fd, buf, 1) == 0 && read(fd, buf, 1) == 0,
	    "\"a permanent end of stream (...) read() always returning 0\"");
	tap(events(fd, 0) & POLLIN, "\"and poll always returning readable\"");
	go(VFIOMIG_STATE_RUNNING);
	close(fd);
}

static void expect_dead(int fd, const char *when)
{
	struct vfio_precopy_info info;

	tap(read(fd, buf, 1) < 0 && errno == ENODEV,
	    "\"will terminate a data transfer session\": %s", when);
	tap(try_info(fd, &info) == EINVAL, "\"-EINVAL from any other migration state\": %s", when);
	should(events(fd, 0) == (POLLIN | POLLRDHUP), "poll reports the end of the session");
}

static void test_ends(void)
{
	struct vfio_precopy_info info;
	int fd, other;

	fd = go(VFIOMIG_STATE_PRE_COPY);
	go(VFIOMIG_STATE_RUNNING);
	expect_dead(fd, "PRE_COPY -> RUNNING");
	other = go(VFIOMIG_STATE_PRE_COPY);
	tap(try_info(fd, &info) && try_info(other, &info) == 0,
	    "the former session's data_fd is not the next session's");
	close(fd);
	device_reset(dev);
	expect_dead(other, "a reset");
	close(other);

	go(VFIOMIG_STATE_RUNNING_P2P);
	fd = go(VFIOMIG_STATE_PRE_COPY_P2P);
	tap(fd >= 0 && try_info(fd, &info) == 0, "a session can begin with PRE_COPY_P2P");
	go(VFIOMIG_STATE_RUNNING_P2P);
	expect_dead(fd, "PRE_COPY_P2P -> RUNNING_P2P");
	close(fd);

	fd = go(VFIOMIG_STATE_STOP_COPY);
	tap(try_info(fd, &info) == EINVAL,
	    "\"-EINVAL from any other migration state\": without PRE_COPY");
	close(fd);
	go(VFIOMIG_STATE_RUNNING);
}

/* ---- VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2 ------------------------------ */

/*
 * Returns whether "the vfio_precopy_info.flags is a valid output field", which SET of INFOv2
 * enables. Without that the kernel leaves the field alone.
 */
static bool flags_are_output(struct vfiomig_device *d)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info), .flags = 6 };
	int fd = device_go(d, VFIOMIG_STATE_PRE_COPY);

	if (ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info))
		err(1, "VFIO_MIG_GET_PRECOPY_INFO");
	close(fd);
	device_go(d, VFIOMIG_STATE_RUNNING);
	return info.flags == 0;
}

static void save(struct vfiomig_device *d)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;

	if (vfiomig_save(d, null, NULL, &result) || !result.precopy)
		errx(1, "save: %s", vfiomig_get_error(ctx));
	close(null);
}

/* Returns NULL where the device cannot be opened this way. */
static struct vfiomig_device *open_via(const char *name, enum vfiomig_via via)
{
	struct vfiomig_device *d;

	if (vfiomig_device_new(ctx, name, &d))
		errx(1, "%s: %s", name, vfiomig_get_error(ctx));
	vfiomig_device_set_via(d, via);
	if (vfiomig_device_open(d, 0) == 0)
		return d;
	printf("# %s\n", vfiomig_get_error(ctx));
	vfiomig_device_unref(d);
	return NULL;
}

/* The opt-in that save makes lasts as long as the device is open. */
static void test_opt_in(const char *name, enum vfiomig_via via)
{
	const char *how = via == VFIOMIG_VIA_CDEV ? "cdev" : "group";
	struct vfiomig_device *d = open_via(name, via);
	char number[32];
	bool has;
	int fd;

	if (!d)
		return;
	has = vfiomig_device_probe(d, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2);
	tap(!flags_are_output(d), "%s: no opt-in outlives a session", how);
	/* The duplicate keeps the session, and the device is not locked. */
	fd = dup(vfiomig_device_get_fd(d));
	vfiomig_device_unref(d);
	snprintf(number, sizeof(number), "fd:%d", fd);
	d = device_open(ctx, number);
	save(d);
	tap(!flags_are_output(d), "%s: a save of a borrowed device does not opt in", how);
	vfiomig_device_unref(d);
	close(fd);

	d = open_via(name, via);
	save(d);
	tap(flags_are_output(d) == has, "%s: a save opts in to INFOv2 where the kernel has it (%s)",
	    how, has ? "this one has it" : "this one has not");
	vfiomig_device_unref(d);
}

/* ---- ivshmem only -------------------------------------------------------- */

static void *map(void)
{
	size_t size;

	return region_map(dev, VFIO_PCI_BAR2_REGION_INDEX, &size);
}

static void write_page(void)
{
	memory[3 * PAGE]++;
}

static void write_file(void)
{
	for (int i = 0; i < 8; i++)
		buf[i] = memory[3 * PAGE - 4 + i] ^ 1;
	region_write(dev, VFIO_PCI_BAR2_REGION_INDEX, 3 * PAGE - 4, buf, 8);
}

static void do_reset(void)
{
	device_reset(dev);
}

static void leave(void)
{
	go(VFIOMIG_STATE_RUNNING);
}

static void *later(void *what)
{
	void (*fn)(void) = (void (*)(void))what;

	usleep(200000);
	fn();
	return NULL;
}

/* Call @fn while this thread waits for events. Returns the events that end the wait. */
static int wake(int fd, void (*fn)(void))
{
	pthread_t thread;
	int got;

	if (pthread_create(&thread, NULL, later, (void *)fn))
		errx(1, "pthread_create");
	got = events(fd, 20000);
	pthread_join(thread, NULL);
	return got;
}

static void test_dirty(int fd)
{
	struct vfio_precopy_info info;
	uint64_t bytes;
	char sum = 0;

	for (int i = 0; i < 100; i++)
		sum += memory[i * PAGE];
	tap(events(fd, 300) == 0 && get_info(fd).dirty_bytes == 0,
	    "reading the memory does not make it dirty (%d)", sum);

	tap(wake(fd, write_page) == POLLIN, "\"wait for more data\": a write to the mapping wakes");
	info = get_info(fd);
	tap(info.initial_bytes == 0 && info.dirty_bytes >= PAGE && info.dirty_bytes < 2 * PAGE,
	    "\"may increase as the internal device state is modified\" (%zu)",
	    (size_t)info.dirty_bytes);
	memory[3 * PAGE + 8]++;
	tap(get_info(fd).dirty_bytes == info.dirty_bytes,
	    "a second write to the same page adds nothing");
	if (read(fd, buf, 1000) != 1000)
		err(1, "1000 bytes");
	tap(vfiomig_device_get_data_size(dev, &bytes) == 0 && bytes > info.dirty_bytes,
	    "MIG_DATA_SIZE, too, counts what may have changed meanwhile (%zu)", (size_t)bytes);
	/* As much may have changed meanwhile as was read. Only the end of it shows. */
	tap(get_info(fd).dirty_bytes == info.dirty_bytes,
	    "what a round has found counts until all of it was read");
	read_to_end(fd, &bytes);
	tap(bytes == info.dirty_bytes - 1000, "the rest of dirty_bytes can be read, and no more");
	expect_temporary_end(fd, "after a second pass");

	tap(wake(fd, write_file) == POLLIN, "a write() to the region wakes");
	info = get_info(fd);
	read_to_end(fd, &bytes);
	tap(bytes == info.dirty_bytes && bytes >= 2 * PAGE && bytes < 3 * PAGE,
	    "a write() makes both pages dirty that it touches");

	go(VFIOMIG_STATE_PRE_COPY_P2P);
	tap(wake(fd, write_page) == POLLIN && get_info(fd).dirty_bytes > PAGE &&
		    read_to_end(fd, &bytes) && bytes > PAGE,
	    "PRE_COPY_P2P: a write to the mapping makes its page dirty");
	memory[9 * PAGE] ^= 1;
	memory[9 * PAGE] ^= 1;
	tap(events(fd, 500) == 0, "what has changed back is not dirty");
	go(VFIOMIG_STATE_PRE_COPY);
}

/* The ioctl returns at once, with what is known, whatever the size of the memory. */
static void test_info_looks_at_nothing(void)
{
	int fd = go(VFIOMIG_STATE_PRE_COPY);
	uint64_t bytes;

	read_to_end(fd, &bytes);
	memory[3 * PAGE] ^= 1;
	/* Longer than the longest pause between two looks at the memory. */
	usleep(1500000);
	tap(get_info(fd).dirty_bytes == 0, "VFIO_MIG_GET_PRECOPY_INFO does not read the memory");
	for (int i = 0; i < 200 && get_info(fd).dirty_bytes == 0; i++)
		usleep(100000);
	bytes = get_info(fd).dirty_bytes;
	tap(bytes > PAGE && bytes < 2 * PAGE, "but sees to it that somebody does (%zu)",
	    (size_t)bytes);
	close(fd);
	go(VFIOMIG_STATE_RUNNING);
}

/* What the driver says of a round over the memory, as a debug message. */
struct round {
	unsigned long found, us, pause, wait;
};

static void debug_messages(bool on)
{
	if (!file_write("/sys/kernel/debug/dynamic_debug/control",
			on ? "module ivshmem_vfio_pci +p" : "module ivshmem_vfio_pci -p"))
		err(1, "dynamic debug");
}

static bool next_round(int log, struct round *r)
{
	const char *text = klog_next(log, "round: ");

	if (!text)
		return false;
	if (sscanf(text, "found %lu, took %lu us, pause %lu ms, wait %lu ms", &r->found, &r->us,
		   &r->pause, &r->wait) != 4)
		errx(1, "round: %s", text);
	return true;
}

/* The wait is the pause, or twice the time of the round, of which less than a tick is lost. */
static bool waits_right(const struct round *r)
{
	return r->wait >= r->pause && r->wait * 1000 + 10000 > 2 * r->us &&
	       (r->wait == r->pause || r->wait * 1000 <= 2 * r->us);
}

/*
 * Read at the temporary end until there were @count rounds. Each finds nothing, and its pause is
 * the next one of @pauses. Returns how many reads there were, or 0 if a pause is another one.
 */
static int pauses_are(int fd, int log, const unsigned long *pauses, int count)
{
	struct round r;
	int reads = 0;

	for (int i = 0; i < count; reads++) {
		if (read(fd, buf, 1) >= 0 || errno != ENOMSG)
			err(1, "read at the temporary end");
		while (i < count && next_round(log, &r)) {
			printf("# %lu us, pause %lu ms, wait %lu ms\n", r.us, r.pause, r.wait);
			if (r.found || r.pause != pauses[i++] || !waits_right(&r))
				return 0;
		}
		usleep(1000);
	}
	return reads;
}

/* Rounds that find nothing are made less and less often, until something has changed. */
static void test_pauses(void)
{
	static const unsigned long pauses[] = { 100, 200, 400, 800, 1000, 1000 };
	int fd = go(VFIOMIG_STATE_PRE_COPY), log, reads;
	struct round r;
	uint64_t bytes;

	debug_messages(true);
	log = klog_open();
	for (uint64_t left = get_info(fd).initial_bytes; left; left -= bytes) {
		bytes = read(fd, buf, left < sizeof(buf) ? left : sizeof(buf));
		if ((int64_t)bytes <= 0)
			err(1, "read");
	}
	reads = pauses_are(fd, log, pauses, 6);
	tap(reads > 0, "the pauses between rounds that find nothing grow up to a second");
	tap(reads > 6, "a read() in a pause looks at nothing (%d reads)", reads);

	memory[3 * PAGE] ^= 1;
	for (int i = 0; i < 20000 && read(fd, buf, PAGE) < 0; i++)
		usleep(1000);
	tap(next_round(log, &r) && r.found == 1 && r.pause == 0 && r.wait == 0,
	    "after a round that has found a page there is no pause");
	read_to_end(fd, &bytes);
	tap(pauses_are(fd, log, pauses, 2) > 0, "and then the pauses grow anew");
	debug_messages(false);
	close(log);
	close(fd);
	leave();
}

/* The first pass ends before anything is looked at again. */
static void test_behind(void)
{
	int fd = go(VFIOMIG_STATE_PRE_COPY);
	uint64_t bytes, size;

	if (read(fd, buf, 300000) != 300000)
		err(1, "300000 bytes");
	memory[PAGE] ^= 1;
	memory[100 * PAGE] ^= 1;

	struct vfio_precopy_info info = get_info(fd);

	tap(info.dirty_bytes == 0, "nothing is dirty before the end of the first pass");
	vfiomig_device_get_data_size(dev, &size);
	tap(size > info.initial_bytes && size < info.initial_bytes + PAGE,
	    "MIG_DATA_SIZE is what is known to be left");
	while (get_info(fd).initial_bytes && read(fd, buf, 1000) > 0)
		;
	info = get_info(fd);
	tap(info.dirty_bytes > PAGE && info.dirty_bytes < 2 * PAGE,
	    "then the page that was read before is, and the one that was read after is not");
	read_to_end(fd, &bytes);
	/* The last read of the first pass may have gone beyond it. */
	tap(bytes <= info.dirty_bytes && bytes + 1000 > info.dirty_bytes, "the estimate was right");
	tap(events(fd, 300) == 0 && get_info(fd).dirty_bytes == 0,
	    "\"or decrease as that modified state is read\"");
	close(fd);
	go(VFIOMIG_STATE_RUNNING);
}

static void test_wakes(void)
{
	uint64_t bytes;
	int fd;

	fd = go(VFIOMIG_STATE_PRE_COPY);
	read_to_end(fd, &bytes);
	tap(wake(fd, leave) == (POLLIN | POLLRDHUP), "the end of the session wakes");
	close(fd);

	fd = go(VFIOMIG_STATE_PRE_COPY);
	read_to_end(fd, &bytes);
	tap(wake(fd, do_reset) == (POLLIN | POLLRDHUP), "a reset wakes");
	tap(++memory[11 * PAGE] || true, "the mapping works after a reset");
	close(fd);
}

static void stop_copy(void)
{
	go(VFIOMIG_STATE_STOP_COPY);
}

static void test_wake_stop(void)
{
	int fd = go(VFIOMIG_STATE_PRE_COPY);
	uint64_t bytes;

	read_to_end(fd, &bytes);
	tap(wake(fd, stop_copy) == POLLIN, "STOP_COPY wakes");
	close(fd);
	leave();
}

/* The memory is mapped for the DMA of other devices while it is saved. */
static void test_map_dma(void)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory,
		.iova = 1 << 30,
		.size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = map.iova,
		.size = map.size,
	};
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	uint64_t bytes;
	int fd;

	vfiomig_device_get_fds(dev, &fds);
	/* An iommufd does not map memory of devices this way. */
	if (fds.container < 0)
		return;
	fd = go(VFIOMIG_STATE_PRE_COPY);
	read_to_end(fd, &bytes);
	buf[0] = memory[5 * PAGE];
	tap(ioctl(fds.container, VFIO_IOMMU_MAP_DMA, &map) == 0 &&
		    ioctl(fds.container, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0,
	    "the memory can be mapped for DMA in PRE_COPY (%m)");
	close(fd);
	leave();
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 2)
		errx(2, "usage: precopy DEV [ivshmem]");
	ours = argc > 2;
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	if (ours)
		memory = map();
	fd = test_initial();
	test_ioctl(fd);
	if (ours)
		test_dirty(fd);
	test_stop_copy(fd);
	test_ends();
	if (ours) {
		test_behind();
		test_info_looks_at_nothing();
		test_pauses();
		test_wakes();
		test_wake_stop();
		test_map_dma();
	}
	vfiomig_device_unref(dev);
	/* The ivshmem driver sets the flags in any case. */
	for (int i = 0; i < 2 && !ours; i++) {
		test_opt_in(argv[1], VFIOMIG_VIA_CDEV);
		test_opt_in(argv[1], VFIOMIG_VIA_GROUP);
	}
	vfiomig_unref(ctx);
	return tap_end();
}
