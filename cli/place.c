// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a path leads. Walk it one name at a time, with a descriptor for each directory, so that the
 * file that was checked is the file that is used: a link that another user creates meanwhile is not
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

/* The kernel's limit. */
#define LINKS_MAX 40

struct walk {
	int dir;	  /* the directory that the walk has reached */
	char *text;	  /* the path, with the text of the last link in it */
	char *rest;	  /* the part of text that is still to be walked */
	int links;	  /* how many links were followed */
	bool at_a_link;	  /* the last name of the path was a link */
	struct place end; /* the result, complete if it has a name */
};

/*
 * In a directory where everybody may create files, such as /tmp, a link or a FIFO of another user
 * is a trap. The kernel has the same rule (fs.protected_symlinks), but applies it only to links
 * that it follows itself, and the rule may be switched off.
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

/* Open the file of this name with O_PATH, the link itself if it is one. O_DIRECTORY comes first,
 * because it triggers an automount. */
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

/* Continue with @text, and then with @after, the rest of the path, unless that is NULL. */
static int set_path(struct walk *w, const char *text, const char *after)
{
	struct stat st;
	char *path;
	int err = 0;

	if (!*text)
		return -ENOENT;
	if (asprintf(&path, "%s%s%s", text, after ? "/" : "", after ? after : "") < 0)
		return -ENOMEM;
	if (*path == '/' || w->dir < 0) {
		if (w->dir >= 0)
			close(w->dir);
		w->dir = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (w->dir < 0)
			err = -errno;
	}
	/* "FILE/", or "DIRECTORY/" */
	if (!err && path[strlen(path) - 1] == '/')
		err = fstatat(w->dir, path, &st, 0) && errno == ENOTDIR ? -ENOTDIR : -EISDIR;
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
 * The links in /proc/PID/fd are not paths: the file may have no name any more, and only the kernel
 * can follow them. Return a descriptor of that file. But if it is a regular file, which is replaced
 * where its name is, return @link, to follow its text.
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

/* Open the file of this name; a link only if its text is to be followed. */
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

/* Walk one name: into a directory, through a link, or to the end. */
static int step(struct walk *w)
{
	char *name = w->rest + strspn(w->rest, "/");
	size_t length = strcspn(name, "/");
	char *after = name[length] ? name + length + 1 : NULL;
	int fd, err;

	name[length] = '\0';
	fd = look(w->dir, name, &w->end.st);
	/* The path may end in a name that does not exist yet, but a link must lead to a file. */
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

/* Without /proc, open the file by its name again, and check that it is the same file. */
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
