// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving a device's state: read what can be read while the device runs, stop it in STOP_COPY, read
 * the rest, and take the device home. That is for the thread that reads, which does not wait for
 * what it has read to be written as long as there is memory: so a slow destination does not keep
 * the device stopped.
 */
#include "save.h"
#include "device/feature.h"
#include "image/data.h"
#include "image/transfer.h"
#include "precopy.h"
#include "records/guard.h"
#include "session.h"
#include "state.h"

/* Write the header before the device is touched: a destination that takes nothing then costs the
 * device nothing. */
static int begin(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		 struct image *image, const struct vfiomig_result *result)
{
	char *header;
	int err = meta_header(dev->ctx, dev, opt, result, &header);

	return err ? err : image_begin(image, dev->ctx, fd, header);
}

struct save {
	struct vfiomig_device *dev;
	const struct vfiomig_options *opt;
	struct raw *state;
	struct precopy *live; /* NULL if nothing is read while the device runs */
	struct vfiomig_result *result;
	uint64_t stop_ns; /* without PRE_COPY, when the device began to stop */
	bool left;	  /* the device has left STOP_COPY, or could not */
	int left_err;	  /* why it is not where it was to be left, and in words */
	struct failure why;
};

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

static int read_device(void *data, struct chunk *c)
{
	struct save *s = data;

	return s->live ? precopy_read(s->live, c) : raw_read(s->state, c);
}

/* A stopped device is waited for. */
static bool is_stopped(const void *data)
{
	const struct save *s = data;

	return !s->live || s->live->stopped;
}

static uint64_t stop_ns(const struct save *s)
{
	return s->live ? s->live->stop_ns : s->stop_ns;
}

/* All of the state was read. The image is worth ending, whatever comes of the way home. */
static int leave(void *data)
{
	struct save *s = data;
	struct vfiomig_result *result = s->result;
	int to = s->opt->leave < 0 ? result->before : s->opt->leave;
	int err = check_end(s->dev, s->state);

	if (err)
		return err;
	s->left = true;
	ctx_begin_other(s->dev->ctx);
	s->left_err = session_leave(s->dev, to, result);
	s->why = ctx_end_other(s->dev->ctx);
	result->downtime_ns = now_ns() - stop_ns(s);
	return 0;
}

static int pump(struct save *s, int fd, struct image *image)
{
	struct raw to = { .ctx = s->dev->ctx, .fd = fd, .what = "writing the image" };
	const struct reader reader = {
		.read = read_device,
		.ahead = is_stopped,
		.end = leave,
		.from = s,
	};
	int err =
		transfer_out(s->opt, s->state, &reader, &to, s->opt->raw ? NULL : image, s->result);

	if (s->live) {
		s->result->precopy_bytes = s->live->bytes;
		s->result->rounds = s->live->rounds;
		s->result->gave_up = s->live->gave_up;
		s->result->outpaced = s->live->gave_up && s->live->outpaced;
	}
	return err;
}

static int end_image(const struct save *s, struct image *image)
{
	int err = s->opt->raw ? 0 : image_end(image, s->state);

	s->result->complete = !err;
	return err;
}

/* The device was to be left elsewhere only with its state saved. It was left there a while ago, so
 * its owner may have driven it on: then it is left alone. */
static void go_back(const struct save *s)
{
	struct failure why = ctx_get_failure(s->dev->ctx);
	struct vfiomig_result *result = s->result;
	int now = state_get(s->dev);

	if (now == result->state || !device_is(s->dev, BACKEND_OWNER_MAY_SAVE)) {
		session_go_home(s->dev, result);
		result->downtime_ns = now_ns() - stop_ns(s);
	} else {
		result->state = now;
		result->home = now == result->before;
	}
	ctx_set_failure(s->dev->ctx, &why);
}

static int save(struct save *s, int fd, struct image *image)
{
	struct vfiomig_device *dev = s->dev;
	struct vfiomig_result *result = s->result;
	int err;

	s->stop_ns = now_ns();
	err = session_start(dev, s->live ? VFIOMIG_STATE_PRE_COPY : VFIOMIG_STATE_STOP_COPY,
			    &s->state->fd, result);
	if (err)
		return session_abort(dev, -1, err, result);
	if (s->live)
		precopy_init(s->live, dev, s->state, s->opt->downtime_ms * 1000000ULL);
	err = pump(s, fd, image);
	if (!s->left)
		return session_abort(dev, transfer_state(s->live), err, result);
	if (!err)
		err = end_image(s, image);
	/* That the device is not where it should be weighs more. */
	if (s->left_err) {
		ctx_set_failure(dev->ctx, &s->why);
		return s->left_err;
	}
	if (err && result->state != result->before)
		go_back(s);
	return err;
}

int save_device(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		struct vfiomig_result *result)
{
	_cleanup_close_ int pipe = fd_reopen_pipe(fd);
	struct image image = { .fd = -1 };
	struct raw state = { .fd = -1 };
	struct guard guard = { 0 };
	struct precopy precopy = { .dev = dev };
	struct save s = { .dev = dev, .opt = opt, .state = &state, .result = result };
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
	if (result->precopy)
		s.live = &precopy;
	if (!err)
		err = save(&s, fd, &image);
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
