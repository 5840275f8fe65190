// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * manager SOCKET: receive on NOTIFY_SOCKET as a service manager does. Each datagram is printed as a
 * line, with '|' for its own line breaks. A name that begins with '@' is an abstract one.
 */
#include <err.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = offsetof(struct sockaddr_un, sun_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[4096];
	ssize_t n;

	if (argc != 2)
		errx(2, "usage: manager SOCKET");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	size += strlen(address.sun_path);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0';
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size))
		err(1, "%s", argv[1]);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = '\0';
		for (char *p = text; *p; p++)
			if (*p == '\n')
				*p = '|';
		printf("%s\n", text);
		fflush(stdout);
	}
	err(1, "%s", argv[1]);
}
