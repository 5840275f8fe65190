// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Several devices are opened, and closed, at once; those of one IOMMU group are opened one after
 * the other. The kernel is replaced at open(2), ioctl(2) and close(2) (see --wrap in the Makefile):
 * it keeps each device waiting until as many as the test wants are being bound, or closed.
 */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>

#include "tree.h"

#define DEVICES	 20
#define AT_ONCE	 16
#define TICK_NS	 5000000L
#define GIVE_UP	 2000 /* such ticks; nothing else ends a wait that should not be */
#define ONE_ONLY 10   /* such ticks, in which another one would come */

/* A place where devices wait for each other. It is shared with the processes that close devices. */
struct place {
	int wanted; /* at once */
	_Atomic int here, most, came, alone;
};

static struct {
	struct place binding, closing;
	_Atomic int early; /* devices that somebody else had open still when they were closed */
	_Atomic int slow;  /* processes that have begun slowly */
	pid_t self;
} * kernel;

static int failing[DEVICES];  /* the errno with which binding the device fails */
static int iommufds[DEVICES]; /* what the devices were bound to */
static const char *forbidden; /* the node that cannot be opened */
static int sleeper;	      /* the device of which binding sleeps until a signal comes, or -1 */
static _Atomic bool overslept;
static bool no_thread;
static bool slow_begin; /* one process takes a second until it closes what is not its own */
static pthread_t caller;
static _Atomic bool takes_signals; /* another thread than the caller's does */

#define NODES "/dev/vfio/devices/vfio"

/* The number of the device, or -1 if the descriptor is none of a device. @path receives the name of
 * the node. */
static int device_of(int fd, char path[256])
{
	char link[32], *name;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, 255);
	if (n < 0)
		return -1;
	path[n] = '\0';
	name = strstr(path, NODES);
	return name ? atoi(name + strlen(NODES)) : -1;
}

/* Without the C library, whose functions are not for the child of a process that has threads: the
 * thread sanitizer has them take locks. */
static void rest(int ticks)
{
	const struct timespec time = { .tv_nsec = ticks * TICK_NS };

	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
}

static void wait_for_others(struct place *p)
{
	int looks = 0, now = ++p->here, most = p->most;

	while (now > most && !atomic_compare_exchange_weak(&p->most, &most, now))
		;
	p->came++;
	while (p->most < p->wanted && looks++ < GIVE_UP)
		rest(1);
	p->alone += looks > GIVE_UP;
	if (p->wanted == 1)
		rest(ONE_ONLY);
	p->here--;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return no_thread ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

void __real_descriptors_close_others(int first, int *keep, size_t count);
void __wrap_descriptors_close_others(int first, int *keep, size_t count);
void __wrap_descriptors_close_others(int first, int *keep, size_t count)
{
	const struct timespec time = { .tv_sec = 1 };

	if (slow_begin && !kernel->slow++)
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL);
	__real_descriptors_close_others(first, keep, count);
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (forbidden && strcmp(path, forbidden) == 0) {
		errno = EACCES;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

/*
 * Only the processes that close devices close the last descriptor of one. Each device was locked by
 * its descriptor when it was bound: if it can be locked by another one then, nobody has the former
 * any more.
 */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	char path[256];
	int ret, again;

	if (getpid() == kernel->self || device_of(fd, path) < 0)
		return __real_close(fd);
	wait_for_others(&kernel->closing);
	ret = __real_close(fd);
	again = __real_open64(path, O_RDWR);
	kernel->early += again < 0 || flock(again, LOCK_EX | LOCK_NB);
	__real_close(again);
	return ret;
}

static void note_signals(void)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!pthread_equal(caller, pthread_self()) && !sigismember(&blocked, SIGTERM))
		takes_signals = true;
}

static int bind_device(int fd, const struct vfio_device_bind_iommufd *bind)
{
	char path[256];
	int number = device_of(fd, path);

	/* The question whether the kernel takes a VF token. */
	errno = E2BIG;
	if (bind->iommufd < 0)
		return -1;
	flock(fd, LOCK_EX);
	iommufds[number] = bind->iommufd;
	note_signals();
	wait_for_others(&kernel->binding);
	errno = failing[number];
	if (number != sleeper)
		return failing[number] ? -1 : 0;
	/* Nobody should have to wait for that. */
	overslept |= poll(NULL, 0, 10000) == 0;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	errno = ENOTTY;
	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return bind_device(fd, arg);
	return request == VFIO_DEVICE_FEATURE ? -1 : 0;
}

/* ---- The devices --------------------------------------------------------- */

static struct vfiomig_device *devices[DEVICES];

static void name_of(int number, char name[16])
{
	snprintf(name, 16, "0000:00:%02x.0", number);
}

static int make_machine(void **state)
{
	char name[16];

	(void)state;
	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(kernel != MAP_FAILED);
	begin_tree();
	sh("mkdir -p dev/vfio/devices proc; touch dev/iommu dev/vfio/vfio");
	for (int i = 0; i < DEVICES; i++) {
		name_of(i, name);
		/* The last two share a group. */
		add_function(name, i, i < DEVICES - 1 ? i : i - 1);
		sh("touch dev/vfio/devices/vfio%d dev/vfio/%d", i, i);
	}
	return 0;
}

static int begin(void **state)
{
	char name[16];

	(void)state;
	memset(kernel, 0, sizeof(*kernel));
	memset(failing, 0, sizeof(failing));
	kernel->self = getpid();
	forbidden = NULL;
	sleeper = -1;
	slow_begin = overslept = false;
	no_thread = takes_signals = false;
	caller = pthread_self();
	for (int i = 0; i < DEVICES; i++) {
		name_of(i, name);
		devices[i] = new_device(name);
	}
	return 0;
}

static int end(void **state)
{
	(void)state;
	for (int i = 0; i < DEVICES; i++)
		vfiomig_device_unref(devices[i]);
	return 0;
}

static void want(int at_once)
{
	kernel->binding.wanted = kernel->closing.wanted = at_once;
}

static void expect_open(size_t n)
{
	size_t which;

	assert_int_equal(vfiomig_devices_open(devices, n, 0, &which), 0);
	assert_int_equal(which, n);
	assert_int_equal(kernel->binding.came, n);
	assert_int_equal(kernel->binding.alone, 0);
	for (size_t i = 0; i < n; i++)
		assert_true(devices[i]->fd >= 0);
}

static void expect_close(size_t n)
{
	int errors[DEVICES] = { 0 }, closed = kernel->closing.came;

	errors[0] = 1;
	assert_int_equal(vfiomig_devices_close(devices, n, errors), 0);
	assert_int_equal(kernel->closing.came - closed, n);
	assert_int_equal(kernel->closing.alone, 0);
	assert_int_equal(kernel->early, 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(errors[i], 0);
		assert_int_equal(devices[i]->fd, -1);
		assert_null(devices[i]->locks);
	}
}

/* Nothing is left of @n devices, of which device @which fails with the errno @err. */
static void expect_failure(size_t n, size_t which, int err, const char *says)
{
	static const unsigned int flags[] = { 0, VFIOMIG_OPEN_KEEP_LOCK };
	int before = count_fds();
	size_t failed;

	for (size_t f = 0; f < ARRAY_SIZE(flags); f++) {
		kernel->binding.came = 0;
		assert_int_equal(vfiomig_devices_open(devices, n, flags[f], &failed), -err);
		assert_int_equal(failed, which);
		assert_says(says);
		assert_int_equal(count_fds(), before);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(devices[i]->fd, -1);
			assert_null(devices[i]->locks);
		}
		sh("test -z \"$(ls run)\"");
	}
	assert_int_equal(kernel->early, 0);
}

/* ---- Tests --------------------------------------------------------------- */

static void test_at_once(void **state)
{
	(void)state;
	want(3);
	expect_open(3);
	expect_close(3);
}

/* There is a bound to the number of threads. */
static void test_many(void **state)
{
	(void)state;
	want(AT_ONCE);
	expect_open(DEVICES - 1);
	assert_int_equal(kernel->binding.most, AT_ONCE);
	expect_close(DEVICES - 1);
	assert_int_equal(kernel->closing.most, AT_ONCE);
}

static bool is_same(int a, int b)
{
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b);

	/* Not every machine permits kcmp(2). */
	return order == 0 || (order < 0 && errno != EBADF);
}

static void test_one_group(void **state)
{
	size_t which;

	(void)state;
	kernel->binding.wanted = 1;
	kernel->closing.wanted = 2;
	assert_int_equal(vfiomig_devices_open(devices + DEVICES - 2, 2, 0, &which), 0);
	assert_int_equal(kernel->binding.came, 2);
	assert_int_equal(kernel->binding.most, 1);
	assert_true(is_same(iommufds[DEVICES - 2], iommufds[DEVICES - 1]));
	assert_int_equal(vfiomig_devices_close(devices + DEVICES - 2, 2, NULL), 0);
	assert_int_equal(kernel->closing.came, 2);
	assert_int_equal(kernel->closing.most, 2);
}

static void on_signal(int sig)
{
	(void)sig;
}

/* The program uses all signals that could end the calls of threads. */
static void use_signals(bool uses)
{
	struct sigaction act = { .sa_handler = uses ? on_signal : SIG_DFL };

	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaction(sig, &act, NULL);
}

/* Where no thread can be started, or no signal would end what it does, one device after the other
 * is opened. One alone has no thread. */
static void test_no_thread(void **state)
{
	bool no_signal = *state;

	no_thread = !no_signal;
	use_signals(no_signal);
	kernel->binding.wanted = 1;
	kernel->closing.wanted = 3;
	expect_open(3);
	assert_int_equal(kernel->binding.most, 1);
	expect_close(3);
	use_signals(false);
}

static void test_no_signal(void **state)
{
	void *yes = state;

	test_no_thread(&yes);
}

/* One of which the caller closes the last descriptor, as it does with what a holder has. */
static void test_closed_here(void **state)
{
	int errors[3];

	(void)state;
	want(3);
	expect_open(3);
	devices[0]->has_holder = true;
	kernel->closing.wanted = 2;
	assert_int_equal(vfiomig_devices_close(devices, 3, errors), 0);
	assert_int_equal(kernel->closing.came, 2);
	assert_int_equal(kernel->closing.alone + kernel->early, 0);
	devices[0]->has_holder = false;
}

/* A process that takes long to begin is waited for: it has the descriptors of all until then. */
static void test_slow_begin(void **state)
{
	(void)state;
	expect_open(3);
	slow_begin = true;
	expect_close(3);
	assert_in_range(kernel->slow, 1, 3);
}

static void test_one_fails(void **state)
{
	(void)state;
	kernel->binding.wanted = 3;
	failing[1] = EIO;
	expect_failure(3, 1, EIO, "Input/output error");
	assert_int_equal(kernel->binding.came, 3);
	failing[1] = 0;
	kernel->binding.came = 0;
	expect_open(3);
}

/* The failure is that of the first one in the order of the devices, whenever it came. */
static void test_some_fail(void **state)
{
	(void)state;
	kernel->binding.wanted = 3;
	failing[1] = ENOMEM;
	failing[2] = EIO;
	expect_failure(3, 1, ENOMEM, "Cannot allocate memory");
	/* Those of the next turn are not touched. */
	expect_failure(DEVICES - 1, 1, ENOMEM, "Cannot allocate memory");
	assert_int_equal(kernel->binding.came, AT_ONCE);
}

/* One that is in the group of one that fails is left alone. */
static void test_companion_fails(void **state)
{
	size_t which;

	(void)state;
	want(1);
	failing[DEVICES - 2] = EIO;
	assert_int_equal(vfiomig_devices_open(devices + DEVICES - 2, 2, 0, &which), -EIO);
	assert_int_equal(which, 0);
	assert_int_equal(kernel->binding.came, 1);
	assert_int_equal(devices[DEVICES - 1]->fd, -1);
	sh("test -z \"$(ls run)\"");
}

/* What a sentence is made of is what has failed in the same thread. */
static void test_sentence(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		vfiomig_device_set_via(devices[i], VFIOMIG_VIA_CDEV);
	forbidden = "dev/vfio/devices/vfio2";
	expect_failure(3, 2, EACCES, "not permitted to open dev/vfio/devices/vfio2");
	assert_says("or open the device with --via=group");
}

/* The VF token of a physical function has to be known before that of a virtual one is looked at. */
static void test_token(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(vfiomig_device_set_vf_token(
					 devices[i], "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"),
				 0);
	kernel->binding.wanted = 1;
	expect_open(3);
	assert_int_equal(kernel->binding.most, 1);
}

/* The failure does not wait for a device behind it. */
static void test_fails_first(void **state)
{
	(void)state;
	failing[1] = EIO;
	sleeper = 2;
	expect_failure(3, 1, EIO, "Input/output error");
	assert_false(overslept);
}

static void *interrupt(void *arg)
{
	while (kernel->binding.came < 3)
		rest(1);
	rest(20);
	vfiomig_interrupt(ctx);
	return arg;
}

/* A signal ends the opening of a device that sleeps, whichever it is. */
static void test_interrupt(void **state)
{
	(void)state;
	for (sleeper = 0; sleeper < 3; sleeper++) {
		pthread_t thread;

		kernel->binding.came = 0;
		assert_int_equal(__real_pthread_create(&thread, NULL, interrupt, NULL), 0);
		assert_int_equal(vfiomig_devices_open(devices, 3, 0, NULL), -EINTR);
		assert_says("interrupted by a signal");
		assert_false(overslept);
		pthread_join(thread, NULL);
		assert_true(vfiomig_resume(ctx));
		for (int i = 0; i < 3; i++)
			assert_int_equal(devices[i]->fd, -1);
		sh("test -z \"$(ls run)\"");
	}
}

/* A handler runs in the caller's thread, as it would without others. Nothing is left of the signal
 * that the threads take. */
static void test_signals(void **state)
{
	struct sigaction act;
	sigset_t before, after;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	want(3);
	expect_open(3);
	assert_false(takes_signals);
	expect_close(3);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < NSIG; sig++) {
		assert_int_equal(sigismember(&after, sig), sigismember(&before, sig));
		assert_true(sigaction(sig, NULL, &act) || act.sa_handler == SIG_DFL ||
			    sig < SIGRTMIN);
	}
}

/* A device that is given twice is closed once, and none is closed at all. */
static void test_close_twice(void **state)
{
	struct vfiomig_device *twice[] = { devices[0], devices[0] };

	(void)state;
	expect_open(1);
	assert_int_equal(vfiomig_devices_close(twice, 2, NULL), 0);
	assert_int_equal(kernel->closing.came, 1);
	assert_int_equal(vfiomig_devices_close(NULL, 0, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_at_once),	    TEST(test_many),	    TEST(test_one_group),
		TEST(test_no_thread),	    TEST(test_one_fails),   TEST(test_some_fail),
		TEST(test_companion_fails), TEST(test_no_signal),   TEST(test_closed_here),
		TEST(test_slow_begin),	    TEST(test_fails_first), TEST(test_sentence),
		TEST(test_token),	    TEST(test_interrupt),   TEST(test_signals),
		TEST(test_close_twice),
	};

	return cmocka_run_group_tests_name("atonce", tests, make_machine, remove_tree);
}
