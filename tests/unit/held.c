// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device that a holder has, and a holder that refuses, answers nonsense, serves another device,
 * hangs up or does not answer. The holder plays from a script, in a thread, and the clock is fast
 * (see --wrap in the Makefile).
 */
#include <limits.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "actor.h"

/* ---- Taking it ----------------------------------------------------------- */

/* clang-format off */
#define QUERY { .op = WIRE_QUERY }
#define LOOK { .connects = true }
#define REFUSED(errno_) { .op = WIRE_TAKE, .error = errno_ }
/* clang-format on */

static void test_take(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .fds = { null, zero } });

	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(vfiomig_device_is_borrowed(dev));
	assert_int_equal(vfiomig_device_close(dev), 0);
	end(dev, before);
}

static void test_claimed(void **state)
{
	START(LOOK, REFUSED(-EBUSY));

	assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
	assert_says("busy: process 4711 (qemu) has it from its holder; --wait waits for it");
	end(dev, before);
}

/* A holder in a container, which has other numbers for itself and for whoever has the device. */
static void test_container(void **state)
{
	int pid;
	START({ .op = WIRE_QUERY, .inside = true }, LOOK,
	      { .op = WIRE_TAKE, .error = -EBUSY, .inside = true });

	assert_int_equal(vfiomig_device_get_holder(dev, &pid), 0);
	assert_int_equal(pid, getpid());
	assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
	assert_says("busy: another command has it from its holder; --wait waits for it");
	end(dev, before);
}

static void test_claimed_and_waited_for(void **state)
{
	START(LOOK, REFUSED(-EBUSY), REFUSED(-EBUSY), { .op = WIRE_TAKE, .fds = { null } });

	vfiomig_device_set_wait(dev, -1);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_close(dev), 0);
	end(dev, before);
}

static void test_refused(void **state)
{
	START(LOOK, REFUSED(-EIO));

	assert_int_equal(vfiomig_device_open(dev, 0), -EIO);
	assert_says("the holder on " SOCKET ": Input/output error");
	end(dev, before);
}

static void test_takes_other_way(void **state)
{
	char text[128];
	START(LOOK, { .op = WIRE_TAKE, .fds = { null, 0, zero } }, LOOK,
	      { .op = WIRE_TAKE, .fds = { null, zero } });

	vfiomig_device_set_via(dev, VFIOMIG_VIA_CDEV);
	assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
	snprintf(text, sizeof(text),
		 "its holder, process %d, has opened it through its group; release it first",
		 getpid());
	assert_says(text);
	vfiomig_device_set_via(dev, VFIOMIG_VIA_GROUP);
	assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
	assert_says("through its cdev; release it first");
	end(dev, before);
}

/* The message says what is wrong, even if the holder is gone by then. */
static void test_other_device(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .fds = { zero } }, LOOK,
	      { .op = WIRE_TAKE, .fds = { zero }, .dies = true });

	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_open(dev, 0), -EPROTO);
		assert_says("what " SOCKET " serves is not the device " A);
	}
	end(dev, before);
}

static void test_no_descriptor(void **state)
{
	START(LOOK, { .op = WIRE_TAKE }, LOOK,
	      { .op = WIRE_TAKE, .fds = { 0, zero }, .dies = true });

	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_open(dev, 0), -EPROTO);
		assert_says(SOCKET " is not a holder's socket");
	}
	end(dev, before);
}

/*
 * A holder's answer must not be positive or out of range, or else it would count as a descriptor.
 */
static void test_strange_error(void **state)
{
	START(LOOK, REFUSED(5), LOOK, REFUSED(INT_MIN));

	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_open(dev, 0), -EPROTO);
		assert_says(SOCKET " is not a holder's socket");
	}
	end(dev, before);
}

/* ---- When it goes away --------------------------------------------------- */

static void test_hangs_up(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .hangs_up = true }, LOOK,
	      { .op = WIRE_TAKE, .hangs_up = true });

	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
		assert_says("the holder on " SOCKET " hung up before it answered; try again");
	}
	end(dev, before);
}

static void test_refused_at_end(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .fds = { null }, .at_end = -EIO });

	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_close(dev), -EIO);
	assert_says("its holder did not take it back: Input/output error");
	end(dev, before);
}

static void test_dies(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .fds = { null }, .dies = true });

	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_close(dev), -EOWNERDEAD);
	assert_says("which closed the device: its state is lost");
	assert_int_equal(vfiomig_device_close(dev), 0);
	end(dev, before);
}

/* A holder that is stopped when the device is given back is not dead. */
static void test_deaf(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .fds = { null }, .deaf = true });

	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	fast = true;
	assert_int_equal(vfiomig_device_close(dev), 0);
	fast = false;
	end(dev, before);
}

/* A holder that was silent for a while: who waits gets the device. */
static void test_silent_and_waited_for(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .silent = true }, { .op = WIRE_TAKE, .fds = { null } });

	vfiomig_device_set_wait(dev, -1);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_close(dev), 0);
	end(dev, before);
}

static void assert_silent(struct vfiomig_device *dev, const char *why)
{
	char text[64];

	fast = true;
	assert_int_equal(vfiomig_device_open(dev, 0), -EBUSY);
	fast = false;
	snprintf(text, sizeof(text), "busy: the holder on " SOCKET ", process %d (", getpid());
	assert_says(text);
	assert_says("does not answer; ");
	assert_says(why);
}

static void test_silent(void **state)
{
	char text[64];
	START(LOOK, { .op = WIRE_TAKE, .silent = true }, LOOK, { .op = WIRE_TAKE, .silent = true });

	/* The kernel knows who listens, and proc(5) why it does not answer. */
	assert_silent(dev, "its control group may be frozen, or it may be busy with the device");
	sh("mkdir -p proc/%d; echo 'holder (1)' >proc/%d/comm", getpid(), getpid());
	sh("echo '%d (holder (1)) T 1 1' >proc/%d/stat", getpid(), getpid());
	snprintf(text, sizeof(text), "it is stopped, and \"kill -CONT %d\" lets it go on",
		 getpid());
	assert_silent(dev, text);
	sh("rm proc/%d/comm proc/%d/stat", getpid(), getpid());
	end(dev, before);
}

static void forget_interrupt(void)
{
	assert_says("interrupted by a signal");
	ctx->interrupted = 0;
	ctx_keep_first_error(ctx, false);
}

static void test_interrupted(void **state)
{
	START(LOOK, { .op = WIRE_TAKE, .silent = true });

	alarm(1);
	assert_int_equal(vfiomig_device_open(dev, 0), -EINTR);
	forget_interrupt();
	end(dev, before);
}

/* ---- Release ------------------------------------------------------------- */

static void test_release(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE }, QUERY, { .op = WIRE_RELEASE, .error = -EBUSY },
	      { .op = WIRE_QUERY, .ends = true });

	assert_int_equal(vfiomig_device_release(dev), 0);
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	assert_says("process 4711 (qemu) has it from its holder");
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	assert_says("hung up before it answered");
	/* The socket is there, but nobody serves it. */
	assert_int_equal(vfiomig_device_release(dev), -ENOENT);
	assert_says("nobody holds it");
	unlink(SOCKET);
	assert_int_equal(vfiomig_device_release(dev), -ENOENT);
	assert_says("nobody holds it");
	end(dev, before);
}

/* Who does not wait for the answer does not take the request back. */
static void test_release_unanswered(void **state)
{
	char text[128];
	START(QUERY, { .op = WIRE_RELEASE, .silent = true }, QUERY,
	      { .op = WIRE_RELEASE, .silent = true });

	snprintf(text, sizeof(text),
		 "; the holder, process %d, has got the request, and may still close the device",
		 getpid());
	alarm(1);
	assert_int_equal(vfiomig_device_release(dev), -EINTR);
	assert_says(text);
	forget_interrupt();
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	fast = false;
	assert_says("does not answer; ");
	assert_says(text);
	end(dev, before);
}

/* The holder is said to be a process of its own. */
static void start_process(void)
{
	server_process = fork();
	if (!server_process) {
		/* The socket that listens, too. */
		close_range(3, ~0U, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_true(server_process > 0);
}

static void end_process(void)
{
	kill(server_process, SIGKILL);
	waitpid(server_process, NULL, 0);
	server_process = 0;
}

/* A holder that did not answer has ended meanwhile. Its process tells, and not its socket, which it
 * removes before it closes the device. */
static void test_release_ends_later(void **state)
{
	char text[128];
	START(QUERY, { .op = WIRE_RELEASE, .silent = true, .last = true });

	start_process();
	vfiomig_device_set_wait(dev, 100);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	fast = false;
	snprintf(text, sizeof(text), "busy: the holder on " SOCKET ", process %d (?), has got",
		 server_process);
	assert_says(text);
	assert_says("it has not ended, and may still be closing the device; ");
	end_process();
	end(dev, before);
}

static void test_release_has_ended(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .silent = true, .last = true, .killed = true });

	start_process();
	vfiomig_device_set_wait(dev, 100);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	end_process();
	end(dev, before);
}

/* It is in a container of which the processes cannot be seen. */
static void test_release_unseen(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .silent = true, .last = true });

	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, 100);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	fast = false;
	assert_says("is gone from there, but its process cannot be seen, and may still be closing");
	server_process = 0;
	end(dev, before);
}

/* Another one that holds the device by then is not released. */
static void test_release_not_the_next(void **state)
{
	int first;
	START(QUERY, { .op = WIRE_RELEASE, .silent = true, .next = true }, LOOK);

	start_process();
	first = server_process;
	vfiomig_device_set_wait(dev, 100);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	fast = false;
	assert_says("it has not ended");
	server_process = first;
	end_process();
	end(dev, before);
}

/* Another one whose process cannot be seen either is told by its socket's file. */
static void test_release_not_the_next_unseen(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .silent = true, .moves = true }, LOOK);

	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, 100);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	fast = false;
	assert_says("is gone from there, but its process cannot be seen, and may still be closing");
	server_process = 0;
	end(dev, before);
}

/* The answer of a holder that takes long comes over the connection that has its request. */
static void test_release_answers_late(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .late = true });

	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, -1);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	server_process = 0;
	end(dev, before);
}

/* It hangs up after it has removed its socket, so it has closed the device. One that hangs up
 * before that has not. */
static void test_release_ends_unseen(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .late = true, .removes = true, .last = true });

	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, -1);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	server_process = 0;
	end(dev, before);
}

static void test_release_dropped_unseen(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .late = true, .hangs_up = true },
	      { .op = WIRE_RELEASE });

	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, -1);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	server_process = 0;
	end(dev, before);
}

/* A holder that hangs up ends, or has too many peers. */
static void test_release_hangs_up(void **state)
{
	START(QUERY, { .op = WIRE_RELEASE, .hangs_up = true }, QUERY,
	      { .op = WIRE_RELEASE, .hangs_up = true }, { .op = WIRE_RELEASE }, QUERY,
	      { .op = WIRE_RELEASE, .hangs_up = true, .killed = true });

	start_process();
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	assert_says("hung up before it answered; try again");
	vfiomig_device_set_wait(dev, 100);
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	vfiomig_device_set_wait(dev, 0);
	assert_int_equal(vfiomig_device_release(dev), 0);
	end_process();
	end(dev, before);
}

/* Another holder has come just then, so it is not known which one this is. */
static void test_release_just_came(void **state)
{
	START(QUERY, LOOK);

	moves_after = 2;
	assert_int_equal(vfiomig_device_release(dev), -EBUSY);
	assert_says("busy: a holder has just come to " SOCKET "; try again");
	end(dev, before);
}

/* The socket may be named by a symbolic link, which stays when the holder removes the socket. */
static void test_release_link(void **state)
{
	const struct step script[] = {
		QUERY,
		QUERY,
		{ .op = WIRE_RELEASE, .late = true, .removes = true, .last = true },
	};
	struct vfiomig_device *dev;
	int before = count_fds();

	(void)state;
	sh("ln -sf " A ".sock run/link");
	start(script, ARRAY_SIZE(script));
	dev = new_device("unix:run/link");
	server_process = INT_MAX;
	vfiomig_device_set_wait(dev, -1);
	fast = true;
	assert_int_equal(vfiomig_device_release(dev), 0);
	fast = false;
	server_process = 0;
	unlink("run/link");
	end(dev, before);
}

/* An unbind that waits for the release has the lock. */
static void test_release_locked(void **state)
{
	struct vfiomig_device *other = new_device(A);

	START(QUERY, { .op = WIRE_RELEASE });

	assert_int_equal(device_lock(other), 0);
	assert_int_equal(vfiomig_device_release(dev), 0);
	vfiomig_device_unref(other);
	end(dev, before);
}

/* The holder ends just before it is asked to. */
static void test_release_ended(void **state)
{
	START({ .op = WIRE_QUERY, .last = true });

	assert_int_equal(vfiomig_device_release(dev), -ENOENT);
	assert_says("nobody holds it");
	end(dev, before);
}

/* ---- Connecting ---------------------------------------------------------- */

static void test_path_too_long(void **state)
{
	struct vfiomig_device *dev;
	char name[200] = "unix:";

	(void)state;
	memset(name + 5, 'x', sizeof(name) - 6);
	assert_int_equal(vfiomig_device_new(ctx, name, &dev), -ENAMETOOLONG);
	assert_says("is too long for a socket's path");
}

static void test_strangers_holder(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	int pid;

	(void)state;
	listen_on(SOCKET, 1);
	me = 1000;
	server_user = 1001;
	assert_int_equal(vfiomig_device_get_holder(dev, &pid), -EPERM);
	assert_says(SOCKET " is served by user 1001, who is neither you nor root");
	/* Root, too, unless it names the socket. */
	me = 0;
	assert_int_equal(vfiomig_device_get_holder(dev, &pid), -EPERM);
	assert_says(SOCKET " is served by user 1001, who is neither you nor root");
	server_user = 0;
	close(server.socket);
	vfiomig_device_unref(dev);
}

static void test_root_names_socket(void **state)
{
	struct vfiomig_device *other;

	START({ .op = WIRE_QUERY });

	server_user = 1001;
	assert_int_equal(vfiomig_device_new(ctx, "unix:" SOCKET, &other), 0);
	server_user = 0;
	vfiomig_device_unref(other);
	end(dev, before);
}

static void *accept_later(void *data)
{
	(void)data;
	usleep(200000);
	close(accept(server.socket, NULL, NULL));
	return NULL;
}

/* If the holder's queue is full, a client waits for its turn, but not for ever. */
static void test_queue(void **state)
{
	int before = count_fds(), first, second;
	pthread_t thread;

	(void)state;
	listen_on(SOCKET, 0);
	first = held_connect(ctx, SOCKET);
	assert_true(first >= 0);
	fast = true;
	assert_int_equal(held_connect(ctx, SOCKET), -EBUSY);
	assert_says("busy: the holder on " SOCKET " does not answer");
	fast = false;
	alarm(1);
	assert_int_equal(held_connect(ctx, SOCKET), -EINTR);
	forget_interrupt();
	pthread_create(&thread, NULL, accept_later, NULL);
	second = held_connect(ctx, SOCKET);
	assert_true(second >= 0);
	pthread_join(thread, NULL);
	close(first);
	close(second);
	close(server.socket);
	server.socket = -1;
	assert_int_equal(count_fds(), before);
}

static int make(void **state)
{
	make_machine(state);
	assert_int_equal(mkdir("run", 0700), 0);
	interrupt_on_alarm();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_claimed),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_claimed_and_waited_for),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_takes_other_way),
		cmocka_unit_test(test_other_device),
		cmocka_unit_test(test_no_descriptor),
		cmocka_unit_test(test_strange_error),
		cmocka_unit_test(test_hangs_up),
		cmocka_unit_test(test_refused_at_end),
		cmocka_unit_test(test_dies),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_silent_and_waited_for),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_release_unanswered),
		cmocka_unit_test(test_release_locked),
		cmocka_unit_test(test_release_ended),
		cmocka_unit_test(test_release_ends_later),
		cmocka_unit_test(test_release_has_ended),
		cmocka_unit_test(test_release_unseen),
		cmocka_unit_test(test_release_not_the_next),
		cmocka_unit_test(test_release_not_the_next_unseen),
		cmocka_unit_test(test_release_answers_late),
		cmocka_unit_test(test_release_ends_unseen),
		cmocka_unit_test(test_release_dropped_unseen),
		cmocka_unit_test(test_release_hangs_up),
		cmocka_unit_test(test_release_just_came),
		cmocka_unit_test(test_release_link),
		cmocka_unit_test(test_path_too_long),
		cmocka_unit_test(test_strangers_holder),
		cmocka_unit_test(test_root_names_socket),
		cmocka_unit_test(test_queue),
	};

	return cmocka_run_group_tests_name("held", tests, make, remove_tree);
}
