// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binding: which driver is chosen, when a device counts as in use, and what is undone in which
 * order after a failure. guest/t-bind.sh does this with a real kernel.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "bind/driver.h"
#include "device/apart.h"
#include "device/variant.h"
#include "once.h"
#include "pci.h"

/* The node that is a block device, the node that somebody has opened exclusively, and the node that
 * the kernel does not open. */
static const char *block_node, *taken_node, *stuck_node;
static _Atomic bool *stuck; /* a process waits for that node */

int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st)
{
	if (!block_node || strcmp(path, block_node) != 0)
		return __real_stat64(path, st);
	*st = (struct stat){ .st_mode = S_IFBLK | 0600, .st_rdev = makedev(8, 2) };
	return 0;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & O_EXCL && taken_node && strcmp(path, taken_node) == 0) {
		errno = EBUSY;
		return -1;
	}
	while (stuck_node && strcmp(path, stuck_node) == 0) {
		*stuck = true;
		pause();
	}
	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return __real_open64(path, flags, mode);
}

/* Whoever waits for a process that is stuck loses patience soon. */
uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
uint64_t __wrap_now_ns(void)
{
	return __real_now_ns() + (stuck && *stuck ? 60000000000ULL : 0);
}

/* How often the descriptor of another process was looked at, if that is counted. */
static int *looks;

ssize_t __real_readlinkat(int dir, const char *name, char *target, size_t size);
ssize_t __wrap_readlinkat(int dir, const char *name, char *target, size_t size);
ssize_t __wrap_readlinkat(int dir, const char *name, char *target, size_t size)
{
	if (looks)
		*looks += strcmp(name, "815") == 0;
	return __real_readlinkat(dir, name, target, size);
}

/* ---- Tests --------------------------------------------------------------- */

static void expect_best(const char *driver)
{
	_cleanup_free_ char *best = NULL;
	struct vfiomig_device *dev = new_device(A);

	index_modules();
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
	make_module("other_vfio_pci", "vfio_pci:v00008086d000010D4sv*sd*bc*sc*i*");
	expect_best(NULL);
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	expect_best("fair_vfio_pci");
	make_module("a_vfio_pci", "vfio_pci:v00008086d000010D3sv*sd*bc*sc*i*");
	expect_best("a_vfio_pci");
	make_module("made-vfio-pci", "vfio_pci:v00008086d000010D3sv00000001sd00000002bc*sc*i*");
	expect_best("made_vfio_pci");
	make_module("z_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc02sc00i*");
	expect_best("made_vfio_pci");
	/* A module can register its driver by another name than its own. */
	sh("mkdir -p module/made_vfio_pci/drivers; : >module/made_vfio_pci/drivers/pci:made-vfio");
	expect_best("made-vfio");
}

/* A module that cannot be read is not chosen, and does not hide other modules. */
static void test_broken_module(void **state)
{
	(void)state;
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	make_module("made_vfio_pci", "vfio_pci:v00008086d000010D3sv00000001sd*bc*sc*i*");
	expect_best("made_vfio_pci");
	sh("echo broken >modules/lib/modules/1.0/made_vfio_pci.ko");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	expect_bound(A, "fair_vfio_pci");
}

/* An alias leads to a module that is not there. libkmod would print a message of its own. */
static void test_lost_module(void **state)
{
	_cleanup_close_ int said = memfd_create("stderr", MFD_CLOEXEC);
	int was = dup(STDERR_FILENO), err;
	char text[64], *driver;

	(void)state;
	make_module("made_vfio_pci", "other_name");
	index_modules();
	sh("rm modules/lib/modules/1.0/modules.dep*");
	assert_int_equal(dup2(said, STDERR_FILENO), STDERR_FILENO);
	err = bind_to(A, "other_name", 0);
	assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
	close(was);
	assert_int_equal(err, -EIO);
	assert_says("cannot load the module other_name: it needs what the "
		    "kernel has not got, or its file is gone; the kernel's log");
	assert_int_equal(pread(said, text, sizeof(text), 0), 0);
	assert_string_equal(history, "");

	/* The module can also go away between the plan and the change. */
	assert_int_equal(driver_find(ctx, "gone_vfio_pci", true, &driver), -ENOENT);
	assert_says("the kernel has no PCI driver gone_vfio_pci and no module");
	assert_null(driver);
}

static void test_bind(void **state)
{
	(void)state;
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	expect_best("fair_vfio_pci");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(history, "driver_override 0=fair_vfio_pci; e1000e unbind 0; probe 0; ");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(A, "vfio-pci", 0), 0);
	assert_int_equal(unbind(A, VFIOMIG_BIND_DRY_RUN), 0);
	assert_string_equal(history, "");
	assert_int_equal(unbind(A, 0), 0);
	assert_string_equal(history, "driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	expect_bound(A, "e1000e");
}

/* Binding a group leaves the bridge alone, and the part of the chipset that has no driver. */
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
	attach("0000:01:00.7", "e1000e");
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), 0);
	expect_bound(C, "vfio-pci");
	expect_bound("0000:01:00.7", "e1000e");
	assert_int_equal(bind_to("0000:01:00.7", NULL, 0), -EOPNOTSUPP);
	assert_says("a bridge");
}

/* One look at the descriptors of all processes serves all functions of a group. */
static void test_group_looks(void **state)
{
	(void)state;
	looks = apart_alloc(sizeof(*looks));
	sh("mkdir -p proc/4711/fd; ln -s /none proc/4711/fd/815");
	attach(B, "e1000e");
	attach(C, "e1000e");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), 0);
	assert_int_equal(*looks, 1);
	*looks = 0;
	assert_int_equal(unbind(A, VFIOMIG_BIND_GROUP | VFIOMIG_BIND_DRY_RUN), 0);
	assert_int_equal(*looks, 1);
	apart_free(looks, sizeof(*looks));
	looks = NULL;
}

/* A path that is too long is no path. */
static void test_long_path(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	char *syspath = dev->sys.syspath, path[PATH_MAX];
	int room[] = { strlen("/iommu_group/devices"), strlen("/config") };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(room); i++) {
		memset(path, '/', sizeof(path));
		strcpy(path + sizeof(path) - room[i] - strlen(syspath), syspath);
		dev->sys.syspath = path;
		assert_int_equal(vfiomig_device_bind(dev, NULL, VFIOMIG_BIND_GROUP, NULL, NULL),
				 -ENAMETOOLONG);
		assert_says("the path of " A " in sysfs is too long");
	}
	assert_int_equal(binding_check_permitted(dev), -ENAMETOOLONG);
	assert_says("the path of " A " in sysfs is too long");
	dev->sys.syspath = syspath;
	vfiomig_device_unref(dev);
}

static void test_undo(void **state)
{
	(void)state;
	attach(C, "e1000e");
	refused = "probe 2";
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EIO);
	assert_string_equal(history, "driver_override 0=vfio-pci; e1000e unbind 0; probe 0; "
				     "driver_override 1=vfio-pci; probe 1; "
				     "driver_override 2=vfio-pci; e1000e unbind 2; probe 2; "
				     "driver_override 2=; e1000e bind 2; "
				     "driver_override 1=; vfio-pci unbind 1; "
				     "driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	assert_says(
		"vfio-pci did not take " C
		": Invalid argument; the kernel's log (dmesg) may say why; all 3 functions are back with the drivers they had");
	sh("test -z \"$(ls run/bound)\"");

	/*
	 * If one function cannot be given back, the message says so, and the other functions are
	 * given back.
	 */
	refused_too = "e1000e bind 2";
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EIO);
	assert_says(
		"may say why; and " C
		", which was bound to e1000e, could not be given back and is bound to no driver: e1000e did not take");
	expect_bound(A, "e1000e");
	expect_bound(C, NULL);
	sh("test \"$(cat run/bound/" C ")\" = 'driver e1000e'");
	refused = refused_too = NULL;
	assert_int_equal(unbind(C, 0), 0);
	expect_bound(C, "e1000e");
}

/* Without an IOMMU a function can be bound only in the noiommu mode. Unbinding does not ask. */
static void test_noiommu(void **state)
{
	(void)state;
	sh("rm " BUS A "/iommu_group; mkdir -p module/vfio");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bind_to(A, NULL, 0), -EOPNOTSUPP);
		assert_says("the device has no IOMMU group; enable the IOMMU");
		assert_says("enable_unsafe_noiommu_mode of vfio");
		assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), -EOPNOTSUPP);
		assert_string_equal(history, "");
		sh("mkdir -p module/vfio/parameters; echo N >module/vfio/parameters/enable_unsafe_noiommu_mode");
	}
	sh("echo Y >module/vfio/parameters/enable_unsafe_noiommu_mode");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), 0);
	expect_bound(A, "vfio-pci");
	sh("rm -r module/vfio");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_int_equal(unbind(A, VFIOMIG_BIND_GROUP), 0);
	expect_bound(A, "e1000e");
}

/* Whichever step of the first function fails, everything is undone. */
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
		assert_says("; " A " is back with e1000e");
		expect_bound(A, "e1000e");
		sh("test \"$(cat " BUS A
		   "/driver_override)\" = '(null)' && test -z \"$(ls run/bound)\"");
	}
	refused = NULL;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	/* Unbinding is undone in the same way. */
	refused = "e1000e bind 0";
	assert_int_equal(unbind(A, 0), -EIO);
	assert_says("e1000e did not take " A);
	assert_says("; " A " is back with vfio-pci");
	expect_bound(A, "vfio-pci");
	refused = NULL;
	assert_int_equal(unbind(A, 0), 0);
	expect_bound(A, "e1000e");
}

/* A VFIO driver that has no alias, or one that is as good, keeps its function. */
static void test_present_driver(void **state)
{
	(void)state;
	sh("mkdir bus/pci/drivers/own_vfio");
	assert_int_equal(bind_to(A, "own_vfio", 0), 0);
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(history, "");
	expect_bound(A, "own_vfio");
	make_module("fair_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	make_module("made_vfio_pci", "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	index_modules();
	sh("mkdir module/own_vfio -p; ln -s %s/module/own_vfio bus/pci/drivers/own_vfio/module",
	   root);
	assert_int_equal(bind_to(A, NULL, 0), 0);
	expect_bound(A, "made_vfio_pci");
	assert_int_equal(bind_to(A, "fair_vfio_pci", 0), 0);
	sh("mkdir module/fair_vfio_pci; ln -s %s/module/fair_vfio_pci bus/pci/drivers/fair_vfio_pci/module",
	   root);
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_string_equal(history, "");
	expect_bound(A, "fair_vfio_pci");
}

static char noticed[512];

static void note(void *data, const char *line)
{
	(void)data;
	snprintf(noticed, sizeof(noticed), "%s", line);
}

/* A function whose header cannot be read is no bridge. */
static void test_no_header(void **state)
{
	(void)state;
	sh("head -c 14 /dev/zero >" BUS A "/config; printf '\\377' >>" BUS A "/config");
	assert_int_equal(bind_to(A, NULL, 0), -EIO);
	assert_says(A " does not answer: its configuration space reads as all ones");
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), -EIO);
	assert_says(A " does not answer");
	sh(": >" BUS A "/config");
	assert_int_equal(bind_to(A, NULL, 0), -EIO);
	assert_says("cannot read the configuration space of " A ": it is too short");
	assert_string_equal(history, "");
	/* Without a driver it does not keep its group from being used. */
	sh("rm " BUS A "/driver");
	vfiomig_set_notice(ctx, note, NULL);
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), 0);
	assert_string_equal(noticed, "cannot read the configuration space of " A
				     ": it is too short; it has no driver and is left alone");
	expect_bound(B, "vfio-pci");
	expect_bound(A, NULL);
	/* One that has failed can be taken from VFIO, and one that is being removed is busy. */
	sh("head -c 64 /dev/zero | tr '\\0' '\\377' >" BUS B "/config");
	assert_int_equal(unbind(B, VFIOMIG_BIND_GROUP), 0);
	expect_bound(B, NULL);
	sh("cd " BUS B "; rm driver_override; mkfifo driver_override");
	assert_int_equal(unbind(B, 0), -EBUSY);
	assert_says("busy: somebody is giving " B " to a driver or taking it from one");
}

/* While a function is reset, the kernel does not read its configuration space. */
static void test_header_in_reset(void **state)
{
	struct vfiomig_device *patient = new_device(A);

	(void)state;
	sh("cd " BUS A "; rm config; mkfifo config");
	assert_int_equal(bind_to(A, NULL, 0), -EBUSY);
	assert_says("busy: the kernel has not read the configuration space of " A
		    " within 1 second; the function may be in a reset");
	/* The wait for others is for this one, too. */
	vfiomig_device_set_wait(patient, 1);
	assert_int_equal(vfiomig_device_bind(patient, NULL, 0, NULL, NULL), -EBUSY);
	assert_says(" within 2 seconds; the function may be in a reset");
	vfiomig_device_unref(patient);
	/* Without a driver it would be left alone, but a signal ends all. */
	sh("rm " BUS A "/driver");
	interrupt_on_alarm();
	ualarm(300000, 0);
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), -EINTR);
	assert_says("interrupted by a signal");
	assert_string_equal(history, "");
}

/* While somebody opens a device of the group, the kernel does not open the group. */
static void test_stuck_group(void **state)
{
	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	stuck_node = "dev/vfio/3";
	assert_int_equal(unbind(A, 0), -EBUSY);
	assert_says(
		"busy: the kernel has not opened dev/vfio/3 within 1 second; another process may be opening a device of the group");
	assert_string_equal(history, "");
	expect_bound(A, "vfio-pci");
}

/* A member of the group that is no PCI function is left alone. */
static void test_other_member(void **state)
{
	(void)state;
	sh("mkdir -p bus/platform/drivers devices/platform/uart; ln -s %s/bus/platform devices/platform/uart/subsystem; ln -s %s/devices/platform/uart kernel/iommu_groups/3/devices/",
	   root, root);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), 0);
	expect_bound(A, "vfio-pci");
}

/*
 * Somebody else's unbind keeps the device's lock, so that its driver_override cannot be read. A
 * FIFO that nobody writes to stands for that.
 */
static void test_changing(void **state)
{
	(void)state;
	sh("cd " BUS A "; rm driver driver_override; mkfifo driver_override");
	assert_int_equal(bind_to(A, NULL, 0), -EBUSY);
	assert_says("busy: somebody is giving " A " to a driver or taking it from one");
	sh("mkdir -p %s/proc/4711/fd; ln -s dev/vfio/3 %s/proc/4711/fd/5; echo vmm >%s/proc/4711/comm",
	   root, root, root);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), -EBUSY);
	assert_says(
		"busy: somebody is taking " A
		" from its driver, and process 4711 (vmm) still has the device or its group open");
	if (geteuid() == 0)
		assert_int_equal(unbind(A, VFIOMIG_BIND_DRY_RUN), -EBUSY);
	assert_int_equal(unbind(A, 0), -EBUSY);
	assert_string_equal(history, "");
}

static int count_a(struct vfiomig_device *dev, void *data)
{
	*(int *)data += strcmp(vfiomig_device_get_name(dev), A) == 0;
	return 0;
}

/* Such a device is listed, and one that just has no driver is not. */
static void test_leaving(void **state)
{
	int count = 0;

	(void)state;
	sh("rm " BUS A "/driver; mkdir -p class/vfio/3");
	assert_int_equal(vfiomig_device_foreach(ctx, count_a, &count), 0);
	assert_int_equal(count, 0);
	sh("cd " BUS A "; rm driver_override; mkfifo driver_override");
	assert_int_equal(vfiomig_device_foreach(ctx, count_a, &count), 0);
	assert_int_equal(count, 1);
}

static void test_interrupted(void **state)
{
	(void)state;
	vfiomig_interrupt(ctx);
	assert_int_equal(bind_to(A, NULL, 0), -EINTR);
	assert_string_equal(history, "");
}

/* ---- What a device is in use for ----------------------------------------- */

/* Binding A is refused with a sentence that contains @text, unless it is forced. */
static void expect_in_use(const char *text)
{
	assert_int_equal(bind_to(A, NULL, 0), -EBUSY);
	assert_says(text);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), -EBUSY);
	assert_string_equal(history, "");
	/* If one function is in use, its group is not bound either. */
	assert_int_equal(bind_to(B, NULL, VFIOMIG_BIND_GROUP), -EBUSY);
	assert_string_equal(history, "");
	assert_int_equal(bind_to(B, NULL, 0), 0);
	assert_int_equal(unbind(B, 0), 0);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_FORCE | VFIOMIG_BIND_DRY_RUN), 0);
}

static void make_disk(const char *dir, const char *name, const char *number)
{
	sh("mkdir -p %s/%s/holders; echo %s >%s/%s/dev; ln -s $PWD/%s/%s class/block/; : >dev/%s",
	   dir, name, number, dir, name, dir, name, name);
}

static void set_mount(const char *line)
{
	sh("printf '%%s\\n' '21 1 0:5 / /proc rw - proc proc rw' '%s' >proc/self/mountinfo", line);
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
	expect_in_use("the disk nvme0n1p1, which is mounted on /mnt/two words; unmount it");
	/* btrfs does not use the numbers of its disks, so the node's name has to tell. */
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

static void test_names_of_disks(void **state)
{
	(void)state;
	make_disk(BUS A "/cciss0", "cciss!c0d0", "104:0");
	set_mount("30 1 0:35 / /srv rw - btrfs dev/cciss/c0d0 rw");
	expect_in_use("the disk cciss!c0d0, which is mounted on /srv");
	/* The name is enough, the disk's number need not be there. */
	sh("rm " BUS A "/cciss0/cciss!c0d0/dev");
	expect_in_use("the disk cciss!c0d0, which is mounted on /srv");

	make_disk(BUS A "/ata1", "sda2", "8:2");
	sh("mkdir dev/mapper; : >dev/mapper/home");
	set_mount("30 1 0:35 / /home rw - btrfs dev/mapper/home rw");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	block_node = "dev/mapper/home";
	expect_in_use("the disk sda2, which is mounted on /home");
}

/* Malformed lines do not hide the lines after them. */
static void test_odd_mounts(void **state)
{
	(void)state;
	make_disk(BUS A "/ata1", "sda2", "8:2");
	set_mount(
		"odd\n\n - \n30 1 8:3 / - ext4 /dev/sda3 rw\n30 1 8:3 / /x rw - \n30 1 8:3 / /x rw - ext4");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	set_mount(
		"odd\n\n - \n30 1 8:3 / - ext4 /dev/sda3 rw\n30 1 8:3 / /x rw - \n30 1 8:3 / /x rw - ext4\n30 1 8:2 / /srv rw - ext4 /dev/root rw");
	expect_in_use("the disk sda2, which is mounted on /srv");
}

/* The disk is used by something that cannot be named: a mount of another container, or a pool. */
static void test_taken_disk(void **state)
{
	(void)state;
	make_disk(BUS A "/ata1", "sda2", "8:2");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	taken_node = "dev/sda2";
	expect_in_use("the disk sda2, which is in use; end that, or use");
}

/* A disk that does not answer keeps nobody waiting. */
static void test_stuck_disk(void **state)
{
	(void)state;
	make_disk(BUS A "/ata1", "sda", "8:0");
	stuck_node = "dev/sda";
	assert_int_equal(bind_to(A, NULL, 0), -ETIMEDOUT);
	assert_says(
		"cannot tell whether " A
		" is in use: the kernel has not opened its disk dev/sda within 3 seconds; use --force");
	assert_string_equal(history, "");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_FORCE), 0);
}

/* The NVMe namespace belongs to the subsystem, which has a path to the function. */
static void test_multipath(void **state)
{
	(void)state;
	sh("mkdir -p " BUS A "/nvme/nvme0 devices/virtual/nvme-subsystem/nvme-subsys0");
	sh("ln -s $PWD/" BUS A "/nvme/nvme0 devices/virtual/nvme-subsystem/nvme-subsys0/");
	make_disk("devices/virtual/nvme-subsystem/nvme-subsys0", "nvme0n1", "259:0");
	make_disk("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "nvme0n1p1", "259:1");
	set_mount("30 1 259:1 / /srv rw - xfs /dev/nvme0n1p1 rw");
	expect_in_use("the disk nvme0n1p1, which is mounted on /srv");
	set_mount("30 1 259:0 / /srv rw - xfs /dev/nvme0n1 rw");
	expect_in_use("the disk nvme0n1, which is mounted on /srv");
}

static void test_interfaces(void **state)
{
	(void)state;
	sh("mkdir -p " BUS A "/net/eth0 " BUS "0000:01:00.00/net/eth1; ln -s $PWD/" BUS A
	   "/net/eth0 $PWD/" BUS "0000:01:00.00/net/eth1 class/net/");
	sh("echo 0x1002 >" BUS A "/net/eth0/flags; echo 0x1003 >" BUS
	   "0000:01:00.00/net/eth1/flags");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	sh("echo 0x1003 >" BUS A "/net/eth0/flags");
	expect_in_use("the network interface eth0, which is up");
	/*
	 * The interface is in another network namespace, so that only its parent directory is
	 * visible.
	 */
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
	/*
	 * A function that was already bound to VFIO when it got virtual functions does not lose
	 * them either.
	 */
	sh("echo 0 >" BUS A "/sriov_numvfs");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	sh("echo 4 >" BUS A "/sriov_numvfs");
	assert_int_equal(unbind(A, 0), -EBUSY);
	assert_says("4 virtual functions");
	sh("echo 0 >" BUS A "/sriov_numvfs");
	assert_int_equal(unbind(A, 0), 0);
	/* Mediated devices vanish with the driver, too. */
	sh("mkdir -p bus/mdev/devices " BUS A "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 " BUS B
	   "/other; ln -s $PWD/" BUS B "/other bus/mdev/devices/");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), 0);
	sh("rm bus/mdev/devices/*; ln -s $PWD/" BUS A
	   "/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 bus/mdev/devices/");
	expect_in_use("has the mediated device 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001, which would");
}

/*
 * However few descriptors are left, the answer is that the device is in use, or that this cannot be
 * found out.
 */
static void expect_in_use_or_unknown(struct vfiomig_device *dev)
{
	struct rlimit before;
	int err = -EMFILE;

	for (int room = 0; err == -EMFILE; room++) {
		assert_true(room < 8);
		before = allow_fds(next_fd() + room);
		err = check_usage_once(dev);
		setrlimit(RLIMIT_NOFILE, &before);
		if (err == -EMFILE)
			assert_says("cannot tell whether " A " is in use");
	}
	assert_int_equal(err, -EBUSY);
}

static void test_no_descriptors(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	make_disk(BUS A "/nvme/nvme0", "nvme0n1", "259:0");
	set_mount("30 1 259:0 / / rw,noatime shared:1 - ext4 /dev/root rw");
	expect_in_use_or_unknown(dev);
	sh("rm class/block/*; mkdir -p " BUS A "/net/eth0; ln -s $PWD/" BUS A
	   "/net/eth0 class/net/; echo 0x1003 >" BUS A "/net/eth0/flags");
	expect_in_use_or_unknown(dev);
	sh("rm class/net/*; rm -r " BUS A "/net; echo 2 >" BUS A "/sriov_numvfs");
	expect_in_use_or_unknown(dev);
	vfiomig_device_unref(dev);
}

static int make(void **state)
{
	block_node = taken_node = stuck_node = NULL;
	if (!stuck)
		stuck = apart_alloc(sizeof(*stuck));
	*stuck = false;
	return make_world(state);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fewest_wildcards),
		TEST(test_broken_module),
		TEST(test_lost_module),
		TEST(test_bind),
		TEST(test_group),
		TEST(test_group_looks),
		TEST(test_long_path),
		TEST(test_undo),
		TEST(test_noiommu),
		TEST(test_undo_each_step),
		TEST(test_present_driver),
		TEST(test_no_header),
		TEST(test_header_in_reset),
		TEST(test_stuck_group),
		TEST(test_other_member),
		TEST(test_changing),
		TEST(test_leaving),
		TEST(test_interrupted),
		TEST(test_mounts),
		TEST(test_swap_and_holders),
		TEST(test_names_of_disks),
		TEST(test_odd_mounts),
		TEST(test_taken_disk),
		TEST(test_stuck_disk),
		TEST(test_multipath),
		TEST(test_interfaces),
		TEST(test_no_descriptors),
		TEST(test_console_and_functions),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
