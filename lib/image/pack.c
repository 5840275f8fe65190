// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images without a device: made, taken apart, and looked into. */
#include <fcntl.h>
#include <sys/stat.h>

#include "transfer.h"

EXPORT int vfiomig_pack(struct vfiomig_ctx *ctx, int in, int out,
			const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	struct vfiomig_options opt;
	struct json_object *header;
	struct stat st;
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	err = options_check(ctx, options, &opt);
	if (!err)
		err = raw_init(&state, ctx, in, "reading the state");
	if (!err && fstat(in, &st) == 0 && S_ISREG(st.st_mode))
		result->expected = st.st_size;
	header = meta_header(NULL, false, opt.level, opt.chunk_size);
	if (result->expected)
		json_object_object_add(header, "expected_bytes",
				       json_object_new_uint64(result->expected));
	if (!err)
		err = image_begin(&image, ctx, out, header);
	else
		json_object_put(header);
	if (!err)
		err = transfer_out(&opt, &state, NULL, NULL, &image, result);
	if (!err)
		err = image_end(&image, &state);
	result->complete = !err;
	image_free(&image);
	raw_free(&state);
	return err;
}

/* One that is empty, and that nobody appends to. */
static bool is_new_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && flags >= 0 &&
	       !(flags & O_APPEND) && lseek(fd, 0, SEEK_CUR) == 0;
}

EXPORT int vfiomig_unpack(struct vfiomig_ctx *ctx, int in, int out,
			  const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	struct vfiomig_options opt;
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	err = options_check(ctx, options, &opt);
	if (!err)
		err = raw_init(&state, ctx, out, "writing the state");
	if (!err)
		err = image_open(&image, ctx, in);
	if (!err) {
		result->expected = meta_number(image.header, "expected_bytes", 0);
		state.sparse = is_new_file(out);
		err = transfer_in(&opt, NULL, &image, &state, result);
	}
	if (!err)
		err = raw_end(&state);
	image_free(&image);
	raw_free(&state);
	return err;
}

struct vfiomig_image {
	struct image image;
	struct vfiomig_ctx *ctx;
};

EXPORT int vfiomig_image_open(struct vfiomig_ctx *ctx, int fd, struct vfiomig_image **imagep)
{
	struct vfiomig_image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return ctx_fail(ctx, -ENOMEM, "out of memory");
	image->ctx = vfiomig_ref(ctx);
	err = image_open(&image->image, ctx, fd);
	if (err)
		vfiomig_image_free(image);
	else
		*imagep = image;
	return err;
}

EXPORT void vfiomig_image_free(struct vfiomig_image *image)
{
	if (!image)
		return;
	image_free(&image->image);
	vfiomig_unref(image->ctx);
	free(image);
}

EXPORT int vfiomig_image_skim(struct vfiomig_image *image)
{
	return image_skim(&image->image);
}

EXPORT int vfiomig_image_verify(struct vfiomig_image *image, const struct vfiomig_options *options,
				struct vfiomig_result *result)
{
	struct raw nowhere = { .fd = -1 };
	struct vfiomig_options opt;
	int err = options_check(image->ctx, options, &opt);

	*result = (struct vfiomig_result){ .before = -1 };
	if (!err)
		err = raw_init(&nowhere, image->ctx, -1, "");
	if (!err) {
		result->expected = meta_number(image->image.header, "expected_bytes", 0);
		err = transfer_in(&opt, NULL, &image->image, &nowhere, result);
	}
	raw_free(&nowhere);
	return err;
}

static const char *json_text(struct json_object *object)
{
	return object ? json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN) : NULL;
}

EXPORT const char *vfiomig_image_get_header(struct vfiomig_image *image)
{
	return json_text(image->image.header);
}

EXPORT const char *vfiomig_image_get_trailer(struct vfiomig_image *image)
{
	return json_text(image->image.trailer);
}

EXPORT uint64_t vfiomig_image_get_size(const struct vfiomig_image *image)
{
	return image->image.size;
}
