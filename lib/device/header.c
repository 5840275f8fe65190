// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whether a PCI function answers at all. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "apart.h"
#include "header.h"

#define PATIENCE_S 1
#define SECOND	   1000000000ULL

struct reading {
	char path[PATH_MAX];
	uint8_t type;
	int err;
};

/* The kernel keeps the reader waiting as long as the function is reset, or wakes up. */
static void read_type(void *arg)
{
	struct reading *r = arg;
	_cleanup_close_ int fd = open(r->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, &r->type, 1, PCI_HEADER_TYPE);

	r->err = n < 0 ? -errno : n ? 0 : -ENODATA;
}

/* Somebody who resets the function has it, and the caller may wait for others. In seconds. */
static uint64_t patience(const struct vfiomig_device *dev)
{
	return PATIENCE_S + (uint64_t)dev->wait;
}

/* Returns 0 or a negative errno, without a sentence. */
static int read_apart(const struct vfiomig_device *dev, uint8_t *type)
{
	struct reading r = { .err = -EIO };
	int err;

	ctx_doing(dev->ctx, "a read of its configuration space");
	if (snprintf(r.path, sizeof(r.path), "%s/config", dev->sys.syspath) >= (int)sizeof(r.path))
		return -ENAMETOOLONG;
	/* A process that works apart has somebody who gives it up. */
	if (dev->ctx->account) {
		read_type(&r);
		err = 0;
	} else {
		err = apart_call(dev->ctx, read_type, &r, sizeof(r),
				 dev->wait < 0 ? UINT64_MAX : now_ns() + patience(dev) * SECOND);
	}
	*type = r.type;
	return err ? err : r.err;
}

static int fail_reading(const struct vfiomig_device *dev, int err)
{
	if (err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (err == -ETIMEDOUT)
		return ctx_fail(
			dev->ctx, -EBUSY,
			"busy: the kernel has not read the configuration space of %s within %" PRIu64
			" second%s; the function may be in a reset",
			dev->name, patience(dev), dev->wait ? "s" : "");
	if (err == -ENAMETOOLONG)
		return ctx_fail(dev->ctx, err, "the path of %s in sysfs is too long", dev->name);
	return ctx_fail(dev->ctx, err == -ENODATA ? -EIO : err,
			"cannot read the configuration space of %s: %s", dev->name,
			err == -ENODATA ? "it is too short" : strerror(-err));
}

/* The type is all ones where there is no function, which is what the bus returns then. */
static int check(const struct vfiomig_device *dev, uint8_t type)
{
	if (type != 0xff)
		return 0;
	return ctx_fail(
		dev->ctx, -EIO,
		"%s does not answer: its configuration space reads as all ones; it may be without power, or have failed or been removed",
		dev->name);
}

int header_read_type(const struct vfiomig_device *dev)
{
	uint8_t type;
	int err = read_apart(dev, &type);

	err = err ? fail_reading(dev, err) : check(dev, type);
	return err ? err : type;
}

int header_check(const struct vfiomig_device *dev)
{
	uint8_t type;
	int err = read_apart(dev, &type);

	if (!err)
		return check(dev, type);
	/* Another failure says nothing about the function. */
	return err == -EINTR || err == -ETIMEDOUT ? fail_reading(dev, err) : 0;
}
