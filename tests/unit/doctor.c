// SPDX-License-Identifier: LGPL-2.1-or-later
/* vfiomig_diagnose(): what it calls its caller for, and what ends it. What the checks find is in
 * tests/host/emulated-doctor.sh. */
#include "machine.h"

struct seen {
	size_t n, host, device;
	size_t stop_after; /* this many, or 0 */
	char names[4096];
};

static int see(void *data, const struct vfiomig_diagnosis *d)
{
	struct seen *seen = data;
	char name[64];

	assert_true(d->verdict <= VFIOMIG_UNKNOWN);
	assert_true(*d->what);
	/* What passes needs no advice, and everything else has some. */
	assert_true((d->verdict == VFIOMIG_PASS) == !*d->advice);
	snprintf(name, sizeof(name), " %s ", d->check);
	assert_null(strstr(seen->names, name));
	assert_true(strlen(seen->names) + strlen(name) < sizeof(seen->names));
	strcat(seen->names, name);
	seen->n++;
	if (strncmp(d->check, "device.", 7) == 0)
		seen->device++;
	else
		seen->host++;
	return seen->n == seen->stop_after ? 17 : 0;
}

static void test_each_once(void **state)
{
	struct seen host = { .n = 0 }, both = { .n = 0 };
	struct vfiomig_device *dev;

	(void)state;
	assert_int_equal(vfiomig_diagnose(ctx, NULL, 0, see, &host), 0);
	assert_int_equal(host.host, 19);
	assert_int_equal(host.device, 0);
	dev = new_device(A);
	assert_int_equal(vfiomig_diagnose(ctx, dev, 0, see, &both), 0);
	assert_int_equal(both.device, 14);
	assert_string_equal(vfiomig_get_error(ctx), "");
	vfiomig_device_unref(dev);
}

static void test_end(void **state)
{
	struct seen seen = { .stop_after = 3 };

	(void)state;
	assert_int_equal(vfiomig_diagnose(ctx, NULL, 0, see, &seen), 17);
	assert_int_equal(seen.n, 3);
	assert_int_equal(vfiomig_diagnose(ctx, NULL, 0x80, see, &seen), -EINVAL);
	assert_says("flags 0x80 for looking at a device are unknown");
	vfiomig_interrupt(ctx);
	assert_int_equal(vfiomig_diagnose(ctx, NULL, 0, see, &seen), -EINTR);
	assert_int_equal(seen.n, 3);
	assert_true(vfiomig_resume(ctx));
}

static void test_open(void **state)
{
	struct vfiomig_device *dev = new_device(A);
	struct seen seen = { .n = 0 };

	(void)state;
	dev->fd = dup(STDIN_FILENO);
	assert_int_equal(vfiomig_diagnose(ctx, dev, 0, see, &seen), -EBUSY);
	assert_says("busy: this process has the device open");
	assert_int_equal(seen.n, 0);
	vfiomig_device_unref(dev);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(vfiomig_verdict_name(VFIOMIG_PASS), "PASS");
	assert_string_equal(vfiomig_verdict_name(VFIOMIG_WARN), "WARN");
	assert_string_equal(vfiomig_verdict_name(VFIOMIG_FAIL), "FAIL");
	assert_string_equal(vfiomig_verdict_name(VFIOMIG_UNKNOWN), "UNKNOWN");
	assert_string_equal(vfiomig_verdict_name(7), "?");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_once),
		TEST(test_end),
		TEST(test_open),
		TEST(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
