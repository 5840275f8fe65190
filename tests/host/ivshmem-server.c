// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ivshmem-server SOCKET SIZE VECTORS COMMAND [ARG...]: run a command, QEMU or
 * a program that starts it. While it runs, serve its ivshmem-doorbell devices
 * on SOCKET: they share SIZE bytes of memory, and each has VECTORS interrupts
 * that the others can raise. QEMU's docs/specs/ivshmem-spec describes the
 * protocol. Exits with the command's status.
 */
#include <endian.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_PEERS   16
#define MAX_VECTORS 8

static struct peer {
	int sock; /* -1: there is no such peer */
	int vectors[MAX_VECTORS];
} peers[MAX_PEERS];
static unsigned int nr_vectors;

/* Send one message, with a descriptor, or without one if @fd is -1. */
static void send_message(int sock, int64_t number, int fd)
{
	int64_t wire = htole64(number);
	struct iovec iov = { &wire, sizeof(wire) };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	/* The main loop notices that the peer has gone. */
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		warn("sendmsg");
}

/* Tell @sock how to interrupt a peer, or a peer how it is interrupted. */
static void send_vectors(int sock, const struct peer *peer)
{
	for (unsigned int i = 0; i < nr_vectors; i++)
		send_message(sock, peer - peers, peer->vectors[i]);
}

static void connect_peer(int sock, int memory)
{
	struct peer *peer = peers;

	while (peer < peers + MAX_PEERS && peer->sock >= 0)
		peer++;
	if (peer == peers + MAX_PEERS)
		errx(1, "too many peers");
	for (unsigned int i = 0; i < nr_vectors; i++) {
		peer->vectors[i] = eventfd(0, EFD_CLOEXEC);
		if (peer->vectors[i] < 0)
			err(1, "eventfd");
	}

	send_message(sock, 0, -1);
	send_message(sock, peer - peers, -1);
	send_message(sock, -1, memory);
	for (struct peer *other = peers; other < peers + MAX_PEERS; other++) {
		if (other->sock < 0)
			continue;
		send_vectors(other->sock, peer);
		send_vectors(sock, other);
	}
	send_vectors(sock, peer);
	peer->sock = sock;
}

static void disconnect_peer(struct peer *peer)
{
	close(peer->sock);
	peer->sock = -1;
	for (unsigned int i = 0; i < nr_vectors; i++)
		close(peer->vectors[i]);
	for (struct peer *other = peers; other < peers + MAX_PEERS; other++)
		if (other->sock >= 0)
			send_message(other->sock, peer - peers, -1);
}

static int listen_on(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		errx(1, "%s: too long", path);
	strcpy(addr.sun_path, path);
	if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(sock, MAX_PEERS))
		err(1, "%s", path);
	return sock;
}

/* Returns a descriptor that is readable when the command has ended. */
static int start(char **command, pid_t *pid)
{
	int fd;

	*pid = fork();
	if (*pid < 0)
		err(1, "fork");
	if (*pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	fd = syscall(SYS_pidfd_open, *pid, 0);
	if (fd < 0)
		err(1, "pidfd_open");
	return fd;
}

static void serve(int sock, int memory, int pidfd)
{
	struct pollfd fds[2 + MAX_PEERS] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = sock, .events = POLLIN },
	};

	for (;;) {
		/* poll() ignores descriptors that are -1. */
		for (int i = 0; i < MAX_PEERS; i++)
			fds[2 + i] = (struct pollfd){ .fd = peers[i].sock, .events = POLLIN };
		if (poll(fds, 2 + MAX_PEERS, -1) < 0)
			err(1, "poll");
		if (fds[0].revents)
			return;
		/* Peers send nothing, they only disconnect. */
		for (int i = 0; i < MAX_PEERS; i++)
			if (fds[2 + i].revents)
				disconnect_peer(&peers[i]);
		if (fds[1].revents) {
			int peer = accept4(sock, NULL, NULL, SOCK_CLOEXEC);

			if (peer < 0)
				err(1, "accept");
			connect_peer(peer, memory);
		}
	}
}

int main(int argc, char **argv)
{
	int sock, memory, status;
	pid_t pid;

	if (argc < 5)
		errx(2, "usage: ivshmem-server SOCKET SIZE VECTORS COMMAND [ARG...]");
	nr_vectors = strtoul(argv[3], NULL, 0);
	if (nr_vectors > MAX_VECTORS)
		errx(2, "more than %d vectors", MAX_VECTORS);
	for (int i = 0; i < MAX_PEERS; i++)
		peers[i].sock = -1;
	memory = memfd_create("ivshmem", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, strtoul(argv[2], NULL, 0)))
		err(1, "memory");
	sock = listen_on(argv[1]);
	serve(sock, memory, start(argv + 4, &pid));

	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
