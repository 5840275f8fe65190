// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading and writing single files of sysfs. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"

int sysfs_is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* @target receives the target of the link @dir/@name. Returns its last component, or NULL and
 * errno. */
static const char *read_link(const char *dir, const char *name, char target[PATH_MAX])
{
	char path[PATH_MAX];
	const char *slash;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	n = readlink(path, target, PATH_MAX - 1);
	if (n < 0)
		return NULL;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return slash ? slash + 1 : target;
}

char *sysfs_link_name(const char *dir, const char *name)
{
	char target[PATH_MAX];
	const char *last = read_link(dir, name, target);

	return last ? strdup(last) : NULL;
}

bool sysfs_links_to(const char *dir, const char *name, const char *last)
{
	char target[PATH_MAX];
	const char *found = read_link(dir, name, target);

	return found && strcmp(found, last) == 0;
}

int sysfs_read_text(const char *dir, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int sysfs_read_number(const char *dir, const char *name, unsigned long *value)
{
	char text[32], *end;
	int err = sysfs_read_text(dir, name, text, sizeof(text));

	if (err)
		return err;
	*value = strtoul(text, &end, 0);
	return end == text ? -EINVAL : 0;
}

int sysfs_write(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* The kernel takes each write as a request of its own, so a short write cannot be
	 * continued. */
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

char *sysfs_first_entry(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct dirent *entry;
	char *first;
	DIR *d;
	int err;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return NULL;
	d = opendir(path);
	if (!d)
		return NULL;
	do
		entry = readdir(d);
	while (entry && !sysfs_is_visible(entry));
	first = entry ? strdup(entry->d_name) : NULL;
	err = entry ? errno : ENOENT;
	closedir(d);
	errno = err;
	return first;
}

bool sysfs_is_device(const char *dir)
{
	char drivers[PATH_MAX];

	/* Devices of a class (net, vfio-dev) have a subsystem too, but only a bus has drivers. */
	return snprintf(drivers, sizeof(drivers), "%s/subsystem/drivers", dir) <
		       (int)sizeof(drivers) &&
	       access(drivers, F_OK) == 0;
}

bool sysfs_has_device(const struct vfiomig_ctx *ctx, const char *path)
{
	char real[PATH_MAX], root[PATH_MAX];
	size_t length;

	if (!realpath(path, real) || !realpath(ctx->sysfs, root))
		return false;
	length = strlen(root);
	return strcmp(path, real) == 0 && strncmp(real, root, length) == 0 && real[length] == '/' &&
	       sysfs_is_device(real);
}
