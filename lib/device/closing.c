// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Closing devices. With the last descriptor of a device its driver closes it, which takes as long
 * as a reset of the device, or for ever if the device has died. A process that sleeps in that
 * cannot even end. So a process of its own closes each device last: see close_last(). Several
 * devices are closed at once by as many processes.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "apart.h"
#include "device.h"

#define TICK_MS	 20	       /* between the looks at the processes that begin */
#define QUIET_NS 3000000000ULL /* before the notice, or the end of a process that does not begin */
#define GRACE_NS 500000000ULL  /* after a signal, before its end is not waited for any more */
/* How many devices are closed at once. */
#define AT_ONCE	 16

/* What is open of a device, in the order in which it is closed: the device comes before the
 * descriptors that it depends on. */
enum {
	NR_FDS = 4
};

/* What the process knows. */
struct closing {
	int fds[NR_FDS];
	_Atomic bool is_ready; /* it has closed what is not its own */
	int ready;	       /* takes a byte then; or -1 */
	int begin; /* has a byte when the caller has closed its descriptors, or hangs up */
};

/* The closing of a device, as the caller sees it. */
struct closer {
	struct vfiomig_device *dev;
	int fds[NR_FDS];
	struct closing *shared;
	struct apart apart; /* the process, if there is one */
	int begin[2];	    /* a pipe */
};

static void take_fds(struct vfiomig_device *dev, int fds[NR_FDS])
{
	const int own[NR_FDS] = { dev->fd, dev->iommufd, dev->group_fd, dev->container };

	memcpy(fds, own, sizeof(own));
	dev->fd = dev->iommufd = dev->group_fd = dev->container = -1;
}

static void close_all(const int fds[NR_FDS])
{
	for (int i = 0; i < NR_FDS; i++)
		close_fdp(&fds[i]);
}

static void close_last(void *arg)
{
	struct closing *c = arg;
	ssize_t n;

	c->is_ready = true;
	/* The caller looks now and then in any case. */
	n = c->ready < 0 ? 0 : write(c->ready, "", 1);
	(void)n;
	while (read(c->begin, &(char){ 0 }, 1) < 0 && errno == EINTR)
		;
	close_all(c->fds);
}

/* A holder's end says that the device is closed, and nobody waits for it in a terminal. And what
 * works apart is left behind itself if it does not come back. */
static bool closes_here(const struct vfiomig_device *dev)
{
	return dev->has_holder || dev->ctx->account || dev->ctx->mute;
}

/* Take what is open of the device, and start the process. Without one the device is closed here. */
static void start(struct closer *c, struct vfiomig_device *dev, int ready)
{
	bool is_apart = dev->fd >= 0 && !closes_here(dev);
	int keep[NR_FDS + 2];

	*c = (struct closer){ .dev = dev, .apart = APART_NONE, .begin = { -1, -1 } };
	take_fds(dev, c->fds);
	c->shared = is_apart ? apart_alloc(sizeof(*c->shared)) : NULL;
	if (!c->shared || pipe2(c->begin, O_CLOEXEC))
		return;
	memcpy(c->shared->fds, c->fds, sizeof(c->fds));
	memcpy(keep, c->fds, sizeof(c->fds));
	c->shared->begin = keep[NR_FDS] = c->begin[0];
	c->shared->ready = keep[NR_FDS + 1] = ready;
	apart_start_with(&c->apart, close_last, c->shared, keep, NR_FDS + 2);
}

static bool has_process(const struct closer *c)
{
	return c->apart.pid;
}

/* Close the caller's descriptors, and have the process close the last ones. */
static void begin(struct closer *c)
{
	close_all(c->fds);
	/* A child that another thread has just made may have the pipe, too: it does not hang up. */
	if (has_process(c) && write(c->begin[1], "", 1) < 0)
		ctx_log(c->dev->ctx, "cannot write to a pipe: %m");
	close_fdp(&c->begin[0]);
	close_fdp(&c->begin[1]);
}

static bool has_ended(const struct closer *c)
{
	return !has_process(c) || !apart_wait(NULL, &c->apart, 0);
}

/* Those that are closed at once. */
struct closers {
	struct closer list[AT_ONCE];
	size_t n;
	uint64_t quiet; /* when the notice is due */
	/* When their ends are not waited for any more, because the context is interrupted; 0 if
	 * that is not known yet. */
	uint64_t until;
};

static void give_notice(struct closers *all)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct closer *c = &all->list[i];

		if (!has_ended(c))
			ctx_notice(c->dev->ctx, "still waiting for the kernel, which is closing %s",
				   c->dev->name);
	}
	all->quiet = UINT64_MAX;
}

/* Returns 0, or -EINTR after ctx_fail() if the process was left behind. */
static int wait_for_end(struct closers *all, struct closer *c)
{
	struct vfiomig_ctx *ctx = c->dev->ctx;
	int err = apart_wait(ctx, &c->apart, all->quiet);

	if (err == -ETIMEDOUT) {
		give_notice(all);
		err = apart_wait(ctx, &c->apart, all->quiet);
	}
	if (err == -EINTR) {
		all->until = all->until ?: now_ns() + GRACE_NS;
		err = apart_wait(NULL, &c->apart, all->until);
	}
	if (!err) {
		apart_end(&c->apart);
		return 0;
	}
	err = ctx_fail(
		ctx, -EINTR,
		"interrupted by a signal while the kernel was closing %s, which it goes on with in process %d",
		c->dev->name, c->apart.pid);
	apart_leave(&c->apart);
	return err;
}

static int end(struct closers *all, struct closer *c)
{
	int err = has_process(c) ? wait_for_end(all, c) : 0;

	apart_free(c->shared, sizeof(*c->shared));
	return err;
}

int device_close_fds(struct vfiomig_device *dev)
{
	struct closers all = { .n = 1 };

	start(all.list, dev, -1);
	begin(all.list);
	all.quiet = now_ns() + QUIET_NS;
	return end(&all, all.list);
}

/* ---- The device ---------------------------------------------------------- */

/* What is left to be done when nothing is open any more. @err: what came of that. */
static int finish(struct vfiomig_device *dev, int err)
{
	int given_back = 0;

	dev->migration = 0;
	dev->info_flags = 0;
	dev->unbound = false;
	if (dev->backend && dev->backend->close)
		given_back = dev->backend->close(dev);
	if (!dev->keeps_lock)
		device_unlock(dev);
	return given_back ? given_back : err;
}

int device_close(struct vfiomig_device *dev)
{
	ctx_doing(dev->ctx, "close() of the device");
	return finish(dev, device_close_fds(dev));
}

/* ---- Several devices ----------------------------------------------------- */

/* Whether it may have descriptors of other devices. */
static bool is_late(const struct closer *c)
{
	return !has_ended(c) && !c->shared->is_ready;
}

static bool any_is_late(const struct closers *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (is_late(&all->list[i]))
			return true;
	return false;
}

/*
 * A process has the descriptors of all devices until it has closed those of others. Until then
 * nothing may be closed here: what it closes must not be the last ones. One that does not come to
 * that is killed, and its device is closed here.
 */
static void wait_ready(struct closers *all, int ready)
{
	const struct vfiomig_ctx *ctx = all->list->dev->ctx;
	struct pollfd p = { .fd = ready, .events = POLLIN };
	uint64_t until = now_ns() + QUIET_NS, grace;
	char bytes[AT_ONCE];

	while (any_is_late(all) && now_ns() < until) {
		/* What is read only ends the wait. */
		if (poll(&p, 1, TICK_MS) > 0 && read(ready, bytes, sizeof(bytes)) < 0)
			continue;
		grace = now_ns() + GRACE_NS;
		if (ctx->interrupted && until > grace)
			until = grace;
	}
	for (size_t i = 0; i < all->n; i++)
		if (is_late(&all->list[i]))
			apart_end(&all->list[i].apart);
}

static void start_all(struct closers *all, struct vfiomig_device *const *devices)
{
	int ready[2] = { -1, -1 };

	if (all->n > 1 && pipe2(ready, O_CLOEXEC))
		ctx_log(devices[0]->ctx, "cannot make a pipe: %m");
	for (size_t i = 0; i < all->n; i++)
		start(&all->list[i], devices[i], ready[1]);
	if (all->n > 1)
		wait_ready(all, ready[0]);
	close_fdp(&ready[0]);
	close_fdp(&ready[1]);
}

/* Those without a process are closed here, after the others have begun. */
static void begin_all(struct closers *all)
{
	for (int here = 0; here < 2; here++)
		for (size_t i = 0; i < all->n; i++)
			if (has_process(&all->list[i]) == !here)
				begin(&all->list[i]);
	all->quiet = now_ns() + QUIET_NS;
}

/* @first receives the first failure, if it has none yet. The others are notices if a process was
 * left behind, of which nobody would know otherwise. */
static void end_all(struct closers *all, int *errors, struct failure *first)
{
	for (size_t i = 0; i < all->n; i++) {
		struct closer *c = &all->list[i];
		int err = finish(c->dev, end(all, c));

		if (errors)
			errors[i] = err;
		if (err == -EINTR && first->err)
			ctx_notice(c->dev->ctx, "%s", ctx_sentence(c->dev->ctx));
		if (!err || first->err)
			continue;
		*first = ctx_get_failure(c->dev->ctx);
		first->err = err;
	}
}

int devices_close(struct vfiomig_device *const *devices, size_t n, int *errors)
{
	struct failure first = { 0 };

	for (size_t i = 0; i < n; i += AT_ONCE) {
		struct closers all = { .n = n - i < AT_ONCE ? n - i : AT_ONCE };

		start_all(&all, devices + i);
		begin_all(&all);
		end_all(&all, errors ? errors + i : NULL, &first);
	}
	if (first.err)
		ctx_set_failure(devices[0]->ctx, &first);
	return first.err;
}
