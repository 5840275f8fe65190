// SPDX-License-Identifier: LGPL-2.1-or-later
/* Driving the migration state of an open device, and the way home. */
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "device/apart.h"
#include "device/feature.h"
#include "device/sysfs.h"
#include "patience.h"
#include "state.h"

#define RETRY_MS 10

static int get_state(const struct vfiomig_device *dev, uint32_t *state)
{
	struct vfio_device_feature_mig_state mig = { 0 };
	int err = feature_ioctl(dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				&mig, sizeof(mig));

	*state = mig.device_state;
	return err;
}

/* -EINTR says that the user has broken it off. A driver that fails with EINTR by itself is one that
 * fails. */
static int own_error(int err)
{
	return err == -EINTR ? -EIO : err;
}

int state_get(struct vfiomig_device *dev)
{
	uint32_t state;
	int err = get_state(dev, &state);

	/* What follows from a state that is not known may be a reset, so ask once more. But a
	 * driver that sleeps, and was interrupted, would sleep again. */
	if (err && !(err == -EINTR && dev->ctx->interrupted)) {
		poll(NULL, 0, RETRY_MS);
		err = get_state(dev, &state);
	}
	if (err)
		return ctx_fail(dev->ctx, dev->ctx->interrupted ? err : own_error(err),
				"cannot read the state: %s", strerror(-err));
	if (state >= VFIOMIG_NR_STATES)
		return ctx_fail(dev->ctx, -EPROTO, "the driver reports state %u, which is none",
				state);
	return state;
}

int state_expect(struct vfiomig_device *dev, int state)
{
	int now = state_get(dev);

	if (now < 0 || now == state)
		return now < 0 ? now : 0;
	if (now == VFIOMIG_STATE_ERROR)
		return ctx_fail(dev->ctx, -EIO, "the device has left %s for ERROR",
				vfiomig_state_name(state));
	return ctx_fail(
		dev->ctx, -ENOTRECOVERABLE,
		"somebody else has reset the device, or driven it on: it is in %s, not in %s",
		vfiomig_state_name(now), vfiomig_state_name(state));
}

/* One SET_STATE ioctl. */
struct setting {
	const struct vfiomig_device *dev;
	struct vfio_device_feature_mig_state mig;
};

static int do_set_state(void *arg)
{
	struct setting *s = arg;

	return feature_ioctl(s->dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			     &s->mig, sizeof(s->mig));
}

/* " of NAME", where several devices are being moved */
static const char *of(const struct vfiomig_device *dev)
{
	return dev->in_set ? " of " : "";
}

static const char *of_name(const struct vfiomig_device *dev)
{
	return dev->in_set ? dev->name : "";
}

/* @what: "arc" or "arcs", from @from to @state. Returns 0 or the ioctl's errno, without a
 * sentence. */
static int set_state(struct vfiomig_device *dev, const char *what, int from, int state,
		     int *data_fd, struct patience *p)
{
	struct setting s = { .dev = dev, .mig = { .device_state = state, .data_fd = -1 } };
	char way[192];
	int err;

	snprintf(way, sizeof(way), "%s %s -> %s%s%.100s", what, vfiomig_state_name(from),
		 vfiomig_state_name(state), of(dev), of_name(dev));
	err = patience_call(dev->ctx, way, do_set_state, &s, p);
	*data_fd = err ? -1 : s.mig.data_fd;
	return err;
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

/* The number of arcs from @from to @to. */
static int find_path(struct vfiomig_device *dev, int from, int to, int path[VFIOMIG_NR_STATES])
{
	uint64_t flags;
	int arcs, err = feature_migration(dev, &flags);

	if (err)
		return err;
	arcs = vfiomig_fsm_path(flags, from, to, path);
	return arcs < 0 ? fail_no_path(dev, flags, from, to) : arcs;
}

bool state_is_saving(int state)
{
	return state == VFIOMIG_STATE_STOP_COPY || state == VFIOMIG_STATE_PRE_COPY ||
	       state == VFIOMIG_STATE_PRE_COPY_P2P;
}

/*
 * "If the new_state starts a new data transfer session then the FD associated with that session is
 * returned in data_fd." @from -> @to is an arc, or both are the same state. Without that descriptor
 * nothing can be moved, and where the session goes on, another descriptor is of another session:
 * what was read so far does not belong to it.
 */
static int check_data_fd(struct vfiomig_device *dev, int from, int to, int data_fd)
{
	bool saves = state_is_saving(to);
	bool starts =
		from != to && (to == VFIOMIG_STATE_RESUMING || (saves && !state_is_saving(from)));

	if (starts && data_fd < 0)
		return ctx_fail(dev->ctx, -EPROTO, "arc %s -> %s came without a data_fd",
				vfiomig_state_name(from), vfiomig_state_name(to));
	if (!starts && data_fd >= 0 && saves)
		return ctx_fail(
			dev->ctx, -EPROTO,
			"arc %s -> %s came with a new data_fd, although the session goes on",
			vfiomig_state_name(from), vfiomig_state_name(to));
	if (!starts && data_fd >= 0)
		ctx_log(dev->ctx, "%s -> %s came with a data_fd, which nobody needs",
			vfiomig_state_name(from), vfiomig_state_name(to));
	return 0;
}

/*
 * After a SET_STATE that returned 0, which proves nothing. @from is where the last arc to @to
 * began. If this fails, it closes *@data_fd.
 */
static int check_arrival(struct vfiomig_device *dev, int from, int to, int *data_fd)
{
	int err = 0, now = state_get(dev);

	path_add(dev, now);
	if (now < 0)
		err = now;
	else if (now == VFIOMIG_STATE_RUNNING && to != now && from != now)
		err = ctx_fail(
			dev->ctx, -ENOTRECOVERABLE,
			"somebody else has reset the device: after arc %s -> %s it is in RUNNING",
			vfiomig_state_name(from), vfiomig_state_name(to));
	else if (now != to)
		err = ctx_fail(
			dev->ctx, -EPROTO, "arc %s -> %s returned success, but the device is in %s",
			vfiomig_state_name(from), vfiomig_state_name(to), vfiomig_state_name(now));
	else
		err = check_data_fd(dev, from, to, *data_fd);
	if (err) {
		close_fdp(data_fd);
		*data_fd = -1;
	}
	return err;
}

/* Take the arc @from -> @to. @ns receives how long the ioctl took. */
static int take_arc(struct vfiomig_device *dev, int from, int to, int *data_fd, uint64_t *ns)
{
	struct patience p;
	int err = set_state(dev, "arc", from, to, data_fd, &p);

	/* These may be over in a moment. */
	if (!p.broken_off && (err == -EINTR || err == -EAGAIN || err == -EBUSY) &&
	    state_get(dev) == from) {
		poll(NULL, 0, RETRY_MS);
		err = set_state(dev, "arc", from, to, data_fd, &p);
	}
	*ns = p.ns;
	if (err && p.broken_off)
		return ctx_fail(dev->ctx, -EINTR,
				"arc %s -> %s was broken off: interrupted by a signal",
				vfiomig_state_name(from), vfiomig_state_name(to));
	if (err)
		return ctx_fail(dev->ctx, own_error(err), "arc %s -> %s failed: %s",
				vfiomig_state_name(from), vfiomig_state_name(to), strerror(-err));
	err = check_arrival(dev, from, to, data_fd);
	if (!err)
		ctx_log(dev->ctx, "%s -> %s%s%s (%.3f ms)", vfiomig_state_name(from),
			vfiomig_state_name(to), of(dev), of_name(dev), *ns / 1e6);
	return err;
}

int state_set(struct vfiomig_device *dev, int state, int *data_fd)
{
	int path[VFIOMIG_NR_STATES];
	int from = state_get(dev), arcs, fd, err;
	struct patience p;

	if (data_fd)
		*data_fd = -1;
	if (from < 0)
		return from;
	arcs = find_path(dev, from, state, path);
	/*
	 * The kernel refuses most of what has no path, too. But STOP_COPY to PRE_COPY hangs it for
	 * ever on devices with PRE_COPY, from Linux 6.2 to 7.1.
	 */
	if (arcs < 0)
		return arcs;
	err = set_state(dev, arcs > 1 ? "arcs" : "arc", from, state, &fd, &p);
	if (err && p.broken_off)
		return ctx_fail(dev->ctx, -EINTR,
				"the way to %s was broken off: interrupted by a signal",
				vfiomig_state_name(state));
	if (err)
		return ctx_fail(dev->ctx, own_error(err), "cannot enter %s: %s",
				vfiomig_state_name(state), strerror(-err));
	err = check_arrival(dev, arcs > 1 ? path[arcs - 2] : from, state, &fd);
	if (data_fd)
		*data_fd = fd;
	else
		close_fdp(&fd);
	return err;
}

static int fail_step(struct vfiomig_device *dev, int state, int err)
{
	if (err == -EINTR)
		return ctx_fail(dev->ctx, err, "stopped in %s: interrupted by a signal",
				vfiomig_state_name(state));
	if (is_negative_errno(err))
		return ctx_fail(dev->ctx, err, "stopped in %s: %s", vfiomig_state_name(state),
				strerror(-err));
	return ctx_fail(dev->ctx, err, "stopped in %s: the caller returned %d",
			vfiomig_state_name(state), err);
}

/* See state_drive(). The device is in @from. */
static int drive_from(struct vfiomig_device *dev, int from, int state, int *data_fd,
		      int (*step)(void *data, int state, uint64_t ns), void *data)
{
	int path[VFIOMIG_NR_STATES];
	int arcs = find_path(dev, from, state, path), err, fd = -1;

	if (arcs < 0)
		return arcs;
	for (int i = 0; i < arcs; i++) {
		uint64_t ns;

		err = take_arc(dev, from, path[i], &fd, &ns);
		if (err)
			return err;
		from = path[i];
		err = step ? step(data, from, ns) : 0;
		/* Only the last arc can start a session that the caller wants. */
		if (fd >= 0 && (err || i < arcs - 1 || !data_fd))
			close(fd);
		if (err)
			return fail_step(dev, from, err);
	}
	if (data_fd && arcs)
		*data_fd = fd;
	return 0;
}

int state_drive(struct vfiomig_device *dev, int state, int *data_fd,
		int (*step)(void *data, int state, uint64_t ns), void *data)
{
	int from = state_get(dev);

	if (data_fd)
		*data_fd = -1;
	return from < 0 ? from : drive_from(dev, from, state, data_fd, step, data);
}

int state_continue(struct vfiomig_device *dev, int from, int state)
{
	int err = state_expect(dev, from);

	return err ? err : drive_from(dev, from, state, NULL, NULL, NULL);
}

static int do_reset(void *arg)
{
	const struct vfiomig_device *dev = arg;

	return ctx_ioctl(dev->ctx, dev->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

int state_reset(struct vfiomig_device *dev)
{
	struct patience p;
	int err = patience_call(dev->ctx, "VFIO_DEVICE_RESET", do_reset, dev, &p), state;

	if (err && p.broken_off)
		return ctx_fail(dev->ctx, -EINTR,
				"VFIO_DEVICE_RESET was broken off: interrupted by a signal");
	if (err)
		return ctx_fail(dev->ctx, own_error(err), "VFIO_DEVICE_RESET: %s", strerror(-err));
	ctx_log(dev->ctx, "VFIO_DEVICE_RESET%s%s", of(dev), of_name(dev));
	state = state_get(dev);
	path_add(dev, state);
	if (state < 0 || state == VFIOMIG_STATE_RUNNING)
		return state < 0 ? state : 0;
	return ctx_fail(dev->ctx, -EPROTO,
			"VFIO_DEVICE_RESET returned success, but the device is in %s",
			vfiomig_state_name(state));
}

int state_walk(struct vfiomig_device *dev, int state)
{
	int err = state_drive(dev, state, NULL, NULL, NULL);

	if (err == -EOPNOTSUPP) {
		err = state_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL, NULL);
		if (!err)
			err = state_drive(dev, state, NULL, NULL, NULL);
	}
	return err;
}

/* ---- The way home -------------------------------------------------------- */

static bool is_dead_end(int state)
{
	/* The arc out of RESUMING would load the part of a state that was written so far. */
	return state == VFIOMIG_STATE_ERROR || state == VFIOMIG_STATE_RESUMING;
}

static int walk_once(struct vfiomig_device *dev, int home)
{
	int state = state_get(dev);

	path_add(dev, state);
	if (state < 0 || state == home)
		return state < 0 ? state : 0;
	if (is_dead_end(state))
		return ctx_fail(dev->ctx, -EUCLEAN, "only a reset leads out of %s",
				vfiomig_state_name(state));
	return state_walk(dev, home);
}

/* Whether arcs lead to @home at all. It may also be the state that the device is in. */
static int check_home(struct vfiomig_device *dev, int home)
{
	uint64_t flags;

	/* If the device does not answer, nothing speaks against @home: the walk fails, and the
	 * reset is tried. */
	if (feature_migration(dev, &flags) || state_get(dev) == home)
		return 0;
	if (home != VFIOMIG_STATE_RESUMING &&
	    (vfiomig_fsm_path(flags, VFIOMIG_STATE_STOP, home, NULL) >= 0 ||
	     vfiomig_fsm_path(flags, VFIOMIG_STATE_RUNNING, home, NULL) >= 0))
		return 0;
	return ctx_fail(dev->ctx, -EINVAL, "the device cannot go home to %s (%d)",
			vfiomig_state_name(home), home);
}

int state_walk_home(struct vfiomig_device *dev, int home)
{
	int err = check_home(dev, home), from;

	if (err)
		return err;
	from = state_get(dev);
	if (from == -EINTR)
		return from;
	err = walk_once(dev, home);
	/* An arc that failed, or led elsewhere, may have left the device where another one leads
	 * home from. */
	if (err && (err == -EPROTO || state_get(dev) != from))
		err = walk_once(dev, home);
	return err;
}

int state_reset_home(struct vfiomig_device *dev, int home, bool *reset)
{
	int err = check_home(dev, home);

	*reset = false;
	if (err)
		return err;
	path_add(dev, state_get(dev));
	err = state_reset(dev);
	*reset = !err;
	return err ? err : state_walk_home(dev, home);
}

int state_bring_home(struct vfiomig_device *dev, int home, bool *reset)
{
	struct failure why = ctx_get_failure(dev->ctx);
	int err;

	*reset = false;
	err = state_walk_home(dev, home);
	/* An arc that the user has broken off can be taken again, and the device has its state. */
	if (err && !(err == -EINTR && dev->ctx->interrupted))
		err = state_reset_home(dev, home, reset);
	ctx_set_failure(dev->ctx, &why);
	return err;
}

/*
 * A session begins in RUNNING, but some drivers keep the state that the last session ended in (mtty
 * does). No arc leads out of ERROR. A device in RESUMING has lost its data_fd: mtty of Linux 6.12
 * even follows a null pointer on the arc to STOP. A session that has just begun loses nothing by a
 * reset.
 */
void state_start_clean(struct vfiomig_device *dev)
{
	uint64_t flags;
	int state;

	if (device_is(dev, BACKEND_SESSION_GOES_ON) || feature_migration(dev, &flags))
		return;
	state = state_get(dev);
	if (state < 0 || !is_dead_end(state))
		return;
	ctx_log(dev->ctx, "found in %s, which its last session left", vfiomig_state_name(state));
	state_reset(dev);
}

/* What the file "state" of the directory @dir has, @text, or why it could not be read. */
static int parse_debugfs(const struct vfiomig_device *dev, const char *dir, int err,
			 const char *text)
{
	if (err)
		return ctx_fail(dev->ctx, err, "cannot read %s/state: %s", dir, strerror(-err));
	err = vfiomig_state_from_name(text);
	return err < 0 ? ctx_fail(dev->ctx, err, "%s/state has an unknown state '%s'", dir, text)
		       : err;
}

static void debugfs_dir(const struct vfiomig_device *dev, char dir[PATH_MAX])
{
	snprintf(dir, PATH_MAX, "%s/kernel/debug/vfio/%s/migration", dev->ctx->sysfs, dev->name);
}

int state_from_debugfs(const struct vfiomig_device *dev)
{
	char dir[PATH_MAX], state[32];
	int err;

	debugfs_dir(dev, dir);
	/* The driver tells the state with its lock held, which it also has during a long arc. */
	err = apart_read_text(dev->ctx, dir, "state", state, sizeof(state),
			      now_ns() + APART_PATIENCE);
	return parse_debugfs(dev, dir, err, state);
}

int state_read_debugfs(const struct vfiomig_device *dev)
{
	char dir[PATH_MAX], state[32];

	debugfs_dir(dev, dir);
	ctx_doing(dev->ctx, "a read of %s/state", dir);
	return parse_debugfs(dev, dir, sysfs_read_text(dir, "state", state, sizeof(state)), state);
}
