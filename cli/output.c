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
#include "signals.h"

/* How messages name @path. */
static const char *path_or_standard(const char *path)
{
	if (!path || strcmp(path, "-") == 0)
		return "standard output";
	return *path ? path : "''";
}

void output_why(const struct output *out, const char *path, int err, char why[OUTPUT_WHY])
{
	static const char named[] =
		"; the image is whole and has its name, but may not survive a power failure";

	snprintf(why, OUTPUT_WHY, "%.3800s: %s%s", path_or_standard(path), strerror(-err),
		 out->named ? named : "");
}

int fail_output(const struct cli *cli, const struct output *out, const char *path, int err)
{
	char why[OUTPUT_WHY];

	output_why(out, path, err, why);
	return fail(cli, status_of(STORE_IMAGE, err), "%s", why);
}

/* Why a file is refused that could be opened */
enum {
	REFUSE_INPUT = 1,
	REFUSE_DISK,
};

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

/* What is written to such a file can be read from it, so that a command that reads and writes the
 * same one would never end, or lose what it has not read yet. */
static bool keeps_bytes(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode);
}

bool prints_to(int fd, int input)
{
	struct stat st;

	return fstat(input, &st) == 0 && keeps_bytes(&st) && is_open_as(fd, &st) &&
	       (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* Refuse a file before anything in it is changed. Returns 0 or one of the REFUSE_ numbers. */
static int refuse(const struct output *out, const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return REFUSE_DISK;
	return keeps_bytes(st) && is_open_as(out->input, st) ? REFUSE_INPUT : 0;
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
	struct stat st;

	out->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (out->fd < 0 || fstat(out->fd, &st))
		return -errno;
	return refuse(out, &st);
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
static int open_in_place(struct output *out, const struct place *place, const char *path)
{
	if (S_ISFIFO(place->st.st_mode) && !is_open_as(STDERR_FILENO, &place->st))
		signals_wait_fifo(path);
	/* Nothing has to be undone yet: a signal may end the wait for a FIFO. */
	if (signals_uncatch())
		out->fd = place_open(place);
	else
		out->fd = -EINTR;
	signals_catch_again();
	signals_wait_fifo(NULL);
	return out->fd < 0 ? out->fd : 0;
}

static int open_place(struct output *out, struct place *place, const char *path)
{
	int refusal = place->fd < 0 ? 0 : refuse(out, &place->st);

	if (refusal)
		return refusal;
	/* Do not replace the file that standard output is, whatever name it has here. */
	if (place->fd >= 0 && is_open_as(STDOUT_FILENO, &place->st))
		return open_descriptor(out, STDOUT_FILENO);
	if (place->fd < 0 || S_ISREG(place->st.st_mode))
		return open_file(out, place);
	return open_in_place(out, place, path);
}

static int open_path(struct output *out, const char *path)
{
	struct place place;
	int err = place_find(&place, path);

	if (err)
		return err;
	err = open_place(out, &place, path);
	place_close(&place);
	return err;
}

static int fail_refused(const struct cli *cli, int refusal, const char *path)
{
	if (refusal == REFUSE_INPUT)
		return fail(cli, STATUS_USAGE, "%s is the input, too; write to another file", path);
	return fail(
		cli, STATUS_USAGE,
		"%s is a block device, whose old contents would follow the new ones; write to a file",
		path);
}

int output_open(const struct cli *cli, struct output *out, const char *path, int input)
{
	int err, fd;

	*out = (struct output){ .fd = -1, .dir = -1, .input = input };
	fd = !path || strcmp(path, "-") == 0 ? STDOUT_FILENO : descriptor_of(path);
	err = fd < 0 ? open_path(out, path) : open_descriptor(out, fd);
	if (err) {
		output_discard(out);
		if (err < 0)
			return fail_output(cli, out, path, err);
		return fail_refused(cli, err, path_or_standard(path));
	}
	if (!isatty(out->fd))
		return STATUS_OK;
	output_discard(out);
	return fail(cli, STATUS_USAGE,
		    "an image is not for a terminal; redirect standard output or use -o FILE");
}

bool output_is(const char *path, int fd)
{
	struct stat st;
	bool standard = !path || strcmp(path, "-") == 0;

	/* A character device such as /dev/null keeps nothing. */
	return (standard ? fstat(STDOUT_FILENO, &st) : stat(path, &st)) == 0 &&
	       !S_ISCHR(st.st_mode) && is_open_as(fd, &st);
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

/*
 * Standard output can be a file that was longer before, as in "1<>FILE". Cut off what follows the
 * image, which would damage it. A file in append mode ends where the image ends.
 */
static int cut(int fd)
{
	off_t end = lseek(fd, 0, SEEK_CUR);
	struct stat st;

	if (end < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= end ||
	    (fcntl(fd, F_GETFL) & O_APPEND))
		return 0;
	return ftruncate(fd, end) ? -errno : 0;
}

int output_commit(struct output *out)
{
	bool named = false;
	int err = cut(out->fd);

	/* Pipes and the like cannot be synced. */
	if (!err && fsync(out->fd) && errno != EINVAL && errno != EROFS)
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
