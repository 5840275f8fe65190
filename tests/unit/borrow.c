// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that a process has open, named by "fd:" and "pid:". By the time the descriptor is taken,
 * its number may be closed or belong to something else. The process is the test itself; the kernel
 * is replaced at ioctl(2) and syscall(2) (see --wrap in the Makefile).
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "device/identity.h"
#include "device/process.h"
#include "machine.h"
#include "once.h"

static struct {
	bool unbound; /* the cdev is not bound to an iommufd yet */
	int bound_to; /* the iommufd that the cdev was bound to */
	long fail;    /* the number of the system call that fails, and its errno */
	int error;
} kernel;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		errno = EINVAL;
		return kernel.unbound ? -1 : 0;
	case VFIO_DEVICE_BIND_IOMMUFD:
		kernel.bound_to = ((struct vfio_device_bind_iommufd *)arg)->iommufd;
		kernel.unbound = false;
		return 0;
	default:
		return 0;
	}
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a, b, c, d, e;
	va_list ap;

	va_start(ap, number);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	e = va_arg(ap, long);
	va_end(ap);
	if (number == kernel.fail) {
		errno = kernel.error;
		return -1;
	}
	return __real_syscall(number, a, b, c, d, e);
}

/* Make the test's /proc show @target for a descriptor of this process. */
static void shows(int fd, const char *target)
{
	sh("ln -sfn '%s' proc/%d/fd/%d", target, getpid(), fd);
}

static int reset(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	sh("rm -f proc/%d/fd/*", getpid());
	return 0;
}

__attribute__((format(printf, 1, 2))) static struct vfiomig_device *find(const char *fmt, ...)
{
	char name[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return new_device(name);
}

static void expect(struct vfiomig_device *dev, int err, const char *says)
{
	int before = count_fds();

	assert_int_equal(vfiomig_device_open(dev, 0), err);
	assert_says(says);
	assert_int_equal(vfiomig_device_get_fd(dev), -EBADF);
	assert_int_equal(count_fds(), before);
	assert_int_equal(access("run/" A ".lock", F_OK), -1);
	vfiomig_device_unref(dev);
}

/* ---- Between the name and the descriptor --------------------------------- */

static bool same_file(int a, int b)
{
	return __real_syscall(SYS_kcmp, getpid(), getpid(), 0, a, b) == 0;
}

/* What was named is what is opened, whatever its number means by then. */
static void test_number_is_reused(void **state)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	/* A number so high that no other descriptor gets it after the close. */
	int fd = fcntl(null, F_DUPFD, 700);
	struct vfiomig_device *dev = find("fd:%d", fd);

	(void)state;
	assert_string_equal(vfiomig_device_get_name(dev), A);
	dup2(zero, fd);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfiomig_device_open(dev, 0), 0);
		assert_true(same_file(vfiomig_device_get_fd(dev), null));
		assert_int_equal(vfiomig_device_close(dev), 0);
		close(fd);
	}
	vfiomig_device_unref(dev);
	close(zero);
	close(null);
}

/* A process has to have it still, because the session would end with the command. */
static void test_owner_closed_it(void **state)
{
	int zero = open("/dev/zero", O_RDWR), again = open("/dev/zero", O_RDWR);
	int fd = fcntl(zero, F_DUPFD, 700);
	struct vfiomig_device *dev = find("pid:%d/fd:%d", getpid(), fd);
	char says[64];

	(void)state;
	assert_string_equal(vfiomig_device_get_name(dev), B);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(same_file(vfiomig_device_get_fd(dev), zero));
	assert_int_equal(vfiomig_device_close(dev), 0);
	/* The same device, but another session */
	dup2(again, fd);
	snprintf(says, sizeof(says), "descriptor %d of process %d is not " B " any more", fd,
		 getpid());
	expect(dev, -ENOENT, says);

	/* Without kcmp(2) it is at least the same device, or not. */
	kernel.fail = SYS_kcmp;
	kernel.error = ENOSYS;
	dev = find("pid:%d/fd:%d", getpid(), fd);
	dup2(zero, fd);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_close(dev), 0);
	assert_int_equal(dup2(ctx->wake, fd), fd);
	expect(dev, -ENOENT, says);
	kernel.fail = 0;

	dup2(zero, fd);
	dev = find("pid:%d/fd:%d", getpid(), fd);
	close(fd);
	snprintf(says, sizeof(says), "process %d has no descriptor %d", getpid(), fd);
	expect(dev, -ENOENT, says);

	/* It is closed while a command works on it. */
	dup2(zero, fd);
	dev = find("pid:%d/fd:%d", getpid(), fd);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	close(fd);
	assert_int_equal(vfiomig_device_close(dev), -EOWNERDEAD);
	snprintf(says, sizeof(says), "process %d has closed the device meanwhile: its state is",
		 getpid());
	assert_says(says);
	vfiomig_device_unref(dev);
	close(again);
	close(zero);
}

/* ---- Among the descriptors of a process ---------------------------------- */

static void test_search(void **state)
{
	int fd = open("/dev/null", O_RDWR);
	struct vfiomig_device *dev = find("pid:%d/" A, getpid());
	char says[64], comm[16];
	int pid;

	(void)state;
	/* A descriptor that has been closed since, one of another file, and the device's. */
	shows(900, "/dev/vfio/devices/vfio0");
	shows(0, "/dev/null");
	shows(fd, "/dev/vfio/devices/vfio0");
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(vfiomig_device_is_borrowed(dev));
	assert_int_equal(vfiomig_device_get_owner(dev, &pid, comm), 0);
	assert_int_equal(pid, getpid());
	/* The test's /proc has no name for the process. */
	assert_string_equal(comm, "?");
	assert_int_equal(vfiomig_device_get_holder(dev, &pid), -ENOENT);
	vfiomig_device_unref(dev);

	/* The cdev is open, but nobody can use the device yet. */
	kernel.unbound = true;
	snprintf(says, sizeof(says), "process %d has not bound the device to an iommufd yet",
		 getpid());
	expect(find("pid:%d/" A, getpid()), -EBUSY, says);
	expect(find("pid:%d/fd:%d", getpid(), fd), -EBUSY, says);
	kernel.unbound = false;

	/* The kernel does not permit taking the descriptor. */
	kernel.fail = SYS_pidfd_getfd;
	kernel.error = EPERM;
	snprintf(says, sizeof(says), "not permitted to take descriptors of process %d", getpid());
	expect(find("pid:%d/" A, getpid()), -EPERM, says);
	close(fd);
}

/* A file is not a device because of its path. */
static void test_path_of_device(void **state)
{
	struct vfiomig_device *dev;
	char says[64], path[256];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/dev/vfio/devices/vfio0", root);
	fd = open(path, O_RDWR);
	/* Its duplicates are shown, too. */
	shows(fd, path);
	for (int next = next_fd(), i = next; i < next + 4; i++)
		shows(i, path);
	snprintf(says, sizeof(says), "process %d (?) has not got " A " open", getpid());
	expect(find("pid:%d/" A, getpid()), -ENOENT, says);
	snprintf(path, sizeof(path), "fd:%d", fd);
	assert_int_equal(vfiomig_device_new(ctx, path, &dev), -ENOTTY);
	assert_says("is not a VFIO device");
	close(fd);
}

/* As many names as there is room for, none of them cut off. */
static void test_many_candidates(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), number;
	struct vfiomig_device *dev;
	const char *list;

	(void)state;
	for (number = 300; number < 330; number++) {
		dup2(fd, number);
		shows(number, "anon_inode:[vfio-device]");
	}
	/* Its duplicates are shown, too. */
	for (int next = next_fd(), i = next; i < next + 4; i++)
		shows(i, "anon_inode:[vfio-device]");
	dev = find("pid:%d/" A, getpid());
	assert_int_equal(vfiomig_device_open(dev, 0), -ENOTUNIQ);
	list = strstr(vfiomig_get_error(ctx), "it may be pid:");
	assert_non_null(list);
	assert_string_equal(list + strlen(list) - 5, ", ...");
	assert_true(list[strlen(list) - 6] >= '0' && list[strlen(list) - 6] <= '9');
	vfiomig_device_unref(dev);
	for (number = 300; number < 330; number++)
		close(number);
	close(fd);
}

static void test_no_owner(void **state)
{
	struct vfiomig_device *dev = find(A);
	char comm[16];
	int pid;

	(void)state;
	assert_int_equal(vfiomig_device_get_owner(dev, &pid, comm), -ENOENT);
	assert_says("was not named as that of a process");
	assert_false(vfiomig_device_owner_runs(dev));
	vfiomig_device_unref(dev);
}

/* ---- The process --------------------------------------------------------- */

static void expect_process(int pid, long fail, int error, int err, const char *says)
{
	kernel.fail = fail;
	kernel.error = error;
	assert_int_equal(process_take_fd(ctx, pid, 0), err);
	assert_says(says);
	kernel.fail = 0;
}

static void test_process(void **state)
{
	struct vfiomig_device *dev;
	int pid = fork();
	char says[64];

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	snprintf(says, sizeof(says), "there is no process %d", pid);
	expect_process(pid, 0, 0, -ESRCH, says);
	expect(find("pid:%d/" A, pid), -ESRCH, says);
	dev = find("pid:%d/" A, pid);
	assert_false(vfiomig_device_owner_runs(dev));
	vfiomig_device_unref(dev);
	assert_int_equal(vfiomig_device_new(ctx, "pid:0/" A, &dev), -EINVAL);

	pid = getpid();
	snprintf(says, sizeof(says), "there is no process %d", pid);
	expect_process(pid, SYS_pidfd_getfd, ESRCH, -ESRCH, says);
	snprintf(says, sizeof(says), "cannot take descriptor 0 of process %d: Too many", pid);
	expect_process(pid, SYS_pidfd_open, EMFILE, -EMFILE, says);
	snprintf(says, sizeof(says), "cannot take descriptor 0 of process %d: Too many", pid);
	expect_process(pid, SYS_pidfd_getfd, EMFILE, -EMFILE, says);
	expect_process(pid, SYS_pidfd_open, ENOSYS, -EOPNOTSUPP, "Linux 5.6");
}

/* Which permission it is, the machine's /proc tells. */
static void test_not_permitted(void **state)
{
	int pid = getpid();

	(void)state;
	sh("mkdir proc/self; echo 'CapEff: 0000000000000000' >proc/self/status");
	expect_process(pid, SYS_pidfd_getfd, EPERM, -EPERM, "that needs CAP_SYS_PTRACE");
	/* CAP_SYS_PTRACE alone */
	sh("printf '%%s\\n' 'CapEff:\t0000000000080000' 'Seccomp:\t0' >proc/self/status");
	expect_process(pid, SYS_pidfd_getfd, EPERM, -EPERM,
		       "although CAP_SYS_PTRACE is there: a security module");
	sh("echo '0 100000 65536' >proc/self/uid_map");
	expect_process(pid, SYS_pidfd_getfd, EPERM, -EPERM, "is not of this user namespace; run");
	sh("sed -i /Seccomp/s/0/2/ proc/self/status");
	expect_process(pid, SYS_pidfd_getfd, EPERM, -EPERM, "a seccomp filter, as containers have");
	expect_process(pid, SYS_pidfd_open, EPERM, -EPERM, "a seccomp filter, as containers have");
	expect_process(pid, SYS_pidfd_open, ENOSYS, -EOPNOTSUPP, "or a seccomp filter hides it");
	expect_process(pid, SYS_pidfd_getfd, ENOSYS, -EOPNOTSUPP, "or a seccomp filter hides it");
	sh("mkdir -p proc/sys/kernel/yama; echo 3 >proc/sys/kernel/yama/ptrace_scope");
	expect_process(pid, SYS_pidfd_getfd, EPERM, -EPERM, "kernel.yama.ptrace_scope is 3");
	sh("rm -r proc/self proc/sys");
}

/* If a file cannot be opened for want of descriptors, it must not count as missing. */
static void test_no_descriptors(void **state)
{
	int fd = open("/dev/null", O_RDWR), none = eventfd(0, 0);
	struct vfiomig_device *dev = find(A), *other;
	struct identity identity;
	char text[256], name[32];
	struct rlimit before;
	int pid;

	(void)state;
	sh("ln -s ../../../bus/pci/drivers/vfio-pci devices/pci0000:00/" A "/driver");
	shows(none, "anon_inode:[vfio-device]");
	snprintf(name, sizeof(name), "fd:%d", fd);
	before = allow_fds(next_fd());
	assert_int_equal(process_foreach_fd(ctx, getpid(), NULL, NULL), -EMFILE);
	assert_says("/fd: Too many open files");
	assert_int_equal(vfiomig_device_new(ctx, name, &other), -EMFILE);
	assert_says("cannot duplicate descriptor");
	assert_int_equal(identity_find(ctx, getpid(), none, &identity), -EMFILE);
	assert_says("/fdinfo/");
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, text), -EMFILE);
	assert_int_equal(vfiomig_device_get_obstacle(dev, text, text), -EMFILE);
	assert_int_equal(check_idle_once(dev, false), -EMFILE);
	/* With one descriptor a directory can be opened, but not the files in it. */
	setrlimit(RLIMIT_NOFILE, &before);
	allow_fds(next_fd() + 1);
	assert_int_equal(vfiomig_device_get_obstacle(dev, text, text), -EMFILE);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, text), -ENOENT);
	assert_int_equal(vfiomig_device_get_obstacle(dev, text, text), -ENOENT);
	vfiomig_device_unref(dev);
	sh("rm devices/pci0000:00/" A "/driver");
	close(none);
	close(fd);
}

/* ---- Descriptors that the caller has ------------------------------------- */

static struct vfiomig_fds fds_of(int device, int iommufd, int group, int container)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;

	fds.device = device;
	fds.iommufd = iommufd;
	fds.group = group;
	fds.container = container;
	return fds;
}

static void test_from_fds(void **state)
{
	int fd = open("/dev/null", O_RDWR), iommufd = open("/dev/zero", O_RDWR);
	struct vfiomig_fds given = fds_of(fd, iommufd, -1, -1), fds = VFIOMIG_FDS_INIT;
	int before = count_fds();
	struct vfiomig_device *dev;

	(void)state;
	/* A cdev that is not bound is bound to the iommufd that came with it. */
	kernel.unbound = true;
	assert_int_equal(vfiomig_device_from_fds(ctx, &given, &dev), 0);
	assert_string_equal(vfiomig_device_get_name(dev), A);
	/* The caller's own are not needed any more. */
	close(fd);
	close(iommufd);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(vfiomig_device_is_borrowed(dev));
	vfiomig_device_get_fds(dev, &fds);
	assert_int_equal(fds.iommufd, kernel.bound_to);
	assert_int_equal(fcntl(fds.device, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fds.iommufd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fds.group, -1);
	assert_int_equal(fds.container, -1);
	vfiomig_device_close(dev);
	/* It can be opened again. */
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	vfiomig_device_unref(dev);
	assert_int_equal(count_fds(), before - 2);
}

static void test_from_group_fds(void **state)
{
	int fd = open("/dev/null", O_RDWR), group = open("/dev/zero", O_RDWR);
	struct vfiomig_fds given = fds_of(fd, -1, group, ctx->wake), fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *dev;

	(void)state;
	assert_int_equal(vfiomig_device_from_fds(ctx, &given, &dev), 0);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	vfiomig_device_get_fds(dev, &fds);
	assert_int_equal(fds.iommufd, -1);
	assert_true(same_file(fds.device, fd) && fds.device != fd);
	assert_true(same_file(fds.group, group) && fds.group != group);
	assert_true(same_file(fds.container, ctx->wake) && fds.container != ctx->wake);
	vfiomig_device_unref(dev);
	close(group);
	close(fd);
}

static void test_bad_fds(void **state)
{
	int fd = open("/dev/null", O_RDWR), before = count_fds();
	struct vfiomig_fds none = VFIOMIG_FDS_INIT, closed = fds_of(fd, 700, -1, -1);
	struct vfiomig_fds other = fds_of(ctx->wake, -1, -1, -1);
	struct vfiomig_device *dev;

	(void)state;
	assert_int_equal(vfiomig_device_from_fds(ctx, &none, &dev), -EINVAL);
	assert_says("there is no device without a device descriptor");
	assert_int_equal(vfiomig_device_from_fds(ctx, &closed, &dev), -EBADF);
	assert_says("descriptor 700 is not open");
	assert_int_equal(vfiomig_device_from_fds(ctx, &other, &dev), -ENOTTY);
	assert_says("is not a VFIO device");
	assert_int_equal(count_fds(), before);
	/* Without an iommufd, a new one is opened. */
	kernel.unbound = true;
	dev = find("fd:%d", fd);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(kernel.bound_to >= 0);
	vfiomig_device_unref(dev);
	close(fd);
}

/* The structure of a newer version. */
struct newer_fds {
	struct vfiomig_fds now;
	int more[2];
};

#define FDS_FIRST (offsetof(struct vfiomig_fds, container) + sizeof(int))

/* Programs of other versions: a descriptor that is unknown here is -1, and not 0. */
static void test_sizes_of_fds(void **state)
{
	struct newer_fds fds = { VFIOMIG_FDS_INIT, { -1, -1 } };
	struct vfiomig_device *dev;

	(void)state;
	fds.now.device = open("/dev/null", O_RDWR);
	for (fds.now.size = 0; fds.now.size <= sizeof(fds); fds.now.size++) {
		int want = fds.now.size < FDS_FIRST ? -EINVAL : 0;

		assert_int_equal(vfiomig_device_from_fds(ctx, &fds.now, &dev), want);
		if (want)
			assert_says("no valid size");
		else
			vfiomig_device_unref(dev);
	}
	fds.now.size = sizeof(fds);
	for (size_t i = 0; i < ARRAY_SIZE(fds.more); i++) {
		fds.more[i] = 0;
		assert_int_equal(vfiomig_device_from_fds(ctx, &fds.now, &dev), -E2BIG);
		assert_says("newer than this libvfiomig");
		fds.more[i] = -1;
	}
	assert_int_equal(vfiomig_device_from_fds(ctx, &fds.now, &dev), 0);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	close(fds.now.device);
	for (size_t size = 0; size <= sizeof(fds); size++) {
		memset(&fds, 0x5a, sizeof(fds));
		fds.now.size = size;
		if (size < FDS_FIRST) {
			assert_int_equal(vfiomig_device_get_fds(dev, &fds.now), -EINVAL);
			assert_says("VFIOMIG_FDS_INIT");
			assert_int_equal(fds.now.device, 0x5a5a5a5a);
			continue;
		}
		assert_int_equal(vfiomig_device_get_fds(dev, &fds.now), 0);
		assert_int_equal(fds.now.size, size);
		assert_int_equal(fds.now.device, vfiomig_device_get_fd(dev));
		assert_int_equal(fds.now.container, -1);
		for (size_t i = sizeof(fds.now); i < sizeof(fds); i++)
			assert_int_equal(((unsigned char *)&fds)[i], i < size ? 0xff : 0x5a);
	}
	vfiomig_device_close(dev);
	assert_int_equal(vfiomig_device_get_fds(dev, &fds.now), 0);
	assert_int_equal(fds.now.device, -1);
	vfiomig_device_unref(dev);
}

/* A library that was told of no run-time directory makes none, and still opens the device. */
static void test_no_rundir(void **state)
{
	int fd = open("/dev/null", O_RDWR);
	bool was_there = access("/run/vfiomig", F_OK) == 0;
	struct vfiomig_device *dev = find("fd:%d", fd);

	(void)state;
	use_rundir(ctx, NULL);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_true(was_there || access("/run/vfiomig", F_OK));
	vfiomig_device_unref(dev);
	use_rundir(ctx, "nowhere/run");
	dev = find("fd:%d", fd);
	assert_int_equal(vfiomig_device_open(dev, 0), -ENOENT);
	assert_says("nowhere to lock it: cannot make nowhere/run: No such file or directory");
	vfiomig_device_unref(dev);
	use_rundir(ctx, "run");
	close(fd);
}

static void test_flags(void **state)
{
	struct vfiomig_device *dev = find(A);

	(void)state;
	assert_int_equal(vfiomig_device_open(dev, 8), -EINVAL);
	assert_says("flags 0x8 for opening a device are unknown");
	vfiomig_device_unref(dev);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, reset)
	const struct CMUnitTest tests[] = {
		TEST(test_number_is_reused), TEST(test_owner_closed_it), TEST(test_path_of_device),
		TEST(test_many_candidates),  TEST(test_not_permitted),	 TEST(test_search),
		TEST(test_no_owner),	     TEST(test_process),	 TEST(test_no_descriptors),
		TEST(test_from_fds),	     TEST(test_from_group_fds),	 TEST(test_bad_fds),
		TEST(test_no_rundir),	     TEST(test_flags),		 TEST(test_sizes_of_fds),
	};

	return cmocka_run_group_tests_name("borrow", tests, make_machine, remove_tree);
}
