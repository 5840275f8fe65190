// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving the state of devices: read what can be read while they run, stop them in STOP_COPY, read
 * the rest, and take the devices home. That is for the threads that read, which do not wait for
 * what they have read to be written as long as there is memory: so a slow destination does not keep
 * a device stopped. Where several devices wait for each other is in set.h.
 */
#include "save.h"
#include "device/feature.h"
#include "image/data.h"
#include "image/transfer.h"
#include "precopy.h"
#include "records/guard.h"
#include "session.h"
#include "state.h"

struct saves;

/* The save of one device */
struct save {
	struct part part; /* comes first */
	struct saves *all;
	struct raw state;
	struct guard guard;
	struct precopy live; /* if it is read while it runs */
	bool is_live;
	bool left;    /* the device has left STOP_COPY, or could not */
	int left_err; /* why it is not where it was to be left, and in words */
	struct failure why;
};

struct saves {
	const struct vfiomig_options *opt;
	struct set set;
	struct image image;
	struct save *save; /* of each device */
	struct part **parts;
	int fd;
};

static struct save *save_of(struct part *p)
{
	return (struct save *)p;
}

static bool is_stopped(const void *data)
{
	const struct save *s = data;

	return s->part.transfer == VFIOMIG_STATE_STOP_COPY;
}

/* Those that are read while they run begin that. The others run on until they are stopped. */
static int start(struct part *p)
{
	struct save *s = save_of(p);
	int err;

	if (!s->is_live)
		return 0;
	err = session_start(p->dev, VFIOMIG_STATE_PRE_COPY, &s->state.fd, p->result);
	if (err)
		return err;
	p->transfer = VFIOMIG_STATE_PRE_COPY;
	precopy_init(&s->live, p, &s->state, s->all->opt->downtime_ms * 1000000ULL);
	return 0;
}

/* ---- In the thread that reads -------------------------------------------- */

/* Enter STOP_COPY, with the others. */
static int stop(struct save *s)
{
	struct part *p = &s->part;
	int err = set_begin_stop(p), state;

	if (err)
		return err;
	state = set_calm(p, p->result->before, false);
	if (state < 0)
		return state;
	err = session_start(p->dev, VFIOMIG_STATE_STOP_COPY, &s->state.fd, p->result);
	if (!err)
		p->transfer = VFIOMIG_STATE_STOP_COPY;
	return err;
}

static int read_state(struct save *s, struct chunk *c)
{
	int err = 0;

	if (s->is_live)
		return precopy_read(&s->live, c);
	if (!is_stopped(s)) {
		pipeline_prepare(c, s->part.result->expected);
		err = set_wait_stop(&s->part);
		if (!err)
			err = stop(s);
		s->state.since_ns = now_ns();
	}
	return err ? err : raw_read(&s->state, c);
}

static int read_device(void *data, struct chunk *c)
{
	struct save *s = data;
	struct other other;

	part_begin(&s->part, &other);
	return part_end(&s->part, &other, read_state(s, c));
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

static void note_home(struct part *p)
{
	p->home_ns = now_ns();
	p->result->downtime_ns = p->home_ns - p->stop_ns;
}

/* The image is worth ending, whatever comes of the way home. */
static void go(struct save *s)
{
	const struct vfiomig_options *opt = s->all->opt;
	struct part *p = &s->part;
	struct other other;

	s->left = true;
	ctx_begin_other(p->dev->ctx, &other);
	s->left_err = set_leave(p, opt->leave < 0 ? p->result->before : opt->leave);
	s->why = ctx_end_other(p->dev->ctx, &other);
	note_home(p);
}

/* All of the state was read. Go on when that of the others was, too. */
static int leave(void *data)
{
	struct save *s = data;
	struct part *p = &s->part;
	struct other other;
	int err;

	part_begin(p, &other);
	err = check_end(p->dev, &s->state);
	if (!err)
		err = set_meet(p->set);
	if (!err)
		go(s);
	return part_end(p, &other, err);
}

/* ---- The transfer -------------------------------------------------------- */

static struct reader reader_of(struct save *s)
{
	return (struct reader){
		.read = read_device,
		.ahead = is_stopped,
		.end = leave,
		.from = s,
	};
}

static int pump_one(struct saves *all, struct save *s)
{
	struct raw to = { .ctx = s->part.dev->ctx, .fd = all->fd, .what = "writing the image" };
	const struct reader reader = reader_of(s);

	return transfer_out(all->opt, &s->state, &reader, &to, all->opt->raw ? NULL : &all->image,
			    s->part.result);
}

static int pump_set(struct saves *all)
{
	struct member members[VFIOMIG_SET_MAX];
	int count = all->set.count;

	for (int i = 0; i < count; i++)
		members[i] = (struct member){
			.raw = &all->save[i].state,
			.reader = reader_of(&all->save[i]),
			.result = all->parts[i]->result,
		};
	return transfer_set_out(all->opt, members, count, &all->image, NULL);
}

static void note_precopy(const struct save *s)
{
	struct vfiomig_result *result = s->part.result;

	if (!s->is_live)
		return;
	result->precopy_bytes = s->live.bytes;
	result->rounds = s->live.rounds;
	result->gave_up = s->live.gave_up;
	result->outpaced = s->live.gave_up && s->live.outpaced;
}

static int pump(struct saves *all)
{
	int err = all->set.count == 1 ? pump_one(all, all->save) : pump_set(all);

	for (int i = 0; i < all->set.count; i++)
		note_precopy(&all->save[i]);
	return err;
}

static int end_image(struct saves *all)
{
	int err = 0;

	if (all->set.count > 1)
		err = image_end_set(&all->image);
	else if (!all->opt->raw)
		err = image_end(&all->image, &all->save->state);
	for (int i = 0; i < all->set.count; i++)
		all->parts[i]->result->complete = !err;
	return err;
}

/* A device was to be left elsewhere only with its state saved, and where the others are left. It
 * was left there a while ago, so its owner may have driven it on: then it is left alone. */
static int go_back(struct part *p)
{
	struct failure why = ctx_get_failure(p->dev->ctx);
	struct vfiomig_result *result = p->result;
	bool moves = !save_of(p)->left_err && result->state != result->before;
	int now = moves ? state_get(p->dev) : -1;

	if (moves && now != result->state && device_is(p->dev, BACKEND_OWNER_MAY_SAVE)) {
		moves = false;
		result->state = now;
		result->home = now == result->before;
	}
	set_go_home(p, moves);
	if (moves)
		note_home(p);
	ctx_set_failure(p->dev->ctx, &why);
	return 0;
}

/* The first device that is not where it was to be left, or NULL. */
static struct save *find_astray(const struct saves *all)
{
	for (int i = 0; i < all->set.count; i++)
		if (all->save[i].left_err)
			return &all->save[i];
	return NULL;
}

static int save(struct saves *all)
{
	struct vfiomig_ctx *ctx = all->set.ctx;
	struct save *astray;
	int err = set_each(&all->set, start);

	if (!err)
		err = pump(all);
	/* All have left STOP_COPY, or none. */
	if (!all->save->left)
		return set_abort(&all->set, err);
	if (!err)
		err = end_image(all);
	/* That a device is not where it should be weighs more. */
	astray = find_astray(all);
	if (astray) {
		all->set.failed = &astray->part;
		err = astray->left_err;
		ctx_set_failure(ctx, &astray->why);
	}
	if (err)
		set_each(&all->set, go_back);
	return err;
}

/* ---- What comes before it ------------------------------------------------ */

/* Find out what is known of a device before it is touched. */
static int look_at(struct part *p)
{
	struct save *s = save_of(p);
	const struct vfiomig_options *opt = s->all->opt;
	struct vfiomig_device *dev = s->part.dev;
	struct vfiomig_result *result = s->part.result;
	int err = session_check(dev, VFIOMIG_STATE_STOP_COPY,
				opt->leave < 0 ? VFIOMIG_STATE_STOP : opt->leave, result);

	if (!err)
		err = raw_init(&s->state, dev->ctx, -1, "reading the device's state");
	/* Without a trailer nobody asks for a digest. */
	if (opt->raw)
		raw_free(&s->state);
	if (!err)
		err = guard_init(&s->guard, dev, dev->sys.driver, false);
	guard_watch(&s->guard, &s->state);
	if (!err && feature_data_size(dev, &result->expected))
		result->expected = 0;
	s->is_live = result->precopy =
		!err && !opt->no_precopy && precopy_possible(dev, result->before);
	return err;
}

static int make_header(const struct saves *all, char **header)
{
	const struct vfiomig_result *results[VFIOMIG_SET_MAX];
	struct vfiomig_device *devices[VFIOMIG_SET_MAX];
	const char *names[VFIOMIG_SET_MAX] = { NULL };
	int count = all->set.count;

	for (int i = 0; i < count; i++) {
		devices[i] = all->parts[i]->dev;
		names[i] = devices[i]->name;
		results[i] = all->parts[i]->result;
	}
	if (count == 1)
		return meta_header(all->set.ctx, devices[0], all->opt, results[0], header);
	return meta_set_header(all->set.ctx, devices, names, count, all->opt, results, header);
}

/* Write the header before a device is touched: a destination that takes nothing then costs the
 * devices nothing. */
static int begin(struct saves *all)
{
	char *header;
	int err = make_header(all, &header);

	return err ? err : image_begin(&all->image, all->set.ctx, all->fd, header);
}

static int save_all(struct saves *all, int count, int *failed)
{
	int err = set_look(all->parts, count, look_at, failed);

	if (!err)
		err = set_begin(&all->set, all->save->part.dev->ctx, all->parts, count,
				all->opt->no_p2p);
	if (err)
		return err;
	if (!all->opt->raw)
		err = begin(all);
	if (!err)
		err = save(all);
	for (int i = 0; i < count; i++)
		if (err && all->set.failed == all->parts[i])
			*failed = i;
	set_end(&all->set);
	return err;
}

static void end_save(struct save *s, int err)
{
	struct vfiomig_result *result = s->part.result;

	if (!err)
		guard_doubt(&s->guard, result->doubtful, sizeof(result->doubtful));
	guard_free(&s->guard);
	path_end(s->part.dev, result);
	close_fdp(&s->state.fd);
	raw_free(&s->state);
}

int save_devices(struct vfiomig_device *const *devices, int count, int fd,
		 const struct vfiomig_options *opt, struct vfiomig_result *const *results,
		 struct vfiomig_result *whole, int *failed)
{
	struct vfiomig_ctx *ctx = devices[0]->ctx;
	_cleanup_close_ int pipe = fd_reopen_pipe(fd);
	struct saves all = { .opt = opt, .image.fd = -1, .fd = pipe < 0 ? fd : pipe };
	int err;

	all.save = calloc(count, sizeof(*all.save));
	all.parts = calloc(count, sizeof(struct part *));
	if (!all.save || !all.parts) {
		free(all.save);
		free(all.parts);
		return ctx_fail_memory(ctx);
	}
	for (int i = 0; i < count; i++) {
		all.save[i] = (struct save){
			.part = { .dev = devices[i], .result = results[i] },
			.all = &all,
			.state.fd = -1,
		};
		all.parts[i] = &all.save[i].part;
	}
	err = save_all(&all, count, failed);
	for (int i = 0; i < count; i++)
		end_save(&all.save[i], err);
	set_sum_up(all.parts, count, whole);
	image_free(&all.image);
	free(all.save);
	free(all.parts);
	return err;
}
