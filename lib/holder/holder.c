// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The holder keeps a device open and serves its descriptors, see wire.h. It never waits for a peer,
 * because a peer may send garbage or nothing, or be one of a thousand.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "background.h"
#include "device/descriptors.h"
#include "device/device.h"
#include "device/lock.h"
#include "device/process.h"
#include "device/rundir.h"
#include "held.h"
#include "holder.h"
#include "migration/state.h"
#include "wire.h"

#define PEERS_MAX 64
#define BACKLOG	  128

struct peer {
	int fd;
	int pid;
	bool refused;	/* a process of another user: its request is answered with -EPERM */
	uint64_t since; /* when it connected, CLOCK_MONOTONIC in ns */
};

struct vfiomig_holder {
	struct vfiomig_device *dev;
	int socket;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct stat there; /* the socket's file, as bind(2) made it */
	struct peer peers[PEERS_MAX];
	struct peer *claimer;
	int home; /* the state when the device was claimed */
	bool ending, ended;
	int word; /* in a child of vfiomig_holder_fork(): where to say that it serves, or -1 */
	/* See vfiomig_holder_set_notify(). */
	void (*notify)(void *data, enum vfiomig_holder_event event);
	void *notify_data;
};

/* ---- The socket ---------------------------------------------------------- */

static int bind_socket(struct vfiomig_holder *h)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct vfiomig_ctx *ctx = h->dev->ctx;

	h->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->socket < 0)
		return ctx_fail(ctx, -errno, "cannot make a socket: %m");
	strcpy(address.sun_path, h->path);
	/* Set the mode before bind() makes the file, so that the file never has another one. */
	if (fchmod(h->socket, 0600) ||
	    bind(h->socket, (struct sockaddr *)&address, sizeof(address)) ||
	    lstat(h->path, &h->there))
		return ctx_fail(ctx, -errno, "cannot serve on %s: %m", h->path);
	return 0;
}

/* Remove the socket of a holder that has died. */
static int remove_stale(const struct vfiomig_holder *h)
{
	struct vfiomig_ctx *ctx = h->dev->ctx;
	struct wire_reply reply;
	int err = held_query(ctx, h->path, &reply);

	if (!err)
		return ctx_fail(ctx, -EBUSY, "busy: process %u holds it already", reply.holder);
	if (err != -ENOENT)
		return err;
	if (unlink(h->path) && errno != ENOENT)
		return ctx_fail(ctx, -errno, "cannot remove %s: %m", h->path);
	return 0;
}

int holder_new(struct vfiomig_device *dev, struct vfiomig_holder **holder)
{
	struct vfiomig_holder *h;
	int dir, err;

	err = device_check_open(dev);
	if (err)
		return err;
	if (dev->has_holder)
		return ctx_fail(dev->ctx, -EBUSY, "busy: this process has a holder for it already");
	/* It was borrowed from its holder. */
	if (dev->claim >= 0)
		return ctx_fail(dev->ctx, -EBUSY, "busy: process %d holds it already",
				held_by(dev));
	if (!dev->sys.syspath)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"cannot tell which device this is, so others could not find its holder");
	dir = rundir_open(dev->ctx);
	if (dir < 0)
		return dir;
	close(dir);
	h = calloc(1, sizeof(*h));
	if (!h)
		return ctx_fail_memory(dev->ctx);
	h->dev = vfiomig_device_ref(dev);
	dev->has_holder = true;
	h->socket = h->word = -1;
	for (int i = 0; i < PEERS_MAX; i++)
		h->peers[i].fd = -1;
	err = rundir_path(dev->ctx, dev->sys.name, ".sock", h->path, sizeof(h->path));
	if (!err)
		err = remove_stale(h);
	if (!err)
		err = bind_socket(h);
	if (err)
		vfiomig_holder_free(h);
	else
		*holder = h;
	return err;
}

struct vfiomig_ctx *holder_ctx(const struct vfiomig_holder *h)
{
	return h->dev->ctx;
}

EXPORT const char *vfiomig_holder_get_path(const struct vfiomig_holder *h)
{
	return h->path;
}

EXPORT void vfiomig_holder_set_notify(struct vfiomig_holder *h,
				      void (*fn)(void *data, enum vfiomig_holder_event event),
				      void *data)
{
	h->notify = fn;
	h->notify_data = data;
}

static void notify(const struct vfiomig_holder *h, enum vfiomig_holder_event event)
{
	if (h->notify)
		h->notify(h->notify_data, event);
}

/* Call this before the device is closed, and before any peer is told that it is. */
static void notify_ending(struct vfiomig_holder *h)
{
	if (!h->ending)
		notify(h, VFIOMIG_HOLDER_ENDING);
	h->ending = true;
}

/* Another holder may have replaced the file by now. */
static void remove_socket(struct vfiomig_holder *h)
{
	struct stat now;

	if (h->there.st_ino && lstat(h->path, &now) == 0 && now.st_ino == h->there.st_ino &&
	    now.st_dev == h->there.st_dev)
		unlink(h->path);
	h->there.st_ino = 0;
}

EXPORT void vfiomig_holder_free(struct vfiomig_holder *h)
{
	if (!h)
		return;
	remove_socket(h);
	close_fdp(&h->socket);
	close_fdp(&h->word);
	for (int i = 0; i < PEERS_MAX; i++)
		close_fdp(&h->peers[i].fd);
	h->dev->has_holder = false;
	vfiomig_device_unref(h->dev);
	free(h);
}

/* ---- Peers --------------------------------------------------------------- */

static void drop(struct vfiomig_holder *h, struct peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
	if (h->claimer == peer)
		h->claimer = NULL;
}

/* Bring the device back after the claimer died in the middle of something. */
static void bring_home(struct vfiomig_holder *h)
{
	bool reset = false, home = h->home >= 0 && !state_bring_home(h->dev, h->home, &reset);

	ctx_log(h->dev->ctx, "process %d ended without giving %s back; the device %s%s%s",
		h->claimer->pid, h->dev->name, reset ? "was reset (its state is lost) and " : "",
		h->home < 0 ? "has no state to be brought back to"
		: home	    ? "is in "
			    : "is not in ",
		h->home < 0 ? "" : vfiomig_state_name(h->home));
}

static void hung_up(struct vfiomig_holder *h, struct peer *peer)
{
	if (h->claimer == peer)
		bring_home(h);
	drop(h, peer);
}

static struct peer *oldest(struct vfiomig_holder *h)
{
	struct peer *found = NULL;

	for (int i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &h->peers[i];

		if (peer->fd >= 0 && peer != h->claimer && (!found || peer->since < found->since))
			found = peer;
	}
	return found;
}

static struct peer *free_slot(struct vfiomig_holder *h)
{
	for (int i = 0; i < PEERS_MAX; i++)
		if (h->peers[i].fd < 0)
			return &h->peers[i];
	return NULL;
}

/* accept4() failed. If there are no more descriptors, drop the oldest peer, or wait a little for
 * the claimer. */
static void admit_none(struct vfiomig_holder *h)
{
	struct peer *peer = oldest(h);

	if (errno != EMFILE && errno != ENFILE)
		return;
	if (peer)
		drop(h, peer);
	else
		poll(NULL, 0, 100);
}

/* Accept a peer. If there is no room, drop the peer that has been silent for the longest time. */
static void admit(struct vfiomig_holder *h)
{
	struct ucred cred = { .uid = -1 };
	socklen_t size = sizeof(cred);
	struct peer *slot;
	bool refused;
	int fd;

	fd = accept4(h->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		admit_none(h);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		cred.uid = -1;
	refused = cred.uid && cred.uid != geteuid();
	if (refused)
		ctx_log(h->dev->ctx,
			"refused process %d of user %u, who is not the one that holds %s", cred.pid,
			cred.uid, h->dev->name);
	slot = free_slot(h);
	if (!slot) {
		slot = oldest(h);
		drop(h, slot);
	}
	*slot = (struct peer){
		.fd = fd,
		.pid = cred.pid,
		.refused = refused,
		.since = now_ns(),
	};
}

/* ---- Requests ------------------------------------------------------------ */

static void give(struct vfiomig_holder *h, struct peer *peer, struct wire_reply *reply)
{
	const struct vfiomig_device *dev = h->dev;
	const int fds[WIRE_NR_FDS] = {
		[WIRE_DEVICE] = dev->fd,
		[WIRE_IOMMUFD] = dev->iommufd,
		[WIRE_GROUP] = dev->group_fd,
		[WIRE_CONTAINER] = dev->container,
	};

	h->claimer = peer;
	h->home = state_get(h->dev);
	/* A peer that got no answer does not know that it has the device. */
	if (wire_send_reply(peer->fd, reply, fds))
		drop(h, peer);
}

static void end(struct vfiomig_holder *h, struct wire_reply *reply, const struct peer *peer)
{
	ctx_log(h->dev->ctx, "process %d released %s", peer->pid, h->dev->name);
	h->ended = true;
	notify_ending(h);
	remove_socket(h);
	device_close(h->dev);
	wire_send_reply(peer->fd, reply, NULL);
}

/* Returns what is wrong with a request, a negative errno, or 0. */
static int check(const struct vfiomig_holder *h, const struct peer *peer,
		 const struct wire_request *request, ssize_t n)
{
	if (peer->refused)
		return -EPERM;
	if (n < (ssize_t)sizeof(*request) ||
	    memcmp(request->magic, WIRE_MAGIC, sizeof(request->magic)) != 0)
		return -EPROTO;
	if (request->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (n != sizeof(*request))
		return -EPROTO;
	switch (request->op) {
	case WIRE_QUERY:
		return 0;
	case WIRE_TAKE:
	case WIRE_RELEASE:
		return h->claimer ? -EBUSY : 0;
	case WIRE_DONE:
		return h->claimer == peer ? 0 : -EPROTO;
	default:
		return -EPROTO;
	}
}

static void answer(struct vfiomig_holder *h, struct peer *peer)
{
	struct wire_request request;
	struct wire_reply reply = {
		.holder = getpid(),
		.claimed = h->claimer ? h->claimer->pid : 0,
		.state = -1,
	};
	/* With MSG_TRUNC recv() returns the true length of a message. The kernel drops descriptors
	 * that came with it. */
	ssize_t n = recv(peer->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hung_up(h, peer);
		return;
	}
	snprintf(reply.syspath, sizeof(reply.syspath), "%s", h->dev->sys.syspath);
	reply.error = check(h, peer, &request, n);
	if (!reply.error && request.op == WIRE_TAKE) {
		give(h, peer, &reply);
		return;
	}
	/* While the device is claimed, the claimer may keep its driver busy for long. */
	if (!h->claimer && !reply.error)
		reply.state = state_get(h->dev);
	/*
	 * An interrupted holder is about to close the device. An answer would say that the device
	 * goes on, so the peer gets none: it is hung up on when the device is closed.
	 */
	if (!reply.error && request.op == WIRE_DONE && h->dev->ctx->interrupted) {
		h->claimer = NULL;
		return;
	}
	if (!reply.error && request.op == WIRE_RELEASE) {
		end(h, &reply, peer);
	} else {
		if (!reply.error && request.op == WIRE_DONE)
			h->claimer = NULL;
		wire_send_reply(peer->fd, &reply, NULL);
	}
	/* This also ends the claim of a claimer that sends nonsense. */
	hung_up(h, peer);
}

/* ---- The loop ------------------------------------------------------------ */

/* Drop the peers that have been silent for too long. Returns the number of milliseconds until the
 * next one has been, or -1. */
static int expire(struct vfiomig_holder *h)
{
	const uint64_t patience = WIRE_PATIENCE * 1000000000ULL;
	uint64_t now = now_ns();
	struct peer *peer;

	while ((peer = oldest(h))) {
		if (now < peer->since + patience)
			return (peer->since + patience - now) / 1000000 + 1;
		drop(h, peer);
	}
	return -1;
}

/* What poll(2) waits for, and the peer of each entry, or NULL. */
struct watch {
	struct pollfd p[PEERS_MAX + 2];
	struct peer *peer[PEERS_MAX + 2];
	int count;
};

static void watch(struct watch *w, int fd, struct peer *peer)
{
	w->p[w->count] = (struct pollfd){ .fd = fd, .events = POLLIN };
	w->peer[w->count++] = peer;
}

/* Watch only what is open: poll(2) refuses more entries than a process may have descriptors, even
 * if most of them are -1. */
static void watch_all(struct watch *w, struct vfiomig_holder *h)
{
	const struct vfiomig_ctx *ctx = h->dev->ctx;

	w->count = 0;
	/* The claimer comes first. If it has hung up, the peers after it find the device free. */
	if (h->claimer)
		watch(w, h->claimer->fd, h->claimer);
	for (int i = 0; i < PEERS_MAX; i++)
		if (h->peers[i].fd >= 0 && &h->peers[i] != h->claimer)
			watch(w, h->peers[i].fd, &h->peers[i]);
	/* An interrupted holder waits only for its claimer. */
	if (ctx->interrupted)
		return;
	watch(w, ctx->wake, NULL);
	/* The socket comes last: no slot may get another peer while the loop goes over them. */
	watch(w, h->socket, NULL);
}

static int look(struct vfiomig_holder *h)
{
	/* Do this before anything else, because it drops peers. */
	int timeout = expire(h);
	struct watch w;

	if (h->dev->ctx->interrupted)
		notify_ending(h);
	watch_all(&w, h);
	if (poll(w.p, w.count, timeout) < 0)
		return errno == EINTR
			       ? 0
			       : ctx_fail(h->dev->ctx, -errno, "cannot wait on %s: %m", h->path);
	for (int i = 0; i < w.count && !h->ended; i++) {
		if (!w.p[i].revents)
			continue;
		if (w.peer[i])
			answer(h, w.peer[i]);
		else if (w.p[i].fd == h->socket)
			admit(h);
		else
			ctx_forget_wake(h->dev->ctx);
	}
	return 0;
}

/* Tell the parent, if this is the child of vfiomig_holder_fork(), that it serves or why not. */
static void tell_parent(struct vfiomig_holder *h, int err)
{
	struct failure failure = { .err = 0 };

	if (h->word < 0)
		return;
	if (err)
		failure = ctx_get_failure(h->dev->ctx);
	background_say(h->word, &failure);
	close(h->word);
	h->word = -1;
}

int holder_serve(struct vfiomig_holder *h)
{
	struct vfiomig_ctx *ctx = h->dev->ctx;
	int err = 0;

	if (listen(h->socket, BACKLOG))
		err = ctx_fail(ctx, -errno, "cannot serve on %s: %m", h->path);
	tell_parent(h, err);
	if (err)
		return err;
	/* From here on others may have the device. */
	device_unlock(h->dev);
	notify(h, VFIOMIG_HOLDER_READY);
	while (!err && !h->ended && (!ctx->interrupted || h->claimer))
		err = look(h);
	notify_ending(h);
	remove_socket(h);
	device_close(h->dev);
	for (int i = 0; i < PEERS_MAX; i++)
		if (h->peers[i].fd >= 0)
			drop(h, &h->peers[i]);
	if (err)
		return err;
	return h->ended ? 0 : ctx_fail_interrupted(ctx);
}

/* ---- In a process of its own --------------------------------------------- */

/* A process that stays must not keep open what its caller had open, a pipe for example. */
static void become_child(struct vfiomig_holder *h, int wake, int word)
{
	int keep[] = { h->socket,	 word, wake, h->dev->fd, h->dev->iommufd, h->dev->group_fd,
		       h->dev->container };

	h->word = word;
	ctx_after_fork(h->dev->ctx, wake);
	device_forget_lock(h->dev);
	descriptors_close_others(STDERR_FILENO + 1, keep, ARRAY_SIZE(keep));
	device_forget_fds(h->dev);
}

int holder_fork(struct vfiomig_holder *h)
{
	struct vfiomig_ctx *ctx = h->dev->ctx;
	_cleanup_close_ int wake = -1;
	int pid, word, err;

	/* Listen in the parent, so that a peer can connect before the child runs. */
	if (listen(h->socket, BACKLOG))
		return ctx_fail(ctx, -errno, "cannot serve on %s: %m", h->path);
	wake = ctx_new_wake(ctx);
	if (wake < 0)
		return wake;
	pid = background_fork(ctx, &word);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		become_child(h, wake, word);
		wake = -1;
		return 0;
	}
	err = background_wait(ctx, pid, word);
	close(word);
	if (err)
		return err;
	/* From now on the child removes the file. */
	h->there.st_ino = 0;
	return pid;
}
