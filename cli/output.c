// SPDX-License-Identifier: GPL-2.0-or-later
/* Where an image goes: standard output, or a file that gets its name only when it is whole. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "output.h"
#include "place.h"

void output_why(const struct output *out, const char *path, int err, char why[OUTPUT_WHY])
{
	static const char named[] =
		"; the image is whole and has its name, but may not survive a power failure";

	if (!path)
		path = "standard output";
	snprintf(why, OUTPUT_WHY, "%.3800s: %s%s", *path ? path : "''", strerror(-err),
		 out->named ? named : "");
}

int fail_output(const struct cli *cli, const struct output *out, const char *path, int err)
{
	char why[OUTPUT_WHY];

	output_why(out, path, err, why);
	return fail(cli, status_of(STORE_IMAGE, err), "%s", why);
}

/* Create a file under a random name, which nobody can have prepared. */
static int create(int dir, char name[TEMPORARY_NAME])
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;

	for (int i = 0; i < 100; i++) {
		uint64_t bits;
		int fd;

		if (getrandom(&bits, sizeof(bits), 0) < 0)
			return -errno;
		strcpy(name, ".vfiomig.XXXXXX");
		for (char *p = strchr(name, 'X'); *p; p++, bits /= 36)
			*p = digits[bits % 36];
		fd = openat(dir, name, flags, 0600);
		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
	}
	return -EEXIST;
}

/* The temporary file is beside the final one, and its name is short however long the final name is.
 * Its mode is 0600 whatever the umask is, because the state of a device can hold secrets. */
static int open_temporary(struct output *out)
{
	int fd = create(out->dir, out->temporary);

	if (fd < 0) {
		out->temporary[0] = '\0';
		return fd;
	}
	out->fd = fd;
	/* Some file systems have one mode for all of their files. */
	if (fchmod(fd, 0600) && errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	return 0;
}

static bool is_open_as(int fd, const struct stat *st)
{
	struct stat open;

	return fstat(fd, &open) == 0 && st->st_dev == open.st_dev && st->st_ino == open.st_ino;
}

/* The N of /dev/fd/N and of similar paths, or -1. Such a descriptor is written to at its current
 * position. */
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

static int open_descriptor(struct output *out, int fd)
{
	out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return out->fd < 0 ? -errno : 0;
}

/* Take the directory and the name from @place, for a file that appears when it is whole. */
static int open_file(struct output *out, struct place *place)
{
	out->dir = place->dir;
	out->name = place->name;
	place->dir = -1;
	place->name = NULL;
	return open_temporary(out);
}

/* Write to a pipe or a device itself: nobody wants /dev/null replaced by a file. */
static int open_in_place(struct output *out, const struct place *place)
{
	int fd;

	/* The old content of a disk would follow the image. */
	if (S_ISBLK(place->st.st_mode))
		return -ENOTSUP;
	fd = place_open(place);
	if (fd < 0)
		return fd;
	out->fd = fd;
	return 0;
}

static int open_path(struct output *out, const char *path)
{
	struct place place;
	int err = place_find(&place, path);

	if (err)
		return err;
	/* Do not replace the file that standard output is, whatever name it has here. */
	if (place.fd >= 0 && is_open_as(STDOUT_FILENO, &place.st))
		err = open_descriptor(out, STDOUT_FILENO);
	else if (place.fd < 0 || S_ISREG(place.st.st_mode))
		err = open_file(out, &place);
	else
		err = open_in_place(out, &place);
	place_close(&place);
	return err;
}

int output_open(const struct cli *cli, struct output *out, const char *path)
{
	int err, fd;

	*out = (struct output){ .fd = -1, .dir = -1 };
	fd = !path || strcmp(path, "-") == 0 ? STDOUT_FILENO : descriptor_of(path);
	err = fd < 0 ? open_path(out, path) : open_descriptor(out, fd);
	if (err) {
		output_discard(out);
		return fail_output(cli, out, path, err);
	}
	if (!isatty(out->fd))
		return STATUS_OK;
	output_discard(out);
	return fail(cli, STATUS_USAGE,
		    "an image is not for a terminal; redirect standard output or use -o FILE");
}

bool output_shares(const struct output *out, int fd)
{
	struct stat st;

	if (fstat(out->fd, &st))
		return true;
	/* A character device such as /dev/null keeps nothing. */
	return !S_ISCHR(st.st_mode) && is_open_as(fd, &st);
}

static int sync_directory(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = 0;

	/* A directory that may be written but not read cannot be synced. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	if (fsync(fd) && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

int output_commit(struct output *out)
{
	bool named = false;
	int err = 0;

	/* Pipes and the like cannot be synced. */
	if (fsync(out->fd) && errno != EINVAL && errno != EROFS)
		err = -errno;
	/* Network file systems report a full disk only here. */
	if (close(out->fd) && !err)
		err = -errno;
	out->fd = -1;
	if (!err && out->temporary[0]) {
		if (renameat(out->dir, out->temporary, out->dir, out->name))
			err = -errno;
		if (!err) {
			named = true;
			out->temporary[0] = '\0';
			err = sync_directory(out->dir);
		}
	}
	output_discard(out);
	out->named = named;
	return err;
}

void output_discard(struct output *out)
{
	if (out->fd >= 0)
		close(out->fd);
	if (out->temporary[0])
		unlinkat(out->dir, out->temporary, 0);
	if (out->dir >= 0)
		close(out->dir);
	free(out->name);
	*out = (struct output){ .fd = -1, .dir = -1 };
}
