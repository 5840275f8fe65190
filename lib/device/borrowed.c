// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that a process has open already: another one, which the name "pid:PID/..." tells, or the
 * caller itself ("fd:N", or descriptors that are handed over).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cdev.h"
#include "device.h"
#include "name.h"
#include "origin.h"
#include "process.h"

#define LIST_SIZE 256

/* The number that @text begins with, up to the character @end; negative if there is none. @rest
 * receives what comes after that. */
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

/* A duplicate of descriptor @fd, which is the caller's or that of the process of @origin. */
static int take(struct vfiomig_ctx *ctx, const struct origin *origin, int fd)
{
	int own;

	if (origin->backend == &backend_process)
		return process_take_fd(ctx, origin->pid, fd);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0 && errno == EBADF)
		return ctx_fail(ctx, -ENOENT, "descriptor %d is not open", fd);
	return own < 0 ? ctx_fail(ctx, -errno, "cannot duplicate descriptor %d: %m", fd) : own;
}

/* The devices of sysfs that descriptor origin->fd can be. */
static int identify(struct vfiomig_ctx *ctx, const struct origin *origin, struct identity *identity)
{
	_cleanup_close_ int fd = take(ctx, origin, origin->fd);

	if (fd < 0)
		return fd;
	return identity_find(ctx, origin->pid, fd, identity);
}

/* ---- Of another process -------------------------------------------------- */

/* "pid:PID/fd:N" or "pid:PID/DEV"; @device receives DEV, or NULL for the former. */
static int parse(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		 const char **device)
{
	const char *rest;

	*device = NULL;
	origin->pid = number_at(name + strlen("pid:"), '/', &rest);
	if (origin->pid > 0 && strncmp(rest, "fd:", 3) == 0) {
		origin->fd = number_at(rest + 3, '\0', &rest);
		if (origin->fd >= 0)
			return 0;
	} else if (origin->pid > 0 && *rest) {
		*device = rest;
		return 0;
	}
	return ctx_fail(
		ctx, -EINVAL,
		"'%s' does not name a device of a process; give pid:PID/DEV or pid:PID/fd:N", name);
}

static int process_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
			struct identity *identity)
{
	_cleanup_free_ char *syspath = NULL;
	const char *device;
	int err = parse(ctx, name, origin, &device);

	if (err)
		return err;
	if (!device)
		return identify(ctx, origin, identity);
	err = name_to_syspath(ctx, device, &syspath);
	return err ? err : identity_add(ctx, identity, syspath);
}

/* For a device among the descriptors of its owner. */
struct search {
	struct vfiomig_device *dev;
	int certain;  /* a descriptor that is the device, or -1 */
	int possible; /* the number of descriptors that may be the device */
	char list[LIST_SIZE];
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
	/* The owner may have closed it just now. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	/* Nobody uses a cdev before it is bound. */
	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &info))
		return 0;
	err = identity_find(dev->ctx, dev->origin.pid, fd, &identity);
	if (!err && identity_has(&identity, dev->sys.syspath)) {
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

/* Take descriptor @number into dev->fd. */
static int take_device(struct vfiomig_device *dev, int number)
{
	struct identity identity;
	int err, fd = take(dev->ctx, &dev->origin, number);

	if (fd < 0)
		return fd;
	dev->fd = fd;
	/* The number may have been given to something else since the device was looked up. */
	err = identity_find(dev->ctx, dev->origin.pid, fd, &identity);
	if (!err && dev->sys.syspath && !identity_has(&identity, dev->sys.syspath))
		err = ctx_fail(dev->ctx, -ENOENT, "descriptor %d is not %s any more", number,
			       dev->name);
	identity_free(&identity);
	return err;
}

/* A cdev that was opened with VFIOMIG_OPEN_UNBOUND, and that nobody has bound since. */
static bool is_unbound(const struct vfiomig_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct stat st;

	return ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info) && fstat(dev->fd, &st) == 0 &&
	       S_ISCHR(st.st_mode);
}

static int process_open(struct vfiomig_device *dev)
{
	int err, number = dev->origin.fd >= 0 ? dev->origin.fd : find_in_process(dev);

	if (number < 0)
		return number;
	err = take_device(dev, number);
	if (err)
		return err;
	if (!is_unbound(dev))
		return 0;
	return ctx_fail(dev->ctx, -EBUSY, "process %d has not bound the device to an iommufd yet",
			dev->origin.pid);
}

const struct backend backend_process = {
	.name = "process",
	.flags = BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE | BACKEND_OWNER_HAS_REGISTERS |
		 BACKEND_OWNER_EXPECTS_STATE,
	.prefix = "pid:",
	.find = process_find,
	.open = process_open,
};

EXPORT bool vfiomig_device_owner_runs(const struct vfiomig_device *dev)
{
	return dev->origin.backend == &backend_process &&
	       process_is_busy(dev->ctx, dev->origin.pid);
}

int device_get_owner(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	if (dev->origin.backend != &backend_process)
		return ctx_fail(dev->ctx, -ENOENT, "%s was not named as that of a process",
				dev->name);
	*pid = dev->origin.pid;
	process_comm(dev->ctx, *pid, comm);
	return 0;
}

/* ---- Of the caller ------------------------------------------------------- */

static int fd_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		   struct identity *identity)
{
	const char *rest;

	origin->pid = getpid();
	origin->fd = number_at(name + strlen("fd:"), '\0', &rest);
	if (origin->fd < 0)
		return ctx_fail(ctx, -EINVAL,
				"'%s' does not name a descriptor; give its number, as in fd:3",
				name);
	return identify(ctx, origin, identity);
}

/* @to receives a duplicate of @fd, if that is one. */
static int duplicate(struct vfiomig_ctx *ctx, const struct origin *origin, int fd, int *to)
{
	int own = fd < 0 ? -1 : take(ctx, origin, fd);

	if (fd >= 0 && own < 0)
		return own == -ENOENT ? ctx_fail(ctx, -EBADF, "descriptor %d is not open", fd)
				      : own;
	*to = own;
	return 0;
}

int origin_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *fds, struct origin *origin,
		    struct identity *identity)
{
	struct vfiomig_fds *given = &origin->given;
	int err;

	*origin = (struct origin){ .backend = &backend_fd, .pid = getpid(), .given = FDS_NONE };
	*identity = (struct identity){ .count = 0 };
	err = duplicate(ctx, origin, fds->device, &given->device);
	if (!err)
		err = duplicate(ctx, origin, fds->iommufd, &given->iommufd);
	if (!err)
		err = duplicate(ctx, origin, fds->group, &given->group);
	if (!err)
		err = duplicate(ctx, origin, fds->container, &given->container);
	origin->fd = given->device;
	return err ? err : identify(ctx, origin, identity);
}

static int fd_open(struct vfiomig_device *dev)
{
	const struct vfiomig_fds *given = &dev->origin.given;
	int err = take_device(dev, dev->origin.fd);

	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->iommufd, &dev->iommufd);
	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->group, &dev->group_fd);
	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->container, &dev->container);
	if (!err && is_unbound(dev))
		err = cdev_bind(dev);
	return err;
}

const struct backend backend_fd = {
	.name = "descriptor",
	.flags = BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE,
	.prefix = "fd:",
	.find = fd_find,
	.open = fd_open,
};
