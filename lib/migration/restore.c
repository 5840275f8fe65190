// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Restoring a device's state. What can be known of the image before the device is touched is
 * checked before that, and the rest before the device leaves RESUMING.
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
#include "state.h"

/* An image of no state is whole, too, but loading nothing would be no restore. */
static int check_size(const struct raw *state)
{
	return state->bytes ? 0 : ctx_fail(state->ctx, -ENODATA, "the image has no state in it");
}

/*
 * Guard the device against a state that is known to be not for it. @image is NULL for raw state.
 * With --force nothing does.
 */
static int guard(struct guard *g, struct vfiomig_device *dev, const struct vfiomig_options *opt,
		 const struct image *image, bool compare)
{
	const char *driver = dev->sys.driver;
	char theirs[64];

	if (image && meta_driver(image->header, theirs, sizeof(theirs)))
		driver = theirs;
	return guard_init(g, dev, opt->force ? NULL : driver, compare);
}

/* Move all of the state to nowhere. @image is NULL for raw state. */
static int look_at_all(struct vfiomig_device *dev, const struct vfiomig_options *opt,
		       struct raw *from, struct image *image, struct vfiomig_result *result)
{
	struct raw nowhere;
	struct guard g = { 0 };
	int err = raw_init(&nowhere, dev->ctx, -1, "");

	if (!image)
		raw_free(&nowhere);
	if (!err)
		err = guard(&g, dev, opt, image, true);
	guard_watch(&g, &nowhere);
	/* Raw state has nothing to be verified but what a guard looks at. */
	if (!err && (image || g.records))
		err = transfer_in(opt, from, image, &nowhere, result);
	if (!err)
		err = guard_finish(&g);
	result->complete = false;
	result->bytes = 0;
	if (image)
		result->expected = nowhere.bytes;
	guard_free(&g);
	raw_free(&nowhere);
	return err;
}

static bool is_regular(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The first bytes of raw state say something about its device, and in a file all of it can be
 * looked at. */
static int check_raw_state(struct vfiomig_device *dev, struct raw *from,
			   const struct vfiomig_options *opt, off_t start,
			   struct vfiomig_result *result)
{
	struct guard g;
	int err = guard(&g, dev, opt, NULL, true);

	if (!err && g.records)
		err = raw_peek_more(from);
	if (!err)
		err = guard_compare(&g, from);
	if (!err && g.records && !opt->no_verify && start >= 0 && is_regular(from->fd)) {
		err = look_at_all(dev, opt, from, NULL, result);
		from->bytes = 0;
		if (!err && lseek(from->fd, start, SEEK_SET) < 0)
			err = ctx_fail(dev->ctx, -errno, "reading the image: %m");
	}
	guard_free(&g);
	return err;
}

static int open_raw(struct vfiomig_device *dev, struct raw *from, const struct vfiomig_options *opt,
		    struct vfiomig_result *result)
{
	off_t start = lseek(from->fd, 0, SEEK_CUR);
	int err = raw_peek(from, opt->force);

	return err ? err : check_raw_state(dev, from, opt, start, result);
}

static int open_image(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		      struct image *image, struct vfiomig_result *result)
{
	off_t start = lseek(fd, 0, SEEK_CUR);
	int err = image_open(image, dev->ctx, fd);

	if (!err && image->nr_devices)
		return ctx_fail(
			dev->ctx, -EDESTADDRREQ,
			"the image is of %d devices; \"vfiomig unpack --device=NAME\" extracts the state of one, for restore --raw",
			image->nr_devices);
	if (!err && !opt->force)
		err = meta_check_device(dev, image->header);
	if (err)
		return err;
	result->expected = meta_number(image->header, "expected_bytes", 0);
	if (opt->no_verify || start < 0 || !is_regular(fd))
		return image_peek(image);
	err = look_at_all(dev, opt, NULL, image, result);
	return err ? err : image_reopen(image, start);
}

/* What a process has made of its device's registers is its own. */
static int restore_command(struct vfiomig_device *dev, const struct image *image)
{
	char config[2 * CONFIG_SIZE_MAX + 1];
	bool has_config =
		image->header && meta_string(image->header, "config", config, sizeof(config)) >= 0;

	if (!device_is(dev, BACKEND_OWNER_HAS_REGISTERS))
		return config_restore_command(dev, has_config ? config : NULL);
	config_check_command(dev, has_config ? config : NULL);
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

/*
 * From RESUMING to STOP, which loads the state, and on to where the device is to be left. From
 * another state an arc would lead to STOP as well, with what somebody else has put there.
 */
static int revive(struct vfiomig_device *dev, const struct image *image, int state,
		  struct vfiomig_result *result)
{
	int err = state_continue(dev, VFIOMIG_STATE_RESUMING, VFIOMIG_STATE_STOP);

	result->loaded = !err;
	if (!err)
		err = restore_command(dev, image);
	if (!err)
		return session_leave(dev, state, result);
	return session_abort(dev, -1, err, result);
}

static int restore(struct vfiomig_device *dev, struct raw *from, const struct vfiomig_options *opt,
		   int leave, struct image *image, struct vfiomig_result *result)
{
	_cleanup_close_ int data_fd = -1;
	struct raw state = { .fd = -1 };
	struct guard g = { 0 };
	int err = raw_init(&state, dev->ctx, -1, "the device refused its state");

	/* Without a trailer there is no digest to compare with. */
	if (opt->raw)
		raw_free(&state);
	if (!err)
		err = guard(&g, dev, opt, opt->raw ? NULL : image, false);
	if (err) {
		raw_free(&state);
		return err;
	}
	guard_watch(&g, &state);
	err = session_start(dev, VFIOMIG_STATE_RESUMING, &data_fd, result);
	if (err) {
		guard_free(&g);
		raw_free(&state);
		return session_abort(dev, -1, err, result);
	}
	state.fd = data_fd;
	err = transfer_in(opt, from, opt->raw ? NULL : image, &state, result);
	if (!err)
		err = check_size(&state);
	if (!err)
		err = guard_finish(&g);
	if (!err)
		err = check_alive(dev, data_fd);
	guard_free(&g);
	raw_free(&state);
	if (err)
		return session_abort(dev, VFIOMIG_STATE_RESUMING, err, result);
	return revive(dev, image, leave, result);
}

/* The device of a process goes back to the state in which its owner left it. */
static int default_leave(struct vfiomig_device *dev)
{
	int state = -1;

	if (device_is(dev, BACKEND_OWNER_EXPECTS_STATE))
		state = state_get(dev);
	return state < 0 ? VFIOMIG_STATE_RUNNING : state;
}

int restore_device(struct vfiomig_device *dev, int fd, const struct vfiomig_options *opt,
		   struct vfiomig_result *result)
{
	struct raw from = { .ctx = dev->ctx, .fd = fd, .what = "reading the image" };
	int leave = opt->leave < 0 ? default_leave(dev) : opt->leave;
	struct image image = { .fd = -1 };
	int err = session_check(dev, VFIOMIG_STATE_RESUMING, leave, result);

	if (!err)
		err = opt->raw ? open_raw(dev, &from, opt, result)
			       : open_image(dev, fd, opt, &image, result);
	if (!err)
		err = restore(dev, &from, opt, leave, &image, result);
	path_end(dev, result);
	image_free(&image);
	raw_free(&from);
	return err;
}
