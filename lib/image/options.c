// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The options and the result of a transfer. Both structures grow at their end, and say how large
 * they are, so that programs and libraries of different versions understand each other. The rules
 * are those of copy_struct_from_user() in the kernel.
 */
#include <string.h>

#include "frame.h"
#include "options.h"

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* The sizes of the first version. They do not change when the structures grow. */
#define OPTIONS_SIZE_FIRST   END_OF(struct vfiomig_options, progress_data)
#define RESULT_SIZE_FIRST    END_OF(struct vfiomig_result, path)

/* More than this is no size, but a structure that was not initialised. */
#define SIZE_MOST	     4096

/* No version may end with padding: a member that is added there does not make the structure larger.
 */
_Static_assert(OPTIONS_SIZE_FIRST % _Alignof(struct vfiomig_options) == 0, "padding at the end");
_Static_assert(RESULT_SIZE_FIRST % _Alignof(struct vfiomig_result) == 0, "padding at the end");

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool is_zero(const void *data, size_t size)
{
	return !size || (*(const char *)data == 0 && is_constant(data, size));
}

static int copy_options(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
			struct vfiomig_options *opt)
{
	size_t size = given->size;

	if (size < OPTIONS_SIZE_FIRST || size > SIZE_MOST)
		return ctx_fail(
			ctx, -EINVAL,
			"struct vfiomig_options has no valid size (%zu); initialise it with VFIOMIG_OPTIONS_INIT",
			size);
	if (size > sizeof(*opt) && !is_zero(given + 1, size - sizeof(*opt)))
		return ctx_fail(
			ctx, -E2BIG,
			"struct vfiomig_options has an option that is newer than this libvfiomig (%s)",
			VERSION);
	memcpy(opt, given, smaller(size, sizeof(*opt)));
	opt->size = sizeof(*opt);
	return 0;
}

int options_read(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
		 struct vfiomig_options *opt)
{
	int err;

	*opt = (struct vfiomig_options)VFIOMIG_OPTIONS_INIT;
	err = given ? copy_options(ctx, given, opt) : 0;
	if (err)
		return err;
	if (!opt->downtime_ms)
		opt->downtime_ms = 300;
	if (!opt->chunk_size)
		opt->chunk_size = CHUNK_SIZE_DEFAULT;
	if (opt->threads < 0 || opt->threads > VFIOMIG_THREADS_MAX)
		return ctx_fail(ctx, -EINVAL, "%d threads are out of bounds", opt->threads);
	if (opt->level < 0 || opt->level > VFIOMIG_LEVEL_MAX)
		return ctx_fail(ctx, -EINVAL, "there is no compression level %d", opt->level);
	if (opt->chunk_size < VFIOMIG_CHUNK_SIZE_MIN || opt->chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return ctx_fail(ctx, -EINVAL, "a chunk size of %zu is not from %u KiB to %u MiB",
				opt->chunk_size, VFIOMIG_CHUNK_SIZE_MIN >> 10,
				VFIOMIG_CHUNK_SIZE_MAX >> 20);
	return 0;
}

int result_check(struct vfiomig_ctx *ctx, const struct vfiomig_result *given)
{
	if (!given || (given->size >= RESULT_SIZE_FIRST && given->size <= SIZE_MOST))
		return 0;
	return ctx_fail(
		ctx, -EINVAL,
		"struct vfiomig_result has no valid size (%zu); initialise it with VFIOMIG_RESULT_INIT",
		given->size);
}

void result_write(struct vfiomig_result *given, const struct vfiomig_result *result)
{
	size_t size;

	if (!given)
		return;
	size = given->size;
	memcpy(given, result, smaller(size, sizeof(*result)));
	if (size > sizeof(*result))
		memset((char *)given + sizeof(*result), 0, size - sizeof(*result));
	given->size = size;
}
