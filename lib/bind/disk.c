// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whether a function carries a disk that is in use, and for what. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "carried.h"
#include "device/apart.h"
#include "device/sysfs.h"
#include "disk.h"

/* How long the kernel may take to open a disk. */
#define OPEN_NS 3000000000ULL

struct disk {
	const char *name; /* "sda1" */
	char number[32];  /* "8:1" */
	char node[NAME_MAX + 32];
};

static void describe(const struct vfiomig_device *dev, struct disk *disk, const char *name,
		     const char *dir)
{
	disk->name = name;
	if (sysfs_read_text(dir, "dev", disk->number, sizeof(disk->number)))
		disk->number[0] = '\0';
	/* In sysfs '!' stands for '/'. */
	snprintf(disk->node, sizeof(disk->node), "%s/%s", dev->ctx->devfs, name);
	for (char *p = disk->node + strlen(dev->ctx->devfs); *p; p++)
		if (*p == '!')
			*p = '/';
}

/* Whether @path is the disk's node, or another name for it. */
static bool is_disk(const struct vfiomig_ctx *ctx, const struct disk *disk, const char *path)
{
	size_t length = strlen(ctx->devfs);
	char number[32];
	struct stat st;

	if (strcmp(path, disk->node) == 0)
		return true;
	/* Do not look at paths outside of /dev, which may be on a server that does not answer. */
	if (strncmp(path, ctx->devfs, length) != 0 || path[length] != '/' || stat(path, &st) ||
	    !S_ISBLK(st.st_mode))
		return false;
	snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return strcmp(number, disk->number) == 0;
}

/* Replace escapes: the kernel writes a blank as \040. */
static void unescape(char *text)
{
	char *to = text;
	unsigned int c;

	for (; *text; to++) {
		if (sscanf(text, "\\%3o", &c) == 1 && strlen(text) >= 4) {
			*to = c;
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT WHERE OPTIONS [MORE]... - TYPE SOURCE OPTIONS" */
static bool parse_mount(char *line, char **number, char **where, char **source)
{
	char *field[5], *rest = strstr(line, " - "), *save;

	if (!rest)
		return false;
	*rest = '\0';
	for (int i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return false;
	}
	strtok_r(rest + 3, " ", &save);
	*source = strtok_r(NULL, " ", &save);
	*number = field[2];
	*where = field[4];
	if (!*source)
		return false;
	unescape(*where);
	unescape(*source);
	return true;
}

static int check_mounts(struct vfiomig_device *dev, const struct disk *disk)
{
	char path[PATH_MAX], *number, *where, *source;
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/mountinfo", dev->ctx->procfs);
	f = fopen(path, "re");
	if (!f)
		return carried_fail_exhausted(dev, path);
	while (!err && getline(&line, &size, f) > 0) {
		if (!parse_mount(line, &number, &where, &source))
			continue;
		/* Compare the source as well, because some file systems (btrfs) have a number of
		 * their own. */
		if (strcmp(number, disk->number) == 0 || is_disk(dev->ctx, disk, source))
			err = ctx_fail(
				dev->ctx, -EBUSY,
				"%s carries the disk %s, which is mounted on %s; unmount it, or use --force",
				dev->name, disk->name, where);
	}
	fclose(f);
	return err;
}

static int check_swaps(struct vfiomig_device *dev, const struct disk *disk)
{
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	size_t size = 0;
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/swaps", dev->ctx->procfs);
	f = fopen(path, "re");
	if (!f)
		return carried_fail_exhausted(dev, path);
	while (!err && getline(&line, &size, f) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (is_disk(dev->ctx, disk, line))
			err = ctx_fail(
				dev->ctx, -EBUSY,
				"%s carries the disk %s, which is swapped to; run \"swapoff %s\", or use --force",
				dev->name, disk->name, disk->node);
	}
	fclose(f);
	return err;
}

static int check_named(struct vfiomig_device *dev, const char *name, const char *dir)
{
	_cleanup_free_ char *holder = sysfs_first_entry(dir, "holders");
	int err = holder ? 0 : carried_fail_exhausted(dev, dir);
	struct disk disk;

	describe(dev, &disk, name, dir);
	if (!err)
		err = check_mounts(dev, &disk);
	if (!err)
		err = check_swaps(dev, &disk);
	if (!err && holder)
		err = ctx_fail(
			dev->ctx, -EBUSY,
			"%s carries the disk %s, which is a part of %s; stop that, or use --force",
			dev->name, disk.name, holder);
	return err;
}

struct opening {
	const char *node;
	int err;
};

/* A disk that does not answer may keep whoever opens it waiting, and whoever closes it. */
static void open_exclusively(void *arg)
{
	struct opening *o = arg;

	o->err = open(o->node, O_RDONLY | O_EXCL | O_NONBLOCK) < 0 ? -errno : 0;
}

static int fail_untold(struct vfiomig_device *dev, const struct disk *disk, int err)
{
	if (err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (err == -ETIMEDOUT)
		return ctx_fail(
			dev->ctx, err,
			"cannot tell whether %s is in use: the kernel has not opened its disk %s within %llu seconds; use --force to bind it all the same",
			dev->name, disk->node, OPEN_NS / 1000000000ULL);
	return ctx_fail(dev->ctx, err, "cannot tell whether %s is in use: cannot open %s: %s",
			dev->name, disk->node, strerror(-err));
}

/* Whoever has no name above, such as a storage pool or the mount of a container, has opened the
 * disk exclusively all the same. */
static int check_exclusive(struct vfiomig_device *dev, const char *name, const char *dir)
{
	struct disk disk;
	struct opening o = { .node = disk.node, .err = -ECHILD };
	int err;

	describe(dev, &disk, name, dir);
	err = apart_call(dev->ctx, open_exclusively, &o, sizeof(o), now_ns() + OPEN_NS);
	if (err)
		return fail_untold(dev, &disk, err);
	/* The process has ended without an answer. */
	if (o.err == -ECHILD)
		return fail_untold(dev, &disk, -EIO);
	if (is_exhausted(-o.err))
		return fail_untold(dev, &disk, o.err);
	if (o.err != -EBUSY)
		return 0;
	return ctx_fail(dev->ctx, -EBUSY,
			"%s carries the disk %s, which is in use; end that, or use --force",
			dev->name, disk.name);
}

int disk_check_unused(struct vfiomig_device *dev)
{
	/* Look for names first: the mount of a partition also keeps the whole disk busy. */
	int err = carried_foreach(dev, "class/block", check_named);

	return err ? err : carried_foreach(dev, "class/block", check_exclusive);
}
