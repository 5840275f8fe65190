// SPDX-License-Identifier: GPL-2.0-or-later
/* Where an image goes. A file has its name only when it is whole. */
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

int fail_output(const struct cli *cli, const char *path, int err)
{
	return fail(cli,
		    err == -EACCES || err == -EPERM ? STATUS_BUSY
						    : STATUS_FAILED,
		    "%s: %s", path ? path : "standard output", strerror(-err));
}

/* Beside the file, under a name that is short whatever the file's is. Mode
 * 0600: a device's state can hold secrets. */
static int open_temporary(struct output *out)
{
	char *copy = strdup(out->path);

	if (!copy || asprintf(&out->temporary, "%s/.vfiomig.XXXXXX",
			      dirname(copy)) < 0) {
		out->temporary = NULL;
		free(copy);
		return -ENOMEM;
	}
	free(copy);
	out->fd = mkostemp(out->temporary, O_CLOEXEC);
	if (out->fd >= 0)
		return 0;
	free(out->temporary);
	out->temporary = NULL;
	return -errno;
}

/* What is open already, under whatever name, is not to be replaced. */
static bool is_standard_output(const struct stat *st)
{
	struct stat standard;

	return fstat(STDOUT_FILENO, &standard) == 0 &&
	       st->st_dev == standard.st_dev && st->st_ino == standard.st_ino;
}

/* The N of /dev/fd/N and the like, or -1: what is open already is written to
 * where it stands. */
static int descriptor_of(const char *path)
{
	static const char *const prefixes[] = { "/dev/fd/", "/proc/self/fd/" };
	char *end;

	if (strcmp(path, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(path, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (size_t i = 0; i < 2; i++) {
		size_t length = strlen(prefixes[i]);
		long n;

		if (strncmp(path, prefixes[i], length) != 0)
			continue;
		n = strtol(path + length, &end, 10);
		if (end != path + length && !*end && n >= 0 && n <= INT_MAX)
			return n;
	}
	return -1;
}

/*
 * In a directory where everybody may make files, as /tmp, a link or a FIFO of
 * somebody else is a trap. The kernel has the rule (fs.protected_symlinks), but
 * does not see where a resolved path came from, and may have it switched off.
 */
static bool is_trap(const char *path)
{
	struct stat st, dir;
	char *copy;

	if (lstat(path, &st) || S_ISREG(st.st_mode) || st.st_uid == geteuid())
		return false;
	copy = strdup(path);
	if (!copy || stat(dirname(copy), &dir))
		dir.st_mode = S_ISVTX | S_IWOTH;
	free(copy);
	return (dir.st_mode & S_ISVTX) && (dir.st_mode & S_IWOTH) &&
	       st.st_uid != dir.st_uid;
}

/* A file that is to appear when it is whole. A link stays, and what it points
 * to is replaced. */
static int open_file(struct output *out, const char *path)
{
	struct stat st;

	/* What becomes a link after this is replaced, and not followed. */
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		out->path = realpath(path, NULL);
	else
		out->path = strdup(path);
	if (!out->path)
		return -errno;
	return open_temporary(out);
}

/* What can only be written to as it is: nobody wants /dev/null replaced. */
static int open_in_place(struct output *out, const char *path,
			 const struct stat *st)
{
	/* What it held before would follow the image. */
	if (S_ISBLK(st->st_mode))
		return -ENOTSUP;
	out->fd = open(path, O_WRONLY | O_CLOEXEC);
	return out->fd < 0 ? -errno : 0;
}

static int open_descriptor(struct output *out, int fd)
{
	out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return out->fd < 0 ? -errno : 0;
}

/* Why a path cannot name a file, or 0. */
static int check_file_name(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	if (!*path)
		return -ENOENT;
	if (!*base)
		return -EISDIR;
	return strlen(base) > NAME_MAX ? -ENAMETOOLONG : 0;
}

int output_open(const struct cli *cli, struct output *out, const char *path)
{
	struct stat st;
	bool exists;
	int err, fd;

	*out = (struct output){ .fd = -1 };
	fd = !path || strcmp(path, "-") == 0 ? STDOUT_FILENO
					     : descriptor_of(path);
	exists = fd < 0 && stat(path, &st) == 0;
	if (exists && is_standard_output(&st))
		fd = STDOUT_FILENO;

	if (fd >= 0) {
		err = open_descriptor(out, fd);
	} else if (is_trap(path)) {
		err = -EACCES;
	} else if (exists && !S_ISREG(st.st_mode)) {
		err = open_in_place(out, path, &st);
	} else {
		err = check_file_name(path);
		if (!err)
			err = open_file(out, path);
	}
	if (err) {
		output_discard(out);
		return fail_output(cli, path && !*path ? "''" : path, err);
	}
	if (!isatty(out->fd))
		return STATUS_OK;
	output_discard(out);
	return fail(
		cli, STATUS_USAGE,
		"an image is not for a terminal; redirect standard output or use -o FILE");
}

static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, err = 0;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	/* One that may be written to but not read cannot be synced. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

int output_commit(struct output *out)
{
	int err = 0;

	/* Pipes and the like cannot be synced. */
	if (fsync(out->fd) && errno != EINVAL && errno != EROFS)
		err = -errno;
	/* Network file systems report a full disk only here. */
	if (close(out->fd) && !err)
		err = -errno;
	out->fd = -1;
	if (!err && out->temporary) {
		if (rename(out->temporary, out->path))
			err = -errno;
		if (!err) {
			free(out->temporary);
			out->temporary = NULL;
			err = sync_directory(out->path);
		}
	}
	output_discard(out);
	return err;
}

void output_discard(struct output *out)
{
	if (out->fd >= 0)
		close(out->fd);
	if (out->temporary)
		unlink(out->temporary);
	free(out->temporary);
	free(out->path);
	*out = (struct output){ .fd = -1 };
}
