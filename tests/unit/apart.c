// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What may never come back: a state that cannot be read, a write in which the kernel waits. A FIFO
 * that nobody has open at the other end stands for such a file.
 */
#include "bind/step.h"
#include "device/opener.h"
#include "machine.h"

static int seen;
static char said[512];

static int visit(struct vfiomig_device *dev, void *count)
{
	(void)dev;
	++*(int *)count;
	return 0;
}

static int see(void *state, const struct vfiomig_use *use)
{
	seen++;
	if (strcmp(vfiomig_device_get_name(use->device), A) == 0) {
		assert_int_equal(use->pid, STRANGER);
		*(int *)state = use->state;
		assert_true(use->state >= 0 || use->error == -ETIMEDOUT);
	}
	return 0;
}

/* One device whose driver is busy hides no other, and keeps nobody waiting. */
static void test_state(void **state)
{
	int found = -1, before = count_fds();

	(void)state;
	sh("mkdir -p kernel/debug/vfio/" A "/migration; echo STOP >kernel/debug/vfio/" A
	   "/migration/state; ln -s dev/vfio/7 proc/%d/fd/3",
	   STRANGER);
	seen = 0;
	assert_int_equal(vfiomig_device_foreach_use(ctx, 60000, see, &found), 0);
	assert_int_equal(seen, 2);
	assert_int_equal(found, VFIOMIG_STATE_STOP);

	sh("cd kernel/debug/vfio/" A "/migration; rm state; mkfifo state");
	/* If this read the FIFO itself, it would never come back. */
	assert_int_equal(vfiomig_device_foreach_use(ctx, 300, see, &found), 0);
	assert_int_equal(seen, 4);
	assert_int_equal(found, -1);
	assert_int_equal(count_fds(), before);
}

/* A device without an IOMMU is one of the devices, and the opener of its group is seen. */
static void test_noiommu(void **state)
{
	struct vfiomig_device *dev;
	char comm[16];
	int pid, count = 0;

	(void)state;
	sh("mkdir class/vfio/noiommu-8; d=$PWD/devices/pci0000:00/" B
	   "; mv $d/vfio-dev/vfio1 $d/vfio-dev/noiommu-vfio1; rm class/vfio-dev/vfio1; ln -s $d/vfio-dev/noiommu-vfio1 class/vfio-dev/");
	assert_int_equal(vfiomig_device_foreach(ctx, visit, &count), 0);
	assert_int_equal(count, 2);
	dev = new_device(B);
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, comm), -ENOENT);
	sh("ln -s dev/vfio/noiommu-8 proc/%d/fd/3", STRANGER);
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, comm), 0);
	assert_int_equal(pid, STRANGER);
	vfiomig_device_unref(dev);
}

static void note(void *data, const char *line)
{
	(void)data;
	snprintf(said, sizeof(said), "%s", line);
	vfiomig_interrupt(ctx);
}

/* A step that takes long is explained, and can be interrupted. */
static void test_step(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	sh("mkfifo unbind; ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
	vfiomig_set_notice(ctx, note, NULL);
	assert_int_equal(step_write(dev, root, "unbind", A, "taking it", 10), -EINPROGRESS);
	assert_string_equal(
		said,
		"still waiting for the kernel, which is taking it; process 4711 (qemu) has the device open");
	assert_says(
		"interrupted by a signal while the kernel was taking it, which it goes on with");
	vfiomig_resume(ctx);
	sh("rm unbind; : >unbind");
	assert_int_equal(step_write(dev, root, "unbind", A, "taking it", 10), 0);
	sh("test \"$(cat unbind)\" = " A);
	assert_int_equal(step_write(dev, root, "none", A, "taking it", 10), -ENOENT);
	vfiomig_device_unref(dev);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_state),
		TEST(test_noiommu),
		TEST(test_step),
	};

	return cmocka_run_group_tests_name("apart", tests, NULL, NULL);
}
