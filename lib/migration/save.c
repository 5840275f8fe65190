// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving a device's state: what can be read while it runs, then into STOP_COPY
 * and all the rest, home again, and only then the end of the image: what is
 * slow waits for no device.
 */
#include "image/transfer.h"
#include "precopy.h"
#include "session.h"
#include "state.h"

static int pump(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct precopy *live, struct image *image, struct raw *state,
		struct vfiomig_result *result)
{
	struct raw to = { .ctx = dev->ctx, .fd = fd, .what = "writing the image" };
	int err = transfer_out(opt, state, live, &to, opt->raw ? NULL : image, result);

	if (live) {
		result->precopy_bytes = live->bytes;
		result->rounds = live->rounds;
		result->gave_up = live->gave_up;
	}
	return err;
}

/* A sink that takes nothing costs the device nothing. */
static int begin(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		 struct image *image, const struct vfiomig_result *result)
{
	struct json_object *header = meta_header(dev, result->precopy, opt->level, opt->chunk_size);

	return header ? image_begin(image, dev->ctx, fd, header) : dev->ctx->error_code;
}

static int save(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct image *image, struct raw *state, struct vfiomig_result *result)
{
	uint64_t stop = now_ns();
	struct precopy live;
	int err, left;

	err = session_start(dev, result->precopy ? VFIOMIG_STATE_PRE_COPY : VFIOMIG_STATE_STOP_COPY,
			    &state->fd, result);
	if (!err && result->precopy)
		precopy_init(&live, dev, state, opt->downtime_ms * 1000000ULL);
	if (!err)
		err = pump(dev, fd, opt, result->precopy ? &live : NULL, image, state, result);
	if (err) {
		result->now = vfiomig_device_recover(dev, result->before);
		return err;
	}
	left = session_leave(dev, opt->leave < 0 ? result->before : opt->leave, result);
	result->downtime_ns = now_ns() - (result->precopy ? live.stop_ns : stop);
	if (!opt->raw)
		err = image_end(image, state);
	result->complete = !err;
	/* It was to be left elsewhere only with its state saved. */
	if (err && !left && result->now.state != result->before)
		result->now = vfiomig_device_recover(dev, result->before);
	return left ? left : err;
}

EXPORT int vfiomig_save(struct vfiomig_device *dev, int fd, const struct vfiomig_options *options,
			struct vfiomig_result *result)
{
	struct vfiomig_options opt;
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	err = options_check(dev->ctx, options, &opt);
	if (!err)
		err = session_check(dev, VFIOMIG_STATE_STOP_COPY,
				    opt.leave < 0 ? VFIOMIG_STATE_STOP : opt.leave, result);
	if (!err)
		err = raw_init(&state, dev->ctx, -1, "reading the device's state");
	/* Without a trailer nobody asks for a digest. */
	if (opt.raw)
		raw_free(&state);
	if (!err && vfiomig_device_get_data_size(dev, &result->expected))
		result->expected = 0;
	result->precopy = !err && !opt.no_precopy && precopy_possible(dev, result->before);
	if (!err && !opt.raw)
		err = begin(dev, fd, &opt, &image, result);
	if (!err)
		err = save(dev, fd, &opt, &image, &state, result);
	path_end(dev, result);
	if (state.fd >= 0)
		close(state.fd);
	image_free(&image);
	raw_free(&state);
	return err;
}
