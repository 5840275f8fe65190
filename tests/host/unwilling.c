// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * unwilling SOCKET HOLDER: a holder on SOCKET that does not take its device back. It passes on what
 * it is asked to the true holder on HOLDER, and what that answers; but "done" it answers with EIO
 * itself. It serves until it is killed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "holder/wire.h"

static int new_socket(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
	return socket(AF_UNIX, SOCK_SEQPACKET, 0);
}

/* The reply of the true holder, with its descriptors. */
static int pass_on(int holder, int peer, struct wire_reply *reply)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(WIRE_NR_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = reply, .iov_len = sizeof(*reply) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(holder, &msg, 0);

	if (n <= 0)
		return -1;
	iov.iov_len = n;
	n = sendmsg(peer, &msg, MSG_NOSIGNAL);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
			close(((int *)CMSG_DATA(c))[i]);
	return n < 0 ? -1 : 0;
}

static void serve(int peer, int holder)
{
	struct wire_reply reply = { .error = 0 };
	struct wire_request request;

	while (recv(peer, &request, sizeof(request), 0) == sizeof(request)) {
		if (request.op == WIRE_DONE) {
			reply.error = -EIO;
			send(peer, &reply, sizeof(reply), MSG_NOSIGNAL);
			return;
		}
		if (send(holder, &request, sizeof(request), MSG_NOSIGNAL) < 0 ||
		    pass_on(holder, peer, &reply))
			return;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un own, theirs;
	int listening = argc == 3 ? new_socket(argv[1], &own) : -1;

	if (listening < 0 || bind(listening, (struct sockaddr *)&own, sizeof(own)) ||
	    listen(listening, 8)) {
		perror("unwilling");
		return 1;
	}
	while (1) {
		int peer = accept(listening, NULL, NULL), holder = new_socket(argv[2], &theirs);

		if (connect(holder, (struct sockaddr *)&theirs, sizeof(theirs)) == 0)
			serve(peer, holder);
		close(holder);
		close(peer);
	}
}
