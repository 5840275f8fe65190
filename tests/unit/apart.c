// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What may never come back: a state that cannot be read, a write in which the kernel waits. A FIFO
 * that nobody has open at the other end stands for such a file. Some calls fail on request (see
 * --wrap in the Makefile).
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "bind/step.h"
#include "device/apart.h"
#include "device/opener.h"
#include "device/process.h"
#include "machine.h"

/* A container like Docker's has no clone3(2), and an old one no close_range(2). */
static bool in_container;
static int forks, kills;
static int fork_fails;	   /* the first one that does, or 0 */
static bool dies_at_birth; /* whoever is opened by pidfd_open(2) is dead by then */

long __real_syscall(long number, ...);
static int open_dead(int pid)
{
	int pidfd = __real_syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	__real_syscall(SYS_kill, pid, SIGKILL);
	poll(&p, 1, -1);
	return pidfd;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long arg[5];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		arg[i] = va_arg(ap, long);
	va_end(ap);
	errno = ENOSYS;
	if (in_container && (number == SYS_clone3 || number == SYS_close_range))
		return -1;
	if (dies_at_birth && number == SYS_pidfd_open)
		return open_dead(arg[0]);
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4]);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	errno = ENOMEM;
	return ++forks == fork_fails ? -1 : __real_fork();
}

int __real_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig);
int __wrap_kill(pid_t pid, int sig)
{
	kills++;
	return __real_kill(pid, sig);
}

static bool dies_with;

/* Set by the process that does a step when the end of its parent does not end it any more. */
static _Atomic int *outlives;

int __real_prctl(int option, int arg);
int __wrap_prctl(int option, int arg);
int __wrap_prctl(int option, int arg)
{
	int ret, parent = dies_with ? getppid() : 0;

	/* The parent ends before the process has said that it is to end with it. */
	if (parent) {
		__real_kill(parent, SIGKILL);
		while (getppid() == parent)
			poll(NULL, 0, 1);
	}
	ret = __real_prctl(option, arg);
	if (option == PR_SET_PDEATHSIG && !arg && outlives)
		*outlives = 1;
	return ret;
}

/* Counts the sentences that other processes than the test's own have made. */
static _Atomic int *sentences;
static int tester;

int __real_ctx_note_failure(struct vfiomig_ctx *failed, int err, const char *fmt, ...);
int __wrap_ctx_note_failure(struct vfiomig_ctx *failed, int err, const char *fmt, ...);
int __wrap_ctx_note_failure(struct vfiomig_ctx *failed, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (sentences && getpid() != tester)
		++*sentences;
	return __real_ctx_note_failure(failed, err, "%s", text);
}

static int seen;
static char said[512];

static int visit(struct vfiomig_device *dev, void *count)
{
	(void)dev;
	++*(int *)count;
	return 0;
}

static int see(void *state, const struct vfiomig_use *use)
{
	seen++;
	if (strcmp(vfiomig_device_get_name(use->device), A) == 0) {
		assert_int_equal(use->pid, STRANGER);
		*(int *)state = use->state;
		assert_true(use->state >= 0 || use->error == -ETIMEDOUT);
	}
	return 0;
}

/* One device whose driver is busy hides no other, and keeps nobody waiting. */
static void test_state(void **state)
{
	int found = -1, before = count_fds();

	(void)state;
	sh("mkdir -p kernel/debug/vfio/" A "/migration; echo STOP >kernel/debug/vfio/" A
	   "/migration/state; ln -s dev/vfio/7 proc/%d/fd/3",
	   STRANGER);
	seen = 0;
	assert_int_equal(vfiomig_device_foreach_use(ctx, 60000, see, &found), 0);
	assert_int_equal(seen, 2);
	assert_int_equal(found, VFIOMIG_STATE_STOP);

	sh("cd kernel/debug/vfio/" A "/migration; rm state; mkfifo state");
	/* If this read the FIFO itself, it would never come back. */
	assert_int_equal(vfiomig_device_foreach_use(ctx, 300, see, &found), 0);
	assert_int_equal(seen, 4);
	assert_int_equal(found, -1);
	assert_int_equal(count_fds(), before);
}

static int see_silent(void *data, const struct vfiomig_use *use)
{
	(void)data;
	if (strcmp(vfiomig_device_get_name(use->device), A) != 0) {
		assert_int_equal(use->error, 0);
		assert_string_equal(use->sentence, "");
		return 0;
	}
	/* The kernel knows who listens. The stranger has the device, too. */
	assert_int_equal(use->pid, getpid());
	assert_true(use->silent && !use->holder);
	assert_int_equal(use->error, -ETIMEDOUT);
	assert_non_null(strstr(use->sentence, "busy: the holder on " SOCKET ", process "));
	return 0;
}

/* A holder that never accepts: who it is is known all the same. */
static void test_silent(void **state)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)state;
	sentences = apart_alloc(sizeof(*sentences));
	tester = getpid();
	sh("mkdir run; ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(vfiomig_device_foreach_use(ctx, 1500, see_silent, NULL), 0);
	/* The processes that asked have made no sentence: the program could have threads. */
	assert_int_equal(*sentences, 0);
	apart_free((void *)sentences, sizeof(*sentences));
	sentences = NULL;
	close(fd);
}

/* Many files are read at the same time: none of these has anything before the other one is read. */
static void test_read_all(void **state)
{
	char text[2][16];
	struct apart_reading list[] = {
		{ .dir = root, .name = "one", .text = text[0], .size = sizeof(text[0]) },
		{ .dir = root, .name = "two", .text = text[1], .size = sizeof(text[1]) },
		{ .dir = root, .name = "none", .text = text[1], .size = sizeof(text[1]) },
	};

	(void)state;
	sh("mkfifo one two; (exec 3>one; exec 4>two; echo 1 >&3; echo 2 >&4) &");
	apart_read_all(ctx, list, ARRAY_SIZE(list), now_ns() + 60000000000ULL);
	assert_int_equal(list[0].err, 0);
	assert_string_equal(text[0], "1");
	assert_int_equal(list[1].err, 0);
	assert_string_equal(text[1], "2");
	assert_int_equal(list[2].err, -ENOENT);
}

/* A device without an IOMMU is one of the devices, and the opener of its group is seen. */
static void test_noiommu(void **state)
{
	struct vfiomig_device *dev;
	char comm[16];
	int pid, count = 0;

	(void)state;
	sh("mkdir class/vfio/noiommu-8; d=$PWD/devices/pci0000:00/" B
	   "; mv $d/vfio-dev/vfio1 $d/vfio-dev/noiommu-vfio1; rm class/vfio-dev/vfio1; ln -s $d/vfio-dev/noiommu-vfio1 class/vfio-dev/");
	assert_int_equal(vfiomig_device_foreach(ctx, visit, &count), 0);
	assert_int_equal(count, 2);
	dev = new_device(B);
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, comm), -ENOENT);
	assert_says("nobody is seen to have " B " open");
	sh("ln -s dev/vfio/noiommu-8 proc/%d/fd/3", STRANGER);
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, comm), 0);
	assert_int_equal(pid, STRANGER);
	vfiomig_device_unref(dev);
}

static void note(void *data, const char *line)
{
	(void)data;
	snprintf(said, sizeof(said), "%s", line);
	vfiomig_interrupt(ctx);
}

/* The step that waits at the FIFO goes on: when the FIFO is opened, the text comes. */
static void expect_step(void)
{
	struct pollfd p = { .fd = open("unbind", O_RDONLY | O_NONBLOCK), .events = POLLIN };
	char text[64] = "";

	assert_true(p.fd >= 0);
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(p.fd, text, sizeof(text) - 1), strlen(A));
	assert_string_equal(text, A);
	close(p.fd);
}

/* A step that takes long is explained, and can be interrupted. */
static void test_step(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	sh("mkfifo unbind; ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
	vfiomig_set_notice(ctx, note, NULL);
	assert_int_equal(step_write(dev, root, "unbind", A, "taking it", 10), -EINPROGRESS);
	assert_string_equal(
		said,
		"still waiting for the kernel, which is taking it; process 4711 (qemu) has the device open");
	assert_says(
		"interrupted by a signal while the kernel was taking it, which it goes on with");
	expect_step();
	vfiomig_resume(ctx);
	sh("rm unbind; : >unbind");
	assert_int_equal(step_write(dev, root, "unbind", A, "taking it", 10), 0);
	sh("test \"$(cat unbind)\" = " A);
	assert_int_equal(step_write(dev, root, "none", A, "taking it", 10), -ENOENT);
	vfiomig_device_unref(dev);
}

/* Whoever ends the program does not end the step. */
static void test_step_after_end(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	int pid, status;

	(void)state;
	sh("mkfifo unbind");
	outlives = apart_alloc(sizeof(*outlives));
	pid = fork();
	if (!pid) {
		step_write(dev, root, "unbind", A, "taking it", 10);
		_exit(0);
	}
	for (int i = 0; i < 10000 && !*outlives; i++)
		poll(NULL, 0, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	expect_step();
	apart_free(outlives, sizeof(*outlives));
	outlives = NULL;
	vfiomig_device_unref(dev);
}

/* ---- The processes ------------------------------------------------------- */

static volatile sig_atomic_t children;

static void on_child(int sig)
{
	(void)sig;
	children++;
}

static void sleep_long(void *arg)
{
	(void)arg;
	poll(NULL, 0, 20000);
}

static void list_descriptors(void *open_ones)
{
	for (int fd = 0; fd < 1200; fd++)
		*(int *)open_ones += fcntl(fd, F_GETFD) >= 0;
}

static int run(void (*fn)(void *arg), void *arg)
{
	struct apart a;
	int err = apart_start(&a, fn, arg);

	if (!err)
		err = apart_wait(NULL, &a, now_ns() + 10000000000ULL);
	apart_end(&a);
	return err;
}

/* A program that waits for any child never sees such a process. */
static void expect_quiet(void)
{
	struct apart a;
	int pid;

	children = forks = kills = 0;
	assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
	pid = a.pid;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(apart_wait(NULL, &a, now_ns() + 10000000), -ETIMEDOUT);
	apart_end(&a);
	assert_int_equal(__real_kill(pid, 0), -1);
	assert_int_equal(children, 0);
	/* No handler of pthread_atfork(3) has run, and no signal went to a mere number. */
	assert_int_equal(forks, 0);
	assert_int_equal(kills, 0);
}

static void test_quiet(void **state)
{
	int before = count_fds();

	(void)state;
	signal(SIGCHLD, on_child);
	expect_quiet();
	in_container = true;
	expect_quiet();
	in_container = false;
	signal(SIGCHLD, SIG_DFL);
	assert_int_equal(count_fds(), before);
}

static void set(void *arg)
{
	*(_Atomic int *)arg = 1;
}

/* A process whose parent has just ended does not begin. */
static void test_orphan(void **state)
{
	_Atomic int *began = apart_alloc(sizeof(*began));
	struct apart a;
	int pid, status;

	(void)state;
	assert_int_equal(__real_prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = fork();
	if (!pid) {
		dies_with = true;
		apart_start(&a, set, (void *)began);
		pause();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	/* The orphan is a child of this process now. */
	assert_true(waitpid(-1, &status, __WALL) > 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(*began, 0);
	assert_int_equal(__real_prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
	apart_free((void *)began, sizeof(*began));
}

/* A process that was left behind, and ends at last, does not stay a zombie. */
static void test_late(void **state)
{
	struct apart a;
	int pid;

	(void)state;
	assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
	pid = a.pid;
	apart_leave(&a);
	assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
	apart_end(&a);
	assert_int_equal(__real_kill(pid, 0), 0);
	__real_kill(pid, SIGKILL);
	for (int i = 0; i < 1000 && __real_kill(pid, 0) == 0; i++) {
		poll(NULL, 0, 10);
		assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
		apart_end(&a);
	}
	assert_int_equal(__real_kill(pid, 0), -1);
}

/* One that allocates memory, and is left behind, is no child of a program that waits for none. */
static void test_no_child(void **state)
{
	_Atomic int *done = apart_alloc(sizeof(*done));
	int status, before = count_fds();
	struct apart a;
	int pid;

	(void)state;
	assert_int_equal(apart_start_allocating(&a, set, (void *)done), 0);
	assert_int_equal(apart_wait(NULL, &a, UINT64_MAX), 0);
	assert_true(apart_end(&a));
	assert_int_equal(*done, 1);
	assert_int_equal(apart_start_allocating(&a, sleep_long, NULL), 0);
	pid = a.pid;
	assert_int_equal(waitpid(-1, &status, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
	apart_leave(&a);
	assert_int_equal(__real_kill(pid, 0), 0);
	__real_kill(pid, SIGKILL);
	assert_int_equal(waitpid(-1, &status, __WALL), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(count_fds(), before);
	apart_free((void *)done, sizeof(*done));
}

/* It is made by two forks, of which either can fail. */
static void test_no_child_at_all(void **state)
{
	int before = count_fds();
	struct apart a;

	(void)state;
	for (fork_fails = 1; fork_fails <= 2; fork_fails++) {
		forks = 0;
		assert_int_equal(apart_start_allocating(&a, sleep_long, NULL), -ENOMEM);
	}
	fork_fails = 0;
	assert_int_equal(count_fds(), before);
}

/* No signal comes to the program if the process is killed before it has begun. */
static void test_dies_at_birth(void **state)
{
	int before = count_fds();
	struct apart a;

	(void)state;
	dies_at_birth = true;
	assert_int_equal(apart_start_allocating(&a, sleep_long, NULL), 0);
	dies_at_birth = false;
	assert_true(apart_end(&a));
	assert_int_equal(count_fds(), before);
}

/* A child of fork(2) that did not end in time is reaped later, unless the program has done that. */
static void test_adopted(void **state)
{
	struct apart a;
	int pid[2], status, before = count_fds(), zero = dup(0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			pause();
			_exit(0);
		}
		/* Descriptor 0 may be free. */
		if (i)
			close(0);
		apart_adopt(pid[i]);
		if (i)
			dup2(zero, 0);
	}
	close(zero);
	assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
	apart_end(&a);
	for (int i = 0; i < 2; i++)
		__real_kill(pid[i], SIGKILL);
	assert_int_equal(waitpid(pid[0], &status, 0), pid[0]);
	for (int i = 0; i < 1000 && __real_kill(pid[1], 0) == 0; i++) {
		poll(NULL, 0, 10);
		assert_int_equal(apart_start(&a, sleep_long, NULL), 0);
		apart_end(&a);
	}
	assert_int_equal(__real_kill(pid[1], 0), -1);
	assert_int_equal(count_fds(), before);
}

static void *end_later(void *arg)
{
	char byte;

	_exit(read(*(int *)arg, &byte, 1));
}

/* A process whose first thread has ended lives as long as another one does. */
static void test_first_thread(void **state)
{
	const struct vfiomig_ctx here = { .procfs = "/proc" };
	static int pair[2];
	int pid;
	pthread_t thread;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		close(pair[1]);
		pthread_create(&thread, NULL, end_later, &pair[0]);
		syscall(SYS_exit, 0);
	}
	close(pair[0]);
	while (process_state(&here, pid) != 'Z')
		poll(NULL, 0, 1);
	assert_false(process_is_ending(&here, pid));
	close(pair[1]);
	assert_int_equal(waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	assert_true(process_is_ending(&here, pid));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(process_is_ending(&here, pid));
}

/* The process has no descriptor, also if the limit was higher when one was opened. */
static void test_descriptors(void **state)
{
	int *count = apart_alloc(sizeof(*count)), high = fcntl(2, F_DUPFD, 900);
	struct rlimit before;

	(void)state;
	assert_true(high >= 900);
	assert_int_equal(run(list_descriptors, count), 0);
	assert_int_equal(*count, 0);
	in_container = true;
	before = allow_fds(100);
	assert_int_equal(run(list_descriptors, count), 0);
	setrlimit(RLIMIT_NOFILE, &before);
	in_container = false;
	assert_int_equal(*count, 0);
	close(high);
	apart_free(count, sizeof(*count));
}

/* A file is opened in such a process, and used in this one. */
static void test_open(void **state)
{
	uint64_t soon = now_ns() + 10000000, late = now_ns() + 60000000000ULL;
	char text[8] = "";
	struct rlimit limit;
	int fd, before = count_fds();

	(void)state;
	sh("echo text >file; mkfifo fifo");
	fd = apart_open(ctx, "file", O_RDONLY, late);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	assert_string_equal(text, "text\n");
	close(fd);
	assert_int_equal(apart_open(ctx, "none", O_RDONLY, late), -ENOENT);
	assert_int_equal(apart_open(ctx, "fifo", O_RDONLY, soon), -ETIMEDOUT);
	vfiomig_interrupt(ctx);
	assert_int_equal(apart_open(ctx, "fifo", O_RDONLY, late), -EINTR);
	assert_int_equal(apart_open(NULL, "fifo", O_RDONLY, soon), -ETIMEDOUT);
	vfiomig_resume(ctx);
	assert_int_equal(count_fds(), before);
	for (int room = 0; room < 3; room++) {
		limit = allow_fds(next_fd() + room);
		assert_int_equal(apart_open(ctx, "file", O_RDONLY, late), -EMFILE);
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	assert_int_equal(count_fds(), before);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state),
		TEST(test_silent),
		TEST(test_read_all),
		TEST(test_noiommu),
		TEST(test_step),
		TEST(test_step_after_end),
		TEST(test_open),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_no_child),
		cmocka_unit_test(test_no_child_at_all),
		cmocka_unit_test(test_dies_at_birth),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_first_thread),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests_name("apart", tests, NULL, NULL);
}
