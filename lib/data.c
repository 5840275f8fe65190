// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reads and writes of a data_fd, and of whatever is at its other end. All of
 * them may be short or interrupted, and a pipe may be in non-blocking mode.
 */
#include <poll.h>
#include <string.h>

#include "data.h"

/*
 * After a failed read or write: 0 to try again, or the errno to give up with.
 * Descriptors that would block are waited for.
 */
static int again(const struct vfiomig_ctx *ctx, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	if (errno != EINTR && errno != EAGAIN)
		return -errno;
	if (errno == EAGAIN && !ctx_interrupted(ctx))
		poll(&p, 1, -1);
	return ctx_interrupted(ctx) ? -EINTR : 0;
}

ssize_t fd_read(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size)
{
	ssize_t n;
	int err;

	if (ctx_interrupted(ctx))
		return -EINTR;
	do {
		n = read(fd, buf, size);
		if (n >= 0)
			return n;
		err = again(ctx, fd, POLLIN);
	} while (!err);
	return err;
}

int fd_write(const struct vfiomig_ctx *ctx, int fd, const void *buf,
	     size_t size)
{
	const char *p = buf;

	if (ctx_interrupted(ctx))
		return -EINTR;
	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0) {
			int err = again(ctx, fd, POLLOUT);

			if (err)
				return err;
			continue;
		}
		/* Neither a device nor a file may take nothing for ever. */
		if (n == 0)
			return -EIO;
		p += n;
		size -= n;
	}
	return 0;
}

const char *fd_error(int err)
{
	return err == -EINTR ? "interrupted by a signal" : strerror(-err);
}

EXPORT ssize_t vfiomig_data_read(struct vfiomig_ctx *ctx, int data_fd,
				 void *buf, size_t size)
{
	ssize_t n = fd_read(ctx, data_fd, buf, size);

	if (n < 0)
		ctx_fail(ctx, n, "reading the device's state: %s", fd_error(n));
	return n;
}

EXPORT int vfiomig_data_write(struct vfiomig_ctx *ctx, int data_fd,
			      const void *buf, size_t size)
{
	int err = fd_write(ctx, data_fd, buf, size);

	if (err)
		ctx_fail(ctx, err, "the device refused the stream: %s",
			 fd_error(err));
	return err;
}
