// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving a device's state: into STOP_COPY, all the bytes across, home again,
 * and only then the end of the image: what is slow waits for no device.
 */
#include "session.h"
#include "transfer.h"

static int pump(struct vfiomig_device *dev, int fd,
		const struct vfiomig_options *opt, int data_fd,
		struct image *image, struct raw *state,
		struct vfiomig_result *result)
{
	struct raw to = { .ctx = dev->ctx,
			  .fd = fd,
			  .what = "writing the image" };

	state->fd = data_fd;
	return transfer_out(opt, state, &to, opt->raw ? NULL : image, result);
}

static int save(struct vfiomig_device *dev, int fd,
		const struct vfiomig_options *opt, struct image *image,
		struct raw *state, struct vfiomig_result *result)
{
	_cleanup_close_ int data_fd = -1;
	int err = session_start(dev, VFIOMIG_STATE_STOP_COPY, &data_fd, result);
	int left;

	if (!err)
		err = pump(dev, fd, opt, data_fd, image, state, result);
	if (err) {
		result->now = vfiomig_device_recover(dev, result->before);
		return err;
	}
	left = session_leave(dev, opt->leave < 0 ? result->before : opt->leave,
			     result);
	if (!opt->raw)
		err = image_end(image, state);
	result->complete = !err;
	return left ? left : err;
}

EXPORT int vfiomig_save(struct vfiomig_device *dev, int fd,
			const struct vfiomig_options *options,
			struct vfiomig_result *result)
{
	struct vfiomig_options opt;
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	err = options_check(dev->ctx, options, &opt);
	if (!err)
		err = session_check(
			dev, VFIOMIG_STATE_STOP_COPY,
			opt.leave < 0 ? VFIOMIG_STATE_STOP : opt.leave, result);
	if (!err)
		err = raw_init(&state, dev->ctx, -1,
			       "reading the device's state");
	if (!err && vfiomig_device_get_data_size(dev, &result->expected))
		result->expected = 0;
	/* A sink that takes nothing costs the device nothing. */
	if (!err && !opt.raw)
		err = image_begin(&image, dev->ctx, fd,
				  meta_header(dev, opt.level, opt.chunk_size));
	if (!err)
		err = save(dev, fd, &opt, &image, &state, result);
	image_free(&image);
	raw_free(&state);
	return err;
}
