// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * peer PATH KIND [NUMBER]: a badly behaved client of the holder that serves PATH. The holder's
 * answer is printed: the errno's number, or "end" if the holder hung up.
 */
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct request {
	char magic[8];
	uint32_t version, op;
};

static int open_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "%s", path);
	return fd;
}

static void print_answer(int fd)
{
	struct {
		char magic[8];
		uint32_t version;
		int32_t error;
		char rest[1100];
	} reply;
	ssize_t n = recv(fd, &reply, sizeof(reply), 0);

	if (n >= 16)
		printf("%d version %u\n", -reply.error, reply.version);
	else
		printf("end\n");
	fflush(stdout);
}

/* Send a request with 100 descriptors. */
static void send_with_fds(int fd, struct request *request)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(100 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { .iov_base = request, .iov_len = sizeof(*request) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(100 * sizeof(int));
	memset(CMSG_DATA(&control.header), 0, 100 * sizeof(int));
	if (sendmsg(fd, &msg, 0) < 0)
		err(1, "sendmsg");
}

/* Make connections that send nothing, and keep them until standard input ends. */
static void flood(const char *path, int count)
{
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < count; i++)
		open_socket(path);
	printf("%d open\n", count);
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	struct request request = { .magic = "vfiomig", .version = 1, .op = 1 };
	char garbage[5000];
	int fd, number = argc > 3 ? atoi(argv[3]) : 0;

	if (argc < 3)
		errx(2, "usage: peer PATH KIND [NUMBER]");
	memset(garbage, 'x', sizeof(garbage));
	fd = open_socket(argv[1]);
	if (strcmp(argv[2], "flood") == 0) {
		close(fd);
		flood(argv[1], number);
		return 0;
	}
	if (strcmp(argv[2], "garbage") == 0)
		send(fd, garbage, number, MSG_NOSIGNAL);
	else if (strcmp(argv[2], "version") == 0)
		request.version = number;
	else if (strcmp(argv[2], "op") == 0)
		request.op = number;
	else if (strcmp(argv[2], "fds") == 0)
		send_with_fds(fd, &request);
	else
		errx(2, "%s?", argv[2]);
	if (strcmp(argv[2], "version") == 0 || strcmp(argv[2], "op") == 0)
		send(fd, &request, sizeof(request), MSG_NOSIGNAL);
	print_answer(fd);
	return 0;
}
