// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reads and writes of a data_fd and of whatever is at the other end of a transfer. Each may be
 * short or interrupted, and a pipe may be in non-blocking mode.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "data.h"

#define TICK_MS	  200
/* One write takes no more than this. The bytes then are in a processor's cache when the kernel
 * copies them after it has looked for their pages, which tmpfs of Linux 6.12 does for all bytes
 * that are still to be written, once for each page. */
#define WRITE_MAX (256u << 10)
#define PIPE_SIZE (1 << 20)
#define QUIET_NS  3000000000ULL /* of EINTR or EAGAIN, before the notice */
#define STUCK_S	  30		/* of them, before the end */
#define STUCK_NS  (STUCK_S * 1000000000ULL)

static uint8_t zero_bytes[ZEROS_SIZE];
const uint8_t *const zeros = zero_bytes;

/* Whether a program may read from @fd (O_RDONLY), or write to it (O_WRONLY). If not, poll(2) would
 * wait for ever: it passes over negative descriptors, and the wrong end of a pipe is never
 * ready. */
static bool is_open_for(int fd, int access)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && ((flags & O_ACCMODE) == access || (flags & O_ACCMODE) == O_RDWR);
}

/*
 * Wait until @fd is ready. Devices and regular files always are. Returns 0, -EINTR after
 * vfiomig_interrupt(), or -ECANCELED when another thread of the pipeline has failed.
 *
 * While the caller's thread waits, it calls the progress function, and returns FD_ENDED if that
 * ends the transfer.
 */
static int wait_ready(struct vfiomig_ctx *ctx, int fd, short events)
{
	struct pollfd p[] = {
		{ .fd = fd, .events = events },
		{ .fd = ctx->wake, .events = POLLIN },
	};
	bool tick = ctx_has_progress(ctx);
	int n;

	if (!is_open_for(fd, events == POLLOUT ? O_WRONLY : O_RDONLY))
		return -EBADF;
	do {
		n = poll(p, 2, tick ? TICK_MS : -1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (ctx->interrupted)
			return -EINTR;
		if (ctx->cancelled)
			return -ECANCELED;
		if (p[1].revents)
			ctx_forget_wake(ctx);
		if (n <= 0 && tick && ctx_progress(ctx))
			return FD_ENDED;
	} while (n <= 0 || !p[0].revents);
	return 0;
}

void fd_widen(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

int fd_reopen_pipe(int fd)
{
	char path[32];
	struct stat st;

	/* The reading end would become a writing one. */
	if (!is_open_for(fd, O_WRONLY) || fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

bool fd_is_cancelled(const struct vfiomig_ctx *ctx)
{
	return ctx->interrupted || ctx->cancelled;
}

int fd_again(struct vfiomig_ctx *ctx, struct fd_tries *tries)
{
	int error = errno;
	uint64_t now = now_ns();

	if (error != EINTR && error != EAGAIN)
		return -error;
	if (ctx->interrupted)
		return -EINTR;
	if (!tries->since)
		tries->since = now;
	if (now - tries->since >= STUCK_NS)
		return FD_STUCK;
	if (!tries->told && now - tries->since >= QUIET_NS) {
		tries->told = true;
		ctx_notice(
			ctx,
			"a read or a write fails again and again (%s); it is tried for %d seconds",
			strerror(error), STUCK_S);
	}
	/* poll(2) takes a driver without a poll function for ready: do not spin. */
	if (error == EAGAIN || tries->count++)
		poll(NULL, 0, 10);
	return 0;
}

ssize_t fd_read(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size)
{
	struct fd_tries tries = { 0 };
	ssize_t n;
	int err;

	do {
		err = wait_ready(ctx, fd, POLLIN);
		if (err)
			return err;
		n = read(fd, buf, size);
		if (n >= 0)
			return fd_count(n, size);
		err = fd_again(ctx, &tries);
	} while (!err);
	return err;
}

ssize_t fd_read_full(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size)
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

ssize_t fd_pread_full(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size, off_t at)
{
	struct fd_tries tries = { 0 };
	size_t done = 0;

	while (done < size) {
		ssize_t n;
		int err;

		if (fd_is_cancelled(ctx))
			return ctx->interrupted ? -EINTR : -ECANCELED;
		n = fd_count(pread(fd, (char *)buf + done, size - done, at + done), size - done);
		if (n == FD_BEYOND)
			return n;
		if (n == 0)
			break;
		err = n < 0 ? fd_again(ctx, &tries) : 0;
		if (err)
			return err;
		if (n > 0) {
			tries = (struct fd_tries){ 0 };
			done += n;
		}
	}
	return done;
}

off_t fd_file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

/* Take the first @n bytes away from @iov, none of whose elements is empty. */
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

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A socket that is ready for some bytes must not block until it has room for all of them. */
static ssize_t write_some(int fd, bool to_socket, struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = iov };
	size_t most = 0, rest;
	ssize_t n;

	while (most < WRITE_MAX && msg.msg_iovlen < (size_t)count && msg.msg_iovlen < IOV_MAX)
		most += iov[msg.msg_iovlen++].iov_len;
	rest = most > WRITE_MAX ? most - WRITE_MAX : 0;
	most -= rest;
	/* The rest of the last piece is for the next write. */
	iov[msg.msg_iovlen - 1].iov_len -= rest;
	n = to_socket ? sendmsg(fd, &msg, MSG_DONTWAIT) : writev(fd, iov, msg.msg_iovlen);
	iov[msg.msg_iovlen - 1].iov_len += rest;
	return fd_count(n, most);
}

int fd_writev(struct vfiomig_ctx *ctx, int fd, struct iovec *iov, int count)
{
	bool to_socket = is_socket(fd);
	struct fd_tries tries = { 0 };
	int err;

	while (count) {
		ssize_t n;

		err = wait_ready(ctx, fd, POLLOUT);
		if (err)
			return err;
		n = write_some(fd, to_socket, iov, count);
		if (n == FD_BEYOND)
			return n;
		err = n < 0 ? fd_again(ctx, &tries) : 0;
		if (!err && ctx_progress(ctx))
			err = FD_ENDED;
		if (err)
			return err;
		/* Neither a device nor a file may take nothing for ever. */
		if (n == 0)
			return -EIO;
		if (n > 0) {
			tries = (struct fd_tries){ 0 };
			advance(&iov, &count, n);
		}
	}
	return 0;
}

int fd_write(struct vfiomig_ctx *ctx, int fd, const void *buf, size_t size)
{
	struct iovec iov = { (void *)buf, size };

	return size ? fd_writev(ctx, fd, &iov, 1) : 0;
}

int fd_fail(struct vfiomig_ctx *ctx, int err, const char *what)
{
	if (err == FD_ENDED)
		return ctx->progress.ended;
	if (err == FD_BEYOND)
		return ctx_fail(ctx, -EIO,
				"%s: the driver reports more bytes than it was asked to move",
				what);
	if (err == FD_STUCK)
		return ctx_fail(ctx, -ETIMEDOUT,
				"%s: for %d seconds each try has failed with EINTR or EAGAIN", what,
				STUCK_S);
	if (err == -EINTR)
		return ctx_fail_interrupted(ctx);
	return ctx_fail(ctx, err, "%s: %s", what, strerror(-err));
}
