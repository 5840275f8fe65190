// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A holder that cannot be found by the name of its device: its socket was removed, or it is another
 * user's, and in that user's directory, or it is in a container. The kernel knows the path to which
 * a process has bound a socket also when the file is gone.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "device/device.h"
#include "device/opener.h"
#include "device/process.h"
#include "stray.h"

#define LOOK_NS 1000000000ULL

/* From the kernel's include/linux/net.h: the socket listens. */
#define ACCEPTS 0x10000

struct search {
	const struct vfiomig_device *dev;
	int pid;
	unsigned long inode;
	char path[108];
};

static bool is_path_of_holder(const struct search *search, const char *path)
{
	const char *file = strrchr(path, '/');
	size_t length = strlen(search->dev->name);

	return file && strncmp(file + 1, search->dev->name, length) == 0 &&
	       strcmp(file + 1 + length, ".sock") == 0;
}

/* The socket that a holder of the device listens on, if the inode is that of one. */
static bool find_path(struct search *search)
{
	char path[PATH_MAX], line[512];
	unsigned long inode;
	unsigned int flags;
	bool found = false;
	int at;
	FILE *f;

	/* Of the process's network namespace */
	snprintf(path, sizeof(path), "%s/%d/net/unix", search->dev->ctx->procfs, search->pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		/* Num RefCount Protocol Flags Type St Inode Path */
		at = 0;
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %lu %n", &flags, &inode, &at) < 2 || !at ||
		    inode != search->inode || !(flags & ACCEPTS))
			continue;
		found = is_path_of_holder(search, line + at);
		if (found)
			snprintf(search->path, sizeof(search->path), "%.107s", line + at);
	}
	if (f)
		fclose(f);
	return found;
}

static int consider(void *data, int number, const char *target)
{
	struct search *search = data;

	(void)number;
	return sscanf(target, "socket:[%lu]", &search->inode) == 1 && find_path(search);
}

static uid_t user_of(const struct vfiomig_ctx *ctx, int pid)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%d", ctx->procfs, pid);
	return stat(path, &st) ? (uid_t)-1 : st.st_uid;
}

/* @path is where the process @pid has bound its socket. Returns where that file is seen from here,
 * which is @there if the process has other mounts; or NULL if it is gone. */
static const char *locate(const struct vfiomig_ctx *ctx, int pid, const char *path,
			  char there[PATH_MAX])
{
	int n = snprintf(there, PATH_MAX, "%s/%d/root%s", ctx->procfs, pid, path);

	/* It must fit into an address. */
	if (n < (int)sizeof(((struct search *)0)->path) && access(there, F_OK) == 0)
		return is_same_file(path, there) ? path : there;
	return access(path, F_OK) == 0 ? path : NULL;
}

static int fail_holder(const struct vfiomig_device *dev, int pid, const char *path)
{
	uid_t user = user_of(dev->ctx, pid);
	char there[PATH_MAX];
	const char *seen = locate(dev->ctx, pid, path, there);

	if (seen)
		return ctx_fail(dev->ctx, -EBUSY,
				"process %d of user %u holds it, on %s; name that socket: unix:%s",
				pid, user, seen, seen);
	return ctx_fail(
		dev->ctx, -EBUSY,
		"process %d of user %u holds it, but its socket %s is gone; \"kill %d\" ends it, which closes the device",
		pid, user, path, pid);
}

/* Returns 0, or why not all processes were looked at. @pid receives the opener, or 0. */
static int find_opener(const struct vfiomig_device *dev, int *pid)
{
	struct openers *openers;
	int err = openers_look(dev->ctx, now_ns() + LOOK_NS, &openers);

	*pid = openers ? openers_of_device(openers, dev) : 0;
	openers_free(openers);
	return err;
}

int stray_fail(const struct vfiomig_device *dev)
{
	struct search search = { .dev = dev };
	int pid, err = find_opener(dev, &pid);
	char comm[16];

	search.pid = pid;
	if (pid && process_foreach_fd(dev->ctx, pid, consider, &search) == 1)
		return fail_holder(dev, pid, search.path);
	process_comm(dev->ctx, pid, comm);
	if (pid)
		return ctx_fail(
			dev->ctx, -ENOENT,
			"nobody holds it, but process %d (%s) has the device or its group open",
			pid, comm);
	if (err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (err)
		return ctx_fail(dev->ctx, err, "cannot find out whether somebody holds it: %s",
				strerror(-err));
	if (geteuid())
		return ctx_fail(
			dev->ctx, -ENOENT,
			"nobody holds it, as far as this user may see; root sees the processes and holders of others");
	if (!process_sees_all(dev->ctx))
		return ctx_fail(
			dev->ctx, -ENOENT,
			"nobody holds it, as far as can be seen from this PID namespace; look outside of the container, too");
	return ctx_fail(dev->ctx, -ENOENT, "nobody holds it");
}
