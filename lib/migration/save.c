// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving a device's state: read what can be read while the device runs, stop it in STOP_COPY, read
 * the rest, and take the device home. Only then the image is ended, so that a slow destination does
 * not keep the device stopped.
 */
#include "save.h"
#include "device/feature.h"
#include "image/data.h"
#include "image/transfer.h"
#include "precopy.h"
#include "records/guard.h"
#include "session.h"
#include "state.h"

static int pump(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct precopy *live, struct image *image, struct raw *state,
		struct vfiomig_result *result)
{
	struct raw to = { .ctx = dev->ctx, .fd = fd, .what = "writing the image" };
	const struct reader reader = { .read = precopy_read, .from = live };
	int err = transfer_out(opt, state, live ? &reader : NULL, &to, opt->raw ? NULL : image,
			       result);

	if (live) {
		result->precopy_bytes = live->bytes;
		result->rounds = live->rounds;
		result->gave_up = live->gave_up;
		result->outpaced = live->gave_up && live->outpaced;
	}
	return err;
}

/* Write the header before the device is touched: a destination that takes nothing then costs the
 * device nothing. */
static int begin(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		 struct image *image, const struct vfiomig_result *result)
{
	char *header;
	int err = meta_header(dev->ctx, dev, opt, result, &header);

	return err ? err : image_begin(image, dev->ctx, fd, header);
}

/* The data transfer state that the device must be in, or -1 during arcs. */
static int transfer_state(const struct precopy *live)
{
	if (!live || live->stopped)
		return VFIOMIG_STATE_STOP_COPY;
	return live->stopping ? -1 : VFIOMIG_STATE_PRE_COPY;
}

/* The end of the stream is that of the state only if the session was not ended by somebody else:
 * some drivers let a dead data_fd end, too. */
static int check_end(struct vfiomig_device *dev, const struct raw *state)
{
	int err = state_expect(dev, VFIOMIG_STATE_STOP_COPY);

	if (!err && !state->bytes)
		err = ctx_fail(dev->ctx, -EPROTO,
			       "the device's state is empty: its driver has given no byte of it");
	return err;
}

static int save(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct image *image, struct raw *state, struct vfiomig_result *result)
{
	struct precopy precopy = { .dev = dev };
	struct precopy *live = result->precopy ? &precopy : NULL;
	uint64_t stop = now_ns();
	struct failure why;
	int err, left;

	err = session_start(dev, live ? VFIOMIG_STATE_PRE_COPY : VFIOMIG_STATE_STOP_COPY,
			    &state->fd, result);
	if (err)
		return session_abort(dev, -1, err, result);
	if (live)
		precopy_init(live, dev, state, opt->downtime_ms * 1000000ULL);
	err = pump(dev, fd, opt, live, image, state, result);
	if (!err)
		err = check_end(dev, state);
	if (err)
		return session_abort(dev, transfer_state(live), err, result);
	left = session_leave(dev, opt->leave < 0 ? result->before : opt->leave, result);
	result->downtime_ns = now_ns() - (live ? live->stop_ns : stop);
	why = ctx_get_failure(dev->ctx);
	if (!opt->raw)
		err = image_end(image, state);
	result->complete = !err;
	/* That the device is not where it should be weighs more. */
	if (left)
		ctx_set_failure(dev->ctx, &why);
	/* The device was to be left elsewhere only with its state saved. */
	if (err && !left && result->state != result->before)
		session_go_home(dev, result);
	return left ? left : err;
}

int save_device(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct vfiomig_result *result)
{
	_cleanup_close_ int pipe = fd_reopen_pipe(fd);
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	struct guard guard = { 0 };
	int err = session_check(dev, VFIOMIG_STATE_STOP_COPY,
				opt->leave < 0 ? VFIOMIG_STATE_STOP : opt->leave, result);

	if (pipe >= 0)
		fd = pipe;
	if (!err)
		err = raw_init(&state, dev->ctx, -1, "reading the device's state");
	/* Without a trailer nobody asks for a digest. */
	if (opt->raw)
		raw_free(&state);
	if (!err)
		err = guard_init(&guard, dev, dev->sys.driver, false);
	guard_watch(&guard, &state);
	if (!err && feature_data_size(dev, &result->expected))
		result->expected = 0;
	result->precopy = !err && !opt->no_precopy && precopy_possible(dev, result->before);
	if (!err && !opt->raw)
		err = begin(dev, fd, opt, &image, result);
	if (!err)
		err = save(dev, fd, opt, &image, &state, result);
	if (!err)
		guard_doubt(&guard, result->doubtful, sizeof(result->doubtful));
	guard_free(&guard);
	path_end(dev, result);
	if (state.fd >= 0)
		close(state.fd);
	image_free(&image);
	raw_free(&state);
	return err;
}
