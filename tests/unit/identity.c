// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Finding out which device a descriptor belongs to, on a sysfs and a procfs made of plain files: by
 * the line in fdinfo that newer kernels have, and by nothing but groups.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "device/identity.h"
#include "tree.h"

#define A     "devices/pci0000:00/0000:00:10.0"
#define B     "devices/pci0000:00/0000:00:11.0"
#define SHELL 4711 /* another process */
#define FD    1005 /* the descriptor of this process that procfs shows */

/* The numbers of /dev/null, which stands for the group's node. */
static unsigned int null_major, null_minor;

static int make_trees(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat("/dev/null", &st), 0);
	null_major = major(st.st_rdev);
	null_minor = minor(st.st_rdev);
	begin_tree();
	sh("mkdir -p class/vfio dev/char devices/virtual/vfio/7; ln -s $PWD/class/vfio devices/virtual/vfio/7/subsystem");
	add_function("0000:00:10.0", 0, 7);
	add_function("0000:00:11.0", 1, 8);
	sh("mkdir -p proc/%d/fd proc/%d/fdinfo proc/%d/fd proc/%d/fdinfo", SHELL, SHELL, getpid(),
	   getpid());
	sh("ln -s 'anon_inode:[vfio-device]' proc/%d/fd/%d; echo 'pos: 0' >proc/%d/fdinfo/%d",
	   getpid(), FD, getpid(), FD);
	return 0;
}

/* A file may be on a server that does not answer. That must not be asked for the attributes. */
static bool is_of_shell(const char *path)
{
	return strstr(path, "/4711/fd/");
}

static int looks;

int __real_statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st);
int __wrap_statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st);
int __wrap_statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st)
{
	if (is_of_shell(path)) {
		assert_true(flags & AT_STATX_DONT_SYNC);
		looks++;
	}
	return __real_statx(dir, path, flags, mask, st);
}

int __real_stat64(const char *path, void *st);
int __wrap_stat64(const char *path, void *st);
int __wrap_stat64(const char *path, void *st)
{
	assert_false(is_of_shell(path));
	return __real_stat64(path, st);
}

static bool is(const struct identity *id, const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", root, device);
	return identity_has(id, path);
}

static void test_both(void **state)
{
	struct identity id;

	(void)state;
	/* The process has no group open, so the descriptor can be any device. */
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(id.count, 2);
	assert_true(is(&id, A));
	assert_true(is(&id, B));
	identity_free(&id);
}

static void test_group(void **state)
{
	struct identity id;

	(void)state;
	/* What is no path need not be looked at. */
	sh("ln -s 'socket:[77]' proc/%d/fd/5; ln -s 'anon_inode:[eventpoll]' proc/%d/fd/6", SHELL,
	   SHELL);
	sh("ln -s /dev/null proc/%d/fd/4; ln -s $PWD/devices/virtual/vfio/7 dev/char/%u:%u", SHELL,
	   null_major, null_minor);
	looks = 0;
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(looks, 1);
	assert_int_equal(id.count, 1);
	assert_true(is(&id, A));
	identity_free(&id);
}

/* The process has another group open, and one group so many times that the other one hardly comes
 * early in any order. */
static void test_many_groups(void **state)
{
	struct identity id;
	char path[64];

	(void)state;
	sh("mkdir -p devices/virtual/vfio/8; ln -s $PWD/class/vfio devices/virtual/vfio/8/subsystem; ln -s $PWD/devices/virtual/vfio/8 dev/char/%u:5; ln -s /dev/zero proc/%d/fd/200",
	   null_major, SHELL);
	for (int i = 1000; i < 3000; i++) {
		snprintf(path, sizeof(path), "proc/%d/fd/%d", SHELL, i);
		assert_int_equal(symlink("/dev/null", path), 0);
	}
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(id.count, 2);
	identity_free(&id);
	sh("rm proc/%d/fd/200", SHELL);
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(id.count, 1);
	assert_true(is(&id, A));
	identity_free(&id);
	sh("rm dev/char/%u:5 proc/%d/fd/????", null_major, SHELL);
}

static void test_noiommu(void **state)
{
	struct identity id;

	(void)state;
	/* The name of the group's node is not a number, but ends in one. */
	sh("mkdir -p devices/virtual/vfio/noiommu-8; ln -s $PWD/class/vfio devices/virtual/vfio/noiommu-8/subsystem; ln -sfn $PWD/devices/virtual/vfio/noiommu-8 dev/char/%u:%u",
	   null_major, null_minor);
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(id.count, 1);
	assert_true(is(&id, B));
	identity_free(&id);
}

static void test_fdinfo(void **state)
{
	struct identity id;

	(void)state;
	/* The kernel's own answer counts more than any other evidence. */
	sh("printf 'pos:\\t0\\nvfio-device-syspath: %%s\\n' $PWD/" B " >proc/%d/fdinfo/%d",
	   getpid(), FD);
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), 0);
	assert_int_equal(id.count, 1);
	assert_true(is(&id, B));
	identity_free(&id);
}

static void test_cdev(void **state)
{
	int fd = open("/dev/null", O_RDWR);
	struct identity id;

	(void)state;
	/* A character device that is a group's node is not a cdev. */
	assert_int_equal(identity_find(ctx, SHELL, fd, &id), -ENOTTY);
	assert_int_equal(id.count, 0);
	/* Nor if it is in a directory whose name looks like what the kernel adds. */
	sh("ln -sfn '/tmp/x (deleted)/vfio/devices/vfio0' proc/%d/fd/%d", getpid(), fd);
	assert_int_equal(identity_find(ctx, SHELL, fd, &id), -ENOTTY);
	sh("ln -sfn '/dev/vfio/devices/vfio0 (deleted)' proc/%d/fd/%d", getpid(), fd);
	assert_int_equal(identity_find(ctx, SHELL, fd, &id), 0);
	identity_free(&id);
	sh("rm proc/%d/fd/%d", getpid(), fd);
	sh("ln -sfn $PWD/" B "/vfio-dev/vfio1 dev/char/%u:%u", null_major, null_minor);
	assert_int_equal(identity_find(ctx, SHELL, fd, &id), 0);
	assert_int_equal(id.count, 1);
	assert_true(is(&id, B));
	identity_free(&id);
	close(fd);
}

static void test_other(void **state)
{
	struct identity id;

	(void)state;
	sh("ln -sf /etc/passwd proc/%d/fd/%d", getpid(), FD);
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), -ENOTTY);
	assert_says("/etc/passwd");
	identity_free(&id);
	/* A path is not what makes a device. */
	assert_true(identity_may_be_device("/srv/root/dev/vfio/devices/noiommu-vfio3"));
	assert_true(identity_may_be_device("anon_inode:[vfio-device]"));
	assert_false(identity_may_be_device("/tmp/vfio/devices/vfio0/x"));
	assert_false(identity_may_be_device("/dev/vfio/devicesvfio0"));
	assert_false(identity_may_be_device("pipe:[1]"));
	sh("ln -sf /tmp/vfio/devices/vfio0 proc/%d/fd/%d", getpid(), FD);
	assert_int_equal(identity_find(ctx, SHELL, FD, &id), -ENOTTY);
	identity_free(&id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both),	    cmocka_unit_test(test_group),
		cmocka_unit_test(test_many_groups), cmocka_unit_test(test_noiommu),
		cmocka_unit_test(test_fdinfo),	    cmocka_unit_test(test_cdev),
		cmocka_unit_test(test_other),
	};

	return cmocka_run_group_tests(tests, make_trees, remove_tree);
}
