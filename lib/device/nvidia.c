// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * NVIDIA's driver makes its nodes without telling sysfs. Which node belongs to a function is in a
 * file of procfs, and the major number is one of those that the kernel's list of devices
 * (Documentation/admin-guide/devices.txt) gives away for good.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "apart.h"
#include "nvidia.h"

#define MAJOR 195
#define LABEL "Device Minor:"

struct reading {
	char path[PATH_MAX];
	unsigned int minor;
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
	label = strstr(text, LABEL);
	r->err = label && sscanf(label + strlen(LABEL), "%u", &r->minor) == 1 ? 0 : -EINVAL;
}

int nvidia_get_node(const struct vfiomig_device *dev, dev_t *number)
{
	struct reading *r = apart_alloc(sizeof(*r));
	struct apart a;
	int err;

	if (!r)
		return -ENOMEM;
	r->err = -EIO;
	snprintf(r->path, sizeof(r->path), "%s/driver/nvidia/gpus/%s/information", dev->ctx->procfs,
		 dev->name);
	err = access(r->path, F_OK) ? -errno : apart_start(&a, read_minor, r);
	if (!err) {
		err = apart_wait(dev->ctx, &a, now_ns() + APART_PATIENCE);
		apart_end(&a);
	}
	if (!err)
		err = r->err;
	if (!err)
		*number = makedev(MAJOR, r->minor);
	apart_free(r, sizeof(*r));
	return err;
}
