// SPDX-License-Identifier: LGPL-2.1-or-later
/* The spellings of devices' names, on a sysfs made of plain files. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tree.h"

#define FN   "devices/pci0000:00/0000:00:1c.0/0000:3b:00.1"
#define UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define MDEV "devices/virtual/mtty/mtty/" UUID

static int make_sysfs(void **state)
{
	(void)state;
	begin_tree();
	sh("mkdir -p bus/pci/devices bus/pci/drivers/mlx5_vfio_pci bus/mdev/devices bus/mdev/drivers/mtty class/vfio-dev class/net kernel/iommu_groups/7 " FN
	   "/vfio-dev/vfio3 " FN "/net/eth0 " MDEV
	   " devices/virtual/mtty/mtty/mdev_supported_types/mtty-2 devices/virtual/net/lo");
	sh("ln -s $PWD/bus/pci " FN "/subsystem; ln -s $PWD/" FN
	   " bus/pci/devices/; ln -s ../../../../bus/pci/drivers/mlx5_vfio_pci " FN
	   "/driver; ln -s $PWD/kernel/iommu_groups/7 " FN "/iommu_group");
	sh("ln -s $PWD/class/vfio-dev " FN "/vfio-dev/vfio3/subsystem; ln -s $PWD/" FN
	   "/vfio-dev/vfio3 class/vfio-dev/; ln -s $PWD/class/net " FN
	   "/net/eth0/subsystem; ln -s $PWD/class/net devices/virtual/net/lo/subsystem");
	sh("cd " FN
	   "; echo 0x15b3 >vendor; echo 0x101e >device; echo 0x020000 >class; echo 0x01 >revision; echo 0x1 >subsystem_vendor; echo 0x2 >subsystem_device");
	sh("ln -s $PWD/bus/mdev " MDEV "/subsystem; ln -s $PWD/" MDEV
	   " bus/mdev/devices/; ln -s $PWD/devices/virtual/mtty/mtty/mdev_supported_types/mtty-2 " MDEV
	   "/mdev_type");
	return 0;
}

static void expect(const char *name, const char *device)
{
	struct vfiomig_device *dev = new_device(name);

	assert_string_equal(vfiomig_device_get_name(dev), device);
	vfiomig_device_unref(dev);
}

static void expect_error(const char *name, int err)
{
	struct vfiomig_device *dev;

	assert_int_equal(vfiomig_device_new(ctx, name, &dev), err);
	assert_true(strlen(vfiomig_get_error(ctx)) > 10);
}

static void test_spellings(void **state)
{
	char path[128];

	(void)state;
	expect("0000:3b:00.1", "0000:3b:00.1");
	expect("3b:00.1", "0000:3b:00.1");
	expect("0000:3B:00.1", "0000:3b:00.1");
	expect(UUID, UUID);
	expect("83B8F4F2-509f-382f-3c1e-e6bfe0fa1001", UUID);
	expect("vfio3", "0000:3b:00.1");
	expect("/dev/vfio/devices/vfio3", "0000:3b:00.1");
	sh("ln -s vfio3 class/vfio-dev/noiommu-vfio5");
	expect("noiommu-vfio5", "0000:3b:00.1");
	expect("/dev/vfio/devices/noiommu-vfio5", "0000:3b:00.1");
	sh("rm class/vfio-dev/noiommu-vfio5");

	/* Any path in sysfs that leads to the device or to something inside it. */
	for (const char *const *p = (const char *const[]){ "bus/pci/devices/0000:3b:00.1", FN,
							   FN "/", FN "/vendor", FN "/net/eth0",
							   "class/vfio-dev/vfio3", NULL };
	     *p; p++) {
		snprintf(path, sizeof(path), "%s/%s", root, *p);
		expect(path, "0000:3b:00.1");
	}
}

static void test_not_there(void **state)
{
	char path[128];

	(void)state;
	expect_error("0000:3b:00.2", -ENOENT);
	expect_error("83b8f4f2-509f-382f-3c1e-e6bfe0fa1002", -ENOENT);
	expect_error("vfio4", -ENOENT);
	expect_error("noiommu-vfio3", -ENOENT);
	snprintf(path, sizeof(path), "%s/devices/virtual/net/lo", root);
	expect_error(path, -ENOENT);
	snprintf(path, sizeof(path), "%s/devices", root);
	expect_error(path, -ENOENT);
	/* The path begins with the sysfs directory, but leads out of it. */
	snprintf(path, sizeof(path), "%s/../../etc/passwd", root);
	expect_error(path, -ENOENT);
}

static void test_no_names(void **state)
{
	static const char *const names[] = {
		"",
		"x",
		"3b:00",
		"3b:00.1x",
		"0000:3b:0.1",
		"vfio",
		"vfio3x",
		"noiommu-3",
		"noiommu-noiommu-vfio3",
		"vfio-1",
		"/etc/passwd",
		"../vfio3",
		"3b:00.1/../x",
		"0000:3b:00.",
		"83b8f4f2-509f-382f-3c1e-e6bfe0fa100",
		"/dev/vfio/devices/../../null",
		"vfio9999999999999999999999999999999999999999999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		expect_error(names[i], -EINVAL);
}

static void test_identity(void **state)
{
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;
	struct vfiomig_device *dev;

	(void)state;
	assert_int_equal(vfiomig_device_new(ctx, "3b:00.1", &dev), 0);
	assert_string_equal(vfiomig_device_get_driver(dev), "mlx5_vfio_pci");
	assert_string_equal(vfiomig_device_get_bus(dev), "pci");
	assert_string_equal(vfiomig_device_get_cdev(dev), "vfio3");
	assert_int_equal(vfiomig_device_get_group(dev), 7);
	assert_null(vfiomig_device_get_mdev_type(dev));
	assert_true(vfiomig_device_get_pci_id(dev, &id));
	assert_int_equal(id.vendor, 0x15b3);
	assert_int_equal(id.device, 0x101e);
	assert_int_equal(id.class_code, 0x020000);
	vfiomig_device_unref(dev);

	assert_int_equal(vfiomig_device_new(ctx, UUID, &dev), 0);
	assert_string_equal(vfiomig_device_get_mdev_type(dev), "mtty-2");
	assert_null(vfiomig_device_get_driver(dev));
	assert_null(vfiomig_device_get_cdev(dev));
	assert_int_equal(vfiomig_device_get_group(dev), -1);
	assert_false(vfiomig_device_get_pci_id(dev, &id));
	/* No driver is bound to it, so it cannot be opened. */
	assert_int_equal(vfiomig_device_open(dev, 0), -ENODEV);
	vfiomig_device_unref(dev);
}

/* The structure of a newer version. */
struct newer_pci_id {
	struct vfiomig_pci_id now;
	uint64_t more;
};

#define PCI_ID_FIRST (offsetof(struct vfiomig_pci_id, revision) + sizeof(uint32_t))

static void test_sizes_of_pci_id(void **state)
{
	struct vfiomig_device *dev = new_device("3b:00.1");
	struct newer_pci_id id;

	(void)state;
	for (size_t size = 0; size <= sizeof(id); size++) {
		memset(&id, 0x5a, sizeof(id));
		id.now.size = size;
		assert_int_equal(vfiomig_device_get_pci_id(dev, &id.now), size >= PCI_ID_FIRST);
		assert_int_equal(id.now.size, size);
		assert_int_equal(id.now.vendor == 0x5a5a, size < PCI_ID_FIRST);
		for (size_t i = sizeof(id.now); i < sizeof(id); i++)
			assert_int_equal(((unsigned char *)&id)[i], i < size ? 0 : 0x5a);
	}
	vfiomig_device_unref(dev);
}

/* An error quotes what the user typed, without control characters that a terminal would obey. */
static void test_error_is_printable(void **state)
{
	(void)state;
	expect_error("\033[2Jgo\naway", -EINVAL);
	assert_null(strchr(vfiomig_get_error(ctx), '\033'));
	assert_null(strchr(vfiomig_get_error(ctx), '\n'));
	/* Of Latin 1 and of Unicode; a direction, a separator of lines, a selector of variations,
	 * and what is not UTF-8 */
	expect_error("a\302\233b\233c\342\200\256d\330\234e\342\200\250f\357\270\217g\303",
		     -EINVAL);
	assert_non_null(strstr(vfiomig_get_error(ctx), "'a?b?c?d?e?f?g?'"));
	expect_error("\303\244\342\202\254\360\237\230\200", -EINVAL);
	assert_non_null(strstr(vfiomig_get_error(ctx), "'\303\244\342\202\254\360\237\230\200'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spellings),	cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_no_names),	cmocka_unit_test(test_identity),
		cmocka_unit_test(test_sizes_of_pci_id), cmocka_unit_test(test_error_is_printable),
	};

	return cmocka_run_group_tests_name("name", tests, make_sysfs, remove_tree);
}
