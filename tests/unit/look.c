// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A look at the descriptors of all processes that takes long: reading each one's link is slow. The
 * links dangle, so that the type cannot be told and the link has to be read.
 */
#include <time.h>

#include "bind/step.h"
#include "device/apart.h"
#include "device/node.h"
#include "machine.h"
#include "once.h"

#define SLOW_MS 100
#define S	1000000000ULL

static char said[512];
static const char *stuck;      /* the name of the descriptor that does not answer, or NULL */
static const char *unreadable; /* the name of the descriptor whose link cannot be read, or NULL */
static int unreadable_errno;
static int *links; /* how many were read, if that is counted */

ssize_t __real_readlinkat(int dir, const char *name, char *target, size_t size);
ssize_t __wrap_readlinkat(int dir, const char *name, char *target, size_t size);
ssize_t __wrap_readlinkat(int dir, const char *name, char *target, size_t size)
{
	const struct timespec slow = { .tv_nsec = SLOW_MS * 1000000L };

	while (stuck && strcmp(name, stuck) == 0)
		pause();
	if (links)
		++*links;
	nanosleep(&slow, NULL);
	if (unreadable && strcmp(name, unreadable) == 0) {
		errno = unreadable_errno;
		return -1;
	}
	return __real_readlinkat(dir, name, target, size);
}

/* How often somebody looked, and for how long at most after a signal, in nanoseconds. A test looks
 * for as long as it takes, however busy the machine is. */
static int looks;
static int64_t hurry;

int __real_openers_look(struct vfiomig_ctx *c, uint64_t until, struct openers **openers);
int __wrap_openers_look(struct vfiomig_ctx *c, uint64_t until, struct openers **openers);
int __wrap_openers_look(struct vfiomig_ctx *c, uint64_t until, struct openers **openers)
{
	looks++;
	assert_true((int64_t)(until - now_ns()) <= (int64_t)S);
	return __real_openers_look(c, now_ns() + 60 * S, openers);
}

int __real_openers_look_back(struct vfiomig_ctx *c, uint64_t until, struct openers **openers);
int __wrap_openers_look_back(struct vfiomig_ctx *c, uint64_t until, struct openers **openers);
int __wrap_openers_look_back(struct vfiomig_ctx *c, uint64_t until, struct openers **openers)
{
	hurry = until - now_ns();
	return __real_openers_look_back(c, now_ns() + 60 * S, openers);
}

static void note(void *data, const char *line)
{
	(void)data;
	snprintf(said, sizeof(said), "%s", line);
}

/* Give the stranger @n descriptors of no interest. */
static void add_descriptors(int n)
{
	sh("cd proc/%d/fd; for i in $(seq %d); do ln -s /none $((100 + i)); done", STRANGER, n);
}

/* Binding waits until it is known whether a node is open, and says what it waits for. */
static void test_usage(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	vfiomig_set_notice(ctx, note, NULL);
	add_descriptors(36);
	sh("ln -s /dev/null proc/%d/fd/900; rm -r devices/pci0000:00/" A
	   "/vfio-dev class/vfio-dev/vfio0",
	   STRANGER);
	sh("d=$PWD/devices/pci0000:00/" A "; mkdir -p $d/sound/c0; rm dev/char/1:3; "
	   "ln -s $d/sound/c0 dev/char/1:3; mkdir -p bus/pci/drivers/snd; "
	   "ln -s $PWD/bus/pci/drivers/snd $d/driver");
	vfiomig_device_unref(dev);
	dev = new_device(A);
	assert_int_equal(check_usage_once(dev), -EBUSY);
	assert_says("process 4711 (qemu) has character device 1:3 open");
	assert_string_equal(said,
			    "still looking for processes that have " A " open, at all descriptors");
	interrupt_on_alarm();
	alarm(1);
	assert_int_equal(check_usage_once(dev), -EINTR);
	assert_says("interrupted by a signal");
	vfiomig_resume(ctx);
	/* Whoever cannot look does not know. */
	ctx->procfs = "none";
	assert_int_equal(check_usage_once(dev), -ENOENT);
	assert_says("cannot tell whether " A " is in use");
	assert_says("use --force");
	vfiomig_device_unref(dev);
}

/* The same goes for unbinding. The way back after an interruption is not interrupted. */
static void test_idle(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	add_descriptors(14);
	assert_int_equal(check_idle_once(dev, false), 0);
	vfiomig_interrupt(ctx);
	assert_int_equal(check_idle_once(dev, false), -EINTR);
	assert_int_equal(check_idle_once(dev, true), 0);
	vfiomig_resume(ctx);
	vfiomig_device_unref(dev);
}

/* What does not answer may be the device. So it is not taken from its driver. */
static void test_stuck(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	char comm[16];
	int pid;

	(void)state;
	add_descriptors(2);
	stuck = "101";
	assert_int_equal(vfiomig_device_get_opener(dev, &pid, comm), -ENOENT);
	assert_int_equal(check_idle_once(dev, false), -ETIMEDOUT);
	assert_says(
		"cannot tell whether " A
		" is in use: the kernel does not tell what is descriptor 101 of process 4711 (qemu)");
	/* What does answer is seen. */
	sh("ln -s dev/vfio/7 proc/%d/fd/103", STRANGER);
	assert_int_equal(check_idle_once(dev, false), -EBUSY);
	assert_says("busy: process 4711 (qemu) has the device or its group open");
	stuck = NULL;
	vfiomig_device_unref(dev);
}

/* Returns how many links one look reads. */
static int count_links(void)
{
	struct openers *openers;

	*links = 0;
	assert_int_equal(openers_look(ctx, 0, &openers), 0);
	openers_free(openers);
	return *links;
}

/* The type of most files says enough. Of the descriptors of one node a single link is read. */
static void test_links(void **state)
{
	int before;

	(void)state;
	links = apart_alloc(sizeof(*links));
	before = count_links();
	sh("cd proc/%d/fd; for i in 0 1 2; do ln -s /dev/null 20$i; ln -s /bin/sh 30$i; done",
	   STRANGER);
	assert_int_equal(count_links(), before + 1);
	apart_free(links, sizeof(*links));
	links = NULL;
}

/* The number says which node it is, also where the link cannot be read. */
static void test_unreadable(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	sh("echo 1:3 >class/vfio-dev/vfio0/dev; ln -s /dev/null proc/%d/fd/3", STRANGER);
	unreadable = "3";
	unreadable_errno = ENAMETOOLONG;
	assert_int_equal(check_idle_once(dev, false), -EBUSY);
	assert_says("busy: process 4711 (qemu) has the device or its group open");
	/* This descriptor was closed meanwhile. */
	unreadable_errno = ENOENT;
	assert_int_equal(check_idle_once(dev, false), 0);
	unreadable = NULL;
	vfiomig_device_unref(dev);
}

/* One look does for all devices of a group. */
static void test_group(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	for (int i = 2; i < 6; i++) {
		char name[16];

		snprintf(name, sizeof(name), "0000:00:1%d.0", i);
		add_function(name, i, 7);
	}
	add_descriptors(6);
	looks = 0;
	assert_int_equal(node_fail_busy(dev), -EBUSY);
	assert_says("busy: another process has the device or its group open");
	assert_int_equal(looks, 1);
	sh("ln -s dev/vfio/devices/vfio5 proc/%d/fd/3", STRANGER);
	assert_int_equal(node_fail_busy(dev), -EBUSY);
	assert_says("(qemu) has 0000:00:15.0 open, which is in the same IOMMU group 7");
	vfiomig_device_unref(dev);
}

/* After a signal a step does not look for long. */
static void test_step(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	hurry = INT64_MAX;
	add_descriptors(3);
	sh("mkfifo unbind; ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
	interrupt_on_alarm();
	alarm(1);
	assert_int_equal(step_write(dev, root, "unbind", A, "taking it", 10), -EINPROGRESS);
	assert_says("; process 4711 (qemu) has the device open");
	assert_true(hurry <= 300000000);
	vfiomig_resume(ctx);
	vfiomig_device_unref(dev);
	/* The step goes on. Let it end. */
	sh("test \"$(timeout 60 cat unbind)\" = " A);
}

/* Who looks does not go on when the time is over. */
static void test_time_is_over(void **state)
{
	struct openers *openers = NULL;

	(void)state;
	add_descriptors(30);
	for (int i = 0; i < 2; i++) {
		assert_int_equal((i ? __real_openers_look_back
				    : __real_openers_look)(ctx, now_ns() + 1, &openers),
				 -ETIMEDOUT);
		openers_free(openers);
	}
}

/* A notice has names in it that others have chosen. */
static void test_notice(void **state)
{
	(void)state;
	vfiomig_set_notice(ctx, note, NULL);
	ctx_notice(ctx, "a%sb", "\033[31m");
	assert_string_equal(said, "a?[31mb");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_usage), TEST(test_idle),	   TEST(test_stuck),
		TEST(test_links), TEST(test_unreadable),   TEST(test_group),
		TEST(test_step),  TEST(test_time_is_over), TEST(test_notice),
	};

	return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
