// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * PRE_COPY of devices that do not behave as they should: whatever read() returns in PRE_COPY, the
 * image is whole and the save ends. The kernel is replaced at ioctl(2) and, for the data_fd, at
 * read(2).
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

#include "holder/held.h"
#include "image/frame.h"
#include "session.h"

#define FLAGS (VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY)
#define REST  1000 /* bytes that can be read only in STOP_COPY */

static struct {
	int state;
	int empty;		  /* the errno of read() if there is no data; 0 if it returns 0 */
	int error;		  /* the errno of every read() */
	_Atomic uint64_t initial; /* bytes that are left of the first copy */
	_Atomic uint64_t dirty;	  /* bytes that have changed */
	uint64_t dirtying;	  /* bytes that change during each read */
	bool no_info;		  /* the kernel lacks VFIO_MIG_GET_PRECOPY_INFO */
	bool size_is_all;	  /* MIG_DATA_SIZE is all of the state, what was read, too */
	bool initial_stays;	  /* initial_bytes never becomes 0 */
	int reinits;		  /* how often a new first copy begins */
	int fail_state;		  /* the state that cannot be entered */
	bool another_fd;	  /* the arc to STOP_COPY returns another data_fd */
	int interrupt_after;	  /* how many reads there are before a signal comes */
	int late_reads;		  /* how many reads there are after the signal */
	_Atomic uint64_t rest;
	_Atomic int data_fd;
	int other_fd, opted_in;
	int path[32], arcs;
} kernel;

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	_Atomic uint64_t *from = &kernel.rest;

	if (fd != kernel.data_fd)
		return __real_read(fd, buf, size);
	if (kernel.error) {
		errno = kernel.error;
		return -1;
	}
	kernel.late_reads += ctx->interrupted;
	if (kernel.interrupt_after && --kernel.interrupt_after == 0) {
		vfiomig_interrupt(ctx);
		return refuse(EINTR);
	}
	if (kernel.initial)
		from = &kernel.initial;
	else if (kernel.dirty)
		from = &kernel.dirty;
	else if (kernel.state != VFIOMIG_STATE_STOP_COPY) {
		errno = kernel.empty;
		return kernel.empty ? -1 : 0;
	}
	if (size > 10000)
		size = 10000;
	if (size > *from)
		size = *from;
	*from -= size;
	memset(buf, 'x', size);
	if (kernel.state != VFIOMIG_STATE_STOP_COPY)
		kernel.dirty += kernel.dirtying;
	return size;
}

static int get_info(struct vfio_precopy_info *info)
{
	if (kernel.no_info)
		return refuse(ENOTTY);
	assert_int_equal(info->argsz, sizeof(*info));
	/* "valid only in PRE_COPY states" */
	assert_int_equal(kernel.state, VFIOMIG_STATE_PRE_COPY);
	info->initial_bytes = kernel.initial_stays ? 1000 : kernel.initial;
	info->dirty_bytes = kernel.dirty;
	info->flags = 0;
	if (kernel.reinits && !kernel.initial) {
		kernel.reinits--;
		info->initial_bytes = kernel.initial = 5000;
		info->flags = VFIO_PRECOPY_INFO_REINIT;
	}
	return 0;
}

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	int to = mig->device_state;

	mig->data_fd = -1;
	if (to == kernel.fail_state)
		return refuse(EIO);
	if (to == VFIOMIG_STATE_PRE_COPY ||
	    (to == VFIOMIG_STATE_STOP_COPY && kernel.state == VFIOMIG_STATE_STOP)) {
		mig->data_fd = memfd_create("data_fd", MFD_CLOEXEC);
		kernel.data_fd = mig->data_fd;
	}
	if (to == VFIOMIG_STATE_STOP_COPY && kernel.another_fd)
		mig->data_fd = kernel.other_fd = memfd_create("data_fd", MFD_CLOEXEC);
	kernel.path[kernel.arcs++] = to;
	kernel.state = to;
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
	if (request == VFIO_MIG_GET_PRECOPY_INFO) {
		assert_int_equal(fd, kernel.data_fd);
		return get_info((void *)feature);
	}
	assert_int_equal(request, VFIO_DEVICE_FEATURE);
	switch (feature->flags) {
	case VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
		VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		return 0;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		kernel.opted_in++;
		return 0;
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		((struct vfio_device_feature_mig_data_size *)feature->data)->stop_copy_length =
			1ULL << 40;
		return refuse(kernel.size_is_all ? 0 : ENOTTY);
	default:
		return feature_answer(feature, FLAGS, kernel.state, set_state);
	}
}

static const struct backend borrowed = { .name = "a test",
					 .flags =
						 BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE };

/* What memory is found for before the stop, and in which state the device is then */
static struct {
	int calls, state;
	uint64_t bytes, expected;
	bool interrupts, stops; /* a signal comes meanwhile; the owner stops the device */
} prepared;

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.empty = ENOMSG;
	kernel.initial = 100000;
	kernel.rest = REST;
	kernel.data_fd = -1;
	kernel.fail_state = -1;
	memset(&prepared, 0, sizeof(prepared));
	open_session();
	return 0;
}

void __real_pipeline_prepare(const struct chunk *chunk, uint64_t bytes);
void __wrap_pipeline_prepare(const struct chunk *chunk, uint64_t bytes);
void __wrap_pipeline_prepare(const struct chunk *chunk, uint64_t bytes)
{
	prepared.calls++;
	prepared.state = kernel.state;
	prepared.bytes = bytes;
	prepared.expected = kernel.initial + kernel.dirty;
	__real_pipeline_prepare(chunk, bytes);
	if (prepared.stops)
		kernel.state = VFIOMIG_STATE_STOP;
	if (prepared.interrupts)
		vfiomig_interrupt(ctx);
}

static const struct vfiomig_options never = { .size = sizeof(struct vfiomig_options),
					      .leave = -1,
					      .no_precopy = true };

static int save(const struct vfiomig_options *opt, struct vfiomig_result *r)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int err = vfiomig_save(dev, fd, opt, r);

	close(fd);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	return err;
}

/* Save, and check that all of the state was read. */
static void expect_whole(struct vfiomig_result *r)
{
	assert_int_equal(save(NULL, r), 0);
	assert_true(r->complete && r->precopy);
	assert_int_equal(kernel.initial + kernel.dirty + kernel.rest, 0);
	assert_true(r->bytes >= r->precopy_bytes + REST);
}

static void test_idle(void **state)
{
	static const int path[] = {
		VFIOMIG_STATE_PRE_COPY, VFIOMIG_STATE_PRE_COPY_P2P, VFIOMIG_STATE_STOP_COPY,
		VFIOMIG_STATE_STOP,	VFIOMIG_STATE_RUNNING_P2P,  VFIOMIG_STATE_RUNNING,
	};
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	expect_whole(&r);
	assert_int_equal(r.precopy_bytes, 100000);
	assert_int_equal(r.bytes, 100000 + REST);
	assert_false(r.gave_up);
	assert_int_equal(kernel.opted_in, 1);
	assert_int_equal(kernel.arcs, ARRAY_SIZE(path));
	assert_memory_equal(kernel.path, path, sizeof(path));
}

/* On a borrowed device the owner may read the flags, and has not asked for the new ones. */
static void test_borrowed(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	dev->backend = &borrowed;
	expect_whole(&r);
	assert_int_equal(kernel.opted_in, 0);
}

/* A holder does not read the flags, so the save may opt in. */
static void test_held(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	dev->backend = &backend_holder;
	expect_whole(&r);
	assert_int_equal(kernel.opted_in, 1);
}

static void test_never(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	/*
	 * The save must not use PRE_COPY. STOP_COPY fails, because the test has no data_fd for it.
	 */
	kernel.fail_state = VFIOMIG_STATE_STOP_COPY;
	assert_int_equal(save(&never, &r), -EIO);
	assert_false(r.precopy);
	assert_int_equal(kernel.path[0], VFIOMIG_STATE_RUNNING_P2P);
}

/* "In a PRE_COPY state no return value of read() may be taken as the end." */
static void test_empty_reads(void **state)
{
	static const int errors[] = { 0, ENOMSG, EAGAIN };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct vfiomig_result r = VFIOMIG_RESULT_INIT;

		/* The end comes at once, although the kernel announces more data. */
		close_session(NULL);
		setup(NULL);
		kernel.empty = errors[i];
		kernel.initial = 0;
		kernel.initial_stays = true;
		expect_whole(&r);
		assert_int_equal(r.precopy_bytes, 0);

		/* The end comes after the first copy. */
		close_session(NULL);
		setup(NULL);
		kernel.empty = errors[i];
		kernel.no_info = true;
		expect_whole(&r);
		assert_int_equal(r.precopy_bytes, 100000);
	}
}

/*
 * The device changes faster than it can be read: the save gives up pre-copy after a while, and says
 * so.
 */
static void test_does_not_converge(void **state)
{
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = -1,
				       .downtime_ms = 1 };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.dirty = 1ULL << 40;
	kernel.dirtying = 20000;
	kernel.fail_state = VFIOMIG_STATE_STOP_COPY;
	/*
	 * There would be too much to read in STOP_COPY. What counts is that the device is stopped.
	 */
	assert_int_equal(save(&opt, &r), -EIO);
	assert_true(r.gave_up);
	/* Nothing was read twice, so nobody knows how fast it changes. */
	assert_false(r.outpaced);
	close_session(NULL);

	/* As much changes as is read, so that the rounds get nowhere. */
	setup(NULL);
	kernel.dirty = 50000000;
	kernel.dirtying = 10000;
	assert_int_equal(save(&opt, &r), 0);
	assert_true(r.complete && r.precopy && r.gave_up && r.outpaced);
	assert_true(r.rounds >= 1 && r.rounds < 32);
}

/*
 * MIG_DATA_SIZE of mlx5 and mtty is the size of all of the state, however much of it was read: what
 * is left to read is what has changed.
 */
static void test_size_is_all(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.size_is_all = true;
	kernel.dirtying = 1;
	expect_whole(&r);
	assert_false(r.gave_up);
	assert_int_equal(r.rounds, 0);
}

static void test_initial_bytes_stay(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.initial_stays = true;
	kernel.dirtying = 10000;
	assert_int_equal(save(NULL, &r), 0);
	assert_true(r.complete);
}

static void test_reinit(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.reinits = 1;
	expect_whole(&r);
	assert_int_equal(r.precopy_bytes, 105000);
	/* The device must not begin anew for ever. */
	close_session(NULL);
	setup(NULL);
	kernel.reinits = INT_MAX;
	kernel.dirtying = 1000;
	assert_int_equal(save(NULL, &r), 0);
	assert_true(r.complete);
}

/* The device has no first copy, so that the rate is unknown at first. */
static void test_no_initial_bytes(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.initial = 0;
	kernel.dirty = 100;
	expect_whole(&r);
	assert_false(r.gave_up);
	assert_true(r.precopy_bytes > 0);
}

static void test_read_fails(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.error = EIO;
	assert_int_equal(save(NULL, &r), -EIO);
	assert_false(r.complete);
	assert_true(r.home && !r.reset);
}

/*
 * "Moving between these states [...] does not [...] affect the associated fd". If a driver returns
 * another one all the same, nobody knows which of the two has the rest of the state.
 */
static void test_another_fd(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.another_fd = true;
	assert_int_equal(save(NULL, &r), -EPROTO);
	assert_says("arc PRE_COPY_P2P -> STOP_COPY came with a new data_fd");
	assert_true(r.home && !r.reset && !r.complete);
	assert_int_equal(fcntl(kernel.other_fd, F_GETFD), -1);
}

/* The save fails in the middle of pre-copy, because the output is full or because of a signal. */
static void test_ends_early(void **state)
{
	struct vfiomig_options opt = {
		.size = sizeof(struct vfiomig_options),
		.leave = -1,
		.raw = true,
		.chunk_size = VFIOMIG_CHUNK_SIZE_MIN,
	};
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.dirty = 50000000;
	kernel.dirtying = 10000;
	opt.downtime_ms = 1;
	assert_int_equal(vfiomig_save(dev, full, &opt, &r), -ENOSPC);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_true(r.home && !r.reset && !r.complete);
	close(full);

	kernel.arcs = 0;
	kernel.initial = 100000;
	kernel.interrupt_after = 5;
	/* The save must end at once, and not only when the chunk is full. */
	opt.chunk_size = VFIOMIG_CHUNK_SIZE_MAX;
	assert_int_equal(save(&opt, &r), -EINTR);
	assert_int_equal(kernel.late_reads, 0);
	assert_says("interrupted by a signal");
	assert_true(r.home && !r.reset && !r.complete);
	assert_int_equal(kernel.path[1], VFIOMIG_STATE_RUNNING);
}

static void test_arc_fails(void **state)
{
	static const int states[] = { VFIOMIG_STATE_PRE_COPY, VFIOMIG_STATE_PRE_COPY_P2P,
				      VFIOMIG_STATE_STOP_COPY };
	static const char *const says[] = { "arc RUNNING -> PRE_COPY failed: Input/output error",
					    "arc PRE_COPY -> PRE_COPY_P2P failed",
					    "arc PRE_COPY_P2P -> STOP_COPY failed" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct vfiomig_result r = VFIOMIG_RESULT_INIT;

		close_session(NULL);
		setup(NULL);
		kernel.fail_state = states[i];
		assert_int_equal(save(NULL, &r), -EIO);
		assert_says(says[i]);
		assert_false(r.complete);
		assert_true(r.home && !r.reset);
	}
}

/* Wait until some of the state was read, and then nothing more for a while. Returns how much is
 * left. */
static uint64_t wait_rest(uint64_t all)
{
	uint64_t before = all;

	while (kernel.initial == all || kernel.initial != before) {
		before = kernel.initial;
		usleep(300000);
	}
	return before;
}

/* Read an image when the reader of the state rests. */
static void *take_late(void *arg)
{
	static char buf[65536];
	uint64_t all = kernel.initial, *read_then = arg;
	int fd = *read_then;

	*read_then = all - wait_rest(all);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

/* As long as the device runs, nothing is read that cannot be written: the device would go on, and
 * what has to be written after the stop would have to wait. */
static void test_not_ahead(void **state)
{
	/* An image of bytes that are all the same is small. */
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = -1,
				       .raw = true };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	uint64_t read_then;
	pthread_t thread;
	int fds[2];

	(void)state;
	kernel.initial = 100 << 20;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	read_then = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, take_late, &read_then), 0);
	assert_int_equal(vfiomig_save(dev, fds[1], &opt, &r), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	/* One chunk is read, one is written, and two wait. */
	assert_in_range(read_then, 1, 4 * CHUNK_SIZE_DEFAULT);
}

/* While the device runs, memory is found for what is left to be read when it is stopped. */
static void test_memory(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.dirtying = 10000;
	expect_whole(&r);
	assert_int_equal(prepared.calls, 1);
	assert_int_equal(prepared.state, VFIOMIG_STATE_PRE_COPY);
	assert_true(prepared.expected > 0);
	assert_int_equal(prepared.bytes, prepared.expected);
	close_session(NULL);
	setup(NULL);
	kernel.size_is_all = true;
	assert_int_equal(save(&never, &r), 0);
	assert_int_equal(prepared.calls, 1);
	assert_int_equal(prepared.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(prepared.bytes, 1ULL << 40);
}

/* A device is not stopped for a save that has ended before, and not touched if it was not yet. */
static void test_interrupted_before(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	prepared.interrupts = true;
	assert_int_equal(save(NULL, &r), -EINTR);
	assert_true(r.touched && r.home);
	for (int i = 0; i < kernel.arcs; i++)
		assert_int_not_equal(kernel.path[i], VFIOMIG_STATE_STOP_COPY);
	assert_true(vfiomig_resume(ctx));
	close_session(NULL);
	setup(NULL);
	prepared.interrupts = prepared.stops = true;
	assert_int_equal(vfiomig_save(dev, fd, &never, &r), -EINTR);
	assert_int_equal(prepared.calls, 1);
	assert_int_equal(kernel.arcs, 0);
	assert_false(r.touched);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, close_session)
	const struct CMUnitTest tests[] = {
		TEST(test_idle),
		TEST(test_borrowed),
		TEST(test_held),
		TEST(test_never),
		TEST(test_empty_reads),
		TEST(test_does_not_converge),
		TEST(test_size_is_all),
		TEST(test_initial_bytes_stay),
		TEST(test_reinit),
		TEST(test_no_initial_bytes),
		TEST(test_read_fails),
		TEST(test_another_fd),
		TEST(test_not_ahead),
		TEST(test_ends_early),
		TEST(test_arc_fails),
		TEST(test_memory),
		TEST(test_interrupted_before),
	};

	return cmocka_run_group_tests_name("precopy", tests, NULL, NULL);
}
