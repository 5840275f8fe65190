// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that somebody has open already: named by who has them, and taken from
 * there.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cdev.h"
#include "holder/held.h"
#include "identity.h"
#include "name.h"
#include "process.h"
#include "sysfs.h"

#define LIST_SIZE 256

/* A number at the start of @text, up to @end: negative if there is none. */
static int number_at(const char *text, char end, const char **rest)
{
	char *stop;
	long value = strtol(text, &stop, 10);

	if (stop == text || *stop != end || value < 0 || value > INT_MAX || text[0] < '0' ||
	    text[0] > '9')
		return -1;
	*rest = *stop ? stop + 1 : stop;
	return value;
}

/*
 * Split a name into where the device is, and what it is called there: NULL if
 * only the descriptor can tell.
 */
static int parse(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		 const char **device)
{
	const char *rest;

	*origin = (struct origin){ .kind = ORIGIN_SYSFS, .fd = -1 };
	*device = name;
	if (strncmp(name, "unix:", 5) == 0 && name[5]) {
		origin->kind = ORIGIN_SOCKET;
		origin->path = strdup(name + 5);
		*device = NULL;
		return origin->path ? 0 : -ENOMEM;
	}
	if (strncmp(name, "fd:", 3) == 0) {
		origin->kind = ORIGIN_FD;
		origin->pid = getpid();
		origin->fd = number_at(name + 3, '\0', &rest);
		*device = NULL;
		return origin->fd < 0
			       ? ctx_fail(
					 ctx, -EINVAL,
					 "'%s' does not name a descriptor; give its number, as in fd:3",
					 name)
			       : 0;
	}
	if (strncmp(name, "pid:", 4) != 0)
		return 0;
	origin->kind = ORIGIN_PROCESS;
	origin->pid = number_at(name + 4, '/', &rest);
	if (origin->pid > 0 && strncmp(rest, "fd:", 3) == 0) {
		origin->fd = number_at(rest + 3, '\0', device);
		*device = NULL;
	} else if (origin->pid > 0) {
		*device = rest;
	}
	if (origin->pid > 0 && (*device ? **device != '\0' : origin->fd >= 0))
		return 0;
	return ctx_fail(
		ctx, -EINVAL,
		"'%s' does not name a device of a process; give pid:PID/DEV or pid:PID/fd:N", name);
}

/* Our own duplicate of the descriptor that @origin names. */
static int take(struct vfiomig_ctx *ctx, const struct origin *origin, int fd)
{
	int own;

	if (origin->kind == ORIGIN_PROCESS)
		return process_take_fd(ctx, origin->pid, fd);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0 && errno == EBADF)
		return ctx_fail(ctx, -ENOENT, "descriptor %d is not open", fd);
	return own < 0 ? ctx_fail(ctx, -errno, "cannot duplicate descriptor %d: %m", fd) : own;
}

/* The devices in sysfs that the descriptor can be. */
static int identify(struct vfiomig_ctx *ctx, const struct origin *origin, struct identity *identity)
{
	_cleanup_close_ int fd = take(ctx, origin, origin->fd);

	if (fd < 0)
		return fd;
	return identity_find(ctx, origin->pid, fd, identity);
}

int origin_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		struct identity *identity)
{
	struct wire_reply reply;
	char *syspath = NULL;
	const char *device;
	int err = parse(ctx, name, origin, &device);

	*identity = (struct identity){ .count = 0 };
	if (err)
		return err;
	if (origin->fd >= 0)
		return identify(ctx, origin, identity);
	if (device)
		err = name_to_syspath(ctx, device, &syspath);
	else
		err = held_query(ctx, origin->path, &reply);
	if (err)
		return err;
	if (!device && !sysfs_has_device(ctx, reply.syspath))
		return ctx_fail(ctx, -EPROTO, "%s serves something that is not in %s", origin->path,
				ctx->sysfs);
	if (!device)
		syspath = strdup(reply.syspath);
	identity->syspath = malloc(sizeof(*identity->syspath));
	if (!identity->syspath || !syspath) {
		free(syspath);
		return ctx_fail(ctx, -ENOMEM, "out of memory");
	}
	identity->syspath[identity->count++] = syspath;
	return 0;
}

/* ---- Among the descriptors of a process ---------------------------------- */

struct search {
	struct vfiomig_device *dev;
	int certain; /* a descriptor that is the device, or -1 */
	int possible;
	char list[LIST_SIZE]; /* of those that may be it */
};

static int consider(void *data, int number, const char *target)
{
	struct search *search = data;
	struct vfiomig_device *dev = search->dev;
	struct vfio_device_info info = { .argsz = sizeof(info) };
	_cleanup_close_ int fd = -1;
	struct identity identity;
	size_t length = strlen(search->list);
	int err;

	if (!identity_is_device(target))
		return 0;
	fd = process_take_fd(dev->ctx, dev->origin.pid, number);
	/* It may have been closed just now. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	/* A cdev that is not bound is open, but nobody uses it. */
	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &info))
		return 0;
	err = identity_find(dev->ctx, dev->origin.pid, fd, &identity);
	if (!err && identity_has(&identity, dev->syspath)) {
		if (identity.count == 1 && search->certain < 0)
			search->certain = number;
		search->possible++;
		snprintf(search->list + length, LIST_SIZE - length, "%spid:%d/fd:%d",
			 length ? ", " : "", dev->origin.pid, number);
	}
	identity_free(&identity);
	return err == -ENOTTY ? 0 : err;
}

static int find_in_process(struct vfiomig_device *dev)
{
	struct search search = { .dev = dev, .certain = -1 };
	char comm[16];
	int err = process_foreach_fd(dev->ctx, dev->origin.pid, consider, &search);

	if (err)
		return err;
	if (search.certain >= 0)
		return search.certain;
	process_comm(dev->ctx, dev->origin.pid, comm);
	if (!search.possible)
		return ctx_fail(dev->ctx, -ENOENT, "process %d (%s) has not got %s open",
				dev->origin.pid, comm, dev->name);
	return ctx_fail(dev->ctx, -ENOTUNIQ,
			"cannot tell which descriptor of process %d (%s) is %s; it may be %s",
			dev->origin.pid, comm, dev->name, search.list);
}

/* ---- Back ends ----------------------------------------------------------- */

/* A cdev of "vfiomig exec" is not bound, see vfiomig_device_open_unbound(). */
static int bind_if_unbound(struct vfiomig_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct stat st;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info) == 0 || fstat(dev->fd, &st) ||
	    !S_ISCHR(st.st_mode))
		return 0;
	if (dev->origin.kind == ORIGIN_FD)
		return cdev_bind(dev);
	return ctx_fail(dev->ctx, -EBUSY, "process %d has not bound the device to an iommufd yet",
			dev->origin.pid);
}

static int borrowed_open(struct vfiomig_device *dev)
{
	int number = dev->origin.fd >= 0 ? dev->origin.fd : find_in_process(dev);
	struct identity identity;
	int err;

	if (number < 0)
		return number;
	dev->fd = take(dev->ctx, &dev->origin, number);
	if (dev->fd < 0) {
		err = dev->fd;
		dev->fd = -1;
		return err;
	}
	/* The number may have been given to something else meanwhile. */
	err = identity_find(dev->ctx, dev->origin.pid, dev->fd, &identity);
	if (!err && dev->syspath && !identity_has(&identity, dev->syspath))
		err = ctx_fail(dev->ctx, -ENOENT, "descriptor %d is not %s any more", number,
			       dev->name);
	identity_free(&identity);
	return err ? err : bind_if_unbound(dev);
}

const struct backend backend_process = {
	.name = "process",
	.open = borrowed_open,
	.borrows = true,
};

const struct backend backend_fd = {
	.name = "descriptor",
	.open = borrowed_open,
	.borrows = true,
};

EXPORT int vfiomig_device_get_owner(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	if (dev->origin.kind != ORIGIN_PROCESS)
		return -ENOENT;
	*pid = dev->origin.pid;
	process_comm(dev->ctx, *pid, comm);
	return 0;
}

EXPORT bool vfiomig_device_owner_runs(const struct vfiomig_device *dev)
{
	return dev->origin.kind == ORIGIN_PROCESS && process_is_busy(dev->ctx, dev->origin.pid);
}
