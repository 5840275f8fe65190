// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Restoring the state of devices. What can be known of the image before a device is touched is
 * checked before that, and the rest before a device leaves RESUMING. Where several devices wait for
 * each other is in set.h.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "device/config.h"
#include "image/data.h"
#include "image/transfer.h"
#include "records/guard.h"
#include "restore.h"
#include "session.h"
#include "set.h"
#include "state.h"

struct restores;

/* The restore of one device */
struct restore {
	struct part part; /* comes first */
	struct restores *all;
	const char *header; /* what the image says of it, NULL for raw state */
	struct raw state;
	struct guard guard;
	int data_fd;
	int leave;
};

struct restores {
	const struct vfiomig_options *opt;
	struct set set;
	struct raw from; /* raw state */
	struct image image;
	struct restore *restore; /* of each device */
	struct part **parts;	 /* in the order of the image */
	int fd;
};

static struct restore *restore_of(struct part *p)
{
	return (struct restore *)p;
}

/* An image of no state is whole, too, but loading nothing would be no restore. */
static int check_size(const struct raw *state)
{
	return state->bytes ? 0 : ctx_fail(state->ctx, -ENODATA, "the image has no state in it");
}

/*
 * Guard the device against a state that is known to be not for it. With --force nothing does.
 */
static int guard(struct restore *r, bool compare)
{
	const struct vfiomig_device *dev = r->part.dev;
	const char *driver = dev->sys.driver;
	char theirs[64];

	if (r->header && meta_driver(r->header, theirs, sizeof(theirs)))
		driver = theirs;
	return guard_init(&r->guard, dev, r->all->opt->force ? NULL : driver, compare);
}

/* ---- The transfer -------------------------------------------------------- */

/* A device that refuses its state is the one that has failed. */
static int write_device(void *data, struct chunk *c)
{
	struct restore *r = data;
	struct other other;

	part_begin(&r->part, &other);
	return part_end(&r->part, &other, raw_write(&r->state, c));
}

/* Each device's state goes to its restore->state. */
static int transfer(struct restores *all)
{
	struct member members[VFIOMIG_SET_MAX];
	struct image *image = all->opt->raw ? NULL : &all->image;
	int count = all->set.count;

	if (count == 1)
		return transfer_in(all->opt, &all->from, image, &restore_of(*all->parts)->state,
				   (*all->parts)->result);
	for (int i = 0; i < count; i++)
		members[i] = (struct member){
			.raw = &restore_of(all->parts[i])->state,
			.write = write_device,
			.to = restore_of(all->parts[i]),
			.result = all->parts[i]->result,
		};
	return transfer_set_in(all->opt, members, count, image, NULL);
}

static int begin_state(struct restore *r, bool compare)
{
	int err = raw_init(&r->state, r->all->set.ctx, -1, "the device refused its state");

	/* Without a trailer there is no digest to compare with. */
	if (r->all->opt->raw)
		raw_free(&r->state);
	if (!err)
		err = guard(r, compare);
	guard_watch(&r->guard, &r->state);
	return err;
}

static void end_state(struct restore *r)
{
	guard_free(&r->guard);
	raw_free(&r->state);
}

/* Move all of the state to nowhere. */
static int look_at_all(struct restores *all)
{
	bool needed = !all->opt->raw;
	int err = 0;

	for (int i = 0; i < all->set.count && !err; i++) {
		err = set_blame(all->parts[i], begin_state(restore_of(all->parts[i]), true));
		/* Raw state has nothing to be verified but what a guard looks at. */
		needed = needed || restore_of(all->parts[i])->guard.records;
	}
	if (!err && needed)
		err = transfer(all);
	for (int i = 0; i < all->set.count; i++) {
		struct restore *r = restore_of(all->parts[i]);

		if (!err)
			err = set_blame(&r->part, guard_finish(&r->guard));
		r->part.result->complete = false;
		r->part.result->bytes = 0;
		if (!all->opt->raw)
			r->part.result->expected = r->state.bytes;
		end_state(r);
	}
	return err;
}

/* ---- Before a device is touched ------------------------------------------ */

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first bytes of raw state say something about its device, and in a file all of it can be
 * looked at. */
static int check_raw_state(struct restores *all, off_t start)
{
	struct restore *r = restore_of(*all->parts);
	const struct vfiomig_options *opt = all->opt;
	struct raw *from = &all->from;
	int err = guard(r, true);
	bool known = r->guard.records;

	if (!err && known)
		err = raw_peek_more(from);
	if (!err)
		err = guard_compare(&r->guard, from);
	guard_free(&r->guard);
	if (!err && known && !opt->no_verify && start >= 0 && is_regular(from->fd)) {
		err = look_at_all(all);
		from->bytes = 0;
		if (!err && lseek(from->fd, start, SEEK_SET) < 0)
			err = ctx_fail(from->ctx, -errno, "reading the image: %m");
	}
	return err;
}

static int open_raw(struct restores *all)
{
	off_t start = lseek(all->fd, 0, SEEK_CUR);
	int err;

	all->from = (struct raw){
		.ctx = all->set.ctx,
		.fd = all->fd,
		.what = "reading the image",
	};
	err = raw_peek(&all->from, all->opt->force);
	return err ? err : check_raw_state(all, start);
}

static const char *name_of(const struct restores *all, const char *const *names, int i)
{
	return names && names[i] ? names[i] : all->restore[i].part.dev->name;
}

/* @what, about the device that the image calls @name */
static int fail_names(struct restores *all, const char *what, const char *name)
{
	char has[300];

	image_list_names(&all->image, has, sizeof(has));
	return ctx_fail(all->set.ctx, -EDESTADDRREQ,
			"%s %s; the image is of %s; NAME=DEV says which of them goes to DEV", what,
			name, has);
}

/* Find out which device of the image each is: the image's order is that of the parts from then
 * on. */
static int match_names(struct restores *all, const char *const *names)
{
	const struct image *image = &all->image;
	struct part *parts[VFIOMIG_SET_MAX] = { NULL };
	int count = all->set.count;

	for (int i = 0; i < count; i++) {
		const char *name = name_of(all, names, i);
		int at = image_find(image, name);

		if (at < 0)
			return fail_names(all, "the image has no device", name);
		if (parts[at])
			return fail_names(all, "two devices were given for", name);
		parts[at] = &all->restore[i].part;
	}
	for (int i = 0; i < image->nr_devices; i++)
		if (!parts[i])
			return fail_names(all, "no device was given for", image->devices[i].name);
	for (int i = 0; i < count; i++) {
		all->parts[i] = parts[i];
		restore_of(parts[i])->header = image->devices[i].header;
	}
	return 0;
}

/* An image of one device goes to it, if it has the name that was given. */
static int match_one(struct restores *all, const char *const *names)
{
	const struct image *image = &all->image;
	const char *device = json_find(image->header, "device");
	char name[256];

	all->restore->header = image->header;
	if (all->set.count > 1)
		return ctx_fail(all->set.ctx, -EDESTADDRREQ,
				"the image is of one device, not of %d", all->set.count);
	if (!names || !names[0] || !device || meta_string(device, "name", name, sizeof(name)) < 0 ||
	    strcmp(name, names[0]) == 0)
		return 0;
	return ctx_fail(all->set.ctx, -EDESTADDRREQ, "the image has no device %s: it is of %s",
			names[0], name);
}

static int check_devices(struct restores *all)
{
	int err = 0;

	for (int i = 0; i < all->set.count && !err; i++) {
		struct restore *r = restore_of(all->parts[i]);

		if (!all->opt->force)
			err = set_blame(&r->part, meta_check_device(r->part.dev, r->header));
		r->part.result->expected = meta_number(r->header, "expected_bytes", 0);
	}
	return err;
}

static int open_image(struct restores *all, const char *const *names)
{
	struct image *image = &all->image;
	off_t start = lseek(all->fd, 0, SEEK_CUR);
	int err = image_open(image, all->set.ctx, all->fd);

	if (!err)
		err = image->nr_devices ? match_names(all, names) : match_one(all, names);
	if (!err)
		err = check_devices(all);
	if (err)
		return err;
	if (all->opt->no_verify || start < 0 || !is_regular(all->fd))
		return image_peek(image);
	err = look_at_all(all);
	if (!err)
		err = image_reopen(image, start);
	/* What the headers were is gone with the image that was verified. */
	if (!err)
		err = image->nr_devices ? match_names(all, names) : match_one(all, names);
	return err;
}

/* ---- The devices --------------------------------------------------------- */

/* Enter RESUMING, with the others. Up to STOP none of them has lost anything. */
static int start(struct part *p)
{
	struct restore *r = restore_of(p);
	bool alone = p->set->count == 1;
	int err = alone ? 0 : set_calm(p, p->result->before, false);

	if (err >= 0 && !alone)
		err = session_start(p->dev, VFIOMIG_STATE_STOP, NULL, p->result);
	if (err >= 0)
		err = set_meet(p->set);
	if (!err)
		err = session_start(p->dev, VFIOMIG_STATE_RESUMING, &r->data_fd, p->result);
	if (err)
		return err;
	p->transfer = VFIOMIG_STATE_RESUMING;
	p->resumed = true;
	r->state.fd = r->data_fd;
	return 0;
}

/*
 * If the driver has given up the session, or somebody else has reset the device and then began a
 * restore, too, this session's data_fd is dead.
 */
static int check_alive(struct vfiomig_device *dev, int data_fd)
{
	if (write(data_fd, "", 0) >= 0 || errno != ENODEV)
		return 0;
	return ctx_fail(dev->ctx, -ENODEV, "the restore's session is over: %s", strerror(ENODEV));
}

/* All was written. */
static int check_written(struct part *p)
{
	struct restore *r = restore_of(p);
	int err = check_size(&r->state);

	if (!err)
		err = guard_finish(&r->guard);
	return err ? err : check_alive(p->dev, r->data_fd);
}

/* What a process has made of its device's registers is its own. */
static int restore_command(struct restore *r)
{
	struct vfiomig_device *dev = r->part.dev;
	char config[2 * CONFIG_SIZE_MAX + 1];
	bool has_config =
		r->header && meta_string(r->header, "config", config, sizeof(config)) >= 0;

	if (!device_is(dev, BACKEND_OWNER_HAS_REGISTERS))
		return config_restore_command(dev, has_config ? config : NULL);
	config_check_command(dev, has_config ? config : NULL);
	return 0;
}

/*
 * From RESUMING to STOP, which loads the state, and on to where the device is to be left. From
 * another state an arc would lead to STOP as well, with what somebody else has put there.
 */
static int revive(struct part *p)
{
	struct restore *r = restore_of(p);
	int err;

	p->transfer = -1;
	err = state_continue(p->dev, VFIOMIG_STATE_RESUMING, VFIOMIG_STATE_STOP);
	p->result->loaded = !err;
	if (!err)
		err = set_meet(p->set);
	if (!err)
		err = restore_command(r);
	return err ? err : set_revive(p, r->leave);
}

static int restore(struct restores *all)
{
	int count = all->set.count, err = 0;

	for (int i = 0; i < count && !err; i++)
		err = set_blame(all->parts[i], begin_state(restore_of(all->parts[i]), false));
	if (err)
		return err;
	err = set_each(&all->set, start);
	if (!err)
		err = transfer(all);
	if (!err)
		err = set_each(&all->set, check_written);
	if (!err)
		err = set_each(&all->set, revive);
	return err ? set_abort(&all->set, err) : 0;
}

/* The device of a process goes back to the state in which its owner left it. */
static int default_leave(struct vfiomig_device *dev)
{
	int state = -1;

	if (device_is(dev, BACKEND_OWNER_EXPECTS_STATE))
		state = state_get(dev);
	return state < 0 ? VFIOMIG_STATE_RUNNING : state;
}

static int look_at(struct part *p)
{
	struct restore *r = restore_of(p);
	const struct vfiomig_options *opt = r->all->opt;

	r->leave = opt->leave < 0 ? default_leave(p->dev) : opt->leave;
	return session_check(p->dev, VFIOMIG_STATE_RESUMING, r->leave, p->result);
}

static int restore_all(struct restores *all, int count, const char *const *names, int *failed)
{
	int err = set_look(all->parts, count, look_at, failed);

	if (!err)
		err = set_begin(&all->set, all->restore->part.dev->ctx, all->parts, count,
				all->opt->no_p2p);
	if (err)
		return err;
	err = all->opt->raw ? open_raw(all) : open_image(all, names);
	if (!err)
		err = restore(all);
	for (int i = 0; i < count; i++)
		if (err && all->set.failed == &all->restore[i].part)
			*failed = i;
	set_end(&all->set);
	return err;
}

static void end_restore(struct restore *r)
{
	path_end(r->part.dev, r->part.result);
	close_fdp(&r->data_fd);
	end_state(r);
}

int restore_devices(struct vfiomig_device *const *devices, const char *const *names, int count,
		    int fd, const struct vfiomig_options *opt,
		    struct vfiomig_result *const *results, struct vfiomig_result *whole,
		    int *failed)
{
	struct restores all = { .opt = opt, .from.fd = -1, .image.fd = -1, .fd = fd };
	int err;

	all.restore = calloc(count, sizeof(*all.restore));
	all.parts = calloc(count, sizeof(struct part *));
	if (!all.restore || !all.parts) {
		free(all.restore);
		free(all.parts);
		return ctx_fail_memory(devices[0]->ctx);
	}
	for (int i = 0; i < count; i++) {
		all.restore[i] = (struct restore){
			.part = { .dev = devices[i], .result = results[i] },
			.all = &all,
			.data_fd = -1,
		};
		all.parts[i] = &all.restore[i].part;
	}
	err = restore_all(&all, count, names, failed);
	for (int i = 0; i < count; i++)
		end_restore(&all.restore[i]);
	set_sum_up(all.parts, count, whole);
	image_free(&all.image);
	raw_free(&all.from);
	free(all.restore);
	free(all.parts);
	return err;
}
