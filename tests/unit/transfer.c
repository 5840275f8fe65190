// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saves and restores of a device that fails on demand, as no real device can be made to. The kernel
 * is replaced at ioctl(2) (see --wrap in the Makefile); a data_fd is a file in memory.
 */
#include <fcntl.h>

#include "feature.h"
#include "unit.h"

#define STREAM "the device's state"

static struct {
	uint64_t flags;
	int state;
	int fail_at;	/* the SET_STATE that fails, counted from 1; 0 for none */
	int fails;	/* how many fail in a row */
	int fail_state; /* the state that the failure leaves the device in; -1: its former state */
	bool fail_reset;
	bool no_data_fd;
	int set_states, resets;
	int data_fd; /* the test's own descriptor of it */
} kernel;

static struct vfiomig_device *dev;
/* Whether saves and restores use raw state instead of images. */
static bool raw;

static int new_data_fd(bool with_state)
{
	int fd = new_file(STREAM, with_state ? strlen(STREAM) : 0);

	if (kernel.data_fd >= 0)
		close(kernel.data_fd);
	kernel.data_fd = dup(fd);
	return fd;
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
		errno = EIO;
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
	if (!kernel.no_data_fd && (to == VFIOMIG_STATE_STOP_COPY || to == VFIOMIG_STATE_RESUMING ||
				   to == VFIOMIG_STATE_PRE_COPY))
		mig->data_fd = new_data_fd(to == VFIOMIG_STATE_STOP_COPY);
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
		if (kernel.fail_reset) {
			errno = ENOTTY;
			return -1;
		}
		kernel.state = VFIOMIG_STATE_RUNNING;
		return 0;
	}
	assert_int_equal(request, VFIO_DEVICE_FEATURE);
	if ((feature->flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MIGRATION &&
	    (feature->flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)
		assert_int_equal(feature->flags,
				 VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE);
	return feature_answer(feature, kernel.flags, kernel.state, set_state);
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.flags = VFIOMIG_STOP_COPY | VFIOMIG_P2P;
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.fails = 1;
	kernel.fail_state = kernel.data_fd = -1;
	assert_int_equal(vfiomig_new(&ctx), 0);
	dev = feature_device(ctx, feature_null());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (kernel.data_fd >= 0)
		close(kernel.data_fd);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
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

static void test_no_data_fd(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.no_data_fd = true;
	assert_int_equal(save(-1, &r, false), -EIO);
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
	assert_int_equal(write(fds[1], "half", 4), 4);
	alarm(1);
	assert_int_equal(vfiomig_restore(dev, fds[0], &opt, &r), -EINTR);
	assert_true(r.reset && r.home);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	assert_int_equal(kernel.resets, 1);
	close(fds[0]);
	close(fds[1]);
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
		TEST(test_no_data_fd),
		TEST(test_untouched),
		TEST(test_restore),
		TEST(test_restore_arc_fails),
		TEST(test_restore_source_fails),
	};
	const struct CMUnitTest image_tests[] = {
		TEST(test_restore_bad_trailer),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("raw", tests, set_raw, NULL) +
	       cmocka_run_group_tests_name("image", tests, set_image, NULL) +
	       cmocka_run_group_tests_name("image only", image_tests, set_image, NULL);
}
