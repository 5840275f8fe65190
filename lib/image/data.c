// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reads and writes of a data_fd, and of whatever is at its other end. All of
 * them may be short or interrupted, and a pipe may be in non-blocking mode.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "data.h"

#define TICK_MS	  200
#define PIPE_SIZE (1 << 20)

/*
 * Until @fd is ready, or something else has happened. Devices and files are
 * ready always. The caller's thread, which is the one that writes, has
 * something to show meanwhile.
 */
static int wait_ready(const struct vfiomig_ctx *ctx, int fd, short events)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = events },
		{ .fd = ctx->wake, .events = POLLIN },
	};
	bool tick = events == POLLOUT && ctx->tick;
	int n;

	do {
		n = poll(p, 2, tick ? TICK_MS : -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (ctx->interrupted)
			return -EINTR;
		if (n <= 0 && tick)
			ctx_tick(ctx);
	} while (n <= 0);
	return p[1].revents ? -ECANCELED : 0;
}

void fd_widen(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

bool fd_is_cancelled(const struct vfiomig_ctx *ctx)
{
	struct pollfd p = { .fd = ctx->wake, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

/* What a read or a write that failed means: 0 to try again, or its errno. */
static int again(const struct vfiomig_ctx *ctx)
{
	if (errno != EINTR && errno != EAGAIN)
		return -errno;
	/* It was ready and is not: a driver without poll. Do not spin. */
	if (errno == EAGAIN)
		poll(NULL, 0, 10);
	return ctx->interrupted ? -EINTR : 0;
}

ssize_t fd_read(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size)
{
	ssize_t n;
	int err;

	do {
		err = wait_ready(ctx, fd, POLLIN);
		if (err)
			return err;
		n = read(fd, buf, size);
		if (n >= 0)
			return n;
		err = again(ctx);
	} while (!err);
	return err;
}

ssize_t fd_read_full(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = fd_read(ctx, fd, (char *)buf + done, size - done);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

/* What is left of @iov when @n bytes of it are gone; none of it is empty. */
static void advance(struct iovec **iov, int *count, size_t n)
{
	while (*count && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (n) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int fd_writev(const struct vfiomig_ctx *ctx, int fd, struct iovec *iov, int count)
{
	int err;

	while (count) {
		ssize_t n;

		err = wait_ready(ctx, fd, POLLOUT);
		if (err)
			return err;
		n = writev(fd, iov, count < IOV_MAX ? count : IOV_MAX);
		/* If it was cut short, that may have been SIGUSR1. */
		ctx_tick(ctx);
		if (n < 0) {
			err = again(ctx);
			if (err)
				return err;
			continue;
		}
		/* Neither a device nor a file may take nothing for ever. */
		if (n == 0)
			return -EIO;
		advance(&iov, &count, n);
	}
	return 0;
}

int fd_write(const struct vfiomig_ctx *ctx, int fd, const void *buf, size_t size)
{
	struct iovec iov = { (void *)buf, size };

	return size ? fd_writev(ctx, fd, &iov, 1) : 0;
}

const char *fd_error(int err)
{
	return err == -EINTR ? "interrupted by a signal" : strerror(-err);
}
