// SPDX-License-Identifier: LGPL-2.1-or-later
/* Going through the records of an image, or of raw state. */
#include "stream.h"
#include "image/data.h"
#include "image/transfer.h"

struct walk {
	struct vfiomig_ctx *ctx;
	struct records *records;
};

/* What the caller's function returns ends it. */
static int end_if_stopped(const struct walk *w)
{
	int err = records_stopped(w->records);

	return err ? ctx_fail(w->ctx, err, "the caller has ended it") : 0;
}

static int feed(void *data, const void *bytes, size_t size)
{
	const struct walk *w = data;

	records_feed(w->records, bytes, size);
	return end_if_stopped(w);
}

/* Move the state to nowhere, past the walker. @image is NULL for raw state, @device one of it. */
static int walk(struct raw *from, struct image *image, int device, const char *driver,
		const struct vfiomig_options *opt, vfiomig_record_fn fn, void *data)
{
	struct walk w = { from->ctx, records_new(driver, fn, data) };
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	struct raw nowhere;
	int err;

	if (!w.records)
		return ctx_fail_memory(from->ctx);
	err = raw_init(&nowhere, from->ctx, -1, "");
	/* Only the trailer of an image has a digest to compare with. */
	if (!image)
		raw_free(&nowhere);
	nowhere.tap = feed;
	nowhere.tap_data = &w;
	result.expected = image ? meta_number(image_header(image, device), "expected_bytes", 0)
				: (uint64_t)fd_file_size(from->fd);
	if (!err)
		err = image ? transfer_one_in(opt, image, device, &nowhere, &result)
			    : transfer_in(opt, from, NULL, &nowhere, &result);
	if (!err) {
		records_finish(w.records);
		err = end_if_stopped(&w);
	}
	raw_free(&nowhere);
	records_free(w.records);
	return err;
}

static int walk_image(struct raw *from, const char *driver, const struct vfiomig_options *opt,
		      vfiomig_record_fn fn, void *data)
{
	struct image image = { .fd = -1 };
	char name[64];
	int device = -1, err = image_open_peeked(&image, from);

	if (!err)
		err = device = image_choose(&image, opt->device);
	if (device >= 0) {
		if (!driver && meta_driver(image_header(&image, device), name, sizeof(name)))
			driver = name;
		err = walk(from, &image, device, driver, opt, fn, data);
	}
	image_free(&image);
	return err;
}

int stream_walk(struct vfiomig_ctx *ctx, int fd, const char *driver,
		const struct vfiomig_options *opt, vfiomig_record_fn fn, void *data)
{
	struct raw from = { .ctx = ctx, .fd = fd, .what = "reading the state" };
	int err = raw_peek(&from, opt->force);

	if (err == -EBADMSG && raw_is_image(&from))
		return walk_image(&from, driver, opt, fn, data);
	return err ? err : walk(&from, NULL, 0, driver, opt, fn, data);
}
