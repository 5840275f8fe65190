// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages: one line each, on standard error or in the system's log. */
#include <paths.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "further.h"
#include "message.h"
#include "printable.h"
#include "rundir.h"

/* How long a line for the log may wait for who reads it. A holder has others to serve. */
#define PATIENCE_MS 200

static bool in_syslog;

void log_to_syslog(void)
{
	in_syslog = true;
}

/*
 * What syslog(3) sends, but that function waits for ever if nobody reads the socket. A line that
 * cannot be sent in time is lost.
 */
static void send_to_syslog(int level, const char *line)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = _PATH_LOG };
	const struct timeval patience = { .tv_usec = PATIENCE_MS * 1000 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	time_t now = time(NULL);
	char *text = NULL;
	struct tm tm;
	int n;

	if (fd < 0)
		return;
	localtime_r(&now, &tm);
	n = asprintf(&text, "<%d>%.3s %2d %02d:%02d:%02d vfiomig[%d]: %s", LOG_DAEMON | level,
		     &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * tm.tm_mon], tm.tm_mday, tm.tm_hour,
		     tm.tm_min, tm.tm_sec, getpid(), line);
	if (n >= 0) {
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0)
			sendto(fd, text, n, MSG_NOSIGNAL, (const struct sockaddr *)&address,
			       sizeof(address));
		free(text);
	}
	close(fd);
}

/*
 * JOURNAL_STREAM is the device and the inode of the stream that systemd connected to the journal,
 * see systemd.exec(5). If standard error is still that stream, the journal expects a level at the
 * beginning of each line.
 */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void put_line(int level, const char *line)
{
	if (in_syslog)
		send_to_syslog(level, line);
	else if (stderr_is_journal())
		fprintf(stderr, "<%d>vfiomig: %s\n", level, line);
	else
		fprintf(stderr, "vfiomig: %s\n", line);
}

__attribute__((format(printf, 3, 0))) static void put_message(const struct cli *cli, int level,
							      const char *fmt, va_list ap)
{
	char *text = vformat_printable(fmt, ap);
	char *line =
		format_printable("%s%s%.200s: %s", cli->command ? cli->command : "",
				 cli->device && *cli->device ? " " : "",
				 cli->device ? cli->device : "", text ? text : "out of memory");

	if (line)
		put_line(level, line);
	free(line);
	free(text);
}

int fail(const struct cli *cli, enum status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_message(cli, LOG_ERR, fmt, ap);
	va_end(ap);
	return status;
}

int fail_why(const struct cli *cli, enum task task, int err, const char *why)
{
	const char *hint = rundir_hint(why);
	char text[FURTHER] = "";

	if (!*hint)
		find_further(cli, task, err, why, text);
	return fail(cli, status_of(task, err), "%s%s%s", why, hint, text);
}

int fail_at(const struct cli *cli, enum task task, int err)
{
	return fail_why(cli, task, err, vfiomig_get_error(cli->ctx));
}

void notice(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	put_message(cli, LOG_NOTICE, fmt, ap);
	va_end(ap);
}

void warn(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_message(cli, LOG_WARNING, fmt, ap);
	va_end(ap);
}

void log_line(int level, const char *fmt, ...)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	va_list ap;
	char *line;

	va_start(ap, fmt);
	line = vformat_printable(fmt, ap);
	va_end(ap);
	/* A line that nobody reads in time is lost: see PATIENCE_MS. */
	if (line && (in_syslog || poll(&out, 1, PATIENCE_MS) != 0))
		put_line(level, line);
	free(line);
}
