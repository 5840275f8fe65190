// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saves and restores of a device that fails on demand, as no real device can be made to. The kernel
 * is replaced at ioctl(2) (see --wrap in the Makefile); a data_fd is a file in memory.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "migration/state.h"
#include "session.h"

#define STREAM "the device's state"

static struct {
	uint64_t flags;
	_Atomic int state;
	int fail_at;	/* the SET_STATE that fails, counted from 1; 0 for none */
	int fails;	/* how many fail in a row */
	int fail_state; /* the state that the failure leaves the device in; -1: its former state */
	bool fail_reset;
	bool no_data_fd;
	int error;   /* what it fails with */
	size_t more; /* bytes of state beyond STREAM */
	_Atomic int set_states, get_states, resets;
	_Atomic int data_fd; /* the test's own descriptor of it */
} kernel;

/* Whether saves and restores use raw state instead of images. */
static bool raw;

static int new_data_fd(bool with_state)
{
	int fd = new_file(STREAM, with_state ? strlen(STREAM) : 0);
	static char other[65536];

	/* Bytes that do not compress to nothing */
	for (size_t i = 0; i < sizeof(other); i++)
		other[i] = i * i % 251;
	for (size_t n = 0; with_state && n < kernel.more; n += sizeof(other))
		assert_int_equal(pwrite(fd, other, sizeof(other), strlen(STREAM) + n),
				 sizeof(other));
	if (kernel.data_fd >= 0)
		close(kernel.data_fd);
	kernel.data_fd = dup(fd);
	return fd;
}

static bool is_saving(int state)
{
	return state == VFIOMIG_STATE_STOP_COPY || state == VFIOMIG_STATE_PRE_COPY ||
	       state == VFIOMIG_STATE_PRE_COPY_P2P;
}

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	int to = mig->device_state;

	kernel.set_states++;
	mig->data_fd = -1;
	if (kernel.fail_at && kernel.set_states >= kernel.fail_at &&
	    kernel.set_states < kernel.fail_at + kernel.fails) {
		if (kernel.fail_state >= 0)
			kernel.state = kernel.fail_state;
		errno = kernel.error;
		return -1;
	}
	/* The library takes one arc at a time. */
	assert_int_equal(vfiomig_fsm_path(kernel.flags, kernel.state, to, NULL), 1);
	/* "RESUMING can only be aborted by a reset": a bad image must never
	 * reach this arc. */
	if (kernel.state == VFIOMIG_STATE_RESUMING) {
		char got[sizeof(STREAM)] = "";

		assert_int_equal(pread(kernel.data_fd, got, sizeof(got), 0), strlen(STREAM));
		assert_string_equal(got, STREAM);
	}
	if (!kernel.no_data_fd &&
	    (to == VFIOMIG_STATE_RESUMING || (is_saving(to) && !is_saving(kernel.state))))
		mig->data_fd = new_data_fd(to != VFIOMIG_STATE_RESUMING);
	kernel.state = to;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vfio_device_feature *feature;
	va_list ap;

	assert_int_equal(fd, dev->fd);
	va_start(ap, request);
	feature = va_arg(ap, void *);
	va_end(ap);
	if (request == VFIO_DEVICE_RESET) {
		kernel.resets++;
		if (kernel.fail_reset)
			return refuse(ENOTTY);
		kernel.state = VFIOMIG_STATE_RUNNING;
		return 0;
	}
	assert_int_equal(request, VFIO_DEVICE_FEATURE);
	if ((feature->flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MIGRATION &&
	    (feature->flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)
		assert_int_equal(feature->flags,
				 VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE);
	if (feature->flags == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		kernel.get_states++;
	return feature_answer(feature, kernel.flags, kernel.state, set_state);
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.flags = VFIOMIG_STOP_COPY | VFIOMIG_P2P;
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.fails = 1;
	kernel.error = EIO;
	kernel.fail_state = kernel.data_fd = -1;
	open_session();
	return 0;
}

static int teardown(void **state)
{
	if (kernel.data_fd >= 0)
		close(kernel.data_fd);
	return close_session(state);
}

/* Save into a file in memory. If @whole, the file must have all of the state. */
static int save(int leave, struct vfiomig_result *result, bool whole)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	char got[64] = "";
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = leave,
				       .raw = raw };
	int err = vfiomig_save(dev, fd, &opt, result);

	if (raw) {
		assert_true(pread(fd, got, sizeof(got) - 1, 0) >= 0);
		if (whole)
			assert_string_equal(got, STREAM);
	}
	close(fd);
	assert_int_equal(result->complete, whole);
	assert_int_equal(result->state, kernel.state);
	assert_int_equal(result->reset, kernel.resets > 0 && !kernel.fail_reset);
	return err;
}

static int restore_text(const char *text, int leave, struct vfiomig_result *result)
{
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = leave,
				       .raw = raw };
	int fd = new_file(text, strlen(text)), err;

	if (!raw && *text) {
		int packed = memfd_create("packed", MFD_CLOEXEC);

		assert_int_equal(vfiomig_pack(ctx, fd, packed, NULL, result), 0);
		close(fd);
		fd = packed;
		lseek(fd, 0, SEEK_SET);
	}
	err = vfiomig_restore(dev, fd, &opt, result);
	close(fd);
	assert_int_equal(result->state, kernel.state);
	return err;
}

static void test_save(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_int_equal(save(-1, &r, true), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(r.bytes, strlen(STREAM));
	assert_int_equal(kernel.resets, 0);

	assert_int_equal(save(VFIOMIG_STATE_STOP, &r, true), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	/* A save of a stopped device brings it back to STOP. */
	assert_int_equal(save(-1, &r, true), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
}

/* A device in a state of the saving group has a session of somebody else. */
static void test_save_from_saving_group(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.flags |= VFIOMIG_PRE_COPY;
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	assert_int_equal(save(-1, &r, true), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP_COPY);
	kernel.state = VFIOMIG_STATE_PRE_COPY;
	assert_int_equal(save(-1, &r, true), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_PRE_COPY);
	assert_int_equal(kernel.resets, 0);
}

/*
 * Whichever arc fails, and whatever state that leaves the device in, the device is brought home,
 * without a reset if there is a path.
 */
static void test_save_arc_fails(void **state)
{
	(void)state;
	for (int arc = 1; arc <= 3; arc++) {
		for (int left = -1; left < VFIOMIG_NR_STATES; left++) {
			struct vfiomig_result r = VFIOMIG_RESULT_INIT;

			if (left > 0 &&
			    !vfiomig_fsm_supports(VFIOMIG_STOP_COPY | VFIOMIG_P2P, left))
				continue;
			if (left == VFIOMIG_STATE_RESUMING)
				continue;
			teardown(NULL);
			setup(NULL);
			kernel.fail_at = arc;
			kernel.fail_state = left;
			assert_int_equal(save(-1, &r, false), -EIO);
			assert_true(r.touched && r.home);
			assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
			assert_int_equal(kernel.resets, left == VFIOMIG_STATE_ERROR);
			assert_says("failed");
		}
	}
}

/*
 * The way back fails when the image is whole already: the image is kept, and the message says so.
 */
static void test_save_way_back_fails(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.fail_at = 4;
	assert_int_equal(save(-1, &r, true), -EIO);
	assert_true(r.home);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_says("STOP_COPY -> STOP failed");
}

/* The reset fails, too. */
static void test_save_lost(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.fail_at = 2;
	kernel.fail_state = VFIOMIG_STATE_ERROR;
	kernel.fail_reset = true;
	assert_int_equal(save(-1, &r, false), -EIO);
	assert_false(r.home);
	assert_false(r.reset);
	assert_int_equal(r.state, VFIOMIG_STATE_ERROR);
}

static void test_save_full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_int_equal(
		vfiomig_save(dev, fd,
			     &(struct vfiomig_options){ .size = sizeof(struct vfiomig_options),
							.leave = VFIOMIG_STATE_STOP,
							.raw = raw },
			     &r),
		-ENOSPC);
	close(fd);
	assert_false(r.complete);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(kernel.resets, 0);
}

static void test_interrupted(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	vfiomig_interrupt(ctx);
	assert_int_equal(save(-1, &r, false), -EINTR);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(kernel.resets, 0);
}

/* A driver that fails with EINTR although nobody has broken its arc off is one that fails: also
 * when the context was interrupted by then. */
static void test_own_eintr(void **state)
{
	bool reset;

	(void)state;
	kernel.state = VFIOMIG_STATE_STOP;
	kernel.fail_at = 1;
	kernel.fails = 100;
	kernel.error = EINTR;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), -EIO);
		assert_says(" failed: Interrupted system call");
		assert_int_equal(vfiomig_device_set_state(dev, VFIOMIG_STATE_RUNNING, NULL), -EIO);
		vfiomig_interrupt(ctx);
	}
	assert_int_equal(state_bring_home(dev, VFIOMIG_STATE_RUNNING, &reset), 0);
	assert_true(reset);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
}

/* What is interrupted stays so until it is resumed; and a signal after that counts again. */
static void test_resume(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_false(vfiomig_resume(ctx));
	for (int i = 0; i < 2; i++) {
		vfiomig_interrupt(ctx);
		vfiomig_interrupt(ctx);
		assert_int_equal(save(-1, &r, false), -EINTR);
		assert_int_equal(save(-1, &r, false), -EINTR);
		assert_true(vfiomig_resume(ctx));
		assert_int_equal(save(-1, &r, true), 0);
		assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_RUNNING, &r), 0);
		/* Between two transfers, and in the end nobody has been told of it */
		vfiomig_interrupt(ctx);
		assert_true(vfiomig_resume(ctx));
		assert_false(vfiomig_resume(ctx));
	}
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
}

static struct {
	int calls, late_at, end_at, ret;
	uint64_t bytes;
} told;

/*
 * What remains of an interruption by another thread if the context is resumed after the flag was
 * set and before the eventfd was written.
 */
static void wake_late(void)
{
	assert_int_equal(eventfd_write(ctx->wake, 1), 0);
}

static int on_progress(void *data, uint64_t bytes, uint64_t expected)
{
	assert_ptr_equal(data, &told);
	assert_int_equal(expected, 0);
	assert_true(bytes >= told.bytes);
	told.bytes = bytes;
	if (++told.calls == told.late_at)
		wake_late();
	return told.calls == told.end_at ? told.ret : 0;
}

/* Save into a pipe, or a socket, that nobody reads from. */
static int save_blocked(bool to_socket, struct vfiomig_options *opt, struct vfiomig_result *r)
{
	int fds[2], err;

	kernel.more = 8 << 20;
	opt->raw = raw;
	if (to_socket)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	else
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	err = vfiomig_save(dev, fds[1], opt, r);
	/* It is as it was: others may have it too. */
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	close(fds[0]);
	close(fds[1]);
	assert_true(r->touched && r->home && !r->reset && !r->complete);
	assert_int_equal(r->state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	return err;
}

/* What the progress function returns ends its transfer, and only that one. */
static void test_progress_ends(void **state)
{
	static const int values[] = { -ECANCELED, 7, -EINTR, INT_MIN };
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	opt.progress = on_progress;
	opt.progress_data = &told;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		memset(&told, 0, sizeof(told));
		/* In the middle of the write that blocks */
		told.end_at = 4;
		told.ret = values[i];
		assert_int_equal(save_blocked(i % 2, &opt, &r), values[i]);
		assert_non_null(strstr(vfiomig_get_error(ctx), "the progress function ended it"));
		assert_int_equal(told.calls, told.end_at);
	}
	kernel.more = 0;
	assert_int_equal(save(-1, &r, true), 0);
	assert_string_equal(vfiomig_get_error(ctx), "");
}

/* The progress function can end a transfer that waits for its first byte. */
static void test_progress_ends_silent(void **state)
{
	static const int values[] = { -ECANCELED, 7, -EINTR, INT_MIN };
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fds[2], out = new_file("", 0);

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	opt.raw = raw;
	opt.progress = on_progress;
	opt.progress_data = &told;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		memset(&told, 0, sizeof(told));
		told.end_at = 2;
		told.ret = values[i];
		alarm(5);
		if (i % 2 && !raw)
			assert_int_equal(vfiomig_unpack(ctx, fds[0], out, &opt, &r), values[i]);
		else
			assert_int_equal(vfiomig_restore(dev, fds[0], &opt, &r), values[i]);
		assert_says("the progress function ended it");
		assert_int_equal(told.calls, told.end_at);
		assert_false(r.touched);
	}
	alarm(0);
	assert_int_equal(kernel.set_states, 0);
	/* The header of an image begins, and goes on no further. */
	assert_int_equal(write(fds[1], "P", 1), 1);
	memset(&told, 0, sizeof(told));
	told.end_at = 2;
	told.ret = 7;
	if (!raw)
		assert_int_equal(vfiomig_restore(dev, fds[0], &opt, &r), 7);
	close(fds[0]);
	close(fds[1]);
	close(out);
}

static bool is_stopped(void)
{
	return kernel.state == VFIOMIG_STATE_STOP_COPY;
}

static void *interrupt_soon(void *unused)
{
	(void)unused;
	for (int i = 0; i < 30000 && !is_stopped(); i++)
		usleep(1000);
	usleep(100000);
	vfiomig_interrupt(ctx);
	return NULL;
}

/* A wake that comes too late ends nothing, and does not keep a wait from sleeping. */
static void test_late_wake(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	struct pollfd wake = { .fd = ctx->wake, .events = POLLIN };

	(void)state;
	wake_late();
	assert_int_equal(save(-1, &r, true), 0);
	wake_late();
	assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_RUNNING, &r), 0);
	assert_int_equal(poll(&wake, 1, 0), 0);
	/* During the transfer */
	memset(&told, 0, sizeof(told));
	told.late_at = 3;
	told.end_at = 6;
	told.ret = 7;
	opt.progress = on_progress;
	opt.progress_data = &told;
	assert_int_equal(save_blocked(false, &opt, &r), 7);
}

/* No signal has to come to end the write. */
static void test_interrupt_blocked(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	pthread_t thread;

	(void)state;
	for (int to_socket = 0; to_socket <= 1; to_socket++) {
		assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
		assert_int_equal(save_blocked(to_socket, &opt, &r), -EINTR);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_says("interrupted by a signal");
		assert_true(vfiomig_resume(ctx));
	}
}

#define MIB (1ULL << 20)

/* A destination that takes nothing before the device is home, or before the reader rests. */
struct destination {
	int fd;
	int before; /* the state in which the device is home */
	bool home, by_rest, breaks;
	off_t rested; /* how much of the state the reader had read then */
	uint64_t got;
};

static off_t bytes_read(void)
{
	return kernel.data_fd < 0 ? 0 : lseek(kernel.data_fd, 0, SEEK_CUR);
}

/* Whether nothing was read for a while. */
static bool rests(const struct destination *d)
{
	off_t before = bytes_read();

	usleep(300000);
	return d->by_rest && before && bytes_read() == before;
}

static void *take_late(void *arg)
{
	static char buf[65536];
	struct destination *d = arg;
	ssize_t n;

	for (int i = 0; i < 100 && !d->home && !d->rested; i++) {
		if (rests(d))
			d->rested = bytes_read();
		/* The first three arcs lead away from there. */
		d->home = kernel.set_states > 3 && kernel.state == d->before;
	}
	if (d->breaks)
		close(d->fd);
	while (!d->breaks && (n = read(d->fd, buf, sizeof(buf))) > 0)
		d->got += n;
	return NULL;
}

static int save_late(struct destination *d, struct vfiomig_result *r)
{
	struct vfiomig_options opt = {
		.size = sizeof(struct vfiomig_options), .leave = -1, .threads = 1, .raw = raw
	};
	pthread_t thread;
	int fds[2], err;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	d->fd = fds[0];
	d->before = kernel.state;
	assert_int_equal(pthread_create(&thread, NULL, take_late, d), 0);
	err = vfiomig_save(dev, fds[1], &opt, r);
	close(fds[1]);
	pthread_join(thread, NULL);
	if (!d->breaks)
		close(fds[0]);
	assert_true(r->home);
	return err;
}

static void save_all_late(struct destination *d)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	assert_int_equal(save_late(d, &r), 0);
	assert_true(r.complete);
	assert_int_equal(r.bytes, strlen(STREAM) + kernel.more);
	assert_in_range(d->got, r.bytes, r.bytes + MIB);
}

/* The device is stopped for as long as it is read, not for as long as somebody takes the image. */
static void test_home_before_written(void **state)
{
	struct destination d = { .fd = -1 };

	(void)state;
	kernel.more = 40 * MIB;
	save_all_late(&d);
	assert_true(d.home);
}

/* The image breaks off when the device is home. No arc leads from STOP_COPY to PRE_COPY, so that
 * the way home is by STOP, but that is no failure. */
static void test_breaks_after_home(void **state)
{
	struct destination d = { .breaks = true };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	kernel.more = 40 * MIB;
	kernel.flags |= VFIOMIG_PRE_COPY;
	kernel.state = VFIOMIG_STATE_PRE_COPY;
	assert_int_equal(save_late(&d, &r), -EPIPE);
	assert_says("Broken pipe");
	assert_true(d.home && !r.complete && !r.reset);
	assert_int_equal(kernel.state, VFIOMIG_STATE_PRE_COPY);
	/* What nobody has taken was not moved. */
	assert_true(r.bytes < kernel.more);
}

/* The way home fails, and so does the image then. */
static void test_breaks_after_way_back_fails(void **state)
{
	struct destination d = { .breaks = true };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	kernel.more = 40 * MIB;
	kernel.fail_at = 4;
	assert_int_equal(save_late(&d, &r), -EIO);
	assert_says("STOP_COPY -> STOP failed");
	assert_true(d.home && !r.complete);
}

/* What waits to be written is in memory, and that has an end. */
static void test_ahead_in_memory(void **state)
{
	struct destination d = { .by_rest = true };

	(void)state;
	kernel.more = 400 * MIB;
	save_all_late(&d);
	assert_false(d.home);
	assert_in_range(d.rested, 200 * MIB, 256 * MIB);
}

static void test_no_data_fd(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.no_data_fd = true;
	assert_int_equal(save(-1, &r, false), -EPROTO);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
}

/* An impossible save or restore is refused before the device is touched. */
static void test_untouched(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_int_equal(save(VFIOMIG_STATE_PRE_COPY, &r, false), -EINVAL);
	assert_false(r.touched);
	assert_int_equal(save(VFIOMIG_STATE_RESUMING, &r, false), -EINVAL);
	assert_false(r.touched);
	assert_int_equal(save(VFIOMIG_STATE_ERROR, &r, false), -EINVAL);
	assert_false(r.touched);
	assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_PRE_COPY, &r), -EINVAL);
	assert_false(r.touched);
	assert_int_equal(restore_text("", VFIOMIG_STATE_RUNNING, &r), -ENODATA);
	assert_false(r.touched);
	kernel.state = VFIOMIG_STATE_ERROR;
	assert_int_equal(save(-1, &r, false), -EUCLEAN);
	assert_false(r.touched);
	kernel.state = VFIOMIG_STATE_RESUMING;
	assert_int_equal(save(-1, &r, false), -EUCLEAN);
	assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_RUNNING, &r), -EUCLEAN);
	assert_false(r.touched);
	assert_int_equal(kernel.set_states, 0);
	assert_int_equal(kernel.resets, 0);
}

static void test_restore(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_RUNNING, &r), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(r.bytes, strlen(STREAM));
	assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_STOP, &r), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	assert_int_equal(kernel.resets, 0);
}

/* Each arc of a restore fails in turn: those to RESUMING, the one out of it, and those after it. */
static void test_restore_arc_fails(void **state)
{
	(void)state;
	for (int arc = 1; arc <= 6; arc++) {
		struct vfiomig_result r = VFIOMIG_RESULT_INIT;

		teardown(NULL);
		setup(NULL);
		kernel.fail_at = arc;
		assert_int_equal(restore_text(STREAM, VFIOMIG_STATE_RUNNING, &r), -EIO);
		assert_true(r.home);
		/* "To abort a RESUMING session the device must be reset." */
		assert_int_equal(kernel.resets, arc == 4);
		assert_int_equal(r.reset, arc == 4);
	}
}

/*
 * If the source fails in the middle, the device must not take the arc RESUMING -> STOP, which would
 * load half a state. set_state() above checks this.
 */
static void test_restore_source_fails(void **state)
{
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = -1,
				       .raw = true };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fds[2];

	(void)state;
	if (!raw)
		return;
	kernel.state = VFIOMIG_STATE_STOP;
	/* The rest never comes. After a second a signal does. */
	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "half of the device's", 20), 20);
	alarm(1);
	assert_int_equal(vfiomig_restore(dev, fds[0], &opt, &r), -EINTR);
	assert_true(r.reset && r.home);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	assert_int_equal(kernel.resets, 1);
	close(fds[0]);
	close(fds[1]);
}

/* An image of several devices is none of one. */
static void test_restore_set(void **state)
{
	static const char *const names[] = { "a", "b" };
	int ins[] = { new_file("x", 1), new_file("y", 1) };
	int image = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, image, NULL, NULL), 0);
	lseek(image, 0, SEEK_SET);
	assert_int_equal(vfiomig_restore(dev, image, NULL, &r), -EDESTADDRREQ);
	assert_says("the image has no device ");
	assert_says("; the image is of a and b; NAME=DEV says which of them goes to DEV");
	assert_int_equal(kernel.set_states, 0);
	assert_false(r.touched);
	close(ins[0]);
	close(ins[1]);
	close(image);
}

/* The image comes from a pipe and is bad at its very end. */
static void test_restore_bad_trailer(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int in = new_file(STREAM, strlen(STREAM)), fds[2];
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	char image[1024];
	ssize_t size;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(vfiomig_pack(ctx, in, fds[1], NULL, &r), 0);
	size = read(fds[0], image, sizeof(image));
	assert_true(size > 0);
	for (int cut = 0; cut <= 1; cut++) {
		image[size - 2] ^= !cut;
		assert_int_equal(write(fds[1], image, size - cut), size - cut);
		if (cut) {
			close(fds[1]);
			fds[1] = -1;
		}
		assert_int_equal(vfiomig_restore(dev, fds[0], &opt, &r), -EBADMSG);
		assert_true(r.touched && r.reset && r.home);
		assert_false(r.complete);
		assert_int_equal(kernel.resets, cut + 1);
	}
	close(fds[0]);
	close(in);
}

/* ---- States --------------------------------------------------------------- */

/* What the protocol refuses the kernel is not asked for: it may hang. */
static void test_set_state(void **state)
{
	(void)state;
	kernel.flags |= VFIOMIG_PRE_COPY;
	for (int from = 0; from < VFIOMIG_NR_STATES; from++) {
		for (int to = -1; to <= VFIOMIG_NR_STATES; to++) {
			int arcs = vfiomig_fsm_path(kernel.flags, from, to, NULL), fd = 77;

			if (arcs > 1 || from == VFIOMIG_STATE_RESUMING)
				continue;
			kernel.state = from;
			kernel.set_states = 0;
			if (arcs < 0) {
				assert_int_equal(vfiomig_device_set_state(dev, to, &fd),
						 -EOPNOTSUPP);
				assert_non_null(strstr(vfiomig_get_error(ctx), "cannot go from"));
				assert_int_equal(fd, -1);
				assert_int_equal(kernel.set_states, 0);
				assert_int_equal(kernel.state, from);
			} else if (arcs == 1) {
				assert_int_equal(vfiomig_device_set_state(dev, to, &fd), 0);
				assert_int_equal(kernel.set_states, 1);
				assert_int_equal(kernel.state, to);
			}
			if (fd >= 0 && fd != 77)
				close(fd);
		}
	}
}

/* The state is read before the first arc, and after each. */
static void test_drive(void **state)
{
	(void)state;
	assert_int_equal(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP_COPY, NULL, NULL, NULL), 0);
	assert_int_equal(kernel.set_states, 3);
	assert_int_equal(kernel.get_states, 4);
}

static int stop_here(void *data, int state, uint64_t ns)
{
	(void)state;
	(void)ns;
	return *(int *)data;
}

static void test_step_ends(void **state)
{
	int ret = 5;

	(void)state;
	assert_int_equal(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP_COPY, NULL, stop_here, &ret),
			 5);
	assert_string_equal(vfiomig_get_error(ctx),
			    "stopped in RUNNING_P2P: the caller returned 5");
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING_P2P);
	ret = -ECANCELED;
	assert_int_equal(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP_COPY, NULL, stop_here, &ret),
			 -ECANCELED);
	assert_string_equal(vfiomig_get_error(ctx), "stopped in STOP: Operation canceled");
}

static void test_read_back(void **state)
{
	(void)state;
	for (kernel.state = 0; kernel.state < VFIOMIG_NR_STATES; kernel.state++)
		assert_int_equal(vfiomig_device_get_state(dev), kernel.state);
	assert_int_equal(kernel.set_states, 0);
	assert_int_equal(kernel.resets, 0);
}

static void test_walk_home(void **state)
{
	bool reset = true;

	(void)state;
	kernel.flags |= VFIOMIG_PRE_COPY;
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	/* By way of STOP */
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_PRE_COPY), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_PRE_COPY);
	/* Where no arc leads home, it does nothing. */
	kernel.set_states = 0;
	kernel.state = VFIOMIG_STATE_ERROR;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), -EUCLEAN);
	assert_string_equal(vfiomig_get_error(ctx), "only a reset leads out of ERROR");
	kernel.state = VFIOMIG_STATE_RESUMING;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), -EUCLEAN);
	assert_int_equal(kernel.set_states, 0);
	assert_int_equal(kernel.resets, 0);

	assert_int_equal(vfiomig_device_reset_home(dev, VFIOMIG_STATE_STOP, &reset), 0);
	assert_true(reset);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	kernel.fail_reset = true;
	assert_int_equal(vfiomig_device_reset_home(dev, VFIOMIG_STATE_STOP, &reset), -ENOTTY);
	assert_false(reset);
	assert_int_equal(vfiomig_device_reset_home(dev, VFIOMIG_STATE_STOP, NULL), -ENOTTY);
}

/* What may be over in a moment is tried once more, and what is not ends the walk. */
static void test_walk_home_again(void **state)
{
	static const struct {
		int error, fails, err;
	} cases[] = {
		{ EBUSY, 1, 0 },  { EAGAIN, 1, 0 },	{ EINTR, 1, 0 },
		{ EIO, 1, -EIO }, { EBUSY, 2, -EBUSY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		kernel.state = VFIOMIG_STATE_STOP_COPY;
		kernel.set_states = 0;
		kernel.fail_at = 1;
		kernel.error = cases[i].error;
		kernel.fails = cases[i].fails;
		assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING),
				 cases[i].err);
		assert_int_equal(kernel.state == VFIOMIG_STATE_RUNNING, !cases[i].err);
		assert_int_equal(kernel.resets, 0);
	}
}

/* And so nothing is lost by a save that fails like that. */
static void test_save_busy(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.fail_at = 3;
	kernel.fails = 2;
	kernel.error = EBUSY;
	assert_int_equal(save(-1, &r, false), -EBUSY);
	assert_true(r.home && !r.reset);
	assert_int_equal(kernel.resets, 0);
	assert_non_null(strstr(vfiomig_get_error(ctx), "STOP -> STOP_COPY failed"));
}

static int set_raw(void **state)
{
	(void)state;
	raw = true;
	return 0;
}

static int set_image(void **state)
{
	(void)state;
	raw = false;
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_save),
		TEST(test_save_from_saving_group),
		TEST(test_save_arc_fails),
		TEST(test_save_way_back_fails),
		TEST(test_save_lost),
		TEST(test_save_full_disk),
		TEST(test_interrupted),
		TEST(test_own_eintr),
		TEST(test_resume),
		TEST(test_progress_ends),
		TEST(test_progress_ends_silent),
		TEST(test_interrupt_blocked),
		TEST(test_late_wake),
		TEST(test_save_busy),
		TEST(test_home_before_written),
		TEST(test_breaks_after_home),
		TEST(test_breaks_after_way_back_fails),
		TEST(test_ahead_in_memory),
		TEST(test_no_data_fd),
		TEST(test_untouched),
		TEST(test_restore),
		TEST(test_restore_arc_fails),
		TEST(test_restore_source_fails),
	};
	const struct CMUnitTest state_tests[] = {
		TEST(test_set_state), TEST(test_drive),	    TEST(test_step_ends),
		TEST(test_read_back), TEST(test_walk_home), TEST(test_walk_home_again),
	};
	const struct CMUnitTest image_tests[] = {
		TEST(test_restore_bad_trailer),
		TEST(test_restore_set),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("raw", tests, set_raw, NULL) +
	       cmocka_run_group_tests_name("image", tests, set_image, NULL) +
	       cmocka_run_group_tests_name("states", state_tests, set_raw, NULL) +
	       cmocka_run_group_tests_name("image only", image_tests, set_image, NULL);
}
