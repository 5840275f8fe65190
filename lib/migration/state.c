// SPDX-License-Identifier: LGPL-2.1-or-later
/* Driving the migration state of an open device, and the way home. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device/feature.h"
#include "device/sysfs.h"
#include "image/data.h"
#include "state.h"

EXPORT int vfiomig_device_get_state(struct vfiomig_device *dev)
{
	struct vfio_device_feature_mig_state mig = { 0 };
	int err = feature_ioctl(dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				&mig, sizeof(mig));

	if (err)
		return ctx_fail(dev->ctx, err, "cannot read the state: %s", strerror(-err));
	return mig.device_state;
}

/*
 * An arc or a reset that has begun is waited for: a driver that sleeps
 * interruptibly would fail it for a signal, the way home included. SIGQUIT is
 * the user's last resort.
 */
static void block_signals(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGQUIT);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

EXPORT int vfiomig_device_set_state(struct vfiomig_device *dev, int state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = state,
		.data_fd = -1,
	};
	sigset_t before;
	int err;

	block_signals(&before);
	err = feature_ioctl(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			    &mig, sizeof(mig));
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	*data_fd = -1;
	if (err)
		return ctx_fail(dev->ctx, err, "cannot enter %s: %s", vfiomig_state_name(state),
				strerror(-err));
	*data_fd = mig.data_fd;
	return 0;
}

static void path_add(struct vfiomig_device *dev, int state)
{
	unsigned int n = dev->path_length;

	if (state >= 0 && n < VFIOMIG_PATH_MAX && (!n || dev->path[n - 1] != state))
		dev->path[dev->path_length++] = state;
}

void path_begin(struct vfiomig_device *dev, int state)
{
	dev->path_length = 0;
	path_add(dev, state);
}

void path_end(const struct vfiomig_device *dev, struct vfiomig_result *result)
{
	memcpy(result->path, dev->path, sizeof(result->path));
	result->path_length = dev->path_length;
}

static int fail_no_path(struct vfiomig_device *dev, uint64_t flags, int from, int to)
{
	const char *why = "the protocol has no way";

	if (!vfiomig_fsm_supports(flags, to))
		why = "the device does not support it";
	else if (to == VFIOMIG_STATE_ERROR)
		why = "ERROR is never a target";
	else if (from == VFIOMIG_STATE_ERROR)
		why = "only a reset leads out of ERROR";
	return ctx_fail(dev->ctx, -EOPNOTSUPP, "cannot go from %s to %s: %s",
			vfiomig_state_name(from), vfiomig_state_name(to), why);
}

EXPORT int vfiomig_device_drive(struct vfiomig_device *dev, int state, int *data_fd,
				int (*step)(void *data, int state, uint64_t ns), void *data)
{
	int path[VFIOMIG_NR_STATES];
	int from, arcs, err, fd = -1;
	uint64_t flags;

	if (data_fd)
		*data_fd = -1;
	err = vfiomig_device_get_migration(dev, &flags);
	if (err)
		return err;
	from = vfiomig_device_get_state(dev);
	if (from < 0)
		return from;
	arcs = vfiomig_fsm_path(flags, from, state, path);
	if (arcs < 0)
		return fail_no_path(dev, flags, from, state);

	for (int i = 0; i < arcs; i++) {
		uint64_t start = now_ns(), ns;

		err = vfiomig_device_set_state(dev, path[i], &fd);
		ns = now_ns() - start;
		if (err)
			return ctx_fail(dev->ctx, err, "arc %s -> %s failed: %s",
					vfiomig_state_name(from), vfiomig_state_name(path[i]),
					strerror(-err));
		ctx_log(dev->ctx, "%s -> %s (%.3f ms)", vfiomig_state_name(from),
			vfiomig_state_name(path[i]), ns / 1e6);
		from = path[i];
		path_add(dev, from);
		err = step ? step(data, from, ns) : 0;
		/* Only the last arc can start a session that is wanted. */
		if (fd >= 0 && (err || i < arcs - 1 || !data_fd))
			close(fd);
		if (err)
			return ctx_fail(dev->ctx, err, "stopped in %s: %s",
					vfiomig_state_name(from), fd_error(err));
	}
	if (data_fd && arcs)
		*data_fd = fd;
	return 0;
}

EXPORT int vfiomig_device_reset(struct vfiomig_device *dev)
{
	sigset_t before;
	int err;

	block_signals(&before);
	err = ioctl(dev->fd, VFIO_DEVICE_RESET) ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return ctx_fail(dev->ctx, err, "VFIO_DEVICE_RESET: %s", strerror(-err));
	ctx_log(dev->ctx, "VFIO_DEVICE_RESET");
	path_add(dev, VFIOMIG_STATE_RUNNING);
	return 0;
}

int state_walk(struct vfiomig_device *dev, int state)
{
	int err = vfiomig_device_drive(dev, state, NULL, NULL, NULL);

	if (err == -EOPNOTSUPP) {
		err = vfiomig_device_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL, NULL);
		if (!err)
			err = vfiomig_device_drive(dev, state, NULL, NULL, NULL);
	}
	return err;
}

EXPORT struct vfiomig_recovery vfiomig_device_recover(struct vfiomig_device *dev, int home)
{
	char why[sizeof(dev->ctx->error)];
	struct vfiomig_recovery r = { 0 };

	/* What failed before stays the failure that is told. */
	memcpy(why, dev->ctx->error, sizeof(why));
	r.state = vfiomig_device_get_state(dev);
	path_add(dev, r.state);
	if (r.state != home &&
	    (r.state < 0 || r.state == VFIOMIG_STATE_ERROR || r.state == VFIOMIG_STATE_RESUMING ||
	     state_walk(dev, home)) &&
	    vfiomig_device_reset(dev) == 0) {
		r.reset = true;
		state_walk(dev, home);
	}
	r.state = vfiomig_device_get_state(dev);
	r.home = r.state == home;
	memcpy(dev->ctx->error, why, sizeof(why));
	return r;
}

void state_start_clean(struct vfiomig_device *dev)
{
	uint64_t flags;
	int state;

	if (vfiomig_device_get_migration(dev, &flags))
		return;
	state = vfiomig_device_get_state(dev);
	if (state != VFIOMIG_STATE_ERROR && state != VFIOMIG_STATE_RESUMING)
		return;
	ctx_log(dev->ctx, "found in %s, which its last session left", vfiomig_state_name(state));
	vfiomig_device_reset(dev);
}

int state_from_debugfs(const struct vfiomig_device *dev)
{
	char dir[PATH_MAX], state[32];
	int err;

	snprintf(dir, sizeof(dir), "%s/kernel/debug/vfio/%s/migration", dev->ctx->sysfs, dev->name);
	err = sysfs_read_text(dir, "state", state, sizeof(state));
	if (err)
		return ctx_fail(dev->ctx, err, "cannot read %s/state: %s", dir, strerror(-err));
	return vfiomig_state_from_name(state);
}
