// SPDX-License-Identifier: LGPL-2.1-or-later
/* The nodes in /dev that a function has by its driver. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "apart.h"
#include "nodes.h"

static int add(struct nodes *nodes, mode_t type, dev_t number)
{
	struct node_number *list = reallocarray(nodes->list, nodes->count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	nodes->list = list;
	list[nodes->count++] = (struct node_number){ .type = type, .number = number };
	return 0;
}

/* ---- Those that sysfs knows ---------------------------------------------- */

static bool is_below(const struct vfiomig_device *dev, const char *path)
{
	size_t length = strlen(dev->sys.syspath);
	char real[PATH_MAX];

	return realpath(path, real) && strncmp(real, dev->sys.syspath, length) == 0 &&
	       real[length] == '/';
}

/* @kind is "char" or "block". */
static int add_known(const struct vfiomig_device *dev, struct nodes *nodes, const char *kind,
		     mode_t type)
{
	char dir[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];
	unsigned int major, minor;
	struct dirent *entry;
	int err = 0;
	DIR *d;

	snprintf(dir, sizeof(dir), "%s/dev/%s", dev->ctx->sysfs, kind);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (entry = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (sscanf(entry->d_name, "%u:%u", &major, &minor) == 2 && is_below(dev, path))
			err = add(nodes, type, makedev(major, minor));
	}
	closedir(d);
	return err;
}

/* ---- NVIDIA's ------------------------------------------------------------ */

/*
 * NVIDIA's driver makes its nodes without telling sysfs. Which node belongs to a function is in a
 * file of procfs, and the major number is one of those that the kernel's list of devices
 * (Documentation/admin-guide/devices.txt) gives away for good.
 */
#define NVIDIA_MAJOR 195
#define NVIDIA_LABEL "Device Minor:"
#define NVIDIA_MAX   254 /* 255 is /dev/nvidiactl, which all functions share */

struct reading {
	char path[PATH_MAX];
	unsigned int first, last; /* the minor numbers that may be the function's */
	int err;
};

/* A driver that resets its device may keep the reader waiting, so this runs apart. */
static void read_minor(void *arg)
{
	_cleanup_close_ int fd = -1;
	struct reading *r = arg;
	char text[4096], *label;
	ssize_t n;

	fd = open(r->path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0) {
		r->err = -errno;
		return;
	}
	text[n] = '\0';
	label = strstr(text, NVIDIA_LABEL);
	r->err = 0;
	/* A driver that does not tell it: any of the nodes may be this function's. */
	r->last = NVIDIA_MAX;
	if (label && sscanf(label + strlen(NVIDIA_LABEL), "%u", &r->first) == 1)
		r->last = r->first;
}

static int add_nvidia(const struct vfiomig_device *dev, struct nodes *nodes)
{
	struct reading r = { .err = -EIO };
	int err;

	snprintf(r.path, sizeof(r.path), "%s/driver/nvidia/gpus/%s/information", dev->ctx->procfs,
		 dev->name);
	err = access(r.path, F_OK)
		      ? -errno
		      : apart_call(dev->ctx, read_minor, &r, sizeof(r), now_ns() + APART_PATIENCE);
	if (!err)
		err = r.err;
	for (unsigned int n = r.first; !err && n <= r.last; n++)
		err = add(nodes, S_IFCHR, makedev(NVIDIA_MAJOR, n));
	return err == -ENOENT ? 0 : err;
}

/* ---- All ----------------------------------------------------------------- */

int nodes_read(const struct vfiomig_device *dev, struct nodes *nodes)
{
	int char_err, block_err, nvidia_err;

	*nodes = (struct nodes){ .count = 0 };
	char_err = add_known(dev, nodes, "char", S_IFCHR);
	block_err = add_known(dev, nodes, "block", S_IFBLK);
	nvidia_err = add_nvidia(dev, nodes);
	return char_err ?: block_err ?: nvidia_err;
}

void nodes_free(struct nodes *nodes)
{
	free(nodes->list);
	*nodes = (struct nodes){ .count = 0 };
}

bool nodes_have(const struct nodes *nodes, mode_t type, dev_t number)
{
	for (size_t i = 0; i < nodes->count; i++)
		if (nodes->list[i].type == type && nodes->list[i].number == number)
			return true;
	return false;
}
