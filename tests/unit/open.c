// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opening a device through its group and through its cdev while the kernel refuses one of the
 * steps: the message is right, and nothing stays open. The kernel is replaced at open(2) and
 * ioctl(2) (see --wrap in the Makefile).
 */
#include <fcntl.h>

#include "device/node.h"
#include "machine.h"

static struct {
	unsigned long fail; /* the request that fails, and its errno */
	int error;
	const char *closed; /* the node that cannot be opened, and the errno */
	int open_error;
	int version, type1;
	uint32_t group_flags;
	unsigned long calls[32];
	int nr_calls;
} kernel;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (kernel.closed && strcmp(path, kernel.closed) == 0) {
		errno = kernel.open_error;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	kernel.calls[kernel.nr_calls++] = request;
	if (request == kernel.fail) {
		errno = kernel.error;
		return -1;
	}
	switch (request) {
	case VFIO_GET_API_VERSION:
		return kernel.version;
	case VFIO_CHECK_EXTENSION:
		return kernel.type1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = kernel.group_flags;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		assert_string_equal(arg, A);
		return __real_open64("/dev/null", O_RDWR | O_CLOEXEC);
	case VFIO_DEVICE_FEATURE:
		errno = ENOTTY;
		return -1;
	default:
		return 0;
	}
}

static int reset(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.group_flags = VFIO_GROUP_FLAGS_VIABLE;
	kernel.type1 = 1;
	return 0;
}

/* Open the device and close it. Whatever happens, no descriptor and no lock is left. */
static int open_device(enum vfiomig_via via)
{
	struct vfiomig_device *dev = new_device(A);
	int before = count_fds(), err;

	vfiomig_device_set_via(dev, via);
	err = vfiomig_device_open(dev, 0);
	if (err) {
		assert_int_equal(dev->fd, -1);
		assert_int_equal(count_fds(), before);
		assert_int_equal(access("run/" A ".lock", F_OK), -1);
	}
	vfiomig_device_unref(dev);
	assert_int_equal(count_fds(), before);
	assert_int_equal(access("run/" A ".lock", F_OK), -1);
	return err;
}

static void expect(enum vfiomig_via via, int err, const char *says)
{
	assert_int_equal(open_device(via), err);
	assert_says(says);
	/* Once the user has removed the cause, opening works at once. */
	reset(NULL);
	assert_int_equal(open_device(via), 0);
}

static void expect_refused(enum vfiomig_via via, unsigned long request, int error, int err,
			   const char *says)
{
	reset(NULL);
	kernel.fail = request;
	kernel.error = error;
	expect(via, err, says);
}

static void expect_closed(enum vfiomig_via via, const char *node, int error, int err,
			  const char *says)
{
	reset(NULL);
	kernel.closed = node;
	kernel.open_error = error;
	expect(via, err, says);
}

/* ---- Through the group --------------------------------------------------- */

#define GROUP VFIOMIG_VIA_GROUP

static void test_group(void **state)
{
	(void)state;
	expect_refused(GROUP, VFIO_GET_API_VERSION, EIO, -EIO,
		       "VFIO_GET_API_VERSION: Input/output error");
	expect_refused(GROUP, VFIO_CHECK_EXTENSION, EIO, -EIO,
		       "VFIO_CHECK_EXTENSION: Input/output error");
	expect_refused(GROUP, VFIO_GROUP_GET_STATUS, EIO, -EIO,
		       "VFIO_GROUP_GET_STATUS: Input/output error");
	expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, ENOMEM, -ENOMEM,
		       "VFIO_GROUP_SET_CONTAINER: Cannot allocate memory");
	expect_refused(GROUP, VFIO_SET_IOMMU, EPERM, -EPERM, "no interrupt remapping; enable it");
	expect_refused(GROUP, VFIO_SET_IOMMU, ENOMEM, -ENOMEM,
		       "VFIO_SET_IOMMU: Cannot allocate memory");
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, EIO, -EIO,
		       "cannot open the device in group 7: Input/output error");
	expect_refused(GROUP, VFIO_DEVICE_GET_INFO, EIO, -EIO,
		       "VFIO_DEVICE_GET_INFO: Input/output error");

	kernel.version = 1;
	expect(GROUP, -EOPNOTSUPP, "dev/vfio/vfio speaks an unknown version");
	kernel.type1 = 0;
	expect(GROUP, -EOPNOTSUPP, "load vfio_iommu_type1");
}

/* The message names the device that is in the way, if it can be seen. */
static void test_not_viable(void **state)
{
	static const int errors[] = { EPERM, EBUSY };

	(void)state;
	kernel.group_flags = 0;
	expect(GROUP, -EBUSY,
	       "IOMMU group 7 is not viable: a device in it is bound to another driver");
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, errors[i], -EBUSY,
			       "IOMMU group 7 is not viable");
	sh("d=$PWD/devices/pci0000:00/0000:00:10.1; mkdir -p $d bus/pci/drivers/nvme; ln -s $PWD/bus/pci/drivers/nvme $d/driver; ln -s $d kernel/iommu_groups/7/devices/");
	expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, EPERM, -EBUSY,
		       "0000:00:10.1 is in it and bound to nvme; run \"vfiomig bind --group " A
		       "\"");
	sh("rm kernel/iommu_groups/7/devices/0000:00:10.1");
}

static void test_no_group(void **state)
{
	struct vfiomig_device *dev;

	(void)state;
	sh("mv devices/pci0000:00/" A "/iommu_group away");
	dev = new_device(A);
	vfiomig_device_set_via(dev, GROUP);
	assert_int_equal(vfiomig_device_open(dev, 0), -EOPNOTSUPP);
	assert_says("no IOMMU group; enable the IOMMU");
	vfiomig_device_unref(dev);
	sh("mv away devices/pci0000:00/" A "/iommu_group");
	assert_int_equal(kernel.nr_calls, 0);
}

/* ---- The nodes ----------------------------------------------------------- */

static void test_nodes(void **state)
{
	(void)state;
	expect_closed(GROUP, "dev/vfio/vfio", ENOENT, -EOPNOTSUPP,
		      "no dev/vfio/vfio; load vfio_iommu_type1");
	expect_closed(GROUP, "dev/vfio/vfio", ENODEV, -EOPNOTSUPP, "the kernel has no VFIO here");
	expect_closed(GROUP, "dev/vfio/7", EACCES, -EACCES,
		      "not permitted to open dev/vfio/7; run as root");
	expect_closed(GROUP, "dev/vfio/7", EPERM, -EPERM,
		      "not permitted to open dev/vfio/7; run as root");
	expect_closed(GROUP, "dev/vfio/7", EMFILE, -EMFILE,
		      "cannot open dev/vfio/7: Too many open files");
	expect_closed(GROUP, "dev/vfio/7", EBUSY, -EBUSY,
		      "busy: another process has the device or its group open");
	sh("ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
	expect_closed(GROUP, "dev/vfio/7", EBUSY, -EBUSY,
		      "busy: process 4711 (qemu) has the device or its group");
	sh("rm proc/%d/fd/3", STRANGER);
	expect_closed(VFIOMIG_VIA_CDEV, A_CDEV, EMFILE, -EMFILE,
		      "cannot open " A_CDEV ": Too many open files");
	expect_closed(VFIOMIG_VIA_CDEV, "dev/iommu", EACCES, -EACCES,
		      "not permitted to open dev/iommu");
}

/* A signal ends the wait for udev, which creates the nodes. */
static void test_node_wait(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	assert_int_equal(node_wait(dev), 0);
	sh("touch class/vfio-dev/vfio0/dev; mv " A_CDEV " away");
	ctx->interrupted = 1;
	assert_int_equal(node_wait(dev), -EINTR);
	assert_says("interrupted by a signal");
	ctx->interrupted = 0;
	sh("mv away " A_CDEV);
	assert_int_equal(node_wait(dev), 0);
	vfiomig_device_unref(dev);
}

/* ---- Through the cdev ---------------------------------------------------- */

#define CDEV VFIOMIG_VIA_CDEV

static void test_cdev(void **state)
{
	(void)state;
	/*
	 * EINVAL means that the cdev is bound already, by another descriptor, or that its group is
	 * open.
	 */
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, EINVAL, -EBUSY,
		       "busy: another process has the device");
	sh("ln -s " A_CDEV " proc/%d/fd/3", STRANGER);
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, EINVAL, -EBUSY, "busy: process 4711 (qemu)");
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, EBUSY, -EBUSY, "busy: process 4711 (qemu)");
	sh("rm proc/%d/fd/3", STRANGER);
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, EBUSY, -EBUSY,
		       "IOMMU group 7 is not viable");
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, EPERM, -EBUSY,
		       "IOMMU group 7 is not viable");
	expect_refused(CDEV, VFIO_DEVICE_BIND_IOMMUFD, ENOMEM, -ENOMEM,
		       "VFIO_DEVICE_BIND_IOMMUFD: Cannot allocate memory");
	expect_refused(CDEV, IOMMU_IOAS_ALLOC, ENOMEM, -ENOMEM,
		       "IOMMU_IOAS_ALLOC: Cannot allocate memory");
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, EINVAL, -EINVAL,
		       "VFIO_DEVICE_ATTACH_IOMMUFD_PT: Invalid argument");
}

/* By default the device is opened through its cdev, if the kernel has both the cdev and iommufd. */
static void test_auto(void **state)
{
	(void)state;
	assert_int_equal(open_device(VFIOMIG_VIA_AUTO), 0);
	assert_int_equal(kernel.calls[0], VFIO_DEVICE_BIND_IOMMUFD);
	reset(NULL);
	sh("mv dev/iommu away");
	assert_int_equal(open_device(VFIOMIG_VIA_AUTO), 0);
	assert_int_equal(kernel.calls[0], VFIO_GET_API_VERSION);
	assert_int_equal(open_device(CDEV), -EOPNOTSUPP);
	assert_says("go through its group");
	sh("mv away dev/iommu");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, reset)
	const struct CMUnitTest tests[] = {
		TEST(test_group),     TEST(test_not_viable), TEST(test_no_group), TEST(test_nodes),
		TEST(test_node_wait), TEST(test_cdev),	     TEST(test_auto),
	};

	return cmocka_run_group_tests_name("open", tests, make_machine, remove_tree);
}
