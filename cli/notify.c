// SPDX-License-Identifier: GPL-2.0-or-later
/* Notify the service manager, as sd_notify(3) does: send a datagram to the socket that the
 * environment names. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "notify.h"

/* How long to wait for a service manager that does not read. All clients of the holder wait too. */
#define PATIENCE 10 /* seconds */

/* The length of the address, or a negative errno. */
static int make_address(struct sockaddr_un *address, const char *to)
{
	size_t length = strlen(to);

	if (*to != '/' && *to != '@')
		return -EAFNOSUPPORT;
	if (length >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, to, length);
	/* An abstract name begins with a null byte, and has none at its end. */
	if (*to == '@')
		address->sun_path[0] = '\0';
	else
		length++;
	return offsetof(struct sockaddr_un, sun_path) + length;
}

static int send_text(const char *to, const char *text)
{
	const struct timeval patience = { .tv_sec = PATIENCE };
	struct sockaddr_un address;
	int err = 0, fd, size = make_address(&address, to);

	if (size < 0)
		return size;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size) < 0)
		err = -errno;
	close(fd);
	return err == -EAGAIN ? -ETIMEDOUT : err;
}

void notify_manager(const struct cli *cli, const char *fmt, ...)
{
	const char *to = getenv("NOTIFY_SOCKET");
	char *text = NULL;
	va_list ap;
	int err;

	/* No service manager waits for this process. */
	if (!to || !*to)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	err = text ? send_text(to, text) : -ENOMEM;
	if (err)
		fail(cli, STATUS_FAILED,
		     "cannot notify the service manager on %s (NOTIFY_SOCKET): %s", to,
		     strerror(-err));
	free(text);
}
