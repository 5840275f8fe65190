// SPDX-License-Identifier: LGPL-2.1-or-later
/* Into a data transfer session, and out of it. */
#include <string.h>

#include "device/feature.h"
#include "session.h"
#include "state.h"

static bool is_saving(int state)
{
	return state == VFIOMIG_STATE_STOP_COPY || state == VFIOMIG_STATE_PRE_COPY ||
	       state == VFIOMIG_STATE_PRE_COPY_P2P;
}

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
	if (is_saving(result->before) && device_is(dev, BACKEND_OWNER_MAY_SAVE))
		return ctx_fail(
			dev->ctx, -EUCLEAN,
			"the device is in %s: its owner may be in the middle of saving it, which this would end; drive it to STOP first if that is not so",
			vfiomig_state_name(result->before));
	if (leave == VFIOMIG_STATE_RESUMING || vfiomig_fsm_path(flags, via, leave, NULL) < 0)
		return ctx_fail(dev->ctx, -EINVAL, "the device cannot be left in %s",
				vfiomig_state_name(leave));
	return 0;
}

/*
 * A device that is in a state of the saving group already keeps its session, and the session's
 * descriptor is somebody else's or lost. Therefore the device leaves that group first.
 */
int session_start(struct vfiomig_device *dev, int state, int *data_fd,
		  struct vfiomig_result *result)
{
	int err = 0;

	result->touched = true;
	if (is_saving(result->before))
		err = state_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL, NULL);
	if (!err)
		err = state_drive(dev, state, data_fd, NULL, NULL);
	if (!err && *data_fd < 0)
		err = ctx_fail(dev->ctx, -EIO, "%s came without a data_fd",
			       vfiomig_state_name(state));
	return err;
}

int session_leave(struct vfiomig_device *dev, int state, struct vfiomig_result *result)
{
	int err = state_walk(dev, state);

	/* A SET_STATE that succeeded proves nothing. */
	if (!err) {
		result->state = state_get(dev);
		if (result->state < 0)
			err = result->state;
		else if (result->state != state)
			err = ctx_fail(dev->ctx, -EIO, "the device is in %s, not in %s",
				       vfiomig_state_name(result->state),
				       vfiomig_state_name(state));
	}
	if (err)
		session_go_home(dev, result);
	return err;
}

void session_go_home(struct vfiomig_device *dev, struct vfiomig_result *result)
{
	struct failure why;

	state_bring_home(dev, result->before, &result->reset);
	why = ctx_get_failure(dev->ctx);
	result->state = state_get(dev);
	ctx_set_failure(dev->ctx, &why);
	result->home = result->state == result->before;
}
