// SPDX-License-Identifier: LGPL-2.1-or-later
/* Messages between a holder and the programs that use its device. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "wire.h"

_Static_assert(sizeof(struct wire_request) == 16, "as in every version");
_Static_assert(sizeof(struct wire_reply) == 1032, "as in version 1");

union control {
	struct cmsghdr header; /* for the alignment */
	char space[CMSG_SPACE(WIRE_NR_FDS * sizeof(int))];
};

int wire_send_reply(int socket, struct wire_reply *reply, const int fds[WIRE_NR_FDS])
{
	struct iovec iov = { .iov_base = reply, .iov_len = sizeof(*reply) };
	union control control = { .space = { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int list[WIRE_NR_FDS], count = 0;

	memcpy(reply->magic, WIRE_MAGIC, sizeof(reply->magic));
	reply->version = WIRE_VERSION;
	reply->fds = 0;
	for (int i = 0; fds && i < WIRE_NR_FDS; i++) {
		if (fds[i] < 0)
			continue;
		reply->fds |= 1U << i;
		list[count++] = fds[i];
	}
	if (count) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), list, count * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	if (sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

/* Put the descriptors that came with a message where they belong, and close those that are too
 * many. */
static void sort_fds(struct msghdr *msg, uint32_t present, int fds[WIRE_NR_FDS])
{
	int next = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			while (next < WIRE_NR_FDS && !(present & (1U << next)))
				next++;
			if (fds && next < WIRE_NR_FDS)
				fds[next++] = fd;
			else
				close(fd);
		}
	}
}

/*
 * The kernel leaves out descriptors if the process can have no more, and if a security module
 * forbids them. An attempt to make one more descriptor tells which of the two it was.
 */
static int find_missing(int socket, uint32_t present, const int fds[WIRE_NR_FDS])
{
	_cleanup_close_ int probe = -1;

	for (int i = 0; i < WIRE_NR_FDS; i++) {
		if (!(present & (1U << i)) || fds[i] >= 0)
			continue;
		probe = fcntl(socket, F_DUPFD_CLOEXEC, 0);
		return probe < 0 ? -errno : -EACCES;
	}
	return 0;
}

static int receive_reply(int socket, struct wire_reply *reply, int fds[WIRE_NR_FDS])
{
	struct iovec iov = { .iov_base = reply, .iov_len = sizeof(*reply) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (n < 16)
		reply->fds = 0;
	sort_fds(&msg, reply->fds, fds);
	if (n == 0)
		return -ECONNRESET;
	if (n < 16 || memcmp(reply->magic, WIRE_MAGIC, sizeof(reply->magic)) != 0)
		return -EPROTO;
	if (reply->version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	/* No errno is outside of these bounds. */
	if (n != sizeof(*reply) || reply->error > 0 || reply->error < -4095)
		return -EPROTO;
	reply->syspath[sizeof(reply->syspath) - 1] = '\0';
	if (!reply->error && fds && (msg.msg_flags & MSG_CTRUNC))
		return find_missing(socket, reply->fds, fds);
	return reply->error;
}

/*
 * Wait for the reply, but not for ever: a holder that a debugger has stopped must not stop its
 * peers as well. Only a release takes time, because the device is closed before the reply.
 */
static int wait_reply(struct vfiomig_ctx *ctx, int socket, enum wire_op op)
{
	unsigned int ms = op == WIRE_RELEASE ? 2 * WIRE_PATIENCE * 1000
			  : op == WIRE_QUERY ? 1500
					     : 2000;
	uint64_t until = now_ns() + ms * 1000000ULL;
	struct pollfd p[] = {
		{ .fd = socket, .events = POLLIN },
		{ .fd = ctx->wake, .events = POLLIN },
	};

	while (now_ns() < until) {
		if (poll(p, 2, 100) > 0 && p[0].revents)
			return 0;
		if (ctx->interrupted)
			return -EINTR;
		ctx_forget_wake(ctx);
	}
	return -ETIMEDOUT;
}

int wire_ask(struct vfiomig_ctx *ctx, int socket, enum wire_op op, struct wire_reply *reply,
	     int fds[WIRE_NR_FDS])
{
	struct wire_request request = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.op = op,
	};
	int err;

	for (int i = 0; fds && i < WIRE_NR_FDS; i++)
		fds[i] = -1;
	*reply = (struct wire_reply){ .error = 0 };
	/* The caller can tell a request that was not sent from one that was not answered: see
	 * held_close(). */
	while (send(socket, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	err = wait_reply(ctx, socket, op);
	if (!err)
		err = receive_reply(socket, reply, fds);
	for (int i = 0; err && fds && i < WIRE_NR_FDS; i++) {
		close_fdp(&fds[i]);
		fds[i] = -1;
	}
	return err;
}

int wire_take(int socket, struct wire_reply *reply)
{
	*reply = (struct wire_reply){ .error = 0 };
	return receive_reply(socket, reply, NULL);
}
