// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opening a device through its group and through its cdev while the kernel refuses one of the
 * steps: the message is right, and nothing stays open. The kernel is replaced at open(2) and
 * ioctl(2) (see --wrap in the Makefile).
 */
#include "device/node.h"
#include "opening.h"

/* ---- Through the group --------------------------------------------------- */

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
	expect_refused(GROUP, VFIO_SET_IOMMU, ENOMEM, -ENOMEM,
		       "VFIO_SET_IOMMU: Cannot allocate memory");
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, EIO, -EIO,
		       "cannot open the device in group 7: Input/output error");
	expect_refused(GROUP, VFIO_DEVICE_GET_INFO, EIO, -EIO,
		       "VFIO_DEVICE_GET_INFO: Input/output error");

	kernel.version = 1;
	expect(GROUP, -EOPNOTSUPP, "dev/vfio/vfio speaks an unknown version");
	kernel.type = 0;
	expect(GROUP, -EOPNOTSUPP, "load vfio_iommu_type1");
}

/* The kernel's noiommu mode has another name for the node, and another type of IOMMU. */
static void test_noiommu(void **state)
{
	(void)state;
	sh("mkdir class/vfio/noiommu-7; mv dev/vfio/7 dev/vfio/noiommu-7");
	kernel.type = VFIO_NOIOMMU_IOMMU;
	assert_int_equal(open_device(GROUP), 0);
	kernel.type = VFIO_TYPE1v2_IOMMU;
	assert_int_equal(open_device(GROUP), -EOPNOTSUPP);
	assert_says("the device has no IOMMU; set enable_unsafe_noiommu_mode of vfio");
	kernel.type = VFIO_NOIOMMU_IOMMU;
	kernel.error = EPERM;
	kernel.fail = VFIO_GROUP_SET_CONTAINER;
	assert_int_equal(open_device(GROUP), -EPERM);
	assert_says("a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO");
	kernel.fail = VFIO_GROUP_GET_DEVICE_FD;
	assert_int_equal(open_device(GROUP), -EPERM);
	assert_says("a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO");
	kernel.fail = 0;
	kernel.closed = "dev/vfio/noiommu-7";
	kernel.open_error = EPERM;
	assert_int_equal(open_device(GROUP), -EPERM);
	assert_says("needs CAP_SYS_RAWIO");
	kernel.open_error = EACCES;
	assert_int_equal(open_device(GROUP), -EACCES);
	assert_says("not permitted to open dev/vfio/noiommu-7");
	kernel.closed = NULL;
	sh("mv " A_CDEV " away");
	assert_int_equal(open_device(CDEV), -EOPNOTSUPP);
	assert_says("the kernel has no cdev for a device without an IOMMU (noiommu mode)");
	sh("mv away " A_CDEV);
	sh("rmdir class/vfio/noiommu-7; mv dev/vfio/noiommu-7 dev/vfio/7");
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
	expect_closed(GROUP, "dev/vfio/7", EPERM, -EPERM,
		      "not permitted to open dev/vfio/7, although this is root: a device cgroup");
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
}

/* A user who has access to the group alone does not have to know what --via=group is for. */
static void test_permission(void **state)
{
	(void)state;
	/* The run-time directory is not that of this user. */
	use_rundir(ctx, "nowhere/run");
	for (int auto_too = 0; auto_too < 2; auto_too++) {
		kernel.uid = 1000;
		kernel.closed = auto_too ? A_CDEV : "dev/iommu";
		kernel.closed_too = "dev/vfio/7";
		kernel.open_error = EACCES;
		expect(auto_too ? AUTO : CDEV, -EACCES,
		       auto_too
			       ? "not permitted to open " A_CDEV "; run as root, or give this user"
			       : "not permitted to open dev/iommu; run as root, or give this user");
		kernel.uid = 1000;
		kernel.closed = auto_too ? A_CDEV : "dev/iommu";
		kernel.open_error = EACCES;
		assert_int_equal(open_device(AUTO), 0);
		assert_string_equal(kernel.name, A);
		expect(CDEV, -EACCES, "access to it, or open the device with --via=group");
	}
	use_rundir(ctx, "run");
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

/* ---- The way ------------------------------------------------------------- */

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
		TEST(test_group),      TEST(test_noiommu),   TEST(test_no_group), TEST(test_nodes),
		TEST(test_permission), TEST(test_node_wait), TEST(test_auto),
	};

	return cmocka_run_group_tests_name("open", tests, make_machine, remove_tree);
}
