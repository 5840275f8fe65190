// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Standard output and standard error.
 *
 * The C library's own streams lose text: when a pipe in non-blocking mode is full, fflush(3) fails,
 * and only the last call tells. They also sleep in write(2), where a signal that comes just before
 * the call does not wake them. These streams wait with poll(2) instead, and remember each failure.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"
#include "signals.h"
#include "status.h"
#include "stream.h"

/* How often a stream that waits looks whether a signal has come. */
#define TICK_MS	 50
/* How long, after a signal, all that is still printed may take. */
#define GRACE_MS 500

struct stream {
	int fd;
	bool used; /* something was printed */
	int err;   /* the first failure, a negative errno */
};

static int failure = STATUS_FAILED;
static struct stream output = { .fd = STDOUT_FILENO }, errors = { .fd = STDERR_FILENO };

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Nobody may read any more. But a signal does not make the JSON summary superfluous. */
static bool may_wait(void)
{
	static _Atomic long long end;

	if (!signals_came())
		return true;
	if (!end)
		end = now_ms() + GRACE_MS;
	return now_ms() < end;
}

static int wait_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	/* The wrong end of a pipe would never be ready. */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	do {
		n = poll(&p, 1, may_wait() ? TICK_MS : 0);
		if (n < 0 && errno != EINTR)
			return -errno;
	} while (n <= 0 && may_wait());
	return n > 0 ? 0 : -EINTR;
}

/* Write some of @text. Returns the number of bytes, 0 if it has to be tried again, or a negative
 * errno. */
static ssize_t write_some(int fd, const char *text, size_t size)
{
	int err = wait_ready(fd);
	ssize_t n;

	if (err)
		return err;
	/* A pipe that is ready takes this much without sleeping. */
	n = write(fd, text, size < PIPE_BUF ? size : PIPE_BUF);
	if (n > 0)
		return n;
	if (n == 0)
		return -EIO;
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	/* Some devices claim that they are ready. */
	if (errno == EAGAIN)
		poll(NULL, 0, TICK_MS);
	return may_wait() ? 0 : -EINTR;
}

static ssize_t stream_write(void *cookie, const char *text, size_t size)
{
	struct stream *s = cookie;
	size_t done = 0;

	s->used = true;
	/* What follows a gap would mislead. But each message stands for itself. */
	if (s == &output && s->err)
		return 0;
	while (done < size) {
		ssize_t n = write_some(s->fd, text + done, size - done);

		if (n < 0) {
			s->err = s->err ?: n;
			errno = -n;
			return 0;
		}
		done += n;
	}
	return done;
}

static FILE *open_stream(struct stream *s, int mode)
{
	const cookie_io_functions_t functions = { .write = stream_write };
	FILE *f = fopencookie(s, "w", functions);

	/* A line is one write, so that the lines of several processes do not mix. */
	if (!f || setvbuf(f, NULL, mode, 0))
		_exit(STATUS_FAILED);
	return f;
}

static void finish_at_exit(int status, void *data)
{
	int finished = streams_finish(status);

	(void)data;
	if (finished != status)
		_exit(finished);
}

void streams_open(void)
{
	stdout = open_stream(&output, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
	stderr = open_stream(&errors, _IOLBF);
	on_exit(finish_at_exit, NULL);
}

void print_line(const char *fmt, ...)
{
	va_list ap;
	char *line;

	va_start(ap, fmt);
	line = vformat_printable(fmt, ap);
	va_end(ap);
	if (line)
		printf("%s\n", line);
	else
		output.err = output.err ?: -ENOMEM;
	free(line);
}

int streams_finish(int status)
{
	char line[200];

	fflush(stdout);
	/* Network file systems report a full disk only here. */
	if (output.used && close(output.fd) && !output.err)
		output.err = -errno;
	output.used = false;
	if (!output.err)
		return status;
	/* Not to stderr, which collects messages while parse_arguments() runs. */
	if (output.err != -EINTR) {
		snprintf(line, sizeof(line), "vfiomig: standard output: %s\n",
			 strerror(-output.err));
		stream_write(&errors, line, strlen(line));
	}
	output.err = 0;
	return status > STATUS_FAILED ? status : failure;
}

void streams_set_failure(int status)
{
	failure = status;
}
