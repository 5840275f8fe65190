// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Locks, and what happens if something is wrong with their directory. Paths that are too long must
 * not be cut off, because the rest may be another path.
 */
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "device/lock.h"
#include "device/rundir.h"
#include "tree.h"

#define NAME "0000:01:00.0"

static bool no_flock, no_fchmod;
/* The names of the files that were to be locked, each with a blank behind it. */
static char locked[256];
/* How often a closed descriptor was closed again: by then its number may belong to another file. */
static _Atomic unsigned int closed_twice;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
	char link[32], path[PATH_MAX] = "/";
	size_t n = strlen(locked);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, path, sizeof(path) - 1) > 0);
	snprintf(locked + n, sizeof(locked) - n, "%s ", strrchr(path, '/') + 1);
	if (!no_flock)
		return __real_flock(fd, operation);
	errno = ENOLCK;
	return -1;
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
	if (!no_fchmod)
		return __real_fchmod(fd, mode);
	errno = EROFS;
	return -1;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int saved = errno, ret = __real_close(fd);

	closed_twice += ret && errno == EBADF;
	if (!ret)
		errno = saved;
	return ret;
}

static int make(void **state)
{
	(void)state;
	begin_tree();
	sh("mkdir -m 700 run; d=devices/pci0/" NAME
	   "; mkdir -p $d bus/pci/devices bus/pci/drivers; ln -s $PWD/bus/pci $d/subsystem; ln -s $PWD/$d bus/pci/devices/");
	no_flock = no_fchmod = false;
	closed_twice = 0;
	locked[0] = '\0';
	return 0;
}

/* Locking fails with this error and sentence, and leaves nothing behind. */
static void expect_no_lock(int err, const char *text)
{
	int before = count_fds();
	struct vfiomig_device *dev = new_device(NAME);

	assert_int_equal(device_lock(dev), err);
	assert_says(text);
	assert_null(dev->locks);
	vfiomig_device_unref(dev);
	assert_int_equal(count_fds(), before);
	assert_int_equal(closed_twice, 0);
}

static void test_busy(void **state)
{
	struct vfiomig_device *dev = new_device(NAME);
	char text[64];

	(void)state;
	/* The kernel's own list of locks */
	ctx->procfs = "/proc";
	assert_int_equal(device_lock(dev), 0);
	snprintf(text, sizeof(text), "busy: process %d (lock) is at work on it", getpid());
	expect_no_lock(-EBUSY, text);
	assert_int_equal(lock_owner(ctx, NAME), getpid());
	sh("test -e run/" NAME ".lock");
	/* The owner has not written its PID into the lock yet. */
	sh(": >run/" NAME ".lock");
	expect_no_lock(-EBUSY, "busy: another command is at work on it");
	/* What is there is of a command that was killed, whose PID is nobody's or another one's. */
	for (int i = 0; i < 2; i++) {
		sh("echo %d >run/" NAME ".lock", i ? 1 : 4194305);
		expect_no_lock(-EBUSY, "busy: another command is at work on it");
		assert_int_equal(lock_owner(ctx, NAME), 0);
	}
	device_unlock(dev);
	sh("test ! -e run/" NAME ".lock");
	vfiomig_device_unref(dev);
}

/* The file of a command that was killed, whose PID another process has got. */
static void test_stale(void **state)
{
	(void)state;
	ctx->procfs = "/proc";
	sh("echo %d >run/" NAME ".lock", getpid());
	assert_int_equal(lock_owner(ctx, NAME), 0);
	/* There is no such list. */
	ctx->procfs = "proc";
	sh("mkdir -p proc/%d", getpid());
	assert_int_equal(lock_owner(ctx, NAME), getpid());
	sh("rmdir proc/%d", getpid());
	assert_int_equal(lock_owner(ctx, NAME), 0);
}

static void test_not_to_lock(void **state)
{
	(void)state;
	no_flock = true;
	expect_no_lock(-ENOLCK, "cannot lock run/" NAME ".lock: No locks available");
	no_flock = false;
	sh("rm run/*; echo precious >file; ln -s ../file run/" NAME ".lock");
	expect_no_lock(-ELOOP, "cannot open run/" NAME ".lock: Too many");
	sh("test \"$(cat file)\" = precious");
}

/* Whoever takes several locks takes them in the order of their names. */
static void test_order(void **state)
{
	static const char *const others[] = { "0000:02:00.0", "0000:00:00.0" };
	struct vfiomig_device *devices[2];
	size_t which;

	(void)state;
	for (int i = 0; i < 2; i++)
		sh("cp -a devices/pci0/" NAME
		   " devices/pci0/%s; ln -s $PWD/devices/pci0/%s bus/pci/devices/",
		   others[i], others[i]);
	devices[0] = new_device(others[0]);
	/* A descriptor that can be one of two */
	devices[1] = new_device(NAME);
	assert_int_equal(identity_add(ctx, &devices[1]->identity, "/devices/pci0/0000:00:00.0"), 0);
	assert_int_equal(device_lock(devices[1]), 0);
	assert_string_equal(locked, "0000:00:00.0.lock " NAME ".lock ");
	device_unlock(devices[1]);

	locked[0] = '\0';
	assert_int_equal(vfiomig_devices_open(devices, 2, 0, &which), -EOPNOTSUPP);
	assert_string_equal(locked, "0000:00:00.0.lock " NAME ".lock 0000:02:00.0.lock ");
	for (int i = 0; i < 2; i++)
		vfiomig_device_unref(devices[i]);
}

/*
 * Without a usable directory commands go on without a lock, because the kernel gives a device to
 * one process only.
 */
static void expect_without_lock(void)
{
	int before = count_fds();
	struct vfiomig_device *dev = new_device(NAME);

	assert_int_equal(device_lock(dev), 0);
	device_forget_lock(dev);
	assert_int_equal(device_lock(dev), 0);
	device_unlock(dev);
	vfiomig_device_unref(dev);
	assert_int_equal(count_fds(), before);
	assert_int_equal(closed_twice, 0);
}

static void test_no_directory(void **state)
{
	int fd;

	(void)state;
	sh("chmod 750 run");
	no_fchmod = true;
	assert_int_equal(rundir_open(ctx), -EROFS);
	assert_says("run: Read-only file system");
	expect_without_lock();
	no_fchmod = false;
	fd = rundir_open(ctx);
	assert_true(fd >= 0);
	close(fd);
	sh("test $(stat -c %%a run) = 700");

	use_rundir(ctx, "nowhere/run");
	expect_without_lock();
}

/* ---- Paths --------------------------------------------------------------- */

static void test_too_long(void **state)
{
	static char longest[PATH_MAX], longer[PATH_MAX + 1];
	char text[8] = "before";

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	memset(longer, 'x', sizeof(longer) - 1);
	use_rundir(ctx, longer);
	expect_no_lock(-ENAMETOOLONG, "the path of the run-time directory is too long");

	/* There is no room for "/" and "a". */
	assert_null(sysfs_link_name(longest, "a"));
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(sysfs_read_text(longest, "a", text, sizeof(text)), -ENAMETOOLONG);
	assert_string_equal(text, "before");
	assert_int_equal(sysfs_write(longest, "a", "1"), -ENAMETOOLONG);
	assert_null(sysfs_first_entry(longest, "a"));
	assert_false(sysfs_is_device(longest));
}

static void test_write(void **state)
{
	(void)state;
	/* Writing to a file of sysfs must not create it. */
	assert_int_equal(sysfs_write(root, "unbind", NAME), -ENOENT);
	sh("test ! -e unbind; echo 1234 >file");
	assert_int_equal(sysfs_write(root, "file", "56"), 0);
	sh("test \"$(cat file)\" = 5634");
	assert_int_equal(sysfs_write("/dev", "full", "1"), -ENOSPC);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_busy),	 TEST(test_stale),    TEST(test_not_to_lock),
		TEST(test_no_directory), TEST(test_too_long), TEST(test_write),
		TEST(test_order),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
