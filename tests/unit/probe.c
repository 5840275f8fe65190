// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that are probed, and drivers that do not come back from a call. The kernel's side is here
 * (see --wrap in the Makefile): it sleeps for ever in the process that asks, and can also have that
 * process survive SIGKILL.
 */
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "device/facts.h"
#include "machine.h"

#define SHORT 300   /* ms: a device hangs */
#define LONG  60000 /* no device does */

static const char *hangs;   /* the step that does, as the account calls it, or NULL */
static const char *hang_on; /* the device */
static bool immortal, slow_death;
static int tester;

static void sleep_in(const char *step)
{
	if (getpid() == tester || !hangs || !ctx->account || strcmp(step, hangs) != 0)
		return;
	while (true)
		pause();
}

/* Which device the descriptor is of */
static bool is_of(int fd, const char *cdev)
{
	char link[64], target[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return strstr(target, cdev);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	if (hang_on && is_of(fd, hang_on))
		sleep_in("close");
	return __real_close(fd);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a[5];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_pidfd_send_signal && immortal)
		return 0;
	/* The process dies after 150 ms. */
	if (number == SYS_pidfd_send_signal && slow_death) {
		int pid = fork();

		if (!pid) {
			poll(NULL, 0, 150);
			__real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
			_exit(0);
		}
		return 0;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4]);
}

static int feature(struct vfio_device_feature *f)
{
	errno = ENOTTY;
	switch (f->flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		sleep_in(f->flags & VFIO_DEVICE_FEATURE_PROBE ? "probe" : "migration");
		((struct vfio_device_feature_migration *)f->data)->flags = VFIO_MIGRATION_STOP_COPY;
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		sleep_in(f->flags & VFIO_DEVICE_FEATURE_PROBE ? "" : "state");
		if (!(f->flags & VFIO_DEVICE_FEATURE_PROBE))
			((struct vfio_device_feature_mig_state *)f->data)->device_state =
				VFIO_DEVICE_STATE_STOP;
		return 0;
	case VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		if (f->flags & VFIO_DEVICE_FEATURE_PROBE)
			return 0;
		sleep_in("size");
		((struct vfio_device_feature_mig_data_size *)f->data)->stop_copy_length = 4711;
		return 0;
	default:
		return -1;
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	const char *before = hangs;
	va_list ap;
	void *arg;
	int ret = 0;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (hang_on && !is_of(fd, hang_on))
		hangs = NULL;
	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		sleep_in("bind");
	if (request == VFIO_DEVICE_GET_INFO)
		sleep_in("info");
	if (request == VFIO_DEVICE_FEATURE)
		ret = feature(arg);
	hangs = before;
	return ret;
}

/* ---- What comes back ------------------------------------------------------ */

static struct {
	struct vfiomig_probe probe;
	char sentence[512];
} found[2];
static size_t nr_found;

static int take(void *data, const struct vfiomig_probe *probe)
{
	(void)data;
	found[nr_found].probe = *probe;
	strcpy(found[nr_found++].sentence, probe->sentence);
	return 0;
}

static int probe_both(unsigned int ms, int wait)
{
	struct vfiomig_device *devices[] = { new_device(A), new_device(B) };
	int before = count_fds(), err;

	nr_found = 0;
	vfiomig_device_set_wait(devices[0], wait);
	err = vfiomig_probe_devices(ctx, devices, 2, ms, VFIOMIG_PROBE_FEATURES, take, NULL);
	assert_int_equal(count_fds(), before);
	for (int i = 0; i < 2; i++)
		vfiomig_device_unref(devices[i]);
	return err;
}

static void expect_all(const struct vfiomig_probe *p)
{
	assert_int_equal(p->error, 0);
	assert_int_equal(p->open, 0);
	assert_int_equal(p->migration, 0);
	assert_int_equal(p->flags, VFIO_MIGRATION_STOP_COPY);
	assert_int_equal(p->state, VFIOMIG_STATE_STOP);
	assert_int_equal(p->data_size, 0);
	assert_int_equal(p->bytes, 4711);
	assert_int_equal(p->features, 0);
	assert_int_equal(p->ops[VFIO_DEVICE_FEATURE_MIGRATION],
			 VFIOMIG_FEATURE_GET | VFIOMIG_FEATURE_SET);
	assert_int_equal(p->ops[VFIO_DEVICE_FEATURE_DMA_LOGGING_START], 0);
	assert_int_equal(p->left, 0);
}

static void test_answers(void **state)
{
	(void)state;
	assert_int_equal(probe_both(LONG, 0), 0);
	assert_int_equal(nr_found, 2);
	for (int i = 0; i < 2; i++) {
		expect_all(&found[i].probe);
		assert_string_equal(found[i].sentence, "");
	}
}

/* A driver that does not come back hides what it was asked, and nothing else. */
static void test_hangs(void **state)
{
	static const struct {
		const char *step, *says;
		int answers; /* how many came before */
	} rows[] = {
		{ "bind", "VFIO_DEVICE_BIND_IOMMUFD", 0 },
		{ "info", "VFIO_DEVICE_GET_INFO", 0 },
		{ "migration", "VFIO_DEVICE_FEATURE (GET MIGRATION)", 1 },
		{ "probe", "VFIO_DEVICE_FEATURE (probing MIGRATION)", 2 },
		{ "state", "VFIO_DEVICE_FEATURE (GET MIG_DEVICE_STATE)", 3 },
		{ "size", "VFIO_DEVICE_FEATURE (GET MIG_DATA_SIZE)", 4 },
		{ "close", "close() of the device", 5 },
	};

	(void)state;
	hang_on = "vfio0";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vfiomig_probe *p = &found[0].probe;
		int answers;

		hangs = rows[i].step;
		assert_int_equal(probe_both(SHORT, 0), 0);
		assert_int_equal(p->error, -ETIMEDOUT);
		assert_int_equal(p->left, 0);
		assert_ptr_equal(strstr(found[0].sentence, rows[i].says), found[0].sentence);
		assert_non_null(
			strstr(found[0].sentence,
			       "did not return in time and was given up; \"vfiomig hold " A));
		answers = (p->open == 0) + (p->migration == 0) + (p->features == 0) +
			  (p->state >= 0) + (p->data_size == 0);
		assert_int_equal(answers, rows[i].answers);
		expect_all(&found[1].probe);
		/* Nobody has the device open any more. */
		hangs = NULL;
		assert_int_equal(probe_both(LONG, 0), 0);
		expect_all(p);
	}
}

/* Where SIGKILL does not help either, the process that is left is named. */
static void test_left(void **state)
{
	char text[64];

	(void)state;
	hang_on = "vfio0";
	hangs = "info";
	immortal = true;
	assert_int_equal(probe_both(SHORT, 0), 0);
	immortal = false;
	assert_int_equal(found[0].probe.error, -ETIMEDOUT);
	assert_true(found[0].probe.left > 0);
	snprintf(text, sizeof(text), "VFIO_DEVICE_GET_INFO does not return; process %d,",
		 found[0].probe.left);
	assert_non_null(strstr(found[0].sentence, text));
	assert_non_null(strstr(found[0].sentence,
			       "was killed, and has the device open until the kernel lets it go"));
	expect_all(&found[1].probe);
	assert_int_equal(kill(found[0].probe.left, SIGKILL), 0);
	assert_int_equal(waitpid(found[0].probe.left, NULL, __WALL), found[0].probe.left);
}

/* The same where the probe is interrupted, and where a descriptor is to tell which device it is. */
static void test_left_elsewhere(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	struct facts facts;
	int pid;

	(void)state;
	hang_on = "vfio0";
	hangs = "info";
	immortal = true;
	alarm(1);
	assert_int_equal(probe_both(LONG, 0), -EINTR);
	assert_int_equal(
		sscanf(vfiomig_get_error(ctx),
		       "interrupted by a signal while VFIO_DEVICE_GET_INFO did not return; process %d, which waits",
		       &pid),
		1);
	assert_says("and has " A " open until the kernel lets it go");
	immortal = false;
	vfiomig_resume(ctx);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);

	hang_on = NULL;
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	immortal = true;
	assert_int_equal(facts_read(ctx, vfiomig_device_get_fd(dev), &facts), -ETIMEDOUT);
	immortal = false;
	assert_int_equal(
		sscanf(ctx->error,
		       "cannot tell which device it is: VFIO_DEVICE_GET_INFO does not return; process %d, which waits",
		       &pid),
		1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, __WALL), pid);
	vfiomig_device_unref(dev);
}

/* A driver that takes a while to close its device when the process is killed: a reset. */
static void test_dies_slowly(void **state)
{
	(void)state;
	hang_on = "vfio0";
	hangs = "info";
	slow_death = true;
	/* It may take longer on a machine that is busy. */
	for (int i = 0; i < 10 && (!i || found[0].probe.left); i++)
		assert_int_equal(probe_both(SHORT, 0), 0);
	slow_death = false;
	assert_int_equal(found[0].probe.error, -ETIMEDOUT);
	assert_int_equal(found[0].probe.left, 0);
	assert_non_null(strstr(found[0].sentence, "did not return in time and was given up"));
}

/* The kernel gives a group away once, so its devices take turns, and each gets some of the time. */
static void test_group(void **state)
{
	(void)state;
	sh("rm devices/pci0000:00/" B
	   "/iommu_group; ln -s $PWD/kernel/iommu_groups/7 devices/pci0000:00/" B "/iommu_group");
	hang_on = "vfio0";
	hangs = "info";
	assert_int_equal(probe_both(2 * SHORT, 0), 0);
	assert_int_equal(found[0].probe.error, -ETIMEDOUT);
	expect_all(&found[1].probe);
	/* If no time is left, that is said, too. */
	assert_int_equal(probe_both(0, 0), 0);
	assert_non_null(strstr(found[1].sentence, "others of IOMMU group 7 answered"));
}

/* The time in which another command has the device does not count. */
static void test_lock(void **state)
{
	int fd = open("run/" A ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(probe_both(SHORT, 1), 0);
	assert_int_equal(found[0].probe.open, -EBUSY);
	assert_int_equal(found[0].probe.error, -EBUSY);
	assert_non_null(strstr(found[0].sentence, "is at work on it; --wait waits for it"));
	expect_all(&found[1].probe);
	close(fd);
}

static void test_interrupted(void **state)
{
	(void)state;
	hangs = "info";
	alarm(1);
	assert_int_equal(probe_both(LONG, 0), -EINTR);
	assert_says("interrupted by a signal");
	vfiomig_resume(ctx);
	assert_int_equal(nr_found, 0);
}

static void note(void *lines, const char *line)
{
	*(int *)lines += strncmp(line, "opened 0000:00:1", 16) == 0;
}

/* What the processes log is told by this one. */
static void test_log(void **state)
{
	int lines = 0;

	(void)state;
	vfiomig_set_log(ctx, note, &lines);
	assert_int_equal(probe_both(LONG, 0), 0);
	assert_int_equal(lines, 2);
}

static void test_open(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_probe_devices(ctx, &dev, 1, LONG, 0, take, NULL), -EBUSY);
	assert_says("busy: this process has " A " open already");
	vfiomig_device_unref(dev);
}

static int make(void **state)
{
	hangs = hang_on = NULL;
	tester = getpid();
	make_machine(state);
	assert_int_equal(mkdir("run", 0700), 0);
	interrupt_on_alarm();
	return 0;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answers),	   TEST(test_hangs),	   TEST(test_left),
		TEST(test_left_elsewhere), TEST(test_dies_slowly), TEST(test_group),
		TEST(test_lock),	   TEST(test_interrupted), TEST(test_log),
		TEST(test_open),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
