// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting for a driver that may take long: what interrupts it and when, and what is told. */
#include <poll.h>
#include <unistd.h>

#include "clock.h"
#include "migration/patience.h"

static struct {
	bool uninterruptible; /* the driver sleeps until it may end */
	bool insist;	      /* another interruption comes as soon as it sleeps */
	_Atomic bool may_end;
	_Atomic int interrupted; /* how often its sleep was */
	_Atomic int notices;
	char said[2][256];
	sigset_t blocked; /* in the thread that made the call */
	uint64_t waiting; /* the signals that the waiting thread blocks, as in /proc */
} driver;

static bool no_thread;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return no_thread ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

/* The signals that the first thread of this process blocks, one bit each, SIGHUP the lowest. */
static uint64_t blocked_by_first(void)
{
	char path[64], line[128];
	uint64_t blocked = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", getpid());
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "SigBlk:", 7) == 0)
			blocked = strtoull(line + 7, NULL, 16);
	fclose(f);
	return blocked;
}

/* Sleep for 20 seconds at most. After that this is a hang. */
static int sleep_in_driver(void *answer)
{
	pthread_sigmask(SIG_SETMASK, NULL, &driver.blocked);
	/* While a thread makes another one it blocks all signals. */
	for (int i = 0; i < 200; i++) {
		driver.waiting = blocked_by_first();
		if (!(driver.waiting >> (SIGALRM - 1) & 1))
			break;
		poll(NULL, 0, 10);
	}
	if (driver.insist)
		vfiomig_interrupt(ctx);
	for (int i = 0; !driver.may_end && i < 2000; i++) {
		if (poll(NULL, 0, 10) == 0)
			continue;
		driver.interrupted++;
		if (!driver.uninterruptible)
			return -EINTR;
	}
	return *(int *)answer;
}

static void on_notice(void *unused, const char *line)
{
	(void)unused;
	assert_in_range(driver.notices, 0, 1);
	snprintf(driver.said[driver.notices++], sizeof(driver.said[0]), "%s", line);
	if (driver.notices == 2)
		driver.may_end = true;
}

static int setup(void **state)
{
	memset(&driver, 0, sizeof(driver));
	fast = no_thread = false;
	make_ctx(state);
	vfiomig_set_notice(ctx, on_notice, NULL);
	return 0;
}

static int call(struct patience *p)
{
	int answer = -EIO;

	return patience_call(ctx, "arc STOP -> RUNNING", sleep_in_driver, &answer, p);
}

static void test_answer(void **unused)
{
	struct patience p;

	(void)unused;
	for (int i = 0; i < 2; i++) {
		no_thread = i;
		driver.may_end = true;
		assert_int_equal(call(&p), -EIO);
		assert_false(p.broken_off);
		/* Where there is no thread, that is said. */
		assert_int_equal(driver.notices, i);
		/* The call is safe from all signals, but not from SIGQUIT where there is no other
		 * thread that would get it. */
		assert_true(sigismember(&driver.blocked, SIGTERM));
		assert_true(sigismember(&driver.blocked, SIGALRM));
		assert_int_equal(sigismember(&driver.blocked, SIGQUIT), !no_thread);
	}
	assert_string_equal(
		driver.said[0],
		"cannot start a thread (Resource temporarily unavailable), so that nothing breaks off arc STOP -> RUNNING");
}

/* The waiting thread gets the signals that have a handler, and none that would end or stop it. */
static void test_mask(void **unused)
{
	uint64_t before = blocked_by_first();
	struct patience p;

	(void)unused;
	driver.may_end = true;
	call(&p);
	assert_true(driver.waiting >> (SIGTSTP - 1) & 1);
	assert_true(driver.waiting >> (SIGTERM - 1) & 1);
	assert_false(driver.waiting >> (SIGALRM - 1) & 1);
	assert_false(driver.waiting >> (SIGQUIT - 1) & 1);
	assert_int_equal(blocked_by_first(), before);
}

/* Nobody interrupts the driver but on purpose. */
static void test_no_interruption(void **unused)
{
	struct patience p;

	(void)unused;
	fast = true;
	/* A second of the signals that interrupt the waiting thread */
	for (int i = 0; i < 3; i++)
		raise(SIGALRM);
	vfiomig_resume(ctx);
	driver.may_end = true;
	assert_int_equal(call(&p), -EIO);
	assert_int_equal(driver.interrupted + driver.notices, 0);
}

#define TOLD \
	"interrupted; waiting for the driver: arc STOP -> RUNNING; another signal breaks that off"

/* After five seconds the driver is interrupted. */
static void test_limit(void **unused)
{
	struct patience p;
	uint64_t start = ahead;

	(void)unused;
	vfiomig_interrupt(ctx);
	fast = true;
	assert_int_equal(call(&p), -EINTR);
	assert_true(p.broken_off);
	assert_int_equal(driver.interrupted, 1);
	assert_int_equal(driver.notices, 1);
	assert_string_equal(driver.said[0], TOLD);
	assert_in_range((ahead - start) / 1000000000, 5, 12);
}

static void *interrupt_again(void *unused)
{
	while (!driver.notices)
		usleep(1000);
	assert_int_equal(driver.interrupted, 0);
	vfiomig_interrupt(ctx);
	return unused;
}

/* An interruption after the notice does it at once. Those before it do not count. */
static void test_twice(void **unused)
{
	uint64_t start = now_ns();
	struct patience p;
	pthread_t thread;

	(void)unused;
	for (int i = 0; i < 3; i++)
		vfiomig_interrupt(ctx);
	assert_int_equal(__real_pthread_create(&thread, NULL, interrupt_again, NULL), 0);
	assert_int_equal(call(&p), -EINTR);
	pthread_join(thread, NULL);
	assert_true(p.broken_off);
	assert_in_range((now_ns() - start) / 1000000, 500, 3000);
	assert_true(vfiomig_resume(ctx));
	assert_false(vfiomig_resume(ctx));
}

static void *interrupt_soon(void *unused)
{
	usleep(350000);
	vfiomig_interrupt(ctx);
	return unused;
}

/* Who does not wait for the notice before the second signal is understood, too. */
static void test_impatient(void **unused)
{
	uint64_t start = now_ns();
	struct patience p;
	pthread_t thread;

	(void)unused;
	vfiomig_interrupt(ctx);
	assert_int_equal(__real_pthread_create(&thread, NULL, interrupt_soon, NULL), 0);
	assert_int_equal(call(&p), -EINTR);
	pthread_join(thread, NULL);
	assert_true(p.broken_off);
	assert_int_equal(driver.notices, 0);
	assert_in_range((now_ns() - start) / 1000000, 350, 3000);
}

/* Who has interrupted something else before, which led to this call, insists at its very beginning,
 * too; but not by a signal that came with the first one. */
static void test_insist_at_once(void **unused)
{
	struct patience p;

	(void)unused;
	vfiomig_interrupt(ctx);
	usleep(200000);
	driver.insist = true;
	assert_int_equal(call(&p), -EINTR);
	assert_true(p.broken_off);
	assert_int_equal(driver.notices, 0);
	/* What the user insisted on before is over. */
	ctx->hurries = false;
	driver.insist = false;
	fast = true;
	assert_int_equal(call(&p), -EINTR);
	assert_int_equal(driver.notices, 1);
}

/* What follows a call that was broken off, the way home, is not waited for as long once more. */
static void test_hurry(void **unused)
{
	struct patience p;
	uint64_t start;

	(void)unused;
	vfiomig_interrupt(ctx);
	fast = true;
	assert_int_equal(call(&p), -EINTR);
	fast = false;
	assert_int_equal(driver.notices, 1);
	start = now_ns();
	assert_int_equal(call(&p), -EINTR);
	assert_true(p.broken_off);
	assert_int_equal(driver.notices, 1);
	assert_in_range((now_ns() - start) / 1000000, 500, 4000);
	/* The next interruption is another one. */
	vfiomig_resume(ctx);
	vfiomig_interrupt(ctx);
	driver.notices = 0;
	fast = true;
	start = ahead;
	assert_int_equal(call(&p), -EINTR);
	assert_int_equal(driver.notices, 1);
	assert_in_range((ahead - start) / 1000000000, 5, 12);
}

static void on_any(int sig)
{
	(void)sig;
}

static void *let_end(void *unused)
{
	while (!driver.notices)
		usleep(1000);
	vfiomig_interrupt(ctx);
	usleep(300000);
	driver.may_end = true;
	return unused;
}

/* A program that uses all real-time signals. */
static void test_no_signal(void **unused)
{
	struct sigaction before[NSIG], any = { .sa_handler = on_any };
	struct patience p;
	pthread_t thread;

	(void)unused;
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaction(sig, &any, &before[sig]);
	vfiomig_interrupt(ctx);
	assert_int_equal(__real_pthread_create(&thread, NULL, let_end, NULL), 0);
	assert_int_equal(call(&p), -EIO);
	pthread_join(thread, NULL);
	assert_false(p.broken_off);
	assert_int_equal(driver.interrupted, 0);
	assert_int_equal(driver.notices, 1);
	assert_string_equal(
		driver.said[0],
		"interrupted; waiting for the driver: arc STOP -> RUNNING; nothing breaks that off, because the program uses all real-time signals");
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaction(sig, &before[sig], NULL);
}

/* A driver that cannot be interrupted. */
static void test_uninterruptible(void **unused)
{
	struct patience p;

	(void)unused;
	driver.uninterruptible = true;
	vfiomig_interrupt(ctx);
	fast = true;
	assert_int_equal(call(&p), -EIO);
	assert_true(p.broken_off);
	assert_int_equal(driver.notices, 2);
	assert_string_equal(
		driver.said[1],
		"arc STOP -> RUNNING cannot be broken off, because the driver does not react to signals; still waiting for it");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, free_ctx)
	const struct CMUnitTest tests[] = {
		TEST(test_answer),	   TEST(test_mask),	 TEST(test_no_interruption),
		TEST(test_limit),	   TEST(test_twice),	 TEST(test_impatient),
		TEST(test_hurry),	   TEST(test_no_signal), TEST(test_uninterruptible),
		TEST(test_insist_at_once),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
