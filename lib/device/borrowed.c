// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Devices that a process has open already: another one, which the name "pid:PID/..." tells, or the
 * caller itself ("fd:N", or descriptors that are handed over).
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

/* Take descriptor origin->fd, which is kept: its number may be given to another file before the
 * device is opened. @identity receives the devices of sysfs that it can be. */
static int identify(struct vfiomig_ctx *ctx, struct origin *origin, struct identity *identity)
{
	int fd = take(ctx, origin, origin->fd);

	if (fd < 0)
		return fd;
	origin->given.device = fd;
	return identity_find(ctx, origin->pid, fd, identity);
}

/* Open the device by a duplicate of the descriptor that was kept. */
static int open_kept(struct vfiomig_device *dev)
{
	int fd = fcntl(dev->origin.given.device, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return ctx_fail(dev->ctx, -errno, "cannot duplicate descriptor %d: %m",
				dev->origin.given.device);
	dev->fd = fd;
	return 0;
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

/* A cdev that nobody has bound to an iommufd: its device cannot be used. */
static bool is_unbound(const struct vfiomig_device *dev, int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct stat st;

	return ctx_ioctl(dev->ctx, fd, VFIO_DEVICE_GET_INFO, &info) && fstat(fd, &st) == 0 &&
	       S_ISCHR(st.st_mode);
}

/* For a device among the descriptors of its owner. */
struct search {
	struct vfiomig_device *dev;
	int pid;
	int fd, number; /* a duplicate of the first one that is the device for certain, or -1 */
	int possible;	/* how many descriptors may be the device */
	bool unbound;	/* one is, and cannot be used yet */
	char list[LIST_SIZE];
};

#define MORE ", ..."

/* Add a descriptor to the list, or "..." if there is no room for it. */
static void add_to_list(struct search *search, int number)
{
	/* There always is room for the dots. */
	size_t length = strlen(search->list), left = LIST_SIZE - strlen(MORE) - length;

	if (length && search->list[length - 1] == '.')
		return;
	if (snprintf(search->list + length, left, "%spid:%d/fd:%d", length ? ", " : "", search->pid,
		     number) >= (int)left)
		strcpy(search->list + length, MORE);
}

static int consider(void *data, int number, const char *target)
{
	struct search *search = data;
	struct vfiomig_device *dev = search->dev;
	_cleanup_close_ int fd = -1;
	struct identity identity;
	int err;

	if (!identity_may_be_device(target))
		return 0;
	fd = process_take_fd(dev->ctx, search->pid, number);
	/* The owner may have closed it just now. */
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return fd;
	err = identity_find(dev->ctx, search->pid, fd, &identity);
	if (!err && !identity_has(&identity, dev->sys.syspath)) {
		identity_free(&identity);
		return 0;
	}
	if (!err && is_unbound(dev, fd)) {
		search->unbound = true;
	} else if (!err) {
		search->possible++;
		add_to_list(search, number);
		if (identity.count == 1 && search->fd < 0) {
			search->fd = fd;
			search->number = number;
			fd = -1;
		}
	}
	identity_free(&identity);
	if (!err || err == -ENOTTY)
		return 0;
	return ctx_fail(dev->ctx, err, "descriptor %d of process %d: %s", number, search->pid,
			ctx_sentence(dev->ctx));
}

static int fail_unbound(const struct vfiomig_device *dev, int pid)
{
	return ctx_fail(dev->ctx, -EBUSY, "process %d has not bound the device to an iommufd yet",
			pid);
}

int device_find_in_process(struct vfiomig_device *dev, int pid, int *number)
{
	struct search search = { .dev = dev, .pid = pid, .fd = -1, .number = -1 };
	char comm[16];
	int err = process_foreach_fd(dev->ctx, pid, consider, &search);

	*number = search.number;
	if (search.fd >= 0) {
		if (!err)
			return search.fd;
		close(search.fd);
	}
	if (err)
		return err;
	if (!search.possible && search.unbound)
		return fail_unbound(dev, pid);
	process_comm(dev->ctx, pid, comm);
	if (!search.possible)
		return ctx_fail(dev->ctx, -ENOENT, "process %d (%s) has not got %s open", pid, comm,
				dev->name);
	return ctx_fail(dev->ctx, -ENOTUNIQ,
			"cannot tell which descriptor of process %d (%s) is %s; it may be %s", pid,
			comm, dev->name, search.list);
}

static int find_in_process(struct vfiomig_device *dev)
{
	int fd = device_find_in_process(dev, dev->origin.pid, &dev->owner_fd);

	if (fd < 0)
		return fd;
	dev->fd = fd;
	return 0;
}

/* Whether @fd and the descriptor that was kept are the same file, as far as the kernel tells. */
static bool is_kept(const struct vfiomig_device *dev, int fd)
{
	struct identity identity;
	bool same;
	long order = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, fd, dev->origin.given.device);

	if (order >= 0)
		return order == 0;
	/* The kernel has no kcmp(2), or does not permit it. */
	same = identity_find(dev->ctx, dev->origin.pid, fd, &identity) == 0 &&
	       identity.count == dev->identity.count;
	for (size_t i = 0; same && i < identity.count; i++)
		same = identity_has(&dev->identity, identity.syspath[i]);
	identity_free(&identity);
	return same;
}

/* The owner must have the device still: the session would end with this command. */
static int check_owner(const struct vfiomig_device *dev)
{
	int number = dev->origin.fd;
	_cleanup_close_ int fd = process_take_fd(dev->ctx, dev->origin.pid, number);

	if (fd < 0)
		return fd;
	if (is_kept(dev, fd))
		return 0;
	return ctx_fail(dev->ctx, -ENOENT, "descriptor %d of process %d is not %s any more", number,
			dev->origin.pid, dev->name);
}

static int open_named_fd(struct vfiomig_device *dev)
{
	int err = check_owner(dev);

	dev->owner_fd = dev->origin.fd;
	return err ? err : open_kept(dev);
}

static int process_open(struct vfiomig_device *dev)
{
	int err = dev->origin.fd >= 0 ? open_named_fd(dev) : find_in_process(dev);

	if (err || !is_unbound(dev, dev->fd))
		return err;
	return fail_unbound(dev, dev->origin.pid);
}

/* If the owner has closed the device meanwhile, the session ends here. */
static int process_close(struct vfiomig_device *dev)
{
	int number = dev->owner_fd, fd;

	dev->owner_fd = -1;
	if (number < 0)
		return 0;
	fd = process_take_fd(dev->ctx, dev->origin.pid, number);
	close_fdp(&fd);
	if (fd != -ESRCH && fd != -ENOENT)
		return 0;
	return ctx_fail(dev->ctx, -EOWNERDEAD,
			"process %d has closed the device meanwhile: its state is lost",
			dev->origin.pid);
}

const struct backend backend_process = {
	.name = "process",
	.flags = BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE | BACKEND_OWNER_HAS_REGISTERS |
		 BACKEND_OWNER_EXPECTS_STATE,
	.prefix = "pid:",
	.find = process_find,
	.open = process_open,
	.close = process_close,
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
	return err ? err : identity_find(ctx, origin->pid, given->device, identity);
}

static int fd_open(struct vfiomig_device *dev)
{
	const struct vfiomig_fds *given = &dev->origin.given;
	int err = open_kept(dev);

	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->iommufd, &dev->iommufd);
	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->group, &dev->group_fd);
	if (!err)
		err = duplicate(dev->ctx, &dev->origin, given->container, &dev->container);
	if (!err && is_unbound(dev, dev->fd))
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
