// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A file for each function says what it was bound to before vfiomig bound it. The file has a line
 * "driver NAME" if there was a driver, and a line "override NAME" if there was a driver_override.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "device/rundir.h"
#include "record.h"

#define DIRECTORY "bound"

int records_open(struct vfiomig_ctx *ctx)
{
	_cleanup_close_ int run = rundir_open(ctx);
	int fd;

	if (run < 0)
		return run;
	if (mkdirat(run, DIRECTORY, 0700) && errno != EEXIST)
		return ctx_fail(ctx, -errno, "cannot make %s in the run-time directory: %m",
				DIRECTORY);
	fd = openat(run, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return ctx_fail(ctx, -errno, "cannot open %s in the run-time directory: %m",
				DIRECTORY);
	return fd;
}

int records_peek(struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX];

	if (rundir_path(ctx, DIRECTORY, "", path, sizeof(path)))
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int write_file(int dir, const char *name, const struct binding *b)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	if ((b->driver && dprintf(fd, "driver %s\n", b->driver) < 0) ||
	    (b->override && dprintf(fd, "override %s\n", b->override) < 0))
		err = -errno;
	if (close(fd) && !err)
		err = -errno;
	return err;
}

int record_write(struct vfiomig_device *dev, int dir, const struct binding *b)
{
	char name[NAME_MAX + 1];
	int err;

	/* Write the file under another name first, so that unbind never finds a part of it. */
	snprintf(name, sizeof(name), ".%s", dev->name);
	err = write_file(dir, name, b);
	if (!err && renameat(dir, name, dir, dev->name))
		err = -errno;
	if (!err)
		return 0;
	unlinkat(dir, name, 0);
	return ctx_fail(dev->ctx, err, "cannot note what %s is bound to: %s", dev->name,
			strerror(-err));
}

/* @line is "driver NAME" or "override NAME". */
static int parse_line(struct binding *b, char *line)
{
	char *value = strchr(line, ' '), **to;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	value[strcspn(value, "\n")] = '\0';
	/* The names become parts of paths. */
	if (!*value || strchr(value, '/'))
		return -EINVAL;
	if (strcmp(line, "driver") == 0 && !b->driver)
		to = &b->driver;
	else if (strcmp(line, "override") == 0 && !b->override)
		to = &b->override;
	else
		return -EINVAL;
	*to = strdup(value);
	return *to ? 0 : -ENOMEM;
}

/* Returns 0, -EINVAL for a damaged record, or another negative errno. An empty record says that
 * there was no driver, so a record that cannot be read must not count as empty. */
static int parse_file(struct binding *b, FILE *f)
{
	char line[2 * NAME_MAX];
	int err = 0;

	while (!err && fgets(line, sizeof(line), f))
		err = parse_line(b, line);
	return !err && ferror(f) ? -errno : err;
}

static int fail_read(struct vfiomig_device *dev, int err)
{
	return ctx_fail(dev->ctx, err, "cannot read the note of what %s was bound to: %s",
			dev->name, strerror(-err));
}

int record_read(struct vfiomig_device *dev, int dir, struct binding *b)
{
	int fd, err;
	FILE *f;

	fd = dir < 0 ? -1 : openat(dir, dev->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (dir < 0 || errno == ENOENT))
		return -ENOENT;
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		err = fail_read(dev, -errno);
		close_fdp(&fd);
		return err;
	}
	err = parse_file(b, f);
	fclose(f);
	if (!err)
		return 0;
	binding_clear(b);
	if (err != -EINVAL)
		return fail_read(dev, err);
	return ctx_fail(
		dev->ctx, -EIO,
		"the note of what %s was bound to is damaged; remove it (%s/%s in the run-time directory) to let the kernel choose a driver",
		dev->name, DIRECTORY, dev->name);
}

bool record_exists(const struct vfiomig_device *dev, int dir)
{
	return faccessat(dir, dev->name, F_OK, 0) == 0;
}

void record_remove(const struct vfiomig_device *dev, int dir)
{
	unlinkat(dir, dev->name, 0);
}
