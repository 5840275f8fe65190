// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run-time directory. The library trusts the files in it, so nobody else may be able to put
 * files there.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rundir.h"

#define DEFAULT_PATH "/run/vfiomig"

int rundir_set(struct vfiomig_ctx *ctx, const char *path)
{
	char *copy = NULL;

	if (path && path[0] != '/')
		return ctx_fail(ctx, -EINVAL, "'%s' is not an absolute path", path);
	if (path) {
		copy = strdup(path);
		if (!copy)
			return ctx_fail_memory(ctx);
	}
	free(ctx->rundir);
	ctx->rundir = copy;
	return 0;
}

int rundir_path(struct vfiomig_ctx *ctx, const char *name, const char *suffix, char *path,
		size_t size)
{
	const char *dir = ctx->rundir ? ctx->rundir : DEFAULT_PATH;
	int n = name ? snprintf(path, size, "%s/%s%s", dir, name, suffix)
		     : snprintf(path, size, "%s", dir);

	if (n < (int)size)
		return 0;
	return ctx_fail(ctx, -ENAMETOOLONG, "the path of the run-time directory is too long");
}

/* Nobody else may be able to put files there. */
static int check_owner(struct vfiomig_ctx *ctx, const char *path, int fd, struct stat *st)
{
	if (fstat(fd, st))
		return ctx_fail(ctx, -errno, "%s: %m", path);
	if (st->st_uid != geteuid())
		return ctx_fail(
			ctx, -EPERM,
			"%s belongs to user %u, so what is in it cannot be trusted; remove it",
			path, st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return ctx_fail(
			ctx, -EPERM,
			"others may write to %s, so what is in it cannot be trusted; remove it",
			path);
	return 0;
}

static int open_there(struct vfiomig_ctx *ctx, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return ctx_fail(ctx, -EPERM,
				"%s is not a directory (a link to one is none either); remove it",
				path);
	return fd < 0 ? ctx_fail(ctx, -errno, "cannot open %s: %m", path) : fd;
}

/* Whether the directory could be made. */
static int check_parent(struct vfiomig_ctx *ctx, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	/* "." for a name without a slash, which only tests have */
	snprintf(parent, sizeof(parent), "%.*s.", slash ? (int)(slash - path) + 1 : 0, path);
	if (faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	return ctx_fail(ctx, -errno, "cannot make %s: %m", path);
}

bool rundir_is_nowhere(int err)
{
	return err == -ENOENT || err == -EACCES || err == -EROFS;
}

int rundir_check(struct vfiomig_ctx *ctx, char *path, size_t size)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int err = rundir_path(ctx, NULL, NULL, path, size);

	if (err)
		return err;
	if (ctx->rundir && lstat(path, &st) && (errno == ENOENT || errno == EACCES))
		return check_parent(ctx, path);
	fd = open_there(ctx, path);
	return fd < 0 ? fd : check_owner(ctx, path, fd, &st);
}

int rundir_open(struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, err;

	err = rundir_path(ctx, NULL, NULL, path, sizeof(path));
	if (err)
		return err;
	/* The default directory belongs to others: use it, but do not make it. */
	if (ctx->rundir && mkdir(path, 0700) && errno != EEXIST)
		return ctx_fail(ctx, -errno, "cannot make %s: %m", path);
	fd = open_there(ctx, path);
	if (fd < 0)
		return fd;
	err = check_owner(ctx, path, fd, &st);
	if (!err && (st.st_mode & 07777) != 0700 && fchmod(fd, 0700))
		err = ctx_fail(ctx, -errno, "%s: %m", path);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
