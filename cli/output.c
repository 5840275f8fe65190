// SPDX-License-Identifier: GPL-2.0-or-later
/* Where an image goes. A file has its name only when it is whole. */
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static int fail_output(const struct cli *cli, const char *path)
{
	enum status status =
		errno == EACCES || errno == EPERM ? STATUS_BUSY : STATUS_FAILED;

	return fail(cli, status, "%s: %m", path);
}

static int open_temporary(const struct cli *cli, struct output *out)
{
	char *dir = strdup(out->path), *base = strdup(out->path);
	int status = STATUS_OK;

	if (!dir || !base ||
	    asprintf(&out->temporary, "%s/.%s.XXXXXX", dirname(dir),
		     basename(base)) < 0) {
		out->temporary = NULL;
		status = fail(cli, STATUS_FAILED, "out of memory");
	} else {
		/* Mode 0600: a device's state can hold secrets. */
		out->fd = mkostemp(out->temporary, O_CLOEXEC);
		if (out->fd < 0)
			status = fail_output(cli, out->path);
	}
	free(dir);
	free(base);
	return status;
}

int output_open(const struct cli *cli, struct output *out, const char *path)
{
	struct stat st;
	int status;

	*out = (struct output){ .fd = -1 };
	if (!path || strcmp(path, "-") == 0) {
		if (isatty(STDOUT_FILENO))
			return fail(
				cli, STATUS_USAGE,
				"an image is not for a terminal; redirect standard output or use -o FILE");
		out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
		return out->fd < 0 ? fail_output(cli, "standard output")
				   : STATUS_OK;
	}

	/* What is there but is no regular file is written to as it is: nobody
	 * wants /dev/null or a FIFO replaced. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		out->fd = open(path, O_WRONLY | O_CLOEXEC);
		if (out->fd < 0)
			return fail_output(cli, path);
		if (isatty(out->fd)) {
			output_discard(out);
			return fail(
				cli, STATUS_USAGE,
				"an image is not for a terminal; name another file with -o");
		}
		return STATUS_OK;
	}

	/* A link stays, and what it points to is replaced. */
	out->path = realpath(path, NULL);
	if (!out->path && lstat(path, &st) == 0)
		return fail(cli, STATUS_FAILED, "%s: a link to nothing", path);
	if (!out->path)
		out->path = strdup(path);
	if (!out->path)
		return fail(cli, STATUS_FAILED, "out of memory");
	status = open_temporary(cli, out);
	if (status)
		output_discard(out);
	return status;
}

static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, ret;

	if (!copy)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -1;
	ret = fsync(fd);
	close(fd);
	return ret;
}

int output_commit(const struct cli *cli, struct output *out)
{
	int status = STATUS_OK;

	if (out->temporary && fsync(out->fd))
		status = fail_output(cli, out->path);
	/* Network file systems report a full disk only here. */
	if (close(out->fd) && !status)
		status = fail_output(cli,
				     out->path ? out->path : "standard output");
	out->fd = -1;
	if (out->temporary && !status) {
		if (rename(out->temporary, out->path)) {
			status = fail_output(cli, out->path);
		} else {
			free(out->temporary);
			out->temporary = NULL;
			if (sync_directory(out->path))
				status = fail_output(cli, out->path);
		}
	}
	output_discard(out);
	return status;
}

void output_discard(struct output *out)
{
	if (out->fd >= 0)
		close(out->fd);
	/* Only what mkostemp() has made: its name has no X at the end then. */
	if (out->temporary)
		unlink(out->temporary);
	free(out->temporary);
	free(out->path);
	*out = (struct output){ .fd = -1 };
}
