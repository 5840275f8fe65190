// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Why the kernel refuses a device: the same errno has several causes, which the machine shows, and
 * each has its own sentence.
 */
#include "device/refusal.h"
#include "opening.h"

#define BIND	  VFIO_DEVICE_BIND_IOMMUFD
#define OTHER	  "0000:00:10.1" /* in the group of A */
#define UUID	  "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"

#define A_DIR	  "devices/pci0000:00/" A
#define OTHER_DIR "devices/pci0000:00/" OTHER

static int begin(void **state)
{
	token = NULL;
	return reset(state);
}

/* ---- The group -------------------------------------------------------------- */

static void test_other_driver(void **state)
{
	static const int errors[] = { EPERM, EBUSY };
	const char *says = OTHER " is in it and bound to nvme; run \"vfiomig bind --group " A "\"";

	(void)state;
	sh("mkdir -p " OTHER_DIR " bus/pci/drivers/nvme; ln -s $PWD/bus/pci/drivers/nvme " OTHER_DIR
	   "/driver; ln -s $PWD/" OTHER_DIR " kernel/iommu_groups/7/devices/");
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, errors[i], -EBUSY, says);
		expect_refused(CDEV, BIND, errors[i], -EBUSY, says);
	}
	kernel.group_flags = 0;
	expect(GROUP, -EBUSY, says);
	sh("rm kernel/iommu_groups/7/devices/" OTHER "; rm -r " OTHER_DIR);

	/* Nothing of it is to be seen. */
	kernel.group_flags = 0;
	expect(GROUP, -EBUSY,
	       "IOMMU group 7 is not viable: the kernel itself uses it, or a process");
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, errors[i], -EBUSY,
			       "IOMMU group 7 is not viable: the kernel itself uses it");
}

/* Somebody has the device open, another one of its group, or one of them and cannot be seen. */
static void test_other_process(void **state)
{
	static const int errors[] = { EINVAL, EBUSY, EPERM };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		sh("ln -s " A_CDEV " proc/%d/fd/3", STRANGER);
		expect_refused(CDEV, BIND, errors[i], -EBUSY,
			       "busy: process 4711 (qemu) has the device or its group open");
		sh("rm proc/%d/fd/3; mkdir -p " OTHER_DIR "/vfio-dev/vfio9; ln -s $PWD/" OTHER_DIR
		   " kernel/iommu_groups/7/devices/; ln -s dev/vfio/devices/vfio9 proc/%d/fd/3",
		   STRANGER, STRANGER);
		expect_refused(CDEV, BIND, errors[i], -EBUSY,
			       "busy: process 4711 (qemu) has " OTHER
			       " open, which is in the same IOMMU group 7");
		sh("rm -r proc/%d/fd/3 kernel/iommu_groups/7/devices/" OTHER " " OTHER_DIR,
		   STRANGER);
		reset(NULL);
		kernel.fail = BIND;
		kernel.error = errors[i];
		kernel.closed = "dev/vfio/7";
		kernel.open_error = EBUSY;
		expect(CDEV, -EBUSY,
		       "busy: a process that cannot be seen from here has the device");
	}
}

/* ---- The IOMMU -------------------------------------------------------------- */

static void test_reserved_region(void **state)
{
	const char *says = "the firmware has reserved the memory 0x7b800000 to 0x7fffffff";

	(void)state;
	sh("printf '%%s\\n' '0x00000000fee00000 0x00000000feefffff msi' '0x000000007b800000 0x000000007fffffff direct' >kernel/iommu_groups/7/reserved_regions");
	expect_refused(CDEV, BIND, EINVAL, -EPERM, says);
	expect_refused(CDEV, BIND, EPERM, -EPERM, says);
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, EINVAL, -EPERM, says);
	expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, EINVAL, -EPERM, says);
	expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, EPERM, -EPERM, says);
	expect_refused(GROUP, VFIO_SET_IOMMU, EPERM, -EPERM, says);
	expect_refused(GROUP, VFIO_SET_IOMMU, EINVAL, -EPERM, says);
	/* VFIO takes no notice of this one. */
	sh("sed -i s/direct/direct-relaxable/ kernel/iommu_groups/7/reserved_regions");
	expect_refused(CDEV, BIND, EINVAL, -EINVAL,
		       "may not keep caches coherent, which --via=group does not need");
	assert_int_equal(open_device(GROUP), 0);
	expect_refused(GROUP, VFIO_SET_IOMMU, EINVAL, -EINVAL,
		       "VFIO_SET_IOMMU: Invalid argument; the kernel's log may tell more");
	sh("rm kernel/iommu_groups/7/reserved_regions");
}

static void test_interrupts(void **state)
{
	const char *says =
		"not permitted: the platform has no interrupt remapping; enable it, or set allow_unsafe_interrupts of ";
	char text[256];

	(void)state;
	sh("printf '%%s\\n' '  1: 0 0 IO-APIC 1-edge i8042' ' 24: 0 0 PCI-MSI 32768-edge virtio' >proc/interrupts");
	snprintf(text, sizeof(text), "%svfio_iommu_type1", says);
	expect_refused(GROUP, VFIO_SET_IOMMU, EPERM, -EPERM, text);
	snprintf(text, sizeof(text), "%siommufd", says);
	expect_refused(CDEV, BIND, EPERM, -EPERM, text);

	sh("for m in iommufd vfio_iommu_type1; do mkdir -p module/$m/parameters; echo N >module/$m/parameters/allow_unsafe_interrupts; done; echo Y >module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	snprintf(text, sizeof(text), "%siommufd, which is set for --via=group", says);
	expect_refused(CDEV, BIND, EPERM, -EPERM, text);
	/* Then that is not the cause. */
	expect_refused(GROUP, VFIO_SET_IOMMU, EPERM, -EPERM,
		       "VFIO_SET_IOMMU: Operation not permitted; the kernel's log may tell more");
	sh("echo Y >module/iommufd/parameters/allow_unsafe_interrupts");
	expect_refused(CDEV, BIND, EPERM, -EBUSY, "IOMMU group 7 is not viable");
	sh("rm -r module; echo ' 24: 0 0 IR-PCI-MSI 32768-edge virtio' >proc/interrupts");
	expect_refused(CDEV, BIND, EPERM, -EBUSY, "IOMMU group 7 is not viable");
	/* Other processors have other names, and none for what is remapped. */
	sh("echo ' 24: 0 0 ITS-PCI-MSI-0000:00:01.0 0 Edge virtio' >proc/interrupts");
	for (int i = 0; i < 2; i++) {
		expect_refused(
			CDEV, BIND, EPERM, -EPERM,
			"of devices (then set allow_unsafe_interrupts of iommufd), or the kernel itself, or a process that cannot be seen from here, uses its");
		expect_refused(
			GROUP, VFIO_SET_IOMMU, EPERM, -EPERM,
			"allow_unsafe_interrupts of vfio_iommu_type1), or the firmware has reserved");
		sh("rm -f proc/interrupts");
	}
}

/* A descriptor may be any of several devices. */
static void test_no_syspath(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	char *syspath = dev->sys.syspath;

	(void)state;
	dev->sys.syspath = NULL;
	assert_int_equal(refusal_bind(dev, -EINVAL), -EINVAL);
	assert_says(
		"may not keep caches coherent, which --via=group does not need; the kernel's log may tell more");
	dev->sys.syspath = syspath;
	vfiomig_device_unref(dev);
}

/* ---- The device ------------------------------------------------------------- */

static void test_device(void **state)
{
	const char *claimed = "busy: 'claim' has claimed a BAR of it, as proc/iomem shows";

	(void)state;
	/* A claim of another function's BAR, and of ours. */
	sh("printf '%%s\\n' '00000000-00000000 : PCI Bus 0000:00' '  00000000-00000000 : " B
	   "' '    00000000-00000000 : vfio-pci' '  00000000-00000000 : " A
	   "' '  00000000-00000000 : " A "' '    00000000-00000000 : claim' >proc/iomem");
	expect_refused(CDEV, BIND, EBUSY, -EBUSY, claimed);
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, EBUSY, -EBUSY, claimed);
	sh("sed -i /claim/d proc/iomem");
	expect_refused(CDEV, BIND, EBUSY, -EBUSY, "IOMMU group 7 is not viable");
	expect_refused(
		GROUP, VFIO_GROUP_GET_DEVICE_FD, EBUSY, -EBUSY,
		"cannot open the device in group 7: Device or resource busy; the kernel's log");
	sh("rm proc/iomem");

	expect_refused(CDEV, BIND, EAGAIN, -EBUSY, "is being reset, or bound to a driver");
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, EAGAIN, -EBUSY, "is being reset, or bound");
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, EBUSY, -EBUSY, "is being reset");
	expect_refused(CDEV, BIND, ENODEV, -ENODEV, "its driver is giving the device up");
	expect_refused(GROUP, VFIO_GROUP_SET_CONTAINER, ENODEV, -ENODEV,
		       "its driver is giving the");
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, ENODEV, -ENODEV,
		       "IOMMU group 7 has no device " A "; its driver is giving it up");
	expect_refused(GROUP, VFIO_SET_IOMMU, ENODEV, -EOPNOTSUPP, "no type1 IOMMU for the device");
	expect_refused(GROUP, VFIO_SET_IOMMU, ENOSPC, -ENOSPC, "no domain left for the device");
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, ENOSPC, -ENOSPC, "no domain left for");
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, EOPNOTSUPP, -EOPNOTSUPP,
		       "no address space for iommufd (Operation not supported); --via=group");
	expect_refused(CDEV, VFIO_DEVICE_ATTACH_IOMMUFD_PT, EINVAL, -EINVAL,
		       "or another device of IOMMU group 7 has another one");
}

static void test_plain(void **state)
{
	static const unsigned long requests[] = {
		BIND,		VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_GROUP_SET_CONTAINER,
		VFIO_SET_IOMMU, VFIO_GROUP_GET_DEVICE_FD,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		expect_refused(i < 2 ? CDEV : GROUP, requests[i], ENOMEM, -ENOMEM,
			       ": Cannot allocate memory");
		expect_refused(i < 2 ? CDEV : GROUP, requests[i], EIO, -EIO,
			       ": Input/output error; the kernel's log may tell more");
	}
	expect_refused(CDEV, IOMMU_IOAS_ALLOC, ENOMEM, -ENOMEM,
		       "IOMMU_IOAS_ALLOC: Cannot allocate memory");
	expect_refused(CDEV, BIND, EBADFD, -EBADFD, "is not an iommufd");
}

/* ---- VF tokens -------------------------------------------------------------- */

static void expect_token(int error, int err, const char *says)
{
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, error, err, says);
	kernel.takes_token = true;
	kernel.fail = BIND;
	kernel.error = error;
	/* The question whether the kernel knows tokens is the same request. */
	if (!token)
		expect(CDEV, err, says);
	reset(NULL);
}

static void test_token_refused(void **state)
{
	(void)state;
	/* A virtual function */
	sh("ln -s $PWD/devices/pci0000:00/" B " " A_DIR
	   "/physfn; mkdir -p bus/pci/drivers/vfio-pci bus/pci/drivers/nvme; ln -s $PWD/bus/pci/drivers/vfio-pci devices/pci0000:00/" B
	   "/driver");
	expect_token(EACCES, -EACCES,
		     "its physical function " B
		     " belongs to vfio-pci, which wants a VF token; give --vf-token");
	token = UUID;
	expect_token(EACCES, -EACCES,
		     "the VF token is not the one that its physical function " B
		     " was opened with");
	sh("mv devices/pci0000:00/" B
	   "/vfio-dev away; ln -sfn $PWD/bus/pci/drivers/nvme devices/pci0000:00/" B "/driver");
	expect_token(EINVAL, -EINVAL,
		     "no VF token is wanted, because its physical function " B
		     " does not belong to vfio-pci (bound to nvme)");
	sh("mv away devices/pci0000:00/" B "/vfio-dev; rm " A_DIR "/physfn devices/pci0000:00/" B
	   "/driver");
	/* Any function, and a driver that does not know tokens */
	expect_token(EINVAL, -EINVAL, "neither a virtual nor a physical function of SR-IOV");
	expect_token(ENODEV, -EINVAL, "neither a virtual nor a physical function of SR-IOV");
	/* A physical function */
	sh("echo 4 >" A_DIR "/sriov_totalvfs");
	expect_token(EACCES, -EACCES, "the VF token is not the one of its virtual functions");
	token = NULL;
	expect_token(EACCES, -EACCES, "its virtual functions are in use, and vfio-pci wants their");
	sh("rm " A_DIR "/sriov_totalvfs");
	expect_refused(GROUP, VFIO_GROUP_GET_DEVICE_FD, EACCES, -EACCES,
		       "cannot open the device in group 7: Permission denied");
}

static void test_token(void **state)
{
	static const uint8_t bytes[16] = { 0x83, 0xb8, 0xf4, 0xf2, 0x50, 0x9f, 0x38, 0x2f,
					   0x3c, 0x1e, 0xe6, 0xbf, 0xe0, 0xfa, 0x10, 0x01 };
	static const char *const wrong[] = { "",
					     "x",
					     UUID "0",
					     "83b8f4f2-509f-382f-3c1e-e6bfe0fa100",
					     "83b8f4f2-509f-382f-3c1e-e6bfe0fa100g",
					     "83b8f4f2+509f-382f-3c1e-e6bfe0fa1001" };
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(vfiomig_device_set_vf_token(dev, wrong[i]), -EINVAL);
		assert_says("a VF token is a UUID like ");
	}
	vfiomig_device_unref(dev);

	assert_int_equal(open_device(CDEV), 0);
	assert_int_equal(kernel.bound.argsz, sizeof(struct vfio_device_bind_iommufd));
	assert_int_equal(kernel.bound.flags, 0);
	token = UUID;
	assert_int_equal(open_device(GROUP), 0);
	assert_string_equal(kernel.name, A " vf_token=" UUID);
	/* The cdev of an older kernel takes none. */
	kernel.name[0] = '\0';
	assert_int_equal(open_device(AUTO), 0);
	assert_string_equal(kernel.name, A " vf_token=" UUID);
	assert_int_equal(open_device(CDEV), -EOPNOTSUPP);
	assert_says(
		"takes no VF token through the cdev, which Linux 6.17 does; --via=group takes it");
	/* Nor is there a group that this user may open. */
	kernel.closed = "dev/vfio/7";
	assert_int_equal(open_device(AUTO), -EOPNOTSUPP);
	reset(NULL);

	kernel.takes_token = true;
	assert_int_equal(open_device(AUTO), 0);
	assert_string_equal(kernel.name, "");
	assert_int_equal(kernel.bound.argsz, sizeof(kernel.bound));
	assert_int_equal(kernel.bound.flags, VFIO_DEVICE_BIND_FLAG_TOKEN);
	assert_memory_equal(kernel.token, bytes, sizeof(bytes));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_other_driver), TEST(test_other_process), TEST(test_reserved_region),
		TEST(test_interrupts),	 TEST(test_no_syspath),	   TEST(test_device),
		TEST(test_plain),	 TEST(test_token_refused), TEST(test_token),
	};

	return cmocka_run_group_tests_name("refusal", tests, make_machine, remove_tree);
}
