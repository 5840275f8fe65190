// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each public function leaves behind: a sentence after a failure, none after a success, and
 * never the sentence of an earlier one. The symbol map says which functions there are.
 */
#include <stdlib.h>

#include "calls.h"

static void test_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const char *name = calls[i].name, *said = vfiomig_get_error(ctx);
		int ret = calls[i].good();

		if (ret < 0)
			fail_msg("%s() fails: %s", name, said);
		if (*said)
			fail_msg("%s() succeeds, and says: %s", name, said);
		ret = calls[i].bad();
		if (ret >= 0)
			fail_msg("%s() does not fail", name);
		if (!*said || strcmp(said, STALE) == 0)
			fail_msg("%s() fails without a sentence", name);
	}
}

/* The path of the symbol map. */
static char *map;

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(no_calls); i++)
		if (strcmp(no_calls[i], name) == 0)
			return true;
	return false;
}

/* Each function of the symbol map is in one of the tables of calls.h, and these have no others. */
static void test_all(void **state)
{
	FILE *f = map ? fopen(map, "re") : NULL;
	char line[128], name[64];
	size_t count = 0;

	(void)state;
	if (!f)
		skip();
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "\t%63[a-z_0-9];", name) != 1 || strncmp(name, "vfiomig_", 8) != 0)
			continue;
		if (!is_listed(name))
			fail_msg("%s() is in no table of tests/unit/calls.h", name);
		count++;
	}
	fclose(f);
	assert_int_equal(count, ARRAY_SIZE(calls) + ARRAY_SIZE(no_calls));
}

/* ---- What a device must be ------------------------------------------------------------------- */

static int data_fd;
static uint64_t value;

static int ask_migration(struct vfiomig_device *d)
{
	return vfiomig_device_get_migration(d, &value);
}

static int ask_data_size(struct vfiomig_device *d)
{
	return vfiomig_device_get_data_size(d, &value);
}

static int set_stop(struct vfiomig_device *d)
{
	return vfiomig_device_set_state(d, VFIOMIG_STATE_STOP, &data_fd);
}

static int drive_to_stop(struct vfiomig_device *d)
{
	return vfiomig_device_drive(d, VFIOMIG_STATE_STOP, NULL, NULL, NULL);
}

static int walk_home(struct vfiomig_device *d)
{
	return vfiomig_device_walk_home(d, VFIOMIG_STATE_RUNNING);
}

static int reset_home(struct vfiomig_device *d)
{
	return vfiomig_device_reset_home(d, VFIOMIG_STATE_RUNNING, NULL);
}

static int save_it(struct vfiomig_device *d)
{
	return vfiomig_save(d, STDOUT_FILENO, NULL, NULL);
}

static int restore_it(struct vfiomig_device *d)
{
	return vfiomig_restore(d, STDIN_FILENO, NULL, NULL);
}

static int hold_it(struct vfiomig_device *d)
{
	struct vfiomig_holder *holder;

	return vfiomig_holder_new(d, &holder);
}

/* Each of these needs a device that is open, and that is bound to an iommufd if it is a cdev. */
static void test_closed(void **state)
{
	int (*const calls_of_open[])(struct vfiomig_device *) = {
		ask_migration, ask_data_size, vfiomig_device_get_state, set_stop, drive_to_stop,
		walk_home,     reset_home,    vfiomig_device_reset,	save_it,  restore_it,
		hold_it,
	};
	struct vfiomig_device *closed = new_device(A);

	(void)state;
	make_device();
	dev->unbound = true;
	for (size_t i = 0; i < ARRAY_SIZE(calls_of_open); i++) {
		assert_int_equal(calls_of_open[i](closed), -EBADF);
		assert_says("the device is not open");
		assert_int_equal(calls_of_open[i](dev), -EBADF);
		assert_says("opened without being bound to an iommufd");
	}
	free_device();
	vfiomig_device_unref(closed);
}

static void test_no_such_home(void **state)
{
	/* The device has no PRE_COPY. */
	static const int homes[] = { -1, 99, VFIOMIG_STATE_ERROR, VFIOMIG_STATE_RESUMING,
				     VFIOMIG_STATE_PRE_COPY };
	bool was_reset = true;

	(void)state;
	make_device();
	for (size_t i = 0; i < ARRAY_SIZE(homes); i++) {
		assert_int_equal(vfiomig_device_walk_home(dev, homes[i]), -EINVAL);
		assert_says("the device cannot go home to ");
		assert_int_equal(vfiomig_device_reset_home(dev, homes[i], &was_reset), -EINVAL);
		assert_false(was_reset);
		assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	}
	/* A device that is there already is at home. */
	kernel.state = VFIOMIG_STATE_RESUMING;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RESUMING), 0);
	/* A reset is tried on a device that does not answer. */
	kernel.error = EIO;
	assert_int_equal(vfiomig_device_reset_home(dev, VFIOMIG_STATE_RUNNING, &was_reset), -EIO);
	assert_says("VFIO_DEVICE_RESET: Input/output error");
	kernel.error = 0;
	/* Nobody wants the session. */
	kernel.state = VFIOMIG_STATE_STOP;
	assert_int_equal(vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP_COPY, NULL), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP_COPY);
	free_device();
}

static void test_unknown_values(void **state)
{
	struct vfiomig_device *d = new_device(A);

	(void)state;
	assert_int_equal(vfiomig_device_bind(d, "vfio-pci", 1U << 7, NULL, NULL), -EINVAL);
	assert_says("flags 0x80 for binding a device are unknown");
	assert_int_equal(vfiomig_device_unbind(d, VFIOMIG_BIND_FORCE, NULL, NULL), -EINVAL);
	assert_says("flags 0x4 for binding a device are unknown");
	vfiomig_device_set_via(d, (enum vfiomig_via)42);
	assert_int_equal(vfiomig_device_open(d, 0), -EINVAL);
	assert_says("there is no way 42 to open a device");
	vfiomig_device_unref(d);

	sh("echo NONSENSE >kernel/debug/vfio/" A "/migration/state");
	d = new_device(A);
	assert_int_equal(vfiomig_device_peek_state(d), -EINVAL);
	assert_says("has an unknown state 'NONSENSE'");
	vfiomig_device_unref(d);
}

/* An image that was looked into is not damaged because somebody looks a second time. */
static void test_second_look(void **state)
{
	struct vfiomig_image *image;
	int fd = new_image();

	(void)state;
	assert_int_equal(vfiomig_image_open(ctx, fd, &image), 0);
	assert_int_equal(vfiomig_image_skim(image), 0);
	assert_int_equal(vfiomig_image_skim(image), -EINVAL);
	assert_says("the image was looked into already; open it again");
	assert_int_equal(vfiomig_image_verify(image, NULL, NULL), -EINVAL);
	vfiomig_image_free(image);
	close(fd);
}

/* A program that has the device open can neither release it nor hold it twice. */
static void test_twice(void **state)
{
	struct vfiomig_device *d = own_device("/dev/zero", true);
	struct vfiomig_holder *holder, *second;
	int before, holder_pid;

	(void)state;
	assert_int_equal(vfiomig_holder_new(d, &holder), 0);
	assert_int_equal(vfiomig_holder_new(d, &second), -EBUSY);
	assert_says("this process has a holder for it already");
	sh("ls -la run >&2");
	assert_int_equal(access("run/" B ".sock", F_OK), 0);
	vfiomig_holder_free(holder);
	assert_int_equal(vfiomig_holder_new(d, &holder), 0);
	vfiomig_holder_free(holder);
	vfiomig_device_unref(d);

	holder_pid = start_holder();
	d = new_device(B);
	assert_int_equal(vfiomig_device_open(d, 0), 0);
	before = count_fds();
	assert_int_equal(vfiomig_device_release(d), -EBUSY);
	assert_says("busy: this process has the device open");
	assert_int_equal(count_fds(), before);
	assert_int_equal(vfiomig_device_close(d), 0);
	assert_int_equal(vfiomig_device_open(d, 0), 0);
	assert_int_equal(vfiomig_device_close(d), 0);
	assert_int_equal(vfiomig_device_release(d), 0);
	vfiomig_device_unref(d);
	end_process(holder_pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences),      cmocka_unit_test(test_all),
		cmocka_unit_test(test_closed),	       cmocka_unit_test(test_no_such_home),
		cmocka_unit_test(test_unknown_values), cmocka_unit_test(test_second_look),
		cmocka_unit_test(test_twice),
	};

	map = realpath("lib/libvfiomig.sym", NULL);
	return cmocka_run_group_tests_name("sentences", tests, make_state, remove_tree);
}
