// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device that a holder has: find the holder, claim the device, give it back. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "device/device.h"
#include "device/identity.h"
#include "device/lock.h"
#include "device/process.h"
#include "device/rundir.h"
#include "device/sysfs.h"
#include "held.h"
#include "stray.h"

/*
 * Accept only a holder of root or of this user. Any other could serve anything. If root has named
 * the socket itself (@named), the holder may be anybody's. @pid receives the process that has
 * called listen(2), which is known before it answers.
 */
static int check_server(struct vfiomig_ctx *ctx, int fd, const char *path, bool named, int *pid)
{
	struct ucred cred = { .uid = -1 };
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		return ctx_fail(ctx, -errno, "%s: %m", path);
	*pid = cred.pid;
	if (ctx->account)
		ctx->account->server = cred.pid;
	if (cred.uid == 0 || cred.uid == geteuid() || (geteuid() == 0 && named))
		return 0;
	return ctx_fail(ctx, -EPERM, "%s is served by user %u, who is neither you nor root", path,
			cred.uid);
}

/* What keeps a process from answering, and what to do: the rest of a sentence. */
static const char *why_silent(struct vfiomig_ctx *ctx, int pid, char text[128])
{
	switch (process_state(ctx, pid)) {
	case 'T':
		snprintf(text, 128, "it is stopped, and \"kill -CONT %d\" lets it go on", pid);
		return text;
	case 't':
		return "a debugger has stopped it";
	case 'D':
		return "it waits in the kernel, perhaps for the device's driver";
	default:
		return "its control group may be frozen, or it may be busy with the device";
	}
}

/* @pid: the process that serves @path, 0 if that is not known */
static int fail_silent(struct vfiomig_ctx *ctx, const char *path, int pid)
{
	char comm[16], text[128];

	if (!pid)
		return ctx_fail(
			ctx, -EBUSY,
			"busy: the holder on %s does not answer; it may be stopped, or busy with the device",
			path);
	process_comm(ctx, pid, comm);
	return ctx_fail(ctx, -EBUSY, "busy: the holder on %s, process %d (%s), does not answer; %s",
			path, pid, comm, why_silent(ctx, pid, text));
}

/* @pid: see fail_silent() */
static int fail_reply(struct vfiomig_ctx *ctx, const char *path, int pid, int err)
{
	switch (err) {
	case -EINTR:
		return ctx_fail_interrupted(ctx);
	case -EPERM:
		return ctx_fail(ctx, err,
				"not permitted: the holder on %s serves its own user and root",
				path);
	case -EPROTONOSUPPORT:
		return ctx_fail(
			ctx, err,
			"the holder on %s is of another version of vfiomig; release the device with that one",
			path);
	case -EPROTO:
	case -EINVAL:
		return ctx_fail(ctx, -EPROTO, "%s is not a holder's socket", path);
	case -ETIMEDOUT:
		return fail_silent(ctx, path, pid);
	case -EMFILE:
		return ctx_fail(ctx, err, "cannot receive the descriptors of the holder on %s: %s",
				path, strerror(-err));
	/* The holder has just ended, or dropped this connection because it had too many. */
	case -ECONNRESET:
	case -EPIPE:
		return ctx_fail(ctx, -EBUSY,
				"busy: the holder on %s hung up before it answered; try again",
				path);
	default:
		return ctx_fail(ctx, err, "the holder on %s: %s", path, strerror(-err));
	}
}

static int fail_connect(struct vfiomig_ctx *ctx, const char *path, int err)
{
	struct stat st;

	/* turn_wait() gave up while the holder's queue was full. */
	if (err == -EBUSY)
		return fail_reply(ctx, path, 0, -ETIMEDOUT);
	if (err == -EINTR)
		return fail_reply(ctx, path, 0, err);
	/* The kernel refuses what is no socket as it refuses a socket that nobody serves. */
	if (err == -ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return ctx_fail(ctx, err, "%s is not a socket", path);
	return ctx_fail(ctx, err, "cannot connect to %s: %s", path, strerror(-err));
}

/* @pid receives the process that serves the socket, or 0. */
static int connect_to(struct vfiomig_ctx *ctx, const char *path, bool named, int *pid)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct turn turn = turn_begin(ctx, WIRE_PATIENCE);
	int fd, err;

	*pid = 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return ctx_fail(ctx, -ENAMETOOLONG, "%s is too long for a socket's path", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ctx_fail(ctx, -errno, "cannot make a socket: %m");
	ctx_doing(ctx, "the request to the holder on %s", path);
	/* EAGAIN: the queue of the holder is full for the moment. */
	while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		if (err == -EAGAIN)
			err = turn_wait(&turn);
		if (!err)
			continue;
		close(fd);
		return fail_connect(ctx, path, err);
	}
	err = check_server(ctx, fd, path, named, pid);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int held_connect(struct vfiomig_ctx *ctx, const char *path)
{
	int pid;

	return connect_to(ctx, path, false, &pid);
}

static int fail_claimed(struct vfiomig_ctx *ctx, const struct wire_reply *reply)
{
	char comm[16];

	if (!reply->claimed)
		return ctx_fail(
			ctx, -EBUSY,
			"busy: another command has it from its holder; --wait waits for it");
	process_comm(ctx, reply->claimed, comm);
	return ctx_fail(ctx, -EBUSY,
			"busy: process %u (%s) has it from its holder; --wait waits for it",
			reply->claimed, comm);
}

/*
 * A holder in a container has another number there, and so has whoever has the device from it.
 * @pid: the holder's number here, 0 if it has none
 */
static void translate(struct wire_reply *reply, int pid)
{
	if (!pid || (int)reply->holder == pid)
		return;
	reply->holder = pid;
	reply->claimed = 0;
}

static int query(struct vfiomig_ctx *ctx, const char *path, bool named, struct wire_reply *reply)
{
	int pid, err;
	_cleanup_close_ int fd = connect_to(ctx, path, named, &pid);

	if (fd < 0)
		return fd == -ECONNREFUSED ? -ENOENT : fd;
	err = wire_ask(ctx, fd, WIRE_QUERY, reply, NULL);
	translate(reply, pid);
	return err ? fail_reply(ctx, path, pid, err) : 0;
}

int held_query(struct vfiomig_ctx *ctx, const char *path, struct wire_reply *reply)
{
	return query(ctx, path, false, reply);
}

static bool is_named(const struct vfiomig_device *dev)
{
	return dev->origin.backend == &backend_holder;
}

/* @path receives the path on which the device's holder would serve it. Returns 0 or a negative
 * errno. */
static int find_socket(const struct vfiomig_device *dev, char path[108])
{
	/* held_find() has connected to this path already, so it is not too long. */
	if (is_named(dev)) {
		snprintf(path, 108, "%s", dev->origin.path);
		return 0;
	}
	if (dev->origin.backend)
		return -ENOENT;
	return rundir_path(dev->ctx, dev->name, ".sock", path, 108);
}

static int fail_nobody(const struct vfiomig_device *dev)
{
	return ctx_fail(dev->ctx, -ENOENT, "nobody holds it");
}

bool held_has_socket(const struct vfiomig_device *dev)
{
	char path[108];

	return find_socket(dev, path) == 0 && access(path, F_OK) == 0;
}

int held_fail_silent(const struct vfiomig_device *dev, int pid)
{
	char path[108];
	int err = find_socket(dev, path);

	return err ? err : fail_silent(dev->ctx, path, pid);
}

int held_ask(const struct vfiomig_device *dev, struct wire_reply *reply)
{
	char path[108];
	int err = find_socket(dev, path);

	return err ? err : query(dev->ctx, path, is_named(dev), reply);
}

/* Whether a failure to connect says that the device has no holder. Users have no holders in
 * directories that they cannot read. */
static bool is_nobody(const struct vfiomig_device *dev, int err)
{
	return err == -ENOENT || err == -ECONNREFUSED || (err == -EACCES && !dev->origin.backend);
}

int held_by(const struct vfiomig_device *dev)
{
	struct wire_reply reply;
	int err = held_ask(dev, &reply);

	if (is_nobody(dev, err))
		return 0;
	return err ? err : (int)reply.holder;
}

int held_state(const struct vfiomig_device *dev)
{
	struct wire_reply reply;

	return held_ask(dev, &reply) ? -ENOENT : reply.state;
}

int held_get_pid(const struct vfiomig_device *dev, int *pid)
{
	*pid = held_by(dev);
	if (*pid > 0)
		return 0;
	return *pid ? *pid : fail_nobody(dev);
}

/* Ask for the device on a new connection, and again as long as somebody else has it, or the holder
 * is silent, and there is time left. Returns the connection, or a negative errno. */
static int ask(struct vfiomig_device *dev, const char *path, struct wire_reply *reply,
	       int fds[WIRE_NR_FDS])
{
	struct turn turn = turn_begin(dev->ctx, dev->wait);
	bool silent;
	int fd, pid, err;

	do {
		fd = connect_to(dev->ctx, path, is_named(dev), &pid);
		if (fd < 0)
			return fd;
		err = wire_ask(dev->ctx, fd, WIRE_TAKE, reply, fds);
		translate(reply, pid);
		if (!err)
			return fd;
		close(fd);
		silent = err == -ETIMEDOUT;
		if (err != -EBUSY && !silent)
			return fail_reply(dev->ctx, path, pid, err);
		err = silent ? turn_wait(&turn) : turn_yield(&turn);
		if (err == -EBUSY)
			err = silent ? fail_silent(dev->ctx, path, pid)
				     : fail_claimed(dev->ctx, reply);
	} while (!err);
	return err;
}

static int check_via(struct vfiomig_device *dev, const struct wire_reply *reply)
{
	bool cdev = reply->fds & (1U << WIRE_IOMMUFD);

	if (dev->via == VFIOMIG_VIA_AUTO || (dev->via == VFIOMIG_VIA_CDEV) == cdev)
		return 0;
	return ctx_fail(dev->ctx, -EBUSY,
			"its holder, process %u, has opened it through its %s; release it first",
			reply->holder, cdev ? "cdev" : "group");
}

/* Check that the descriptor that came is the device, whoever served it. */
static int check_device(struct vfiomig_device *dev, const char *path)
{
	struct identity identity;
	int err = identity_find(dev->ctx, getpid(), dev->fd, &identity);

	if (!err && !identity_has(&identity, dev->sys.syspath))
		err = ctx_fail(dev->ctx, -EPROTO, "what %s serves is not the device %s", path,
			       dev->name);
	identity_free(&identity);
	return err;
}

static int held_open(struct vfiomig_device *dev)
{
	struct wire_reply reply;
	int fds[WIRE_NR_FDS];
	char path[108];
	int err = find_socket(dev, path);

	if (err)
		return err;
	err = ask(dev, path, &reply, fds);
	if (err < 0)
		return err;
	dev->claim = err;
	dev->fd = fds[WIRE_DEVICE];
	dev->iommufd = fds[WIRE_IOMMUFD];
	dev->group_fd = fds[WIRE_GROUP];
	dev->container = fds[WIRE_CONTAINER];
	if (dev->fd < 0)
		return fail_reply(dev->ctx, path, 0, -EPROTO);
	err = check_device(dev, path);
	return err ? err : check_via(dev, &reply);
}

static int held_close(struct vfiomig_device *dev)
{
	struct wire_reply reply;
	int err;

	if (dev->claim < 0)
		return 0;
	err = wire_ask(dev->ctx, dev->claim, WIRE_DONE, &reply, NULL);
	close(dev->claim);
	dev->claim = -1;
	switch (err) {
	case 0:
	/* A signal came while the holder answered. The device is given back all the same. */
	case -EINTR:
		return 0;
	/* A debugger, a frozen control group, a busy machine: the request waits for the holder. */
	case -ETIMEDOUT:
		ctx_log(dev->ctx,
			"the holder does not answer; it takes %s back as soon as it goes on",
			dev->name);
		return 0;
	case -EPIPE:
	case -ECONNRESET:
		return ctx_fail(dev->ctx, -EOWNERDEAD,
				"its holder has ended, which closed the device: its state is lost");
	default:
		return ctx_fail(dev->ctx, err, "its holder did not take it back: %s",
				strerror(-err));
	}
}

/* ---- Release ------------------------------------------------------------- */

/* How long a holder that has hung up may take to end, in seconds. */
#define ENDING 2

/*
 * A release that is asked for. A holder that has got the request closes the device, whether or not
 * somebody waits for its answer. But it removes its socket before that, so a socket that is gone
 * proves nothing. These prove that the device is closed: the holder's answer; the end of its
 * process; and that it hangs up after it has removed its socket, for then it does so last. The
 * last one serves where its process cannot be seen, in another PID namespace.
 */
struct release {
	struct vfiomig_device *dev;
	const char *path;
	struct turn turn;
	int pid;   /* the holder that has got the request, 0 if it is not known */
	int pidfd; /* -1 if nobody has got it, or if it has ended before, or cannot be seen */
	bool asked;
	struct stat socket; /* the file on which it was reached */
	int connection;	    /* over which it has got the request and may still answer, or -1 */
	bool last;	    /* the socket was removed while the connection was still there */
};

/* Whether the holder that was asked has removed its socket. Like connect(2), this follows a
 * symbolic link. */
static bool is_removed(const struct release *r)
{
	struct stat now;

	if (stat(r->path, &now))
		return errno == ENOENT;
	return now.st_dev != r->socket.st_dev || now.st_ino != r->socket.st_ino;
}

/* Whether the socket there may be another holder's: the number of an inode is used again. */
static bool is_another(const struct release *r)
{
	struct stat now;

	return is_removed(r) || stat(r->path, &now) ||
	       now.st_ctim.tv_sec != r->socket.st_ctim.tv_sec ||
	       now.st_ctim.tv_nsec != r->socket.st_ctim.tv_nsec;
}

/* Note who is asked, while it is connected, so that its number is not another process's. Returns
 * false if that is not certain, because another holder has just come. */
static bool note_holder(struct release *r, int pid, const struct stat *before)
{
	if (r->asked)
		return true;
	r->pid = pid;
	r->socket = *before;
	close_fdp(&r->pidfd);
	r->pidfd = pid ? syscall(SYS_pidfd_open, pid, 0) : -1;
	return !is_another(r);
}

static bool has_ended(const struct release *r)
{
	struct pollfd p = { .fd = r->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static int fail_unanswered(const struct release *r, int err)
{
	char who[32] = "";

	if (!r->asked)
		return err;
	if (r->pid)
		snprintf(who, sizeof(who), ", process %d,", r->pid);
	return ctx_fail(r->dev->ctx, err,
			"%s; the holder%s has got the request, and may still close the device",
			r->dev->ctx->error, who);
}

static int fail_ending(const struct release *r)
{
	struct vfiomig_ctx *ctx = r->dev->ctx;
	char comm[16], text[128];

	if (r->pidfd < 0)
		return ctx_fail(
			ctx, -EBUSY,
			"busy: the holder on %s has got the request and is gone from there, but its process cannot be seen, and may still be closing the device",
			r->path);
	process_comm(ctx, r->pid, comm);
	return ctx_fail(
		ctx, -EBUSY,
		"busy: the holder on %s, process %d (%s), has got the request and is gone from there, but it has not ended, and may still be closing the device; %s",
		r->path, r->pid, comm, why_silent(ctx, r->pid, text));
}

/* The holder answers no more. Wait for its end, which closes the device. */
static int wait_for_end(const struct release *r, const struct turn *turn)
{
	int err = 0;

	while (!has_ended(r) && !err)
		err = r->pidfd < 0 ? -EBUSY : turn_wait(turn);
	if (!err)
		ctx_log(r->dev->ctx, "the holder of %s, process %d, has ended without an answer",
			r->dev->name, r->pid);
	return err;
}

/* The holder has hung up. Either it ends, or it had too many peers. */
static int after_hang_up(const struct release *r, int err)
{
	const struct turn soon = turn_begin(r->dev->ctx, ENDING);
	int wait_err = wait_for_end(r, &soon);

	if (wait_err != -EBUSY)
		return wait_err;
	/* The others that it dropped want to be served, too. */
	wait_err = turn_wait(&r->turn);
	if (!wait_err)
		return -EAGAIN;
	return wait_err == -EBUSY ? fail_reply(r->dev->ctx, r->path, r->pid, err) : wait_err;
}

/* The holder that was asked does not serve its socket any more. */
static int after_its_time(const struct release *r)
{
	int err = wait_for_end(r, &r->turn);

	return err == -EBUSY ? fail_ending(r) : err;
}

/*
 * The holder that was asked has not answered when the time was up. Returns -EBUSY.
 */
static int fail_late(struct release *r)
{
	struct vfiomig_ctx *ctx = r->dev->ctx;
	int pid, fd = connect_to(ctx, r->path, is_named(r->dev), &pid);
	bool gone = fd == -ENOENT || fd == -ECONNREFUSED ||
		    (fd >= 0 && (pid != r->pid || is_another(r)));

	close_fdp(&fd);
	if (gone)
		return fail_ending(r);
	return fail_unanswered(r, fail_silent(ctx, r->path, r->pid));
}

/* Returns what the holder answers over the connection, or -EAGAIN if it has not answered yet. */
static int take_answer(struct release *r)
{
	struct wire_reply reply;
	bool removed = is_removed(r);
	int err = wire_take(r->connection, &reply);

	if (err == -EAGAIN) {
		r->last = removed;
		return err;
	}
	close(r->connection);
	r->connection = -1;
	if ((err == -ECONNRESET || err == -EPIPE) && r->last) {
		ctx_log(r->dev->ctx, "the holder of %s has ended without an answer", r->dev->name);
		return 0;
	}
	return err;
}

/* The holder has got the request. Returns the same as release_once(). */
static int wait_for_answer(struct release *r)
{
	int err = 0, answer;

	while (!err && (answer = take_answer(r)) == -EAGAIN) {
		if (has_ended(r))
			return wait_for_end(r, &r->turn);
		err = turn_wait(&r->turn);
	}
	if (err)
		return err == -EBUSY ? fail_late(r) : err;
	/* Another command has come first, or it has hung up. */
	if (answer == -EBUSY)
		r->asked = false;
	if (answer == -EBUSY || !answer)
		return answer ? -EAGAIN : 0;
	return answer == -ECONNRESET || answer == -EPIPE
		       ? after_hang_up(r, answer)
		       : fail_reply(r->dev->ctx, r->path, r->pid, answer);
}

/* Returns 0 when the device is released, -EAGAIN if it is to be asked for again, or a failure. */
static int release_once(struct release *r)
{
	struct vfiomig_ctx *ctx = r->dev->ctx;
	struct stat before = { .st_ino = 0 };
	struct wire_reply reply;
	int pid, err, fd;

	if (r->connection >= 0)
		return wait_for_answer(r);
	if (stat(r->path, &before))
		before.st_ino = 0;
	fd = connect_to(ctx, r->path, is_named(r->dev), &pid);
	/* The holder that was asked is gone. Nobody wants to release the one that came after it. */
	if (r->asked && (fd == -ENOENT || fd == -ECONNREFUSED ||
			 (fd >= 0 && (pid != r->pid || is_another(r))))) {
		close_fdp(&fd);
		return after_its_time(r);
	}
	if (fd < 0)
		return fd;
	if (!note_holder(r, pid, &before)) {
		close(fd);
		err = turn_wait(&r->turn);
		if (err == -EBUSY)
			err = ctx_fail(ctx, err, "busy: a holder has just come to %s; try again",
				       r->path);
		return err ? err : -EAGAIN;
	}
	err = wire_ask(ctx, fd, WIRE_RELEASE, &reply, NULL);
	if (err == -ETIMEDOUT)
		r->connection = fd;
	else
		close(fd);
	translate(&reply, pid);
	switch (err) {
	case -EBUSY:
		err = turn_yield(&r->turn);
		if (err == -EBUSY)
			err = fail_claimed(ctx, &reply);
		return err ? err : -EAGAIN;
	case -ETIMEDOUT:
		r->asked = true;
		return -EAGAIN;
	case -ECONNRESET:
	case -EPIPE:
		r->asked = true;
		return after_hang_up(r, err);
	case -EINTR:
		r->asked = true;
		return fail_reply(ctx, r->path, pid, err);
	default:
		return err ? fail_reply(ctx, r->path, pid, err) : 0;
	}
}

static int release(struct vfiomig_device *dev, const char *path)
{
	struct release r = {
		.dev = dev,
		.path = path,
		.turn = turn_begin(dev->ctx, dev->wait),
		.pidfd = -1,
		.connection = -1,
	};
	int err;

	do {
		err = release_once(&r);
	} while (err == -EAGAIN);
	if (err == -EINTR)
		err = fail_unanswered(&r, err);
	close_fdp(&r.pidfd);
	close_fdp(&r.connection);
	return err;
}

int held_release(struct vfiomig_device *dev)
{
	struct wire_reply reply;
	char path[108];
	int err;

	if (dev->origin.backend && dev->origin.backend != &backend_holder)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"what is released is a holder's device; name the device, or unix:PATH");
	err = find_socket(dev, path);
	if (!err)
		err = query(dev->ctx, path, is_named(dev), &reply);
	if (err)
		return is_nobody(dev, err) ? stray_fail(dev) : err;
	if (dev->locks)
		return ctx_fail(dev->ctx, -EBUSY, "busy: this process has the device open");
	/* Without the device's lock: an unbind may have it that waits for this very release. The
	 * holder itself refuses as long as another command has the device. */
	err = release(dev, path);
	return err == -ENOENT || err == -ECONNREFUSED ? stray_fail(dev) : err;
}

/* Ask the holder which device it has. */
static int held_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		     struct identity *identity)
{
	const char *path = name + strlen("unix:");
	struct wire_reply reply;
	int err;

	if (!*path)
		return ctx_fail(ctx, -EINVAL,
				"'%s' does not name the socket of a holder; give unix:PATH", name);
	origin->path = strdup(path);
	if (!origin->path)
		return ctx_fail_memory(ctx);
	err = query(ctx, path, true, &reply);
	if (err)
		return err;
	if (!sysfs_has_device(ctx, reply.syspath))
		return ctx_fail(ctx, -EPROTO, "%s serves something that is not in %s", path,
				ctx->sysfs);
	return identity_add(ctx, identity, reply.syspath);
}

/* A holder that does not answer has the device, too: held_open() waits for its answer, which is
 * enough. */
static bool held_fits(const struct vfiomig_device *dev)
{
	_cleanup_close_ int fd = -1;
	char path[108];
	int pid;

	if (find_socket(dev, path))
		return false;
	fd = connect_to(dev->ctx, path, is_named(dev), &pid);
	return fd >= 0 || !is_nobody(dev, fd);
}

const struct backend backend_holder = {
	.name = "holder",
	.flags = BACKEND_SESSION_GOES_ON,
	.prefix = "unix:",
	.find = held_find,
	.fits = held_fits,
	.open = held_open,
	.close = held_close,
};
