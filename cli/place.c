// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a path leads. It is walked with descriptors, so that what was looked at
 * is what is used: a link that somebody else puts there meanwhile is not
 * followed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "place.h"

/* As many as the kernel follows. */
#define LINKS_MAX 40

struct walk {
	int dir;	  /* that it has come to */
	char *text;	  /* the path, with the last link's text in it */
	char *rest;	  /* what is still to be walked of that */
	int links;	  /* that were followed */
	bool at_a_link;	  /* the path's last name was one */
	struct place end; /* what is known of it */
};

/*
 * In a directory where everybody may make files, as /tmp, a link or a FIFO of
 * somebody else is a trap. The kernel has the rule (fs.protected_symlinks), but
 * only for links that it follows itself, and may have it switched off.
 */
static bool is_trap(int dir, const struct stat *st)
{
	struct stat d;

	if (st->st_uid == geteuid())
		return false;
	if (fstat(dir, &d))
		return true;
	return (d.st_mode & S_ISVTX) && (d.st_mode & S_IWOTH) && st->st_uid != d.st_uid;
}

/* What has the name, be it a link. O_DIRECTORY is tried for what is mounted
 * only when somebody goes there. */
static int open_component(int dir, const char *name, struct stat *st)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags | O_DIRECTORY);

	if (fd < 0 && errno == ENOTDIR)
		fd = openat(dir, name, flags);
	if (fd >= 0 && fstat(fd, st)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd < 0 ? -errno : fd;
}

/* Go on along @text, and then along what is left of the path, if anything is. */
static int set_path(struct walk *w, const char *text, const char *after)
{
	char *path;
	int err = 0;

	if (!*text)
		return -ENOENT;
	if (asprintf(&path, "%s%s%s", text, after ? "/" : "", after ? after : "") < 0)
		return -ENOMEM;
	if (path[strlen(path) - 1] == '/')
		err = -EISDIR;
	if (*path == '/' || w->dir < 0) {
		if (w->dir >= 0)
			close(w->dir);
		w->dir = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (w->dir < 0 && !err)
			err = -errno;
	}
	free(w->text);
	w->text = w->rest = path;
	return err;
}

static int follow_link(struct walk *w, int link, const struct stat *st, const char *after)
{
	char text[PATH_MAX];
	ssize_t length;

	if (is_trap(w->dir, st))
		return -EACCES;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	length = readlinkat(link, "", text, sizeof(text));
	if (length < 0)
		return -errno;
	if (length == sizeof(text))
		return -ENAMETOOLONG;
	text[length] = '\0';
	if (!after)
		w->at_a_link = true;
	return set_path(w, text, after);
}

/*
 * The links of /proc/PID are no paths: what they lead to may have no name, and
 * only the kernel can follow them. A file is replaced where its name is, so of
 * that the link stays.
 */
static int follow_in_proc(int dir, const char *name, int link, struct stat *st)
{
	struct statfs fs;
	struct stat there;
	int fd;

	if (fstatfs(link, &fs))
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return link;
	fd = openat(dir, name, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &there)) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	if (S_ISREG(there.st_mode)) {
		close(fd);
		return link;
	}
	*st = there;
	return fd;
}

/* What has the name, a link only if its text is to be followed. */
static int look(int dir, const char *name, struct stat *st)
{
	int fd = open_component(dir, name, st), end;

	if (fd < 0 || !S_ISLNK(st->st_mode))
		return fd;
	end = follow_in_proc(dir, name, fd, st);
	if (end != fd)
		close(fd);
	return end;
}

static int arrive(struct walk *w, const char *name, int fd)
{
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	w->end.name = strdup(name);
	if (!w->end.name)
		return -ENOMEM;
	w->end.fd = fd;
	w->end.dir = w->dir;
	w->dir = -1;
	return 0;
}

/* Into a directory, through a link, or to the end. */
static int step(struct walk *w)
{
	char *name = w->rest + strspn(w->rest, "/");
	size_t length = strcspn(name, "/");
	char *after = name[length] ? name + length + 1 : NULL;
	int fd, err;

	name[length] = '\0';
	fd = look(w->dir, name, &w->end.st);
	/* What a link points to has to be there: that stays so, to be replaced
	 * and not to be made. */
	if (fd == -ENOENT && !after && !w->at_a_link)
		return arrive(w, name, -1);
	if (fd < 0)
		return fd;
	if (S_ISLNK(w->end.st.st_mode)) {
		err = follow_link(w, fd, &w->end.st, after);
		close(fd);
		return err;
	}
	if (!after) {
		err = arrive(w, name, fd);
		if (err)
			close(fd);
		return err;
	}
	close(w->dir);
	w->dir = fd;
	w->rest = after;
	return 0;
}

int place_find(struct place *place, const char *path)
{
	struct walk w = { .dir = -1, .end = { .dir = -1, .fd = -1 } };
	int err = set_path(&w, path, NULL);

	while (!err && !w.end.name)
		err = step(&w);
	if (w.dir >= 0)
		close(w.dir);
	free(w.text);
	*place = w.end;
	return err;
}

/* Without /proc, by name once more: it has to be the same thing still. */
static int open_again(const struct place *place)
{
	struct stat st;
	int fd = openat(place->dir, place->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_dev == place->st.st_dev && st.st_ino == place->st.st_ino)
		return fd;
	close(fd);
	return -EACCES;
}

int place_open(const struct place *place)
{
	char link[32];
	int fd;

	if (is_trap(place->dir, &place->st))
		return -EACCES;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place->fd);
	fd = open(link, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? open_again(place) : -errno;
}

void place_close(struct place *place)
{
	if (place->fd >= 0)
		close(place->fd);
	if (place->dir >= 0)
		close(place->dir);
	free(place->name);
	*place = (struct place){ .dir = -1, .fd = -1 };
}
