// SPDX-License-Identifier: GPL-2.0-or-later
/* The signal handlers of the command line: which signals end it, when, and with which context. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../../cli/printable.c"
#include "../../cli/signals.c"

/* The wait status of a process that runs @fn and, if that returns, exits with 0. */
static int run(void (*fn)(int sig), int sig)
{
	int status, pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* A shell's background processes ignore SIGINT. */
		signal(sig, SIG_DFL);
		fn(sig);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct vfiomig_ctx *new_context(void)
{
	struct vfiomig_ctx *ctx;

	assert_int_equal(vfiomig_new(&ctx), 0);
	return ctx;
}

/* The context is gone when the signal comes. The sanitizer tells if the handler uses it. */
static void come_late(int sig, int status)
{
	struct vfiomig_ctx *ctx = new_context();

	signals_begin();
	signals_catch(ctx);
	signals_end(status);
	vfiomig_unref(ctx);
	raise(sig);
}

static void after_success(int sig)
{
	come_late(sig, 0);
}

static void after_failure(int sig)
{
	come_late(sig, 1);
}

static void twice(int sig)
{
	struct vfiomig_ctx *ctx = new_context();

	signals_begin();
	signals_catch(ctx);
	raise(sig);
	assert_true(vfiomig_resume(ctx));
	assert_true(signals_came());
	signals_end(0);
	vfiomig_unref(ctx);
	/* The alarm after the first signal is off. */
	assert_int_equal(alarm(0), 0);
	raise(sig);
}

static void blocked(int sig)
{
	struct vfiomig_ctx *ctx = new_context();
	sigset_t set;

	signals_catch(ctx);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals_raise();
}

static void uncaught(int sig)
{
	struct vfiomig_ctx *ctx = new_context();

	signals_catch(ctx);
	if (!signals_uncatch())
		return;
	raise(sig);
}

static void caught_before(int sig)
{
	struct vfiomig_ctx *ctx = new_context();

	signals_catch(ctx);
	raise(sig);
	if (!signals_uncatch())
		_exit(42);
}

static void test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_ENDS; i++) {
		int sig = ends[i];

		assert_int_equal(run(after_success, sig), 0);
		assert_int_equal(WTERMSIG(run(after_failure, sig)), sig);
		assert_int_equal(WTERMSIG(run(blocked, sig)), sig);
		assert_int_equal(WTERMSIG(run(uncaught, sig)), sig);
		assert_int_equal(WEXITSTATUS(run(caught_before, sig)), 42);
	}
	assert_int_equal(run(twice, SIGTERM), 0);
}

static void user_signal(int sig)
{
	int fds[2];
	char c;

	signals_begin();
	if (pipe(fds))
		_exit(1);
	raise(sig);
	if (!signals_usr1() || signals_usr1())
		_exit(2);
	/* A read that sleeps goes on. */
	if (fork() == 0) {
		usleep(50000);
		kill(getppid(), sig);
		usleep(50000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	if (read(fds[0], &c, 1) != 1)
		_exit(3);
	signals_end(0);
	raise(sig);
	signals_end(1);
	raise(sig);
}

static void test_user_signal(void **state)
{
	(void)state;
	assert_int_equal(run(user_signal, SIGUSR1), 0);
}

/* nohup(1) has ignored the signal. */
static void ignored_before(int sig)
{
	signal(sig, SIG_IGN);
	signals_begin();
	signals_catch(new_context());
	raise(sig);
	if (signals_came() || signals_usr1())
		_exit(1);
	signals_uncatch();
	raise(sig);
	signals_catch_again();
	signals_end(1);
	raise(sig);
}

static void test_ignored(void **state)
{
	(void)state;
	assert_int_equal(run(ignored_before, SIGHUP), 0);
	assert_int_equal(run(ignored_before, SIGINT), 0);
	assert_int_equal(run(ignored_before, SIGUSR1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_user_signal),
		cmocka_unit_test(test_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
