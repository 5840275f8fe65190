// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that are looked for and opened, on a sysfs made of plain files and
 * with a kernel that says what the test wants: what is an empty list and what a
 * failure, and what a descriptor tells of itself.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "device/facts.h"
#include "device/identity.h"
#include "tree.h"

#define A	"devices/pci0000:00/0000:00:10.0"
#define B	"devices/pci0000:00/0000:00:11.0"
#define MDEV	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

/* The descriptors of this process that procfs has as a VFIO device's */
#define LAST_FD 40

static struct {
	int info_fails; /* an errno */
	uint32_t info_flags;
	uint64_t bar0;
	int resets;	       /* functions that a hot reset takes along */
	int resets_when_asked; /* the second time */
} kernel;

static struct vfio_pci_dependent_device dependent = { .devfn = 0x11 << 3 };

static int hot_reset_info(struct vfio_pci_hot_reset_info *info)
{
	int n = kernel.resets;

	if (info->argsz > sizeof(*info))
		n = kernel.resets_when_asked;
	info->count = n;
	errno = ENOSPC;
	if (info->argsz < sizeof(*info) + n * sizeof(info->devices[0]))
		return -1;
	if (n)
		info->devices[0] = dependent;
	return 0;
}

static int region_info(struct vfio_region_info *info)
{
	info->size = info->index == VFIO_PCI_BAR0_REGION_INDEX ? kernel.bar0 : 0;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	errno = kernel.info_fails;
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->flags = kernel.info_flags;
		return kernel.info_fails ? -1 : 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(arg);
	default:
		fail_msg("ioctl %#lx", request);
		return -1;
	}
}

/* Two functions and a mediated device, all of them of VFIO. */
static int make(void **state)
{
	(void)state;
	begin_tree();
	memset(&kernel, 0, sizeof(kernel));
	kernel.info_flags = VFIO_DEVICE_FLAGS_PCI;
	sh("mkdir -m 700 run; mkdir -p proc/%d/fd proc/%d/fdinfo", getpid(), getpid());
	add_function("0000:00:10.0", 0, 7);
	add_function("0000:00:11.0", 1, 7);
	sh("i=3; while [ $i -le %d ]; do ln -s 'anon_inode:[vfio-device]' proc/%d/fd/$i; i=$((i + 1)); done",
	   LAST_FD, getpid());
	return 0;
}

/* ---- Lists --------------------------------------------------------------- */

static int count(struct vfiomig_device *dev, void *data)
{
	assert_non_null(vfiomig_device_get_syspath(dev));
	++*(int *)data;
	return 0;
}

static void test_list(void **state)
{
	int n = 0;

	(void)state;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), 0);
	assert_int_equal(n, 2);
	/* One that is there and cannot be told apart is not left out. */
	sh("mkdir " B "/vendor");
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), -EISDIR);
	assert_says(B "/vendor: Is a directory");
	assert_int_equal(n, 0);
	/* One that goes away just now. */
	sh("rm -r " B);
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), 0);
	assert_int_equal(n, 1);
	/* Without VFIO there are none. */
	sh("rm -r class/vfio-dev");
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), 0);
	assert_int_equal(n, 0);
	/* That they cannot be read is something else. */
	sh(": >class/vfio-dev");
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), -ENOTDIR);
	assert_says("/class/vfio-dev: Not a directory");
	assert_int_equal(n, 0);
}

/* ---- Open ---------------------------------------------------------------- */

static void test_no_vfio(void **state)
{
	struct vfiomig_device *dev;

	(void)state;
	sh("rm -r class/vfio-dev; mkdir -p bus/mdev/devices bus/mdev/drivers devices/virtual/" MDEV
	   "; ln -s $PWD/bus/mdev devices/virtual/" MDEV
	   "/subsystem; ln -s $PWD/devices/virtual/" MDEV " bus/mdev/devices/");
	dev = new_device(MDEV);
	assert_int_equal(vfiomig_device_open(dev), -EOPNOTSUPP);
	assert_says("the kernel has no VFIO loaded; load the driver that made the device");
	sh("test -z \"$(ls run)\"");
	vfiomig_device_unref(dev);
}

static struct vfiomig_device *device_of(int fd)
{
	char name[16];

	snprintf(name, sizeof(name), "fd:%d", fd);
	return new_device(name);
}

static void test_open_descriptor(void **state)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct vfiomig_device *dev = device_of(fd);
	struct vfiomig_pci_id id;
	int own;

	(void)state;
	/* It went away while its descriptor was inherited. */
	kernel.info_fails = ENODEV;
	assert_int_equal(vfiomig_device_open(dev), -ENODEV);
	assert_says("VFIO_DEVICE_GET_INFO: No such device");
	assert_int_equal(vfiomig_device_get_fd(dev), -EBADF);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	sh("test -z \"$(ls run)\"");

	kernel.info_fails = 0;
	kernel.info_flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_AP;
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_get_info_flags(dev), kernel.info_flags);
	/* It can be either of two, and says that it is no PCI function. */
	assert_null(vfiomig_device_get_syspath(dev));
	assert_false(vfiomig_device_get_pci_id(dev, &id));
	own = vfiomig_device_get_fd(dev);
	assert_true(own >= 0 && own != fd);
	/* Again changes nothing. */
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_get_fd(dev), own);
	vfiomig_device_unref(dev);
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

/* ---- Which one ----------------------------------------------------------- */

/* 0 for either, or the one that it is. */
static char find(void)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct identity id;
	char which = 0;

	assert_int_equal(identity_find(ctx, getpid(), fd, &id), 0);
	if (id.count == 1)
		which = id.syspath[0][strlen(id.syspath[0]) - 3] == '0' ? 'A' : 'B';
	identity_free(&id);
	return which;
}

/* One that cannot be looked at could be the one. */
static void test_unreadable(void **state)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct identity id;

	(void)state;
	sh("mkdir " B "/vendor");
	assert_int_equal(identity_find(ctx, getpid(), fd, &id), -EISDIR);
	assert_says(B "/vendor: Is a directory");
	identity_free(&id);
}

static void test_bars(void **state)
{
	(void)state;
	kernel.bar0 = 0x1000;
	assert_int_equal(find(), 0);
	/* As long as nothing says otherwise, it can be one that cannot be
	 * read; not any more when the other one fits. */
	sh("echo 0xfe000000 0xfe000fff 0x40200 >" B "/resource");
	assert_int_equal(find(), 0);
	sh("echo 0xfe001000 0xfe001fff 0x40200 >" A
	   "/resource; for i in 1 2 3 4 5; do echo 0x0 0x0 0x0; done | tee -a " B
	   "/resource >/dev/null");
	assert_int_equal(find(), 'B');
}

static void test_hot_reset(void **state)
{
	(void)state;
	kernel.resets = kernel.resets_when_asked = 1;
	assert_int_equal(find(), 'B');
	/* They have become more in between. */
	kernel.resets_when_asked = 2;
	assert_int_equal(find(), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),       TEST(test_no_vfio), TEST(test_open_descriptor),
		TEST(test_unreadable), TEST(test_bars),	   TEST(test_hot_reset),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
