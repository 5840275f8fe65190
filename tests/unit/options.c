// SPDX-License-Identifier: LGPL-2.1-or-later
/* The options and the result of a transfer, from programs of older and newer versions. */
#include <limits.h>
#include <sys/mman.h>

#include "image/options.h"
#include "unit.h"

/* The structures of the first version. They never change when later versions grow. */
#define OPTIONS_FIRST (offsetof(struct vfiomig_options, progress_data) + sizeof(void *))
#define RESULT_FIRST  (offsetof(struct vfiomig_result, path) + sizeof(int[VFIOMIG_PATH_MAX]))

static struct vfiomig_ctx *ctx;

static int setup(void **state)
{
	(void)state;
	return vfiomig_new(&ctx);
}

static int teardown(void **state)
{
	(void)state;
	vfiomig_unref(ctx);
	return 0;
}

/* Structures of newer versions. */
struct newer_options {
	struct vfiomig_options now;
	uint64_t more[2];
};

struct newer_result {
	struct vfiomig_result now;
	uint64_t more[2];
};

static void test_options(void **state)
{
	struct newer_options given = { .now = VFIOMIG_OPTIONS_INIT };
	struct vfiomig_options opt;

	(void)state;
	/* The defaults */
	assert_int_equal(options_read(ctx, NULL, &opt), 0);
	assert_int_equal(opt.leave, -1);
	assert_int_equal(opt.downtime_ms, 300);
	assert_int_equal(opt.chunk_size, 4 << 20);
	assert_null(opt.progress);

	given.now.level = 7;
	given.now.progress_data = &opt;
	for (given.now.size = 0; given.now.size <= sizeof(given); given.now.size++) {
		int err = options_read(ctx, &given.now, &opt);

		if (given.now.size < OPTIONS_FIRST) {
			assert_int_equal(err, -EINVAL);
			assert_non_null(strstr(vfiomig_get_error(ctx), "VFIOMIG_OPTIONS_INIT"));
		} else {
			assert_int_equal(err, 0);
			assert_int_equal(opt.level, 7);
			assert_ptr_equal(opt.progress_data, &opt);
			assert_int_equal(opt.size, sizeof(opt));
		}
	}
	/*
	 * A byte that this version does not know, wherever it is. Bytes behind the structure's end
	 * do not belong to it.
	 */
	for (size_t i = 0; i < sizeof(given.more); i++) {
		((char *)given.more)[i] = 1;
		given.now.size = sizeof(struct vfiomig_options) + i;
		assert_int_equal(options_read(ctx, &given.now, &opt), 0);
		given.now.size++;
		assert_int_equal(options_read(ctx, &given.now, &opt), -E2BIG);
		assert_non_null(strstr(vfiomig_get_error(ctx), "newer than this libvfiomig"));
		((char *)given.more)[i] = 0;
	}
	/* A structure that was not initialised */
	given.now.size = SIZE_MAX;
	assert_int_equal(options_read(ctx, &given.now, &opt), -EINVAL);
}

static void test_result(void **state)
{
	const struct vfiomig_result result = { .size = 1, .bytes = 5, .path[31] = 6 };
	struct newer_result given;

	(void)state;
	assert_int_equal(result_check(ctx, NULL), 0);
	result_write(NULL, &result);
	for (size_t size = 0; size <= sizeof(given); size++) {
		memset(&given, 0x5a, sizeof(given));
		given.now.size = size;
		if (size < RESULT_FIRST) {
			assert_int_equal(result_check(ctx, &given.now), -EINVAL);
			assert_non_null(strstr(vfiomig_get_error(ctx), "VFIOMIG_RESULT_INIT"));
			continue;
		}
		assert_int_equal(result_check(ctx, &given.now), 0);
		result_write(&given.now, &result);
		assert_int_equal(given.now.size, size);
		assert_int_equal(given.now.bytes, 5);
		assert_int_equal(given.now.path[31], 6);
		/*
		 * The unknown part of the result is 0, and bytes behind the structure are left
		 * alone.
		 */
		for (size_t i = sizeof(result); i < sizeof(given); i++)
			assert_int_equal(((unsigned char *)&given)[i], i < size ? 0 : 0x5a);
	}
	given.now.size = SIZE_MAX;
	assert_int_equal(result_check(ctx, &given.now), -EINVAL);
}

/* All transfers check their options by these rules before they do anything. */
static void test_transfers(void **state)
{
	struct vfiomig_result none = { .bytes = 5 }, result = VFIOMIG_RESULT_INIT;
	struct newer_options newer = { .now = VFIOMIG_OPTIONS_INIT, .more = { 1 } };
	int in = memfd_create("state", MFD_CLOEXEC), out = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_options wrong = { .leave = -1 };
	struct vfiomig_image *image;

	(void)state;
	assert_int_equal(pwrite(in, "state", 5, 0), 5);
	newer.now.size = sizeof(newer);
	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, &none), -EINVAL);
	assert_says("struct vfiomig_result has no valid size (0); initialise it with");
	assert_int_equal(none.bytes, 5);
	assert_int_equal(vfiomig_pack(ctx, in, out, &wrong, &result), -EINVAL);
	assert_int_equal(vfiomig_pack(ctx, in, out, &newer.now, &result), -E2BIG);
	assert_int_equal(result.before, -1);
	assert_int_equal(lseek(out, 0, SEEK_END), 0);
	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, NULL), 0);

	lseek(out, 0, SEEK_SET);
	assert_int_equal(vfiomig_unpack(ctx, out, in, NULL, &none), -EINVAL);
	assert_int_equal(vfiomig_unpack(ctx, out, in, &newer.now, NULL), -E2BIG);
	assert_int_equal(vfiomig_image_open(ctx, out, &image), 0);
	assert_int_equal(vfiomig_image_verify(image, &wrong, NULL), -EINVAL);
	assert_int_equal(vfiomig_image_verify(image, NULL, NULL), 0);
	vfiomig_image_free(image);
	close(in);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_result, setup, teardown),
		cmocka_unit_test_setup_teardown(test_transfers, setup, teardown),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
