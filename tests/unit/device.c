// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking for devices and opening them, on a sysfs made of plain files and with a kernel that
 * answers as the test wants: when a list is empty and when it is a failure, and which device a
 * descriptor belongs to.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "device/facts.h"
#include "device/identity.h"
#include "tree.h"

#define A	"devices/pci0000:00/0000:00:10.0"
#define B	"devices/pci0000:00/0000:00:11.0"
#define MDEV	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

/* The last of the descriptors that the test's procfs shows as those of a VFIO device */
#define LAST_FD 40

static struct {
	int info_fails; /* the errno of VFIO_DEVICE_GET_INFO */
	uint32_t info_flags;
	uint64_t bar0;
	int resets;	       /* how many functions a hot reset affects */
	int resets_when_asked; /* the same when it is asked for a second time */
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

/* Two functions with a VFIO driver. */
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
	/* A device that cannot be read must not be left out silently. */
	sh("mkdir " B "/vendor");
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), -EISDIR);
	assert_says(B "/vendor: Is a directory");
	assert_int_equal(n, 0);
	/* A device goes away at this moment. */
	sh("rm -r " B);
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), 0);
	assert_int_equal(n, 1);
	/* Without VFIO there is no class directory, and the list is empty. */
	sh("rm -r class/vfio-dev");
	n = 0;
	assert_int_equal(vfiomig_device_foreach(ctx, count, &n), 0);
	assert_int_equal(n, 0);
	/* A class directory that cannot be read is a failure. */
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
	assert_int_equal(vfiomig_device_open(dev, 0), -EOPNOTSUPP);
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
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;
	int own;

	(void)state;
	/* The device went away after its descriptor was inherited. */
	kernel.info_fails = ENODEV;
	assert_int_equal(vfiomig_device_open(dev, 0), -ENODEV);
	assert_says("VFIO_DEVICE_GET_INFO: No such device");
	assert_int_equal(vfiomig_device_get_fd(dev), -EBADF);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	sh("test -z \"$(ls run)\"");

	kernel.info_fails = 0;
	kernel.info_flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_AP;
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_get_info_flags(dev), kernel.info_flags);
	/* The descriptor can belong to either device, and says that it is not a PCI function. */
	assert_null(vfiomig_device_get_syspath(dev));
	assert_false(vfiomig_device_get_pci_id(dev, &id));
	own = vfiomig_device_get_fd(dev);
	assert_true(own >= 0 && own != fd);
	/* Opening an open device changes nothing. */
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_get_fd(dev), own);
	vfiomig_device_unref(dev);
	assert_true(fcntl(fd, F_GETFD) >= 0);
}

/* The lock can be kept while the device is closed. */
static void test_kept_lock(void **state)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct vfiomig_device *dev = device_of(fd), *other = device_of(fd);

	(void)state;
	assert_int_equal(vfiomig_device_open(dev, 0x8), -EINVAL);
	assert_says("flags 0x8 for opening a device are unknown");
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), 0);
	vfiomig_device_close(dev);
	assert_int_equal(vfiomig_device_open(other, 0), -EBUSY);
	/* What fails in between does not drop it. */
	kernel.info_fails = ENODEV;
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), -ENODEV);
	kernel.info_fails = 0;
	assert_int_equal(vfiomig_device_open(other, 0), -EBUSY);
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), 0);
	vfiomig_device_close(dev);
	vfiomig_device_unref(dev);
	assert_int_equal(vfiomig_device_open(other, 0), 0);
	vfiomig_device_close(other);
	/* Without the flag, closing the device drops it. */
	dev = device_of(fd);
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), 0);
	vfiomig_device_close(dev);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	vfiomig_device_close(dev);
	assert_int_equal(vfiomig_device_open(other, 0), 0);
	/* It can be kept of a device that is open already, too. */
	vfiomig_device_close(other);
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), 0);
	/* Opening it once more without the flag changes nothing. */
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	vfiomig_device_close(dev);
	assert_int_equal(vfiomig_device_open(other, 0), -EBUSY);
	vfiomig_device_unref(other);
	vfiomig_device_unref(dev);
}

/* A holder that serves the device has dropped the lock. */
static void test_no_lock_to_keep(void **state)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct vfiomig_device *dev = device_of(fd), *other = device_of(fd);

	(void)state;
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	dev->has_holder = true;
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), 0);
	device_unlock(dev);
	assert_int_equal(vfiomig_device_open(dev, VFIOMIG_OPEN_KEEP_LOCK), -EBUSY);
	assert_says("busy: its holder gives it to other programs, so its lock cannot be kept");
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	dev->has_holder = false;
	vfiomig_device_close(dev);
	/* The lock is taken when the device is opened again. */
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_device_open(other, 0), -EBUSY);
	vfiomig_device_unref(dev);
	vfiomig_device_unref(other);
}

/* What can be several devices has what they have in common, and an image of it says that much. */
static void test_common(void **state)
{
	_cleanup_close_ int fd = memfd_create("device", MFD_CLOEXEC);
	struct vfiomig_device *dev;

	(void)state;
	sh("mkdir -p bus/pci/drivers/x bus/pci/drivers/y; for f in " A " " B
	   "; do ln -s $PWD/bus/pci/drivers/x $f/driver; done");
	dev = device_of(fd);
	assert_null(vfiomig_device_get_syspath(dev));
	assert_string_equal(vfiomig_device_get_bus(dev), "pci");
	assert_string_equal(vfiomig_device_get_driver(dev), "x");
	assert_int_equal(device_check_identity(dev), 0);
	vfiomig_device_unref(dev);

	sh("ln -sfn $PWD/bus/pci/drivers/y " B "/driver");
	dev = device_of(fd);
	assert_string_equal(vfiomig_device_get_bus(dev), "pci");
	assert_null(vfiomig_device_get_driver(dev));
	assert_int_equal(vfiomig_device_open(dev, 0), 0);
	assert_int_equal(vfiomig_save(dev, STDOUT_FILENO, NULL, NULL), -ENOTUNIQ);
	assert_says(
		"which an image has to say: devices of different drivers fit; --raw does without");
	vfiomig_device_unref(dev);

	sh("rm -r class/vfio-dev/vfio?");
	dev = device_of(fd);
	assert_int_equal(device_check_identity(dev), -ENOTUNIQ);
	assert_says("nothing in sysfs fits");
	vfiomig_device_unref(dev);
}

/* ---- Which one ----------------------------------------------------------- */

/* Returns the device that a descriptor belongs to, 'A' or 'B', or 0 if it can be either. */
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

/* A device that cannot be read may be the right one, so this is a failure. */
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
	/*
	 * B's BARs do not fit, but A's are unknown, so that A remains possible. Once A's BARs are
	 * known not to fit, and B's fit, it is B.
	 */
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
	/* The number of affected functions has grown between the two calls. */
	kernel.resets_when_asked = 2;
	assert_int_equal(find(), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_no_vfio),
		TEST(test_open_descriptor),
		TEST(test_kept_lock),
		TEST(test_no_lock_to_keep),
		TEST(test_common),
		TEST(test_unreadable),
		TEST(test_bars),
		TEST(test_hot_reset),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
