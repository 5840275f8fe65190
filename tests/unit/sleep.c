// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reads and writes that sleep although poll(2) has said that they would not, as those of some
 * drivers do. Whatever ends a transfer ends them, too. Pack uses the same pipeline as save and
 * restore, and needs no device.
 */
#include <pthread.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "image/frame.h"
#include "kick.h"
#include "unit.h"

static struct {
	int read_fd, write_fd; /* the descriptors whose calls sleep; -1 for none */
	/* The number of calls of each that do not sleep before that */
	_Atomic int reads, writes;
	/* What a call fails with, in place of sleeping, when the other side sleeps */
	int read_error, write_error;
	_Atomic int sleeping;
	_Atomic int slept_out; /* calls that nothing woke */
	_Atomic int alone;     /* calls that were to fail, but the other side has never slept */
	bool slow_start;       /* a thread runs for a while before the next one is started */
} io;

ssize_t __real_read(int fd, void *buf, size_t size);

/* Sleep until a signal comes. Without one for 30 seconds this is a hang. */
static ssize_t sleep_long(void)
{
	const struct itimerspec long_time = { .it_value.tv_sec = 30 };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), saved;
	uint64_t count;
	ssize_t n;

	assert_int_equal(timerfd_settime(fd, 0, &long_time, NULL), 0);
	io.sleeping++;
	n = __real_read(fd, &count, sizeof(count));
	saved = errno;
	close(fd);
	if (n >= 0)
		io.slept_out++;
	errno = saved;
	return n < 0 ? n : 0;
}

/* Sleep, or fail when the other side sleeps. */
static ssize_t sleep_or_fail(int error)
{
	if (!error)
		return sleep_long();
	for (int i = 0; i < 30000 && !io.sleeping; i++)
		usleep(1000);
	io.alone += !io.sleeping;
	errno = error;
	return -1;
}

ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	if (fd != io.read_fd || io.reads-- > 0)
		return __real_read(fd, buf, size);
	return sleep_or_fail(io.read_error);
}

ssize_t __real_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at)
{
	if (fd != io.read_fd || io.reads-- > 0)
		return __real_pread64(fd, buf, size, at);
	return sleep_or_fail(io.read_error);
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
	if (fd == io.write_fd && io.writes-- <= 0)
		return sleep_or_fail(io.write_error);
	return __real_writev(fd, iov, count);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	int err = __real_pthread_create(thread, attr, fn, arg);

	if (io.slow_start)
		usleep(20000);
	return err;
}

/* The clock on the wall was put back by a day after somebody had looked at it. */
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int ret = __real_clock_gettime(clock, ts);

	if (clock == CLOCK_REALTIME)
		ts->tv_sec += 24 * 3600;
	return ret;
}

static struct vfiomig_options opt;

static int setup(void **state)
{
	(void)state;
	memset(&io, 0, sizeof(io));
	io.read_fd = io.write_fd = -1;
	opt = (struct vfiomig_options)VFIOMIG_OPTIONS_INIT;
	opt.threads = 2;
	opt.chunk_size = VFIOMIG_CHUNK_SIZE_MIN;
	return make_ctx(state);
}

enum sleeper {
	READER,
	WORKER, /* that fetches chunks of a file */
	WRITER
};

/* Pack 40 chunks. What ends that wakes the calls that sleep. Returns what vfiomig_pack() did. */
static int pack_some(int in, int out)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int err = vfiomig_pack(ctx, in, out, &opt, &r);

	assert_false(r.complete);
	assert_int_equal(io.slept_out, 0);
	if (io.alone)
		fail_msg("the other side does not sleep; %d reads and %d writes are left", io.reads,
			 io.writes);
	return err;
}

static int new_state(void)
{
	static char state[40 * VFIOMIG_CHUNK_SIZE_MIN];

	return new_file(state, sizeof(state));
}

/* One side sleeps after its first calls. */
static int pack(enum sleeper sleeper, int out)
{
	int in = new_state(), err;

	io.read_fd = io.write_fd = -1;
	/* The reader reads a file that is not larger than one chunk. */
	opt.chunk_size = sleeper == READER ? CHUNK_SIZE_DEFAULT : VFIOMIG_CHUNK_SIZE_MIN;
	if (sleeper == WRITER) {
		io.write_fd = out;
		io.writes = 3;
	} else {
		io.read_fd = in;
		io.reads = sleeper == READER ? 2 : 3;
	}
	err = pack_some(in, out);
	close(in);
	return err;
}

static int pack_to_file(enum sleeper sleeper)
{
	int out = new_file("", 0), err = pack(sleeper, out);

	close(out);
	return err;
}

static void *interrupt_sleeper(void *unused)
{
	while (!io.sleeping)
		usleep(1000);
	vfiomig_interrupt(ctx);
	return unused;
}

/* No signal is needed. */
static void test_interrupt(void **unused)
{
	pthread_t thread;

	(void)unused;
	for (int sleeper = READER; sleeper <= WRITER; sleeper++) {
		io.sleeping = 0;
		assert_int_equal(pthread_create(&thread, NULL, interrupt_sleeper, NULL), 0);
		assert_int_equal(pack_to_file(sleeper), -EINTR);
		assert_says("interrupted by a signal");
		pthread_join(thread, NULL);
		assert_true(vfiomig_resume(ctx));
	}
}

/* An image of one chunk */
static int new_image(void)
{
	int in = new_file("state", 5), out = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	assert_int_equal(vfiomig_pack(ctx, in, out, &opt, &r), 0);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	close(in);
	return out;
}

/* Begin to open an image, and to go over it, when the program has made so many reads of it. */
static int skim(int in)
{
	struct vfiomig_image *image;
	int err = vfiomig_image_open(ctx, in, &image);

	if (err)
		return err;
	err = vfiomig_image_skim(image);
	vfiomig_image_free(image);
	return err;
}

/* What is read and written outside of the pipeline: headers, trailers, the state's first bytes.
 * Each read of the image sleeps in turn, and so does each write of it. */
static void test_interrupt_metadata(void **unused)
{
	int image = new_image(), in, out, err = -EINTR, n;
	pthread_t thread;

	(void)unused;
	for (n = 0; err == -EINTR; n++) {
		assert_true(n < 20);
		assert_int_equal(lseek(image, 0, SEEK_SET), 0);
		io.sleeping = 0;
		io.read_fd = image;
		io.reads = n;
		assert_int_equal(pthread_create(&thread, NULL, interrupt_sleeper, NULL), 0);
		err = skim(image);
		/* Nothing has slept, so let the thread end. */
		io.sleeping++;
		pthread_join(thread, NULL);
		vfiomig_resume(ctx);
	}
	assert_int_equal(err, 0);
	assert_in_range(n, 5, 19);
	err = -EINTR;
	for (n = 0; err == -EINTR; n++) {
		struct vfiomig_result r = VFIOMIG_RESULT_INIT;

		assert_true(n < 20);
		in = new_file("state", 5);
		out = new_file("", 0);
		io.sleeping = 0;
		io.read_fd = n ? -1 : in;
		io.reads = 0;
		io.write_fd = out;
		io.writes = n ? n - 1 : 20;
		assert_int_equal(pthread_create(&thread, NULL, interrupt_sleeper, NULL), 0);
		err = vfiomig_pack(ctx, in, out, &opt, &r);
		io.sleeping++;
		pthread_join(thread, NULL);
		vfiomig_resume(ctx);
		close(in);
		close(out);
	}
	assert_int_equal(err, 0);
	/* The first read, the header, the chunk, the trailer, and none */
	assert_int_equal(n, 5);
	assert_int_equal(io.slept_out, 0);
	close(image);
}

/* A signal of the program, at any moment: also just before the call begins. */
static void test_signal(void **unused)
{
	(void)unused;
	for (int i = 0; i < 150; i++) {
		const struct itimerval soon = { .it_value.tv_usec = 1 + i * i / 2 };

		setitimer(ITIMER_REAL, &soon, NULL);
		assert_int_equal(pack_to_file(i % 3), -EINTR);
		assert_true(vfiomig_resume(ctx));
	}
}

/* One side fails while the other one sleeps. */
static void check_write_fails(void)
{
	int in = new_state(), out = new_file("", 0);

	io.write_error = ENOSPC;
	io.write_fd = out;
	io.read_fd = in;
	io.reads = 3;
	/* The header has been written. */
	io.writes = 1;
	assert_int_equal(pack_some(in, out), -ENOSPC);
	assert_says("writing the image: No space left on device");
	assert_true(io.sleeping);
	close(in);
	close(out);
}

static void test_write_fails(void **unused)
{
	(void)unused;
	check_write_fails();
}

/* A reader that has run alone for a while gets the room that the first worker makes. */
static void test_late_worker(void **unused)
{
	(void)unused;
	io.slow_start = true;
	check_write_fails();
}

static void test_read_fails(void **unused)
{
	int in = new_state(), out = new_file("", 0);

	(void)unused;
	io.read_error = EIO;
	io.read_fd = in;
	io.write_fd = out;
	/* While the second chunk is written, one worker has room for two more. */
	io.reads = 4;
	io.writes = 2;
	assert_int_equal(pack_some(in, out), -EIO);
	assert_says("reading the state: Input/output error");
	assert_true(io.sleeping);
	close(in);
	close(out);
}

static int end_it(void *data, uint64_t bytes, uint64_t expected)
{
	(void)data;
	(void)bytes;
	(void)expected;
	return io.sleeping ? 7 : 0;
}

static void test_progress_ends(void **unused)
{
	(void)unused;
	opt.progress = end_it;
	assert_int_equal(pack_to_file(READER), 7);
	assert_says("the progress function ended it");
}

/* A thread of the program may have all signals blocked. It has them so afterwards, and none is
 * pending. */
static void test_all_blocked(void **unused)
{
	sigset_t all, before, now, pending;
	pthread_t thread;

	(void)unused;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_sigmask(SIG_SETMASK, NULL, &all);
	for (int sleeper = READER; sleeper <= WRITER; sleeper++) {
		io.sleeping = 0;
		assert_int_equal(pthread_create(&thread, NULL, interrupt_sleeper, NULL), 0);
		assert_int_equal(pack_to_file(sleeper), -EINTR);
		pthread_join(thread, NULL);
		vfiomig_resume(ctx);
		pthread_sigmask(SIG_SETMASK, NULL, &now);
		assert_int_equal(sigpending(&pending), 0);
		for (int sig = 1; sig <= SIGRTMAX; sig++) {
			assert_int_equal(sigismember(&now, sig), sigismember(&all, sig));
			assert_false(sigismember(&pending, sig));
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- The signal ----------------------------------------------------------- */

static void on_own(int sig)
{
	(void)sig;
}

static void use(int sig, void (*handler)(int))
{
	const struct sigaction act = { .sa_handler = handler };

	assert_int_equal(sigaction(sig, &act, NULL), 0);
}

static void expect_handler(int sig, void (*handler)(int))
{
	struct sigaction act;

	assert_int_equal(sigaction(sig, NULL, &act), 0);
	assert_ptr_equal(act.sa_handler, handler);
}

/* The signals that the program uses are left to it: those with a handler, and, as long as there are
 * others, those that it has blocked. */
static void test_signal_of_program(void **unused)
{
	struct kick kick, other;
	sigset_t blocked;

	(void)unused;
	kick_begin(&kick);
	assert_int_equal(kick.signal, SIGRTMAX - 1);
	/* All transfers have the same one. */
	kick_begin(&other);
	assert_int_equal(other.signal, kick.signal);
	kick_end(&other);
	kick_end(&kick);
	expect_handler(SIGRTMAX - 1, SIG_DFL);

	use(SIGRTMAX - 1, on_own);
	use(SIGRTMAX - 2, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMAX - 3);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	kick_begin(&kick);
	assert_int_equal(kick.signal, SIGRTMAX - 4);
	/* The program begins to use it, and keeps it. */
	use(SIGRTMAX - 4, on_own);
	kick_end(&kick);
	expect_handler(SIGRTMAX - 1, on_own);
	expect_handler(SIGRTMAX - 2, SIG_IGN);
	expect_handler(SIGRTMAX - 4, on_own);

	for (int sig = SIGRTMIN; sig < SIGRTMAX; sig++)
		use(sig, on_own);
	kick_begin(&kick);
	assert_int_equal(kick.signal, 0);
	kick_thread(&kick, pthread_self());
	kick_end(&kick);
	for (int sig = SIGRTMIN; sig < SIGRTMAX; sig++)
		use(sig, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, free_ctx)
	const struct CMUnitTest tests[] = {
		TEST(test_interrupt),
		TEST(test_interrupt_metadata),
		TEST(test_signal),
		TEST(test_write_fails),
		TEST(test_late_worker),
		TEST(test_read_fails),
		TEST(test_progress_ends),
		TEST(test_all_blocked),
		TEST(test_signal_of_program),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("sleep", tests, NULL, NULL);
}
