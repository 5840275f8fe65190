// SPDX-License-Identifier: LGPL-2.1-or-later
/* Into a data transfer session, and out of it. */
#include <string.h>

#include "device/feature.h"
#include "session.h"
#include "state.h"

int session_check(struct vfiomig_device *dev, int via, int leave, struct vfiomig_result *result)
{
	uint64_t flags;
	int err = feature_migration(dev, &flags);

	if (err)
		return err;
	result->before = state_get(dev);
	if (result->before < 0)
		return result->before;
	result->state = result->before;
	result->home = true;
	path_begin(dev, result->before);
	if (result->before == VFIOMIG_STATE_ERROR)
		return ctx_fail(dev->ctx, -EUCLEAN,
				"the device is in ERROR; only a reset leads out of it");
	if (result->before == VFIOMIG_STATE_RESUMING)
		return ctx_fail(
			dev->ctx, -EUCLEAN,
			"the device is RESUMING, a restore of it has not ended; only a reset leads out of it without loading half a state");
	if (state_is_saving(result->before) && device_is(dev, BACKEND_OWNER_MAY_SAVE))
		return ctx_fail(
			dev->ctx, -EUCLEAN,
			"the device is in %s: its owner may be in the middle of saving it, which this would end; drive it to STOP first if that is not so",
			vfiomig_state_name(result->before));
	if (leave == VFIOMIG_STATE_RESUMING || vfiomig_fsm_path(flags, via, leave, NULL) < 0)
		return ctx_fail(dev->ctx, -EINVAL, "the device cannot be left in %s",
				vfiomig_state_name(leave));
	return 0;
}

static int end_if_interrupted(void *data, int state, uint64_t ns)
{
	const struct vfiomig_ctx *ctx = data;

	(void)state;
	(void)ns;
	return ctx->interrupted ? -EINTR : 0;
}

/*
 * A device that is in a state of the saving group already keeps its session, and the session's
 * descriptor is somebody else's or lost. Therefore the device leaves that group first.
 */
int session_start(struct vfiomig_device *dev, int state, int *data_fd,
		  struct vfiomig_result *result)
{
	int err = 0;

	if (dev->ctx->interrupted)
		return ctx_fail_interrupted(dev->ctx);
	result->touched = true;
	if (state_is_saving(result->before))
		err = state_drive(dev, VFIOMIG_STATE_STOP, NULL, end_if_interrupted, dev->ctx);
	if (!err)
		err = state_drive(dev, state, data_fd, end_if_interrupted, dev->ctx);
	return err;
}

int session_leave(struct vfiomig_device *dev, int state, struct vfiomig_result *result)
{
	int err = state_walk(dev, state);

	if (err)
		return session_abort(dev, -1, err, result);
	result->state = state;
	return 0;
}

/*
 * The device is in the data transfer state that it should be in, and the transfer failed with
 * @err. Whether the session there is one that the owner has begun since. After -ENOTRECOVERABLE it
 * is, because the device was seen elsewhere in between. -ENODEV proves nothing: a data_fd fails
 * with it when its session was ended, but also when the driver's own work on it has failed (mlx5).
 * So it depends on whether there is an owner who can have done that.
 */
static bool is_theirs(const struct vfiomig_device *dev, int err)
{
	if (!device_is(dev, BACKEND_OWNER_MAY_SAVE))
		return false;
	return err == -ENOTRECOVERABLE || (err == -ENODEV && vfiomig_device_owner_runs(dev));
}

/* Leave the device in the session that is or may be its owner's. */
static int leave_alone(struct vfiomig_device *dev, int state, int err,
		       struct vfiomig_result *result)
{
	const char *what = state == VFIOMIG_STATE_RESUMING ? "restore" : "save";

	result->state = state;
	result->home = false;
	result->reset = err == -ENOTRECOVERABLE;
	result->loaded = false;
	if (result->reset)
		return ctx_fail(dev->ctx, err,
				"somebody else has reset the device, and has begun another %s",
				what);
	return ctx_fail(
		dev->ctx, -ENOTRECOVERABLE,
		"the session of this %s is over (%s); the device's owner is running, and may have reset it and begun another %s, so it is left alone",
		what, strerror(-err), what);
}

bool session_settle(struct vfiomig_device *dev, int state, int *err, struct vfiomig_result *result)
{
	struct failure why = ctx_get_failure(dev->ctx);
	int found = state < 0 ? -1 : state_expect(dev, state);

	if (!found && is_theirs(dev, *err)) {
		*err = leave_alone(dev, state, *err, result);
		return false;
	}
	if (found == -ENOTRECOVERABLE && *err == -ENODEV)
		*err = found;
	else
		ctx_set_failure(dev->ctx, &why);
	if (found == -ENOTRECOVERABLE || *err == -ENOTRECOVERABLE) {
		result->reset = true;
		result->loaded = false;
	}
	return true;
}

int session_abort(struct vfiomig_device *dev, int state, int err, struct vfiomig_result *result)
{
	if (session_settle(dev, state, &err, result))
		session_go_home(dev, result);
	return err;
}

/* The device is where it is; it was reset on the way, or not. */
static void arrive(struct vfiomig_device *dev, bool reset, struct vfiomig_result *result)
{
	struct failure why = ctx_get_failure(dev->ctx);

	result->state = state_get(dev);
	ctx_set_failure(dev->ctx, &why);
	result->home = result->state == result->before;
	result->reset = result->reset || reset;
	if (result->reset)
		result->loaded = false;
}

void session_go_home(struct vfiomig_device *dev, struct vfiomig_result *result)
{
	bool reset;

	state_bring_home(dev, result->before, &reset);
	arrive(dev, reset, result);
}

void session_drop(struct vfiomig_device *dev, struct vfiomig_result *result)
{
	struct failure why = ctx_get_failure(dev->ctx);
	bool reset, again = false;
	int err = state_reset_home(dev, result->before, &reset);

	if (err && (reset || result->loaded))
		state_bring_home(dev, result->before, &again);
	ctx_set_failure(dev->ctx, &why);
	arrive(dev, reset || again, result);
	/* With a part of a state no device is what it was, in whatever state it is. */
	if (!result->reset && !result->loaded)
		result->home = false;
}
