// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * PRE_COPY. User space decides when it ends: when the first copy is complete and the rest can be
 * moved within the downtime that is allowed, or when reading on does not help.
 *
 * "During pre-copy the migration data FD has a temporary 'end of stream'": read() fails with ENOMSG
 * then. Some drivers return 0 or EAGAIN instead. All of these mean that there is nothing more to
 * read before the device stops, and none of them may end the image. Therefore nothing here waits
 * for more data, and only in STOP_COPY is the end of the stream taken for the end of the state.
 */
#include <errno.h>

#include "device/feature.h"
#include "image/data.h"
#include "image/raw.h"
#include "precopy.h"
#include "state.h"

#define ROUNDS_MAX    32
#define REINITS_MAX   8
#define NO_BETTER_MAX 3
#define SECONDS_MIN   30 /* for the rounds after the first pass, at least */
#define NS_PER_S      1000000000ULL

bool precopy_possible(struct vfiomig_device *dev, int state)
{
	uint64_t flags;

	return feature_migration(dev, &flags) == 0 && (flags & VFIOMIG_PRE_COPY) &&
	       state == VFIOMIG_STATE_RUNNING;
}

void precopy_init(struct precopy *p, struct part *part, struct raw *state, uint64_t downtime_ns)
{
	struct vfiomig_device *dev = part->dev;

	*p = (struct precopy){
		.part = part,
		.state = state,
		.downtime = downtime_ns,
		.start_ns = now_ns(),
		.round_end = UINT64_MAX,
		.has_info = true,
	};
	/*
	 * This has the kernel tell of a new first copy (VFIO_PRECOPY_INFO_REINIT): everybody who
	 * has the device open, until the last of them closes it. An owner who may be saving does
	 * not expect that. A holder reads no state itself.
	 */
	if (!device_is(dev, BACKEND_OWNER_MAY_SAVE) &&
	    feature_probe(dev, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2) & VFIOMIG_FEATURE_SET)
		feature_ioctl(dev, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2,
			      NULL, 0);
}

/* How many nanoseconds it would take to move @bytes, at the rate so far. */
static uint64_t time_to_move(const struct precopy *p, uint64_t bytes)
{
	double seconds = (now_ns() - p->start_ns) / 1e9;
	double rate = p->state->bytes / (seconds > 0 ? seconds : 1e-9);
	double ns = rate > 0 ? bytes / rate * 1e9 : 1e18;

	return ns < 1e18 ? ns : 1e18;
}

/*
 * Whether reading on brings the end nearer. A round is over when as many bytes were read as were
 * left when it began.
 */
static bool converges(struct precopy *p, uint64_t left)
{
	uint64_t now = now_ns(), bound = SECONDS_MIN * NS_PER_S;

	if (!p->seen_initial) {
		p->seen_initial = true;
		p->first_pass_ns = now - p->start_ns;
		p->round_left = UINT64_MAX;
	} else if (p->state->bytes >= p->round_end) {
		p->rounds++;
		p->no_better = left < p->round_left - p->round_left / 10 ? 0 : p->no_better + 1;
		p->outpaced = p->no_better > 0;
	} else {
		return true;
	}
	p->round_left = left;
	p->round_end = p->state->bytes + left;
	if (bound < 2 * p->first_pass_ns)
		bound = 2 * p->first_pass_ns;
	return p->rounds < ROUNDS_MAX && p->no_better < NO_BETTER_MAX &&
	       now + time_to_move(p, left) < p->start_ns + p->first_pass_ns + bound;
}

/*
 * "It is recommended to leave PRE_COPY for STOP_COPY only after this field reaches zero." A driver
 * may never reach zero, so twice as many bytes as were announced are enough.
 */
static bool in_first_copy(struct precopy *p, const struct vfio_precopy_info *info)
{
	/* A driver may begin a new first copy again and again, so there is a limit. */
	if ((info->flags & VFIO_PRECOPY_INFO_REINIT) && p->reinits < REINITS_MAX) {
		p->reinits++;
		p->seen_initial = false;
		p->initial_end = 0;
	}
	if (!p->initial_end)
		p->initial_end = p->state->bytes + info->initial_bytes +
				 (info->initial_bytes < UINT64_MAX / 4 ? info->initial_bytes : 0);
	return info->initial_bytes && p->state->bytes < p->initial_end;
}

/*
 * Whether it is time to stop the device. After the first copy dirty_bytes is what is left to read.
 * MIG_DATA_SIZE is not: several drivers (mlx5, mtty) count there what was read already.
 */
static bool is_time(struct precopy *p)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };

	if (p->has_info && ioctl(p->state->fd, VFIO_MIG_GET_PRECOPY_INFO, &info))
		p->has_info = false;
	/* "mandatory if a driver claims to support VFIO_MIGRATION_PRE_COPY". A driver without it is
	 * read for a while. */
	if (!p->has_info) {
		p->gave_up = now_ns() - p->start_ns > SECONDS_MIN * NS_PER_S;
		return p->gave_up;
	}
	if (__builtin_add_overflow(info.initial_bytes, info.dirty_bytes, &p->left))
		p->left = UINT64_MAX;
	/* Without MIG_PRECOPY_INFOv2 the kernel leaves the flags as they were written here: 0. */
	if (in_first_copy(p, &info))
		return false;
	/* Nothing was read yet, so the rate is not known. */
	if (info.dirty_bytes && !p->state->bytes)
		return false;
	if (!info.dirty_bytes || time_to_move(p, info.dirty_bytes) <= p->downtime) {
		p->gave_up = false;
		return true;
	}
	p->gave_up = !converges(p, info.dirty_bytes);
	return p->gave_up;
}

/*
 * Go to STOP_COPY, by way of PRE_COPY_P2P if the device has that, in the same session: "Moving
 * between these states alters what is streamed in session, but does not terminate or otherwise
 * affect the associated fd."
 */
static int stop(struct precopy *p, const struct chunk *c)
{
	struct part *part = p->part;
	int state, err;

	pipeline_prepare(c, p->left);
	err = set_begin_stop(part);
	if (err)
		return err;
	p->bytes = p->state->bytes;
	state = set_calm(part, VFIOMIG_STATE_PRE_COPY, true);
	if (state < 0)
		return state;
	/* From another state the arcs would begin another session. */
	err = state_continue(part->dev, state, VFIOMIG_STATE_STOP_COPY);
	if (!err)
		part->transfer = VFIOMIG_STATE_STOP_COPY;
	return err;
}

/* Returns the number of bytes read, 0 when there are none for now, or a negative errno. */
static ssize_t read_running(struct precopy *p, void *buf, size_t size)
{
	struct vfiomig_ctx *ctx = p->part->dev->ctx;
	struct fd_tries tries = { 0 };
	int err = 0;
	ssize_t n;

	do {
		if (fd_is_cancelled(ctx))
			return ctx->interrupted ? -EINTR : -ECANCELED;
		n = read(p->state->fd, buf, size);
	} while (n < 0 && errno == EINTR && !(err = fd_again(ctx, &tries)));
	if (err)
		return err;
	if (n < 0 && (errno == ENOMSG || errno == EAGAIN))
		return 0;
	return n < 0 ? -errno : fd_count(n, size);
}

/* Read on as long as this device, or another one of the set, is not ready to be stopped. Returns as
 * read_running(), 0 when the time to stop has come. */
static ssize_t read_until_stop(struct precopy *p, void *buf, size_t size)
{
	ssize_t n = 0;

	while (!n && !set_stops(p->part, is_time(p))) {
		n = read_running(p, buf, size);
		/* With nothing to read, it only waits for the others. */
		if (!n && set_stops(p->part, true))
			break;
		if (!n)
			set_rest(p->part);
	}
	return n;
}

static ssize_t read_some(struct precopy *p, const struct chunk *c)
{
	size_t size = p->state->chunk_size - c->in_size;
	void *buf = c->in + c->in_size;
	ssize_t n;
	int err;

	if (p->part->transfer == VFIOMIG_STATE_PRE_COPY) {
		n = read_until_stop(p, buf, size);
		if (n)
			return n < 0 ? raw_fail(p->state, n) : n;
		err = stop(p, c);
		if (err)
			return err;
	}
	n = fd_read(p->part->dev->ctx, p->state->fd, buf, size);
	return n < 0 ? raw_fail(p->state, n) : n;
}

int precopy_read(void *data, struct chunk *c)
{
	struct precopy *p = data;

	while (c->in_size < p->state->chunk_size) {
		ssize_t n = read_some(p, c);
		int err;

		if (n < 0)
			return n;
		if (n == 0)
			break;
		err = raw_account(p->state, c->in + c->in_size, n);
		if (err)
			return err;
		c->in_size += n;
	}
	c->iov[0] = (struct iovec){ c->in, c->in_size };
	c->iov_count = 1;
	return 0;
}
