// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session DEV [ivshmem]: data transfer sessions on a real device: any segmentation, descriptors
 * that outlive their session, streams that end too early. For an ivshmem device also the contents
 * of the stream.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <time.h>

#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static const char *name;

static int go(int state)
{
	return device_go(dev, state);
}

static void reset(void)
{
	device_reset(dev);
}

/* Returns the size of the next read or write: @size, or a random one if @size is 0. */
static size_t segment(size_t size)
{
	return size ? size : (size_t)(random() % 9000 + 1);
}

static struct whole save(size_t size)
{
	struct whole s = { 0 };
	int fd = go(VFIOMIG_STATE_STOP_COPY);
	ssize_t n;

	do {
		size_t want = segment(size);

		n = read(fd, whole_room(&s, want), want);
		if (n < 0)
			err(1, "save");
		s.size += n;
	} while (n);
	/* "a permanent end of stream signaled in the usual way by read() always returning 0" */
	if (read(fd, &n, sizeof(n)) != 0)
		errx(1, "the end of stream does not last");
	close(fd);
	go(VFIOMIG_STATE_RUNNING);
	return s;
}

/* Load the stream. Returns the result of the arc to STOP. */
static int load(const struct whole *s, size_t size)
{
	int fd = go(VFIOMIG_STATE_RESUMING), none, ret;

	for (size_t done = 0; done < s->size;) {
		size_t n = segment(size);

		if (n > s->size - done)
			n = s->size - done;
		if (!write_all(fd, s->data + done, n))
			err(1, "load");
		done += n;
	}
	ret = vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none);
	close(fd);
	if (!ret)
		go(VFIOMIG_STATE_RUNNING);
	return ret;
}

static bool same(struct whole a, const struct whole *b)
{
	bool equal = a.size == b->size && memcmp(a.data, b->data, a.size) == 0;

	free(a.data);
	return equal;
}

static void test_segments(const struct whole *s)
{
	/* Single bytes would take too long for a megabyte, so they are used at both ends only. */
	size_t ends = s->size > 100000 ? 20000 : s->size / 2;
	int fd = go(VFIOMIG_STATE_RESUMING), none;
	uint64_t bytes = 0;
	bool good = true;

	for (size_t done = 0; done < s->size && good;) {
		size_t n = done < ends || done >= s->size - ends ? 1 : s->size - ends - done;

		good = write_all(fd, s->data + done, n);
		done += n;
	}
	tap(good && vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "RESUMING takes one byte at a time");
	close(fd);
	go(VFIOMIG_STATE_RUNNING);
	tap(same(save(1 << 20), s), "RESUMING with single bytes loads the same state");
	tap(load(s, 0) == 0, "RESUMING takes any segmentation");
	tap(same(save(0), s), "reads of any size give the same stream");
	tap(same(save(s->size > 100000 ? 509 : 1), s), "small reads give the same stream");
	if (old_kernel())
		tap(vfiomig_device_get_data_size(dev, &bytes) == -EOPNOTSUPP,
		    "this kernel has no MIG_DATA_SIZE");
	else
		tap(vfiomig_device_get_data_size(dev, &bytes) == 0 && bytes >= s->size,
		    "MIG_DATA_SIZE is not less than the stream");
}

static void test_truncated(const struct whole *s)
{
	static const size_t tenths[] = { 0, 1, 5, 9 };

	for (size_t i = 0; i < sizeof(tenths) / sizeof(tenths[0]); i++) {
		struct whole t = { .data = s->data, .size = s->size * tenths[i] / 10 };

		tap(load(&t, 1 << 20) < 0, "%zu of %zu bytes: refused", t.size, s->size);
		reset();
		tap(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING,
		    "a reset leads out of RESUMING");
	}
	struct whole t = { .data = s->data, .size = s->size - 1 };

	tap(load(&t, 1 << 20) < 0, "all but the last byte: refused");
	reset();
	tap(load(s, 1 << 20) == 0 && same(save(1 << 20), s), "the device works as before");
}

/* Check that a read returns no data, or that a write takes none. */
static void expect_dead(int fd, bool saving, const char *when)
{
	char buf[4096] = { 0 };
	ssize_t n = saving ? read(fd, buf, sizeof(buf)) : write(fd, buf, sizeof(buf));

	tap(saving ? n <= 0 : n < 0, "the %s data_fd is dead %s (%zd, %m)",
	    saving ? "saving" : "resuming", when, n);
}

static void test_kept_descriptors(void)
{
	int saving, resuming;
	char buf[16];

	saving = go(VFIOMIG_STATE_STOP_COPY);
	tap(read(saving, buf, sizeof(buf)) > 0, "a session returns data");
	go(VFIOMIG_STATE_STOP);
	expect_dead(saving, true, "after STOP_COPY -> STOP");
	close(saving);

	saving = go(VFIOMIG_STATE_STOP_COPY);
	reset();
	expect_dead(saving, true, "after a reset");
	close(saving);

	resuming = go(VFIOMIG_STATE_RESUMING);
	reset();
	expect_dead(resuming, false, "after a reset");
	close(resuming);

	saving = go(VFIOMIG_STATE_STOP_COPY);
	vfiomig_device_close(dev);
	expect_dead(saving, true, "after the device was closed");
	device_reopen(dev);
	reset();
	resuming = go(VFIOMIG_STATE_RESUMING);
	expect_dead(saving, true, "while another session runs");
	vfiomig_device_close(dev);
	expect_dead(resuming, false, "after the device was closed");
	device_reopen(dev);
	tap(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING,
	    "the next session starts in RUNNING");
	expect_dead(resuming, false, "in the next session");
	close(saving);
	close(resuming);
}

static void test_not_a_file(void)
{
	int fd = go(VFIOMIG_STATE_STOP_COPY);
	char byte;

	tap(pread(fd, &byte, 1, 0) < 0 && errno == ESPIPE, "data_fd has no pread");
	tap(lseek(fd, 0, SEEK_SET) < 0, "data_fd does not seek");
	tap(write(fd, &byte, 1) < 0, "a saving data_fd takes no data");
	close(fd);
	reset();
}

/* ---- ivshmem only -------------------------------------------------------- */

static void test_registers(void)
{
	struct whole s;

	reg_write(dev, INTR_MASK, 0xa5a5f00d);
	reg_write(dev, INTR_STATUS, 0x1234);
	s = save(1 << 20);
	tap(reg_read(dev, INTR_STATUS) == 0x1234,
	    "a save does not clear IntrStatus, although reading it does");
	tap(reg_read(dev, INTR_MASK) == 0xa5a5f00d, "a save leaves IntrMask alone");
	reset();
	tap(reg_read(dev, INTR_MASK) == 0, "a reset clears IntrMask");
	tap(load(&s, 1 << 20) == 0 && reg_read(dev, INTR_MASK) == 0xa5a5f00d &&
		    reg_read(dev, INTR_STATUS) == 0x1234,
	    "a restore sets both");

	/* The registers must not change before the stream is complete. */
	reset();
	s.size--;
	tap(load(&s, 1 << 20) < 0 && reg_read(dev, INTR_MASK) == 0,
	    "a refused stream leaves the registers alone");
	reset();
	free(s.data);
}

/* The user can switch memory decoding off. The device's state is still there. */
static void test_memory_off(const struct whole *s)
{
	uint16_t command = command_read(dev), off = command & ~PCI_COMMAND_MEMORY;

	command_write(dev, off);
	tap(same(save(1 << 20), s), "a save with the memory switched off");
	tap(load(s, 1 << 20) == 0, "a restore with the memory switched off");
	tap(command_read(dev) == off, "the memory is still switched off afterwards");
	command_write(dev, command);
	tap(same(save(1 << 20), s), "with the memory switched on again the state is the same");
}

/* A read that fails because of its buffer must not lose a byte of the stream. */
static void test_bad_buffer(const struct whole *s)
{
	void *volatile nowhere = (void *)16;
	int fd = go(VFIOMIG_STATE_STOP_COPY);
	char *buf = malloc(s->size);
	size_t done = 0;
	ssize_t n = 1;

	tap(read(fd, nowhere, 4096) < 0 && errno == EFAULT, "a read into a bad buffer is EFAULT");
	while (done < s->size && n > 0) {
		n = read(fd, buf + done, s->size - done);
		if (n > 0)
			done += n;
	}
	tap(done == s->size && memcmp(buf, s->data, done) == 0,
	    "the failed read has lost no byte of the stream");
	free(buf);
	close(fd);
	reset();

	fd = go(VFIOMIG_STATE_RESUMING);
	tap(write(fd, nowhere, 4096) < 0 && errno == EFAULT, "a write from a bad buffer is EFAULT");
	for (done = 0; done < s->size; done += n) {
		n = write(fd, s->data + done, s->size - done);
		if (n <= 0)
			break;
	}
	close(fd);
	tap(done == s->size &&
		    vfiomig_device_drive(dev, VFIOMIG_STATE_RUNNING, NULL, NULL, NULL) == 0,
	    "the stream is accepted after the failed write");
}

/* ---- A buffer that takes its time ---------------------------------------- */

/* A page that is not there before this program says so, and a thread that waits for it. */
static struct {
	int uffd, data_fd;
	char *page;
	pthread_t transfer, patience;
	sem_t over;
} slow;

/* Returns false where the kernel has no userfaultfd. */
static bool slow_init(void)
{
	struct uffdio_api api = { .api = UFFD_API };

	slow.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (slow.uffd < 0 && errno == ENOSYS)
		return false;
	if (slow.uffd < 0 || ioctl(slow.uffd, UFFDIO_API, &api))
		err(1, "userfaultfd");
	sem_init(&slow.over, 0, 0);
	return true;
}

/*
 * A data_fd goes one way, so that one of the two calls fails with EBADF. When the other one goes
 * on, its session may be over.
 */
static void *slow_transfer(void *arg)
{
	(void)arg;
	if (read(slow.data_fd, slow.page, 4096) < 0 && errno == EBADF &&
	    write(slow.data_fd, slow.page, 4096) < 0 && errno != ENODEV)
		err(1, "a transfer with a slow buffer");
	return NULL;
}

/* The page is there now, so that the transfer goes on. */
static void slow_release(void)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)slow.page, .len = 4096 } };

	if (ioctl(slow.uffd, UFFDIO_ZEROPAGE, &zero))
		err(1, "UFFDIO_ZEROPAGE");
	pthread_join(slow.transfer, NULL);
}

/* Should somebody wait for the transfer, the test has to come to its end all the same. */
static void *slow_patience(void *arg)
{
	struct timespec end;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 60;
	if (sem_timedwait(&slow.over, &end) == 0)
		return NULL;
	slow_release();
	tap(false, "somebody waits for a slow buffer");
	exit(1);
}

/* Begin a session and its transfer. This returns when the transfer waits for its buffer. */
static void slow_begin(int state)
{
	struct pollfd p = { .fd = slow.uffd, .events = POLLIN };
	struct uffdio_register page;

	slow.data_fd = go(state);
	slow.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	page = (struct uffdio_register){
		.range = { .start = (uintptr_t)slow.page, .len = 4096 },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	if (slow.page == MAP_FAILED || ioctl(slow.uffd, UFFDIO_REGISTER, &page))
		err(1, "UFFDIO_REGISTER");
	if (pthread_create(&slow.transfer, NULL, slow_transfer, NULL))
		errx(1, "pthread_create");
	if (poll(&p, 1, -1) != 1)
		err(1, "poll");
	if (pthread_create(&slow.patience, NULL, slow_patience, NULL))
		errx(1, "pthread_create");
}

static void slow_end(void)
{
	sem_post(&slow.over);
	pthread_join(slow.patience, NULL);
	slow_release();
	munmap(slow.page, 4096);
	close(slow.data_fd);
}

/* User memory may take as long as it likes, and nobody else has to wait for it. */
static void test_slow_buffer(const struct whole *s)
{
	static const int states[] = { VFIOMIG_STATE_STOP_COPY, VFIOMIG_STATE_RESUMING };

	if (!slow_init()) {
		printf("# this kernel has no userfaultfd\n");
		return;
	}
	for (int i = 0; i < 2; i++) {
		const char *what = vfiomig_state_name(states[i]);

		slow_begin(states[i]);
		tap(vfiomig_device_get_state(dev) == states[i],
		    "%s, a slow buffer: the state can be read", what);
		reset();
		tap(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING,
		    "%s, a slow buffer: the device can be reset", what);
		slow_end();
	}
	slow_begin(VFIOMIG_STATE_STOP_COPY);
	go(VFIOMIG_STATE_STOP);
	tap(true, "a slow buffer: the session can end");
	slow_end();
	slow_begin(VFIOMIG_STATE_STOP_COPY);
	vfiomig_device_close(dev);
	tap(true, "a slow buffer: the device can be closed");
	slow_end();
	close(slow.uffd);
	device_reopen(dev);
	reset();
	tap(load(s, 1 << 20) == 0 && same(save(1 << 20), s), "the device works as before");
}

int main(int argc, char **argv)
{
	struct whole s;

	if (argc < 2)
		errx(2, "usage: session DEV [ivshmem]");
	name = argv[1];
	ctx = new_context();
	dev = device_open(ctx, name);
	s = save(1 << 20);
	test_segments(&s);
	test_truncated(&s);
	test_not_a_file();
	test_kept_descriptors();
	if (argc > 2) {
		test_bad_buffer(&s);
		test_memory_off(&s);
		test_registers();
		test_slow_buffer(&s);
	}
	free(s.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
