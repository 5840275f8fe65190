// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A lock is flock(2) on a file in the run-time directory. The kernel drops it when its owner dies,
 * however that happens. The file has the PID of the owner.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lock.h"
#include "process.h"
#include "rundir.h"

#define RETRY_MS 50

struct turn turn_begin(struct vfiomig_ctx *ctx, int seconds)
{
	return (struct turn){
		.ctx = ctx,
		.until = seconds < 0 ? UINT64_MAX : now_ns() + seconds * 1000000000ULL,
	};
}

int turn_wait(const struct turn *turn)
{
	struct pollfd wake = { .fd = turn->ctx->wake, .events = POLLIN };

	if (now_ns() >= turn->until)
		return -EBUSY;
	poll(&wake, 1, RETRY_MS);
	if (turn->ctx->interrupted)
		return ctx_fail_interrupted(turn->ctx);
	ctx_forget_wake(turn->ctx);
	return 0;
}

int turn_yield(const struct turn *turn)
{
	struct account *account = turn->ctx->account;
	int err;

	if (account)
		account->yields = true;
	err = turn_wait(turn);
	if (account)
		account->yields = false;
	return err;
}

/* Whether @path still names the open file. Whoever drops a lock removes its file. */
static bool is_same(int fd, const char *path)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_ino == there.st_ino &&
	       mine.st_dev == there.st_dev;
}

/* @fd receives the locked file, or -1, so that nobody drops a lock that was not taken. */
static int try_lock(struct vfiomig_ctx *ctx, const char *path, int *fd)
{
	int err;

	do {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*fd < 0)
			return ctx_fail(ctx, -errno, "cannot open %s: %m", path);
		err = flock(*fd, LOCK_EX | LOCK_NB) ? -errno : 0;
		if (!err && is_same(*fd, path))
			return 0;
		close(*fd);
		*fd = -1;
	} while (!err);
	return err == -EWOULDBLOCK ? -EBUSY
				   : ctx_fail(ctx, err, "cannot lock %s: %s", path, strerror(-err));
}

/* Whether the process lives, and has the lock of this file. The kernel lists all locks for
 * everybody, while the attempt to take this one would make another command fail that wants it. */
static bool has_lock(const struct vfiomig_ctx *ctx, int pid, ino_t file)
{
	char path[PATH_MAX], line[256];
	unsigned long inode;
	bool found = false;
	int owner;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d", ctx->procfs, pid);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "%s/locks", ctx->procfs);
	f = fopen(path, "re");
	if (!f)
		return true;
	/* 1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF */
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*d: FLOCK %*s WRITE %d %*x:%*x:%lu", &owner, &inode) == 2 &&
			owner == pid && inode == file;
	fclose(f);
	return found;
}

/* The process that has the lock, 0 if that is not known. A command that was killed has left its
 * file behind, and one that has just taken the lock has not written its PID yet. */
static int read_owner(const struct vfiomig_ctx *ctx, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32] = "";
	struct stat st;
	int pid;

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && sscanf(text, "%d", &pid) == 1 &&
	    fstat(fd, &st) == 0 && has_lock(ctx, pid, st.st_ino))
		return pid;
	return 0;
}

int lock_owner(struct vfiomig_ctx *ctx, const char *name)
{
	char path[PATH_MAX];

	return rundir_path(ctx, name, ".lock", path, sizeof(path)) ? 0 : read_owner(ctx, path);
}

static int fail_locked(struct vfiomig_ctx *ctx, const char *path)
{
	int pid = read_owner(ctx, path);
	char comm[16];

	if (pid) {
		process_comm(ctx, pid, comm);
		return ctx_fail(ctx, -EBUSY,
				"busy: process %d (%s) is at work on it; --wait waits for it", pid,
				comm);
	}
	return ctx_fail(ctx, -EBUSY, "busy: another command is at work on it; --wait waits for it");
}

int lock_take(struct lock *lock, const char *name, const struct turn *turn)
{
	struct vfiomig_ctx *ctx = turn->ctx;
	char path[PATH_MAX];
	_cleanup_close_ int dir = rundir_open(ctx);
	int err = dir < 0 ? dir : rundir_path(ctx, name, ".lock", path, sizeof(path));

	lock->fd = -1;
	if (err)
		return err;
	while ((err = try_lock(ctx, path, &lock->fd)) == -EBUSY) {
		err = turn_yield(turn);
		if (err)
			return err == -EBUSY ? fail_locked(ctx, path) : err;
	}
	if (err)
		return err;
	lock->path = strdup(path);
	if (!lock->path) {
		close_fdp(&lock->fd);
		lock->fd = -1;
		return ctx_fail_memory(ctx);
	}
	/* The PID is only for the message that other commands print, so failing to write it does no
	 * harm. */
	if (ftruncate(lock->fd, 0) == 0)
		dprintf(lock->fd, "%d\n", getpid());
	return 0;
}

void lock_drop(struct lock *lock)
{
	if (lock->fd < 0)
		return;
	unlink(lock->path);
	lock_forget(lock);
}

void lock_forget(struct lock *lock)
{
	if (lock->fd < 0)
		return;
	close(lock->fd);
	free(lock->path);
	lock->fd = -1;
	lock->path = NULL;
}
