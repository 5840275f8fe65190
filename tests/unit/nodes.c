// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who has a node open that sysfs does not know, because NVIDIA's driver made it. */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "machine.h"
#include "once.h"

#define INFORMATION "proc/driver/nvidia/gpus/" A "/information"

/* The stranger's descriptors from 195000 on are /dev/nvidia0 and so on. */
int __real_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *st);
int __wrap_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *st);
int __wrap_statx(int dir, const char *name, int flags, unsigned int mask, struct statx *st)
{
	int n = atoi(name) - 195000;

	if (n < 0)
		return __real_statx(dir, name, flags, mask, st);
	*st = (struct statx){ .stx_mode = S_IFCHR, .stx_rdev_major = 195, .stx_rdev_minor = n };
	return 0;
}

/* A function that is bound to NVIDIA's driver. */
static struct vfiomig_device *begin(void)
{
	sh("d=$PWD/devices/pci0000:00/" A "; mkdir -p bus/pci/drivers/nvidia; "
	   "rm -r $d/vfio-dev class/vfio-dev/vfio0; ln -s $PWD/bus/pci/drivers/nvidia $d/driver");
	sh("mkdir -p proc/driver/nvidia/gpus/" A
	   "; printf 'Model: \\t\\t NVIDIA H100\\nBus Location: \\t " A
	   "\\nDevice Minor: \\t 1\\nGPU Excluded:\\t No\\n' >" INFORMATION);
	return new_device(A);
}

static void test_node(void **state)
{
	struct vfiomig_device *dev = begin();

	(void)state;
	assert_int_equal(check_usage_once(dev), 0);
	/* Another GPU, and the node that is common to all of them. */
	sh("ln -s dev/nvidia0 proc/%d/fd/195000; ln -s dev/nvidiactl proc/%d/fd/195255", STRANGER,
	   STRANGER);
	assert_int_equal(check_usage_once(dev), 0);
	sh("ln -s dev/nvidia1 proc/%d/fd/195001", STRANGER);
	assert_int_equal(check_usage_once(dev), -EBUSY);
	assert_says(
		A " is in use: process 4711 (qemu) has dev/nvidia1 open, and its driver may wait");
	vfiomig_device_unref(dev);
}

/* A driver that does not tell which node it is: it may be each. Or one that takes for ever to do
 * so. */
static void test_silent(void **state)
{
	struct vfiomig_device *dev = begin();

	(void)state;
	sh("echo 'Model: NVIDIA H100' >" INFORMATION);
	sh("ln -s dev/nvidiactl proc/%d/fd/195255", STRANGER);
	assert_int_equal(check_usage_once(dev), 0);
	sh("ln -s dev/nvidia7 proc/%d/fd/195007", STRANGER);
	assert_int_equal(check_usage_once(dev), -EBUSY);
	assert_says(A " is in use: process 4711 (qemu) has dev/nvidia7 open");
	sh("rm proc/%d/fd/195007", STRANGER);
	sh("rm " INFORMATION "; mkfifo " INFORMATION);
	assert_int_equal(check_usage_once(dev), -ETIMEDOUT);
	assert_says("cannot find out which nodes its driver has: Connection timed out");
	vfiomig_device_unref(dev);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_node), TEST(test_silent) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
