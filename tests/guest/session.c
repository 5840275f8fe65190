// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * session DEV [ivshmem]: data transfer sessions on a real device: any segmentation, descriptors
 * that outlive their session, streams that end too early. For an ivshmem device also the contents
 * of the stream.
 */
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
	}
	free(s.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
