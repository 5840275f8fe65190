// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binding without memory: each allocation fails once. If something could not be read for want of
 * memory, it must not count as missing, or else a function loses its former driver.
 */
#include <libkmod.h>

#include "memory.h"
#include "pci.h"

void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
	return is_out() ? NULL : __real_reallocarray(old, n, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return is_out() ? NULL : __real_strdup(text);
}

struct kmod_ctx *__real_kmod_new(const char *dir, const char *const *config);
struct kmod_ctx *__wrap_kmod_new(const char *dir, const char *const *config);
struct kmod_ctx *__wrap_kmod_new(const char *dir, const char *const *config)
{
	return is_out() ? NULL : __real_kmod_new(dir, config);
}

/* Bind or unbind while the @nth allocation fails. Returns false if there were fewer allocations. */
static bool try(bool to_vfio, unsigned int nth, int *err)
{
	struct vfiomig_device *dev;

	ctx->error[0] = history[0] = '\0';
	fail_at = nth;
	allocations = 0;
	*err = vfiomig_device_new(ctx, A, &dev);
	if (!*err) {
		*err = to_vfio ? vfiomig_device_bind(dev, NULL, 0, NULL, NULL)
			       : vfiomig_device_unbind(dev, 0, NULL, NULL);
		vfiomig_device_unref(dev);
	}
	fail_at = 0;
	return allocations >= nth;
}

static void expect_whole(bool in_vfio)
{
	if (in_vfio) {
		expect_bound(A, "vfio-pci");
		sh("test \"$(cat " BUS A "/driver_override)\" = vfio-pci");
		sh("test \"$(cat run/bound/" A " | tr '\\n' ,)\" = 'driver e1000e,override mine,'");
	} else {
		expect_bound(A, "e1000e");
		sh("test \"$(cat " BUS A "/driver_override)\" = mine");
		sh("test -z \"$(ls -A run/bound 2>/dev/null)\"");
	}
}

/* Fail each allocation in turn: after each, either everything is done or nothing. */
static void fail_each(bool to_vfio)
{
	unsigned int failed = 0;
	int err;

	for (unsigned int n = 1; try(to_vfio, n, &err); n++) {
		if (err) {
			failed++;
			assert_true(*vfiomig_get_error(ctx));
		}
		expect_whole(err ? !to_vfio : to_vfio);
		if (!err)
			assert_int_equal(to_vfio ? unbind(A, 0) : bind_to(A, NULL, 0), 0);
	}
	assert_int_equal(err, 0);
	assert_true(failed > 20);
}

static void test_no_memory(void **state)
{
	int err;

	(void)state;
	sh("echo mine >" BUS A "/driver_override");
	assert_true(try(true, 1, &err));
	assert_int_equal(err, -ENOMEM);
	assert_says("out of memory");
	fail_each(true);
	expect_whole(true);
	fail_each(false);
	expect_whole(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_memory, make_world, remove_tree),
	};

	return cmocka_run_group_tests_name("bindmem", tests, NULL, NULL);
}
