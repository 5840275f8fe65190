// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binding, on a sysfs made of plain files and with a kernel that can be told to
 * refuse: which driver is the best, what a device is in use for, what is undone
 * and in which order. With the real kernel: guest/t-bind.sh.
 */
#include <sys/stat.h>

#include "tree.h"

#define BUS "devices/pci0000:00/0000:00:1c.0/"
#define A   "0000:01:00.0"
#define B   "0000:01:00.1"
#define C   "0000:01:00.2"

/* What was written, "OVERRIDE A vfio-pci; UNBIND A; ...", and what fails. */
static char history[2048];
static const char *refused, *refused_too;

/* ---- The kernel ---------------------------------------------------------- */

static void attach(const char *name, const char *driver)
{
	sh("cd " BUS "%s; ln -s %s/bus/pci/drivers/%s driver", name, root,
	   driver);
	if (strstr(driver, "vfio"))
		sh("mkdir -p " BUS "%s/vfio-dev/vfio%c", name,
		   name[strlen(name) - 1]);
}

static int change(const char *dir, const char *file, const char *text)
{
	const char *base = strrchr(dir, '/') + 1;
	char override[64];

	if (strcmp(file, "driver_override") == 0) {
		sh("printf '%%s\\n' '%s' >%s/driver_override",
		   *text == '\n' ? "(null)" : text, dir);
	} else if (strcmp(file, "unbind") == 0) {
		sh("cd " BUS "%s; rm -r driver; rm -rf vfio-dev", text);
	} else if (strcmp(file, "bind") == 0) {
		attach(text, base);
	} else if (strcmp(file, "drivers_probe") == 0) {
		char path[128];

		snprintf(path, sizeof(path), BUS "%s", text);
		assert_int_equal(sysfs_read_text(path, "driver_override",
						 override, sizeof(override)),
				 0);
		attach(text, strcmp(override, "(null)") ? override : "e1000e");
	} else {
		return -ENOENT;
	}
	return 0;
}

int __wrap_sysfs_write(const char *dir, const char *name, const char *text);

int __wrap_sysfs_write(const char *dir, const char *name, const char *text)
{
	size_t used = strlen(history);
	char step[128];

	/* The device is in the directory's name, or in the text. */
	if (strcmp(name, "driver_override") == 0)
		snprintf(step, sizeof(step), "%s %c=%s", name,
			 dir[strlen(dir) - 1], *text == '\n' ? "" : text);
	else if (strcmp(name, "drivers_probe") == 0)
		snprintf(step, sizeof(step), "probe %c",
			 text[strlen(text) - 1]);
	else
		snprintf(step, sizeof(step), "%s %s %c", strrchr(dir, '/') + 1,
			 name, text[strlen(text) - 1]);
	snprintf(history + used, sizeof(history) - used, "%s; ", step);
	if ((refused && strcmp(refused, step) == 0) ||
	    (refused_too && strcmp(refused_too, step) == 0))
		return -EINVAL;
	return change(dir, name, text);
}

/* ---- Its world ----------------------------------------------------------- */

static void make_function(const char *name, int header, const char *class)
{
	sh("mkdir -p " BUS "%s; cd " BUS
	   "%s; ln -s %s/bus/pci subsystem; ln -s $PWD %s/bus/pci/devices/; ln -s %s/kernel/iommu_groups/3 iommu_group; ln -s $PWD %s/kernel/iommu_groups/3/devices/",
	   name, name, root, root, root, root);
	sh("cd " BUS
	   "%s; echo 0x8086 >vendor; echo 0x10d3 >device; echo 0x1 >subsystem_vendor; echo 0x2 >subsystem_device; echo %s >class; echo 0 >revision; echo '(null)' >driver_override",
	   name, class);
	sh("cd " BUS
	   "%s; echo pci:v00008086d000010D3sv00000001sd00000002bc02sc00i00 >modalias; head -c 14 /dev/zero >config; printf '\\%03o' >>config",
	   name, header);
}

static void make_module(const char *name, const char *alias)
{
	sh("printf 'const char a[] __attribute__((section(\".modinfo\"))) = \"alias=%s\";' | gcc -x c -c - -o modules/lib/modules/1.0/%s.ko",
	   alias, name);
}

static int make_world(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	begin_tree();
	sh("mkdir -p bus/pci/devices bus/pci/drivers/vfio-pci bus/pci/drivers/e1000e bus/pci/drivers/made_vfio_pci bus/pci/drivers/fair_vfio_pci class/vfio-dev class/net class/block class/graphics kernel/iommu_groups/3/devices dev/vfio proc/self modules/lib/modules/1.0");
	sh(": >dev/vfio/3; : >proc/self/mountinfo; : >proc/swaps; mkdir -m 700 run");
	make_function("0000:01:00.7", 1, "0x060400");
	make_function(A, 0, "0x020000");
	make_function(B, 0, "0x020000");
	make_function(C, 0x80, "0x060100");
	attach(A, "e1000e");
	ctx->devfs = "dev";
	ctx->procfs = "proc";
	ctx->rundir = "run";
	ctx->modules = "modules/lib/modules/1.0";
	history[0] = '\0';
	refused = refused_too = NULL;
	return 0;
}

static int bind_to(const char *name, const char *driver, unsigned int flags)
{
	struct vfiomig_device *dev;
	int err;

	history[0] = '\0';
	assert_int_equal(vfiomig_device_new(ctx, name, &dev), 0);
	err = vfiomig_device_bind(dev, driver, flags, NULL, NULL);
	vfiomig_device_unref(dev);
	return err;
}

static int unbind(const char *name, unsigned int flags)
{
	struct vfiomig_device *dev;
	int err;

	history[0] = '\0';
	assert_int_equal(vfiomig_device_new(ctx, name, &dev), 0);
	err = vfiomig_device_unbind(dev, flags, NULL, NULL);
	vfiomig_device_unref(dev);
	return err;
}

static void expect_bound(const char *name, const char *driver)
{
	struct vfiomig_device *dev;

	assert_int_equal(vfiomig_device_new(ctx, name, &dev), 0);
	if (driver)
		assert_string_equal(vfiomig_device_get_driver(dev), driver);
	else
		assert_null(vfiomig_device_get_driver(dev));
	vfiomig_device_unref(dev);
}

static void expect_says(const char *text)
{
	if (!strstr(vfiomig_get_error(ctx), text))
		fail_msg("'%s' is not in '%s'", text, vfiomig_get_error(ctx));
}

/* ---- Tests --------------------------------------------------------------- */

static void expect_best(const char *driver)
{
	_cleanup_free_ char *best = NULL;
	struct vfiomig_device *dev;

	sh("PATH=$PATH:/usr/sbin:/sbin depmod -b modules 1.0 2>/dev/null");
	assert_int_equal(vfiomig_device_new(ctx, A, &dev), 0);
	best = variant_driver_for(dev);
	if (driver)
		assert_string_equal(best, driver);
	else
		assert_null(best);
	vfiomig_device_unref(dev);
}

static void test_fewest_wildcards(void **state)
{
	(void)state;
	expect_best(NULL);
	make_module("vfio-pci", "vfio_pci:v*d*sv*sd*bc*sc*i*");
	make_module("e1000e", "pci:v00008086d000010D3sv*sd*bc*sc*i*");
	make_module("other_vfio_pci",
		    "vfio_pci:v00008086d000010D4sv*sd*bc*sc*i*");
	expect_best(NULL);
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	expect_best("fair_vfio_pci");
	make_module("a_vfio_pci", "vfio_pci:v00008086d000010D3sv*sd*bc*sc*i*");
	expect_best("a_vfio_pci");
	make_module("made-vfio-pci",
		    "vfio_pci:v00008086d000010D3sv00000001sd00000002bc*sc*i*");
	expect_best("made_vfio_pci");
	make_module("z_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc02sc00i*");
	expect_best("made_vfio_pci");
	/* The driver need not have the module's name. */
	sh("mkdir -p module/made_vfio_pci/drivers; : >module/made_vfio_pci/drivers/pci:made-vfio");
	expect_best("made-vfio");
}

static void test_bind(void **state)
{
	(void)state;
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	expect_best("fair_vfio_pci");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(
		history,
		"driver_override 0=fair_vfio_pci; e1000e unbind 0; probe 0; ");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(A, "vfio-pci", 0), 0);
	assert_int_equal(unbind(A, VFIOMIG_BIND_DRY_RUN), 0);
	assert_string_equal(history, "");
	assert_int_equal(unbind(A, 0), 0);
	assert_string_equal(
		history,
		"driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	expect_bound(A, "e1000e");
}

/* The bridge, and the part of the chipset that has no driver, are left alone.
 */
static void test_group(void **state)
{
	(void)state;
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), 0);
	expect_bound(A, "vfio-pci");
	expect_bound(B, "vfio-pci");
	expect_bound(C, NULL);
	expect_bound("0000:01:00.7", NULL);
	assert_int_equal(unbind(A, VFIOMIG_BIND_GROUP), 0);
	expect_bound(A, "e1000e");
	expect_bound(B, NULL);
	attach(C, "e1000e");
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), 0);
	expect_bound(C, "vfio-pci");
	assert_int_equal(bind_to("0000:01:00.7", NULL, 0), -EOPNOTSUPP);
	expect_says("a bridge");
	sh("rm " BUS A "/iommu_group");
	assert_int_equal(bind_to(A, NULL, 0), -EOPNOTSUPP);
	expect_says("no IOMMU group");
}

static void test_undo(void **state)
{
	(void)state;
	attach(C, "e1000e");
	refused = "probe 2";
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EIO);
	assert_string_equal(
		history,
		"driver_override 0=vfio-pci; e1000e unbind 0; probe 0; "
		"driver_override 1=vfio-pci; probe 1; "
		"driver_override 2=vfio-pci; e1000e unbind 2; probe 2; "
		"driver_override 2=; e1000e bind 2; "
		"driver_override 1=; vfio-pci unbind 1; "
		"driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	expect_says(
		"vfio-pci did not take " C
		": Invalid argument; the kernel's log (dmesg) may say why; all 3 functions are back with the drivers they had");
	sh("test -z \"$(ls run/bound)\"");

	/* What cannot be undone is told, and the rest is undone. */
	refused_too = "e1000e bind 2";
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EIO);
	expect_says(
		"may say why; and " C
		", which was bound to e1000e, could not be given back and is bound to no driver: e1000e did not take");
	expect_bound(A, "e1000e");
	expect_bound(C, NULL);
	sh("test \"$(cat run/bound/" C ")\" = 'driver e1000e'");
	refused = refused_too = NULL;
	assert_int_equal(unbind(C, 0), 0);
	expect_bound(C, "e1000e");
}

/* A first step that fails has touched nothing but what it undoes. */
static void test_undo_each_step(void **state)
{
	static const char *const steps[] = {
		"driver_override 0=vfio-pci",
		"e1000e unbind 0",
		"probe 0",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		refused = steps[i];
		assert_int_equal(bind_to(A, NULL, 0), -EIO);
		expect_says("; " A " is back with e1000e");
		expect_bound(A, "e1000e");
		sh("test \"$(cat " BUS A
		   "/driver_override)\" = '(null)' && test -z \"$(ls run/bound)\"");
	}
	refused = NULL;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	/* And the way back. */
	refused = "e1000e bind 0";
	assert_int_equal(unbind(A, 0), -EIO);
	expect_says("e1000e did not take " A);
	expect_says("; " A " is back with vfio-pci");
	expect_bound(A, "vfio-pci");
	refused = NULL;
	assert_int_equal(unbind(A, 0), 0);
	expect_bound(A, "e1000e");
}

static void test_interrupted(void **state)
{
	(void)state;
	vfiomig_interrupt(ctx);
	assert_int_equal(bind_to(A, NULL, 0), -EINTR);
	assert_string_equal(history, "");
}

/* ---- What a device is in use for ----------------------------------------- */

/* Refused, with this in the sentence; but not with --force. */
static void expect_in_use(const char *text)
{
	assert_int_equal(bind_to(A, NULL, 0), -EBUSY);
	expect_says(text);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), -EBUSY);
	assert_string_equal(history, "");
	/* One function's use keeps the whole group. */
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), -EBUSY);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(B, NULL, 0), 0);
	assert_int_equal(unbind(B, 0), 0);
	assert_int_equal(
		bind_to(A, NULL, VFIOMIG_BIND_FORCE | VFIOMIG_BIND_DRY_RUN), 0);
}

static void make_disk(const char *dir, const char *name, const char *number)
{
	sh("mkdir -p %s/%s/holders; echo %s >%s/%s/dev; ln -s $PWD/%s/%s class/block/; : >dev/%s",
	   dir, name, number, dir, name, dir, name, name);
}

static void set_mount(const char *line)
{
	sh("printf '%%s\\n' '21 1 0:5 / /proc rw - proc proc rw' '%s' >proc/self/mountinfo",
	   line);
}

static void test_mounts(void **state)
{
	(void)state;
	make_disk(BUS A "/nvme/nvme0", "nvme0n1", "259:0");
	make_disk(BUS A "/nvme/nvme0/nvme0n1", "nvme0n1p1", "259:1");
	make_disk("devices/virtual/block", "dm-0", "253:0");
	set_mount("30 1 253:0 / / rw,noatime shared:1 - ext4 /dev/dm-0 rw");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	set_mount(
		"30 1 259:1 / /mnt/two\\040words rw,noatime shared:1 master:2 - ext4 /dev/root rw");
	expect_in_use(
		"the disk nvme0n1p1, which is mounted on /mnt/two words; unmount it");
	/* btrfs has its own numbers. */
	set_mount("30 1 0:35 /@ /home rw - btrfs dev/nvme0n1p1 rw");
	expect_in_use("the disk nvme0n1p1, which is mounted on /home");
}

static void test_swap_and_holders(void **state)
{
	(void)state;
	make_disk(BUS A "/ata1/block", "sda", "8:0");
	make_disk(BUS A "/ata1/block/sda", "sda2", "8:2");
	sh("printf 'Filename\\t\\t\\t\\tType\\n%%s\\n' 'dev/sda2 partition 1 0 -2' >proc/swaps");
	expect_in_use("the disk sda2, which is swapped to; run \"swapoff ");
	sh(": >proc/swaps; : >" BUS A "/ata1/block/sda/sda2/holders/dm-3");
	expect_in_use("the disk sda2, which is a part of dm-3");
}

/* The namespace hangs on the subsystem, which has a path to the function. */
static void test_multipath(void **state)
{
	(void)state;
	sh("mkdir -p " BUS A
	   "/nvme/nvme0 devices/virtual/nvme-subsystem/nvme-subsys0; ln -s $PWD/" BUS
		   A
	   "/nvme/nvme0 devices/virtual/nvme-subsystem/nvme-subsys0/");
	make_disk("devices/virtual/nvme-subsystem/nvme-subsys0", "nvme0n1",
		  "259:0");
	make_disk("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1",
		  "nvme0n1p1", "259:1");
	set_mount("30 1 259:1 / /srv rw - xfs /dev/nvme0n1p1 rw");
	expect_in_use("the disk nvme0n1p1, which is mounted on /srv");
	set_mount("30 1 259:0 / /srv rw - xfs /dev/nvme0n1 rw");
	expect_in_use("the disk nvme0n1, which is mounted on /srv");
}

static void test_interfaces(void **state)
{
	(void)state;
	sh("mkdir -p " BUS A "/net/eth0 " BUS
	   "0000:01:00.00/net/eth1; ln -s $PWD/" BUS A "/net/eth0 $PWD/" BUS
	   "0000:01:00.00/net/eth1 class/net/");
	sh("echo 0x1002 >" BUS A "/net/eth0/flags; echo 0x1003 >" BUS
	   "0000:01:00.00/net/eth1/flags");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	sh("echo 0x1003 >" BUS A "/net/eth0/flags");
	expect_in_use("the network interface eth0, which is up");
	/* Gone to another network namespace: only its directory's parent is
	 * seen. */
	sh("rm -r " BUS A "/net/eth0 class/net/eth0");
	expect_in_use("in another network namespace");
}

static void test_console_and_functions(void **state)
{
	(void)state;
	sh("mkdir -p " BUS A "/graphics/fb0; ln -s $PWD/" BUS A
	   "/graphics/fb0 class/graphics/; echo 0 >" BUS A "/boot_vga");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	sh("echo 1 >" BUS A "/boot_vga");
	expect_in_use("the console is on it (fb0)");
	sh("rm " BUS A "/boot_vga; echo 0 >" BUS A "/sriov_numvfs");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	sh("echo 4 >" BUS A "/sriov_numvfs");
	expect_in_use("has 4 virtual functions");
	/* Nor does a function lose them that was bound to VFIO with them. */
	sh("echo 0 >" BUS A "/sriov_numvfs");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	sh("echo 4 >" BUS A "/sriov_numvfs");
	assert_int_equal(unbind(A, 0), -EBUSY);
	assert_non_null(strstr(vfiomig_get_error(ctx), "4 virtual functions"));
	sh("echo 0 >" BUS A "/sriov_numvfs");
	assert_int_equal(unbind(A, 0), 0);
}

#define TEST(test) \
	cmocka_unit_test_setup_teardown(test, make_world, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fewest_wildcards),
		TEST(test_bind),
		TEST(test_group),
		TEST(test_undo),
		TEST(test_undo_each_step),
		TEST(test_interrupted),
		TEST(test_mounts),
		TEST(test_swap_and_holders),
		TEST(test_multipath),
		TEST(test_interfaces),
		TEST(test_console_and_functions),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
