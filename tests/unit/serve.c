// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A holder, and faults that can happen to it: the name of its socket is taken, there are no
 * descriptors or processes left, peers come and go. The holder runs in a thread; the kernel is
 * replaced where it has to fail (see --wrap in the Makefile).
 */
#include "breaks.h"

/* The holder's side. The context of the clients is "ctx". */
static struct vfiomig_ctx *its_ctx;
static struct vfiomig_device *held;
static struct vfiomig_holder *holder;
static pthread_t thread;
static char log_text[1024];

/* ---- Begin and end ------------------------------------------------------- */

static void note(void *data, const char *line)
{
	size_t used = strlen(log_text);

	(void)data;
	snprintf(log_text + used, sizeof(log_text) - used, "%s\n", line);
}

static int make(void **state)
{
	make_machine(state);
	assert_int_equal(vfiomig_new(&its_ctx), 0);
	its_ctx->sysfs = ctx->sysfs;
	its_ctx->devfs = ctx->devfs;
	its_ctx->procfs = ctx->procfs;
	use_rundir(its_ctx, ctx->rundir);
	vfiomig_set_log(its_ctx, note, NULL);
	return 0;
}

static int unmake(void **state)
{
	vfiomig_unref(its_ctx);
	return remove_tree(state);
}

static int open_held(void **state)
{
	(void)state;
	fault.call = NULL;
	log_text[0] = '\0';
	assert_int_equal(vfiomig_device_new(its_ctx, A, &held), 0);
	assert_int_equal(vfiomig_device_open(held, 0), 0);
	return 0;
}

static int close_held(void **state)
{
	(void)state;
	vfiomig_device_unref(held);
	assert_int_equal(access("run/" A ".lock", F_OK), -1);
	return 0;
}

static void *serve(void *data)
{
	(void)data;
	return (void *)(long)vfiomig_holder_serve(holder);
}

static void start(void)
{
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
	pthread_create(&thread, NULL, serve, NULL);
	/* The holder gives up the lock when it begins to serve. */
	while (access("run/" A ".lock", F_OK) == 0)
		usleep(1000);
}

static void release(void)
{
	struct vfiomig_device *dev = new_device(A);
	void *result;

	assert_int_equal(vfiomig_device_release(dev), 0);
	vfiomig_device_unref(dev);
	pthread_join(thread, &result);
	assert_null(result);
	vfiomig_holder_free(holder);
	assert_int_equal(vfiomig_device_get_fd(held), -EBADF);
	assert_int_equal(access(SOCKET, F_OK), -1);
}

/* ---- The socket ---------------------------------------------------------- */

/* There is no holder. The device stays open, and no other descriptor does. */
static void expect_none(int err, const char *says)
{
	int before = count_fds();
	struct stat st;

	assert_int_equal(vfiomig_holder_new(held, &holder), err);
	assert_context_says(its_ctx, says);
	assert_int_equal(count_fds(), before);
	assert_true(vfiomig_device_get_fd(held) >= 0);
	assert_true(lstat(SOCKET, &st) || !S_ISSOCK(st.st_mode));
}

static void test_no_device(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	assert_int_equal(vfiomig_holder_new(dev, &holder), -EBADF);
	assert_says("the device is not open");
	/* A borrowed device that can be one of several has no name for a socket. */
	dev->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sysdev_free(&dev->sys);
	assert_int_equal(vfiomig_holder_new(dev, &holder), -EINVAL);
	assert_says("cannot tell which device this is");
	vfiomig_device_unref(dev);
	vfiomig_holder_free(NULL);
}

static void fail_once(const char *call, int error, int skip)
{
	fault.error = error;
	fault.skip = skip;
	fault.call = call;
}

static void test_no_socket(void **state)
{
	(void)state;
	fail_once("socket", EMFILE, 0);
	expect_none(-EMFILE, "cannot make a socket: Too many open files");
	fail_once("socket", EMFILE, 1);
	expect_none(-EMFILE, "cannot make a socket: Too many open files");
	fail_once("bind", EADDRINUSE, 0);
	expect_none(-EADDRINUSE, "cannot serve on " SOCKET ": Address already in use");
	assert_int_equal(mkdir(SOCKET, 0700), 0);
	expect_none(-EISDIR, "cannot remove " SOCKET ": Is a directory");
	assert_int_equal(rmdir(SOCKET), 0);
	/* The failures leave nothing behind. */
	start();
	release();
}

/* Another holder serves the device already. This one was opened another way. */
static void test_taken(void **state)
{
	struct vfiomig_device *dev;
	struct vfiomig_holder *second;
	char says[64];

	(void)state;
	start();
	dev = new_device(A);
	dev->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(says, sizeof(says), "busy: process %d holds it already", getpid());
	assert_int_equal(vfiomig_holder_new(dev, &second), -EBUSY);
	assert_says(says);
	/* The other holder does not answer. */
	no_accept = fast = true;
	assert_int_equal(vfiomig_holder_new(dev, &second), -EBUSY);
	assert_says("busy: the holder on " SOCKET ", process ");
	assert_says("does not answer");
	no_accept = fast = false;
	assert_int_equal(access(SOCKET, F_OK), 0);
	usleep(100000);
	vfiomig_device_unref(dev);
	release();
}

/* ---- Peers --------------------------------------------------------------- */

static int join(void)
{
	int fd = held_connect(ctx, SOCKET);

	assert_true(fd >= 0);
	return fd;
}

/* Returns the holder's answer, or 1 if the holder hangs up. */
static int ask(int fd, enum wire_op op)
{
	struct wire_reply reply;
	int fds[WIRE_NR_FDS], err = wire_ask(ctx, fd, op, &reply, fds);

	for (int i = 0; !err && i < WIRE_NR_FDS; i++)
		close_fdp(&fds[i]);
	return err == -ECONNRESET || err == -EPIPE ? 1 : err;
}

static int query(void)
{
	int fd = join(), err = ask(fd, WIRE_QUERY);

	close(fd);
	return err;
}

static bool is_hung_up(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* Without free descriptors the holder drops the peer that has been silent longest. */
static void test_no_descriptors(void **state)
{
	int first, second, claimer;

	(void)state;
	start();
	first = join();
	second = join();
	assert_int_equal(query(), 0);
	fail_once("accept4", EMFILE, 0);
	assert_int_equal(query(), 0);
	assert_true(is_hung_up(first));
	assert_false(is_hung_up(second));
	/* A connection that was aborted is no reason to drop anybody. */
	fail_once("accept4", ECONNABORTED, 0);
	assert_int_equal(query(), 0);
	assert_false(is_hung_up(second));
	fail_once("accept4", ENFILE, 0);
	assert_int_equal(query(), 0);
	assert_true(is_hung_up(second));
	/* The peer that has the device is never dropped. */
	claimer = join();
	assert_int_equal(ask(claimer, WIRE_TAKE), 0);
	fail_once("accept4", EMFILE, 0);
	assert_int_equal(query(), 0);
	assert_false(is_hung_up(claimer));
	assert_int_equal(ask(claimer, WIRE_DONE), 0);
	close(first);
	close(second);
	close(claimer);
	release();
}

/* A peer that is gone before it gets its answer does not keep the device. */
static void test_gone_before_the_answer(void **state)
{
	const struct wire_request take = { WIRE_MAGIC, WIRE_VERSION, WIRE_TAKE };
	int fd;

	(void)state;
	start();
	no_accept = true;
	fd = join();
	assert_int_equal(send(fd, &take, sizeof(take), 0), sizeof(take));
	close(fd);
	no_accept = false;
	assert_int_equal(query(), 0);
	fd = join();
	assert_int_equal(ask(fd, WIRE_TAKE), 0);
	assert_int_equal(ask(fd, WIRE_DONE), 0);
	close(fd);
	release();
}

/* Two peers ask for the device: one gets it, and the other one is told who has it. */
static void test_two(void **state)
{
	int first, second;
	struct wire_reply reply;

	(void)state;
	start();
	first = join();
	second = join();
	assert_int_equal(ask(first, WIRE_TAKE), 0);
	assert_int_equal(wire_ask(ctx, second, WIRE_TAKE, &reply, NULL), -EBUSY);
	assert_int_equal(reply.claimed, getpid());
	close(second);
	second = join();
	assert_int_equal(ask(second, WIRE_RELEASE), -EBUSY);
	close(second);
	/* A peer that does not have the device cannot give it back. */
	second = join();
	assert_int_equal(ask(second, WIRE_DONE), -EPROTO);
	close(second);
	assert_int_equal(ask(first, WIRE_DONE), 0);
	close(first);
	release();
}

static void test_silent(void **state)
{
	int fd;

	(void)state;
	start();
	fd = join();
	assert_int_equal(query(), 0);
	assert_false(is_hung_up(fd));
	ahead += (WIRE_PATIENCE + 1) * 1000000000ULL;
	/* The holder looks for silent peers when something else happens. This query is answered. */
	assert_int_equal(query(), 0);
	assert_int_equal(query(), 0);
	assert_true(is_hung_up(fd));
	close(fd);
	release();
}

static void test_strange_requests(void **state)
{
	struct {
		struct wire_request request;
		char more[4];
	} longer = { { WIRE_MAGIC, WIRE_VERSION, WIRE_QUERY }, "" };
	struct wire_reply reply = { .error = 0 };
	int fd;

	(void)state;
	start();
	fd = join();
	assert_int_equal(send(fd, &longer, sizeof(longer), 0), sizeof(longer));
	while (recv(fd, &reply, sizeof(reply), 0) < 0)
		usleep(1000);
	assert_int_equal(reply.error, -EPROTO);
	close(fd);
	/* A peer whose user is unknown gets nothing. */
	no_accept = true;
	fd = join();
	fail_once("getsockopt", ENOBUFS, 0);
	no_accept = false;
	assert_int_equal(ask(fd, WIRE_TAKE), -EPERM);
	close(fd);
	release();
	assert_non_null(strstr(log_text, "refused process"));
}

/* ---- Serving ------------------------------------------------------------- */

static void expect_not_served(int result, int err, const char *says)
{
	assert_int_equal(result, err);
	assert_context_says(its_ctx, says);
	assert_true(vfiomig_device_get_fd(held) >= 0);
	vfiomig_holder_free(holder);
	assert_int_equal(access(SOCKET, F_OK), -1);
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
}

static void test_cannot_serve(void **state)
{
	(void)state;
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
	fail_once("listen", EADDRINUSE, 0);
	expect_not_served(vfiomig_holder_serve(holder), -EADDRINUSE,
			  "cannot serve on " SOCKET ": Address already in use");
	fail_once("listen", EADDRINUSE, 0);
	expect_not_served(vfiomig_holder_fork(holder), -EADDRINUSE,
			  "cannot serve on " SOCKET ": Address already in use");
	/* Without an eventfd of its own, the child would share the parent's. */
	fail_once("eventfd", ENFILE, 0);
	expect_not_served(vfiomig_holder_fork(holder), -ENFILE,
			  "eventfd: Too many open files in system");
	fail_once("fork", EAGAIN, 0);
	expect_not_served(vfiomig_holder_fork(holder), -EAGAIN,
			  "cannot fork: Resource temporarily unavailable");
	its_ctx->interrupted = 1;
	expect_not_served(vfiomig_holder_fork(holder), -EINTR, "interrupted by a signal");
	its_ctx->interrupted = 0;
	vfiomig_holder_free(holder);
}

/* The holder must not spin. If it does, the alarm ends the test. */
static void test_few_descriptors(void **state)
{
	struct rlimit before = allow_fds(count_fds() + 8);
	int fd;

	(void)state;
	alarm(30);
	start();
	assert_int_equal(query(), 0);
	fd = join();
	assert_int_equal(ask(fd, WIRE_TAKE), 0);
	assert_int_equal(query(), 0);
	assert_int_equal(ask(fd, WIRE_DONE), 0);
	close(fd);
	release();
	setrlimit(RLIMIT_NOFILE, &before);
	alarm(0);
}

/*
 * The limit is lower than the number of open descriptors, so that the holder cannot even wait, and
 * says so.
 */
static void test_cannot_wait(void **state)
{
	const struct wire_request none = { WIRE_MAGIC, WIRE_VERSION, 77 };
	struct rlimit before;
	void *result;
	int fd;

	(void)state;
	alarm(30);
	start();
	fd = join();
	/* Once this query is answered, the holder waits. */
	assert_int_equal(query(), 0);
	before = allow_fds(1);
	assert_int_equal(send(fd, &none, sizeof(none), 0), sizeof(none));
	pthread_join(thread, &result);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal((long)result, -EINVAL);
	assert_context_says(its_ctx, "cannot wait on " SOCKET ": Invalid argument");
	assert_int_equal(vfiomig_device_get_fd(held), -EBADF);
	assert_int_equal(access(SOCKET, F_OK), -1);
	vfiomig_holder_free(holder);
	close(fd);
	alarm(0);
}

/*
 * The events so far, a digit for each: 1 for "ready", 2 for "ending", 9 for an event that comes too
 * early or too late.
 */
static _Atomic int events;

static void on_event(void *data, enum vfiomig_holder_event event)
{
	bool right = vfiomig_device_get_fd(held) >= 0 && access(SOCKET, F_OK) == 0;
	int digit = 2;

	(void)data;
	if (event == VFIOMIG_HOLDER_READY) {
		digit = 1;
		right = right && access("run/" A ".lock", F_OK);
	}
	events = events * 10 + (right ? digit : 9);
}

static void start_telling(void)
{
	events = 0;
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
	vfiomig_holder_set_notify(holder, on_event, NULL);
	pthread_create(&thread, NULL, serve, NULL);
	while (!events)
		usleep(1000);
	assert_int_equal(query(), 0);
}

static void test_events(void **state)
{
	(void)state;
	start_telling();
	release();
	assert_int_equal(events, 12);
}

/*
 * After an interrupt the event "ending" comes at once, although the holder still waits for the peer
 * that has the device.
 */
static void test_events_of_an_interrupt(void **state)
{
	uint64_t count;
	void *result;
	int fd;

	(void)state;
	alarm(30);
	start_telling();
	fd = join();
	assert_int_equal(ask(fd, WIRE_TAKE), 0);
	vfiomig_interrupt(its_ctx);
	while (events == 1)
		usleep(1000);
	/* The device is closed now, so the peer must not believe that it goes on. */
	assert_int_equal(ask(fd, WIRE_DONE), 1);
	close(fd);
	pthread_join(thread, &result);
	assert_int_equal((long)result, -EINTR);
	assert_int_equal(events, 12);
	/* Make the context forget the interrupt. */
	assert_int_equal(read(its_ctx->wake, &count, sizeof(count)), sizeof(count));
	its_ctx->interrupted = 0;
	vfiomig_holder_free(holder);
	alarm(0);
}

static void test_no_event_without_service(void **state)
{
	(void)state;
	events = 0;
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
	vfiomig_holder_set_notify(holder, on_event, NULL);
	fail_once("listen", EADDRINUSE, 0);
	assert_int_equal(vfiomig_holder_serve(holder), -EADDRINUSE);
	assert_int_equal(events, 0);
	vfiomig_holder_free(holder);
}

/* What the child of a fork says to its parent. */
static int run_child(void)
{
	uint64_t count;
	int pid = vfiomig_holder_fork(holder);

	if (pid)
		return pid;
	/* It has its own eventfd for interrupts. */
	vfiomig_interrupt(its_ctx);
	if (read(its_ctx->wake, &count, sizeof(count)) == sizeof(count))
		vfiomig_holder_serve(holder);
	_exit(0);
}

/* The parent believes what the child says: that it serves, that it cannot, or nothing. */
static void test_after_fork(void **state)
{
	uint64_t count;
	int status, pid;

	(void)state;
	assert_int_equal(vfiomig_holder_new(held, &holder), 0);
	fail_once("listen", EADDRINUSE, 1);
	expect_not_served(run_child(), -EADDRINUSE,
			  "cannot serve on " SOCKET ": Address already in use");
	fault.call = NULL;
	pid = vfiomig_holder_fork(holder);
	if (!pid)
		_exit(0);
	expect_not_served(pid, -ECHILD, "which was to hold it, has ended");

	pid = run_child();
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(its_ctx->wake, &count, sizeof(count)), -1);
	/* The child has removed the socket: it was the child's. */
	assert_int_equal(access(SOCKET, F_OK), -1);
	vfiomig_holder_free(holder);

	/* An interruption is the parent's. */
	ctx->interrupted = 1;
	ctx_after_fork(ctx, ctx_new_wake(ctx));
	assert_int_equal(read(ctx->wake, &count, sizeof(count)), -1);
	assert_false(vfiomig_resume(ctx));
}

static void test_no_context(void **state)
{
	struct vfiomig_ctx *none = NULL;

	(void)state;
	fail_once("eventfd", EMFILE, 0);
	assert_int_equal(vfiomig_new(&none), -EMFILE);
	assert_null(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_held, close_held)
	const struct CMUnitTest tests[] = {
		TEST(test_no_device),
		TEST(test_no_socket),
		TEST(test_taken),
		TEST(test_no_descriptors),
		TEST(test_gone_before_the_answer),
		TEST(test_two),
		TEST(test_silent),
		TEST(test_strange_requests),
		TEST(test_cannot_serve),
		TEST(test_few_descriptors),
		TEST(test_cannot_wait),
		TEST(test_events),
		TEST(test_events_of_an_interrupt),
		TEST(test_no_event_without_service),
		TEST(test_after_fork),
		TEST(test_no_context),
	};

	return cmocka_run_group_tests_name("serve", tests, make, unmake);
}
