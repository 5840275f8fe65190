// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A child that goes on in the background: what signals to the process group do around the fork,
 * what the parent believes, and what the child keeps open. Some calls fail on request (see --wrap
 * in the Makefile).
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "device/descriptors.h"
#include "holder/background.h"
#include "unit.h"

/* ---- What fails ---------------------------------------------------------- */

/* Signals that come to the process group just after the fork: to the child, and to the parent. */
static int to_child, to_parent;
static int forks_fail; /* an errno */
static bool kill_fails, no_close_range, no_proc;

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	int sig;
	pid_t pid;

	errno = forks_fail;
	if (forks_fail)
		return -1;
	pid = __real_fork();
	sig = pid ? to_parent : to_child;
	if (pid >= 0 && sig)
		kill(getpid(), sig);
	return pid;
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
	return kill_fails ? 0 : __real_kill(pid, sig);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a, b, c;
	va_list ap;

	va_start(ap, number);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	va_end(ap);
	errno = EPERM;
	return number == SYS_close_range && no_close_range ? -1 : __real_syscall(number, a, b, c);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	errno = ENOENT;
	return no_proc ? -1 : __real_open64(path, flags);
}

static int setup(void **state)
{
	(void)state;
	to_child = to_parent = forks_fail = 0;
	kill_fails = no_close_range = no_proc = false;
	vfiomig_resume(ctx);
	return 0;
}

/* ---- The word ------------------------------------------------------------ */

/* What the child of start() does. */
enum child {
	SAYS_READY,
	SAYS_FAILURE,
	EXITS,
	IS_KILLED,
	IS_SILENT
};

static void be_child(enum child child, int word)
{
	struct failure failure = { .err = 0 };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (child == SAYS_FAILURE)
		failure = (struct failure){ .err = -EADDRINUSE, .sentence = "cannot serve" };
	if (child == SAYS_READY || child == SAYS_FAILURE)
		background_say(word, &failure);
	if (child == IS_KILLED)
		raise(SIGTERM);
	if (child == IS_SILENT || child == SAYS_READY)
		poll(NULL, 0, 20000);
	_exit(3);
}

static int start(enum child child, int *word)
{
	int pid = background_fork(ctx, word);

	if (!pid)
		be_child(child, *word);
	return pid;
}

/* Returns what the parent believes. */
static int run(enum child child, int *pid)
{
	int word, err, now, before;

	before = open("/dev/null", O_RDONLY);
	close(before);
	*pid = start(child, &word);
	if (*pid < 0)
		return *pid;
	err = background_wait(ctx, *pid, word);
	close(word);
	now = open("/dev/null", O_RDONLY);
	close(now);
	assert_int_equal(now, before);
	return err;
}

/* End a child, which must be alive. */
static void end(int pid)
{
	int status;

	kill_fails = false;
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void assert_gone(int pid)
{
	assert_int_equal(kill(pid, 0), -1);
}

static void test_ready(void **state)
{
	int pid;

	(void)state;
	assert_int_equal(run(SAYS_READY, &pid), 0);
	/* It is out of reach of this process group. */
	assert_int_equal(getsid(pid), pid);
	end(pid);
}

static void test_not_ready(void **state)
{
	char text[80];
	int pid;

	(void)state;
	assert_int_equal(run(SAYS_FAILURE, &pid), -EADDRINUSE);
	assert_says("cannot serve");
	assert_gone(pid);
	assert_int_equal(run(EXITS, &pid), -ECHILD);
	snprintf(text, sizeof(text), "process %d, which was to hold it, has ended", pid);
	assert_says(text);
	assert_gone(pid);
	assert_int_equal(run(IS_KILLED, &pid), -ECHILD);
	assert_says("was killed by signal 15");
	assert_gone(pid);
	forks_fail = EAGAIN;
	assert_int_equal(run(SAYS_READY, &pid), -EAGAIN);
	assert_says("cannot fork: Resource temporarily unavailable");
}

/* ---- Signals ------------------------------------------------------------- */

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGALRM };

/* A signal that comes to the child as one of the caller's group does not end the child. */
static void test_signal_to_child(void **state)
{
	int pid;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++) {
		to_child = ending[i];
		assert_int_equal(run(SAYS_READY, &pid), 0);
		end(pid);
	}
}

static void set_handlers(void (*handler)(int))
{
	for (size_t i = 0; i < ARRAY_SIZE(ending); i++)
		signal(ending[i], handler);
}

/* The parent is interrupted: either it has got the word, or there is no child any more. */
static void test_signal_to_parent(void **state)
{
	int pid, err, held = 0;

	(void)state;
	set_handlers(on_alarm);
	for (int n = 0; n < 60; n++) {
		vfiomig_resume(ctx);
		to_parent = ending[n % ARRAY_SIZE(ending)];
		err = run(n % 2 ? SAYS_READY : IS_SILENT, &pid);
		if (!err) {
			held++;
			end(pid);
			continue;
		}
		assert_int_equal(err, -EINTR);
		assert_says("interrupted by a signal");
		assert_gone(pid);
	}
	set_handlers(SIG_DFL);
	print_message("# %d of 30 children were ready before the signal\n", held);
}

/* The word that has come counts, although the parent was interrupted. */
static void test_word_before_signal(void **state)
{
	int word, pid = start(SAYS_READY, &word);
	char byte;

	(void)state;
	assert_true(pid > 0);
	recv(word, &byte, 1, MSG_PEEK);
	vfiomig_interrupt(ctx);
	assert_int_equal(background_wait(ctx, pid, word), 0);
	close(word);
	end(pid);
}

/* The child had ended before the parent was interrupted: that is why nobody holds the device. */
static void test_end_before_signal(void **state)
{
	int word, pid = start(IS_KILLED, &word);
	siginfo_t info;

	(void)state;
	assert_true(pid > 0);
	assert_int_equal(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	vfiomig_interrupt(ctx);
	assert_int_equal(background_wait(ctx, pid, word), -ECHILD);
	assert_says("which was to hold it, was killed by signal 15");
	close(word);
}

/* The signal came before the fork. */
static void test_interrupted(void **state)
{
	sigset_t before, after;
	int pid;

	(void)state;
	sigprocmask(SIG_SETMASK, NULL, &before);
	vfiomig_interrupt(ctx);
	assert_int_equal(run(SAYS_READY, &pid), -EINTR);
	vfiomig_resume(ctx);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < SIGRTMAX; sig++)
		assert_int_equal(sigismember(&after, sig), sigismember(&before, sig));
}

/* A child in a frozen control group does not die. The parent says so, and does not wait. */
static void test_does_not_die(void **state)
{
	char text[80];
	int pid;

	(void)state;
	kill_fails = true;
	signal(SIGALRM, on_alarm);
	ualarm(100000, 0);
	assert_int_equal(run(IS_SILENT, &pid), -EINTR);
	snprintf(text, sizeof(text), "but process %d, which was to hold it, does not end", pid);
	assert_says(text);
	signal(SIGALRM, SIG_DFL);
	end(pid);
}

/* ---- Descriptors --------------------------------------------------------- */

/* Returns 0 in a child that has exactly these descriptors. */
static int check_descriptors(int kept, int word)
{
	int keep[] = { -1, word, -1, kept };

	descriptors_close_others(STDERR_FILENO + 1, keep, ARRAY_SIZE(keep));
	for (int fd = 3; fd < 1200; fd++)
		if ((fcntl(fd, F_GETFD) >= 0) != (fd == kept || fd == word))
			return 1;
	return fcntl(2, F_GETFD) < 0;
}

static void expect_closed(void)
{
	int first = dup(2), kept = dup(2), high = fcntl(2, F_DUPFD, 900), word, pid, status;

	pid = background_fork(ctx, &word);
	if (!pid)
		_exit(check_descriptors(kept, word));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(word);
	close(first);
	close(kept);
	close(high);
}

static void test_descriptors(void **state)
{
	struct rlimit before;

	(void)state;
	expect_closed();
	no_close_range = true;
	expect_closed();
	before = allow_fds(1000);
	no_proc = true;
	expect_closed();
	setrlimit(RLIMIT_NOFILE, &before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(test_ready),
		TEST(test_not_ready),
		TEST(test_signal_to_child),
		TEST(test_signal_to_parent),
		TEST(test_word_before_signal),
		TEST(test_end_before_signal),
		TEST(test_interrupted),
		TEST(test_does_not_die),
		TEST(test_descriptors),
	};

	return cmocka_run_group_tests_name("background", tests, make_ctx, free_ctx);
}
