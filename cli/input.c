// SPDX-License-Identifier: GPL-2.0-or-later
/* Where an image comes from. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "message.h"
#include "output.h"
#include "signals.h"
#include "spelling.h"

static int open_file(const char *path, bool mute)
{
	struct stat st;
	int fd;

	if (!mute && stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		signals_wait_fifo(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	signals_wait_fifo(NULL);
	return fd;
}

/* "pack DEV" */
static int fail_open(const struct cli *cli, const char *path, int err)
{
	const char *command = strcmp(cli->command, "inspect") == 0 ? "info" : "save";

	if (err != ENOENT || cli->device || !names_device(path))
		return fail(cli, STATUS_FAILED, "%s: %s", *path ? path : "''", strerror(err));
	return fail(cli, STATUS_FAILED,
		    "%s: there is no such file; for the device: \"vfiomig %s %s\"", path, command,
		    path);
}

int open_input(const struct cli *cli, const char *path, bool mute, int *status)
{
	bool standard = !path || strcmp(path, "-") == 0;
	struct stat st;
	int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : open_file(path, mute);

	if (standard)
		path = "standard input";
	if (fd < 0) {
		*status = fail_open(cli, path, errno);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		*status = fail(cli, STATUS_FAILED, "%s: %s", path, strerror(EISDIR));
	} else if (isatty(fd)) {
		*status = fail(
			cli, STATUS_USAGE,
			"an image does not come from a terminal; redirect standard input or name a file");
	} else if (prints_to(STDOUT_FILENO, fd)) {
		*status = fail(cli, STATUS_USAGE,
			       "standard output is the input, too; write to another file");
	} else {
		return fd;
	}
	close(fd);
	return -1;
}

/* What one of the two reads from a pipe, or a device, the other one would miss. */
static bool is_same_stream(const int fds[2])
{
	struct stat a, b;

	return fstat(fds[0], &a) == 0 && fstat(fds[1], &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino && !S_ISREG(a.st_mode);
}

int keep_streams_apart(const struct cli *cli, const int fds[2], const char *const names[2])
{
	if (!is_same_stream(fds))
		return STATUS_OK;
	return fail(cli, STATUS_USAGE, "%s and %s are the same stream, which can be read only once",
		    names[0], names[1]);
}
