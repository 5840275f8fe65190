// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saving and restoring a device's state: into the data transfer state, all the
 * bytes across, out of it again, and home if anything fails.
 */
#include <string.h>
#include <time.h>

#include "data.h"

/* Enough that a system call costs nothing next to its copy. */
#define BUFFER_SIZE (1 << 20)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/*
 * What a transfer must know before it touches the device: where it starts, and
 * that from the data transfer state @via it can end where it is to.
 */
static int check_start(struct vfiomig_device *dev, int via, int leave,
		       struct vfiomig_result *result)
{
	uint64_t flags;
	int err = vfiomig_device_get_migration(dev, &flags);

	if (err)
		return err;
	result->before = vfiomig_device_get_state(dev);
	if (result->before < 0)
		return result->before;
	result->now.state = result->before;
	result->now.home = true;
	if (result->before == VFIOMIG_STATE_ERROR)
		return ctx_fail(
			dev->ctx, -EUCLEAN,
			"the device is in ERROR; only a reset leads out of it");
	if (result->before == VFIOMIG_STATE_RESUMING)
		return ctx_fail(
			dev->ctx, -EUCLEAN,
			"the device is RESUMING, a restore of it has not ended; only a reset leads out of it without loading half a state");
	if (leave == VFIOMIG_STATE_RESUMING ||
	    vfiomig_fsm_path(flags, via, leave, NULL) < 0)
		return ctx_fail(dev->ctx, -EINVAL,
				"the device cannot be left in %s",
				vfiomig_state_name(leave));
	return 0;
}

/*
 * Enter STOP_COPY or RESUMING with a new session. A device that is in a saving
 * group state already keeps its session, whose descriptor somebody else has or
 * nobody any more: it leaves that group first.
 */
static int start_session(struct vfiomig_device *dev, int state, int *data_fd,
			 struct vfiomig_result *result)
{
	int now = result->before, err = 0;

	result->touched = true;
	if (now == VFIOMIG_STATE_STOP_COPY || now == VFIOMIG_STATE_PRE_COPY ||
	    now == VFIOMIG_STATE_PRE_COPY_P2P)
		err = vfiomig_device_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL,
					   NULL);
	if (!err)
		err = vfiomig_device_drive(dev, state, data_fd, NULL, NULL);
	if (!err && *data_fd < 0)
		err = ctx_fail(dev->ctx, -EIO, "%s came without a data_fd",
			       vfiomig_state_name(state));
	return err;
}

/* With all of the state moved, go where the device is to be left. */
static int leave_session(struct vfiomig_device *dev, int leave,
			 struct vfiomig_result *result)
{
	int err = vfiomig_device_drive(dev, leave, NULL, NULL, NULL);

	if (err)
		result->now = vfiomig_device_recover(dev, result->before);
	else
		result->now.state = leave;
	return err;
}

static int pump_out(struct vfiomig_device *dev, int data_fd, int fd,
		    struct vfiomig_result *result)
{
	_cleanup_free_ char *buf = malloc(BUFFER_SIZE);
	uint64_t start = now_ns();
	ssize_t n;
	int err;

	if (!buf)
		return ctx_fail(dev->ctx, -ENOMEM, "out of memory");
	while ((n = vfiomig_data_read(dev->ctx, data_fd, buf, BUFFER_SIZE)) >
	       0) {
		err = fd_write(dev->ctx, fd, buf, n);
		if (err)
			return ctx_fail(dev->ctx, err, "writing the image: %s",
					fd_error(err));
		result->bytes += n;
	}
	result->ns = now_ns() - start;
	result->complete = n == 0;
	return n;
}

EXPORT int vfiomig_save(struct vfiomig_device *dev, int fd, int leave,
			struct vfiomig_result *result)
{
	_cleanup_close_ int data_fd = -1;
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	err = check_start(dev, VFIOMIG_STATE_STOP_COPY,
			  leave < 0 ? VFIOMIG_STATE_STOP : leave, result);
	if (err)
		return err;

	err = start_session(dev, VFIOMIG_STATE_STOP_COPY, &data_fd, result);
	if (!err)
		err = pump_out(dev, data_fd, fd, result);
	if (!err && leave >= 0)
		return leave_session(dev, leave, result);

	result->now = vfiomig_device_recover(dev, result->before);
	if (err)
		return err;
	if (result->now.home && !result->now.reset)
		return 0;
	return ctx_fail(dev->ctx, -EIO, "the device found no way back to %s",
			vfiomig_state_name(result->before));
}

/* @buf has @n bytes of the stream already. */
static int pump_in(struct vfiomig_device *dev, int data_fd, int fd, char *buf,
		   ssize_t n, struct vfiomig_result *result)
{
	uint64_t start = now_ns();
	int err;

	while (n > 0) {
		err = vfiomig_data_write(dev->ctx, data_fd, buf, n);
		if (err)
			return err;
		result->bytes += n;
		n = fd_read(dev->ctx, fd, buf, BUFFER_SIZE);
	}
	result->ns = now_ns() - start;
	if (n < 0)
		return ctx_fail(dev->ctx, n, "reading the image: %s",
				fd_error(n));
	result->complete = true;
	return 0;
}

EXPORT int vfiomig_restore(struct vfiomig_device *dev, int fd, int leave,
			   struct vfiomig_result *result)
{
	_cleanup_free_ char *buf = malloc(BUFFER_SIZE);
	_cleanup_close_ int data_fd = -1;
	ssize_t n;
	int err;

	*result = (struct vfiomig_result){ .before = -1 };
	if (!buf)
		return ctx_fail(dev->ctx, -ENOMEM, "out of memory");
	err = check_start(dev, VFIOMIG_STATE_RESUMING, leave, result);
	if (err)
		return err;

	/* An image that does not even start costs the device nothing. */
	n = fd_read(dev->ctx, fd, buf, BUFFER_SIZE);
	if (n < 0)
		return ctx_fail(dev->ctx, n, "reading the image: %s",
				fd_error(n));
	if (n == 0)
		return ctx_fail(dev->ctx, -ENODATA, "the image is empty");

	err = start_session(dev, VFIOMIG_STATE_RESUMING, &data_fd, result);
	if (!err)
		err = pump_in(dev, data_fd, fd, buf, n, result);
	if (!err)
		return leave_session(dev, leave, result);
	result->now = vfiomig_device_recover(dev, result->before);
	return err;
}
