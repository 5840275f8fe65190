// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looking into an image: its metadata, and whether all of it is as it was written. */
#include "inspect.h"
#include "transfer.h"

int inspect_open(struct vfiomig_ctx *ctx, int fd, struct vfiomig_image **imagep)
{
	struct vfiomig_image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return ctx_fail_memory(ctx);
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

/* The chunks can be gone over once: what is read is gone. */
static int begin_looking(struct vfiomig_image *image)
{
	if (image->looked_into)
		return ctx_fail(image->ctx, -EINVAL,
				"the image was looked into already; open it again");
	image->looked_into = true;
	return 0;
}

int inspect_skim(struct vfiomig_image *image)
{
	int err = begin_looking(image);

	return err ? err : image_skim(&image->image);
}

int inspect_verify(struct vfiomig_image *image, const struct vfiomig_options *opt,
		   struct vfiomig_result *result)
{
	struct raw nowhere = { .fd = -1 };
	int err = begin_looking(image);

	if (!err)
		err = raw_init(&nowhere, image->ctx, -1, "");
	if (!err) {
		result->expected = meta_number(image->image.header, "expected_bytes", 0);
		err = image->image.nr_devices
			      ? transfer_one_in(opt, &image->image, -1, NULL, result)
			      : transfer_in(opt, NULL, &image->image, &nowhere, result);
	}
	raw_free(&nowhere);
	return err;
}

EXPORT const char *vfiomig_image_get_header(const struct vfiomig_image *image)
{
	return image->image.header;
}

EXPORT const char *vfiomig_image_get_trailer(const struct vfiomig_image *image)
{
	return image->image.trailer;
}

EXPORT uint64_t vfiomig_image_get_size(const struct vfiomig_image *image)
{
	return image->image.size;
}

EXPORT unsigned int vfiomig_image_get_devices(const struct vfiomig_image *image)
{
	return image->image.nr_devices;
}

EXPORT const char *vfiomig_image_get_device_trailer(const struct vfiomig_image *image,
						    unsigned int device)
{
	return device < (unsigned int)image->image.nr_devices ? image->image.devices[device].trailer
							      : NULL;
}
