// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which process has a device open. Nodes are told apart by their device numbers, for in another
 * root directory or mount namespace a node can have any name.
 *
 * A descriptor may be of a file on a server that does not answer. So a process of its own looks at
 * the descriptors, see apart.h. If it gets stuck at one, another one goes on behind that.
 */
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "apart.h"
#include "listing.h"
#include "opener.h"
#include "process.h"
#include "sysfs.h"

#define OPENERS_MAX 65536
#define STUCK_NS    200000000ULL  /* before a descriptor is passed over */
#define SURE_NS	    2000000000ULL /* the same where that has consequences */
#define LOOK_NS	    1000000000ULL /* for one device */
#define QUIET_NS    3000000000ULL /* before the notice */

/* A node that a process has open. */
struct opener {
	int pid;
	mode_t type; /* S_IFCHR, S_IFBLK, or 0 if only the name is known */
	dev_t number;
	char name[40]; /* in /dev, if that could be read and is not too long */
};

struct openers {
	const struct vfiomig_ctx *ctx;
	int self; /* the process that asks may be about to open the device itself */
	/* Where the look is: the process and the descriptor, or -1. */
	_Atomic int pid, fd;
	_Atomic bool full, done;
	_Atomic int err;
	/* What did not answer: the descriptor of a process, or -1 for all of them. The process is 0
	 * if there was nothing like that. */
	int stuck_pid, stuck_fd;
	_Atomic size_t count;
	struct opener list[OPENERS_MAX];
};

/* ---- The look, in a process of its own ----------------------------------- */

/* The name of the node in /dev, "" if it has none, or if the link cannot be read (a path may be too
 * long). Returns false if the descriptor is gone, or is of no path. */
static bool read_name(const struct openers *o, int dir, const char *link, char name[40])
{
	size_t length = strlen(o->ctx->devfs);
	char target[PATH_MAX], *deleted;
	ssize_t n = readlinkat(dir, link, target, sizeof(target) - 1);

	name[0] = '\0';
	if (n < 0)
		return errno != ENOENT;
	target[n] = '\0';
	if (!process_fd_is_path(target))
		return false;
	deleted = strstr(target, " (deleted)");
	if (deleted)
		*deleted = '\0';
	if (strncmp(target, o->ctx->devfs, length) == 0 && target[length] == '/' &&
	    strlen(target + length + 1) < 40)
		strcpy(name, target + length + 1);
	return true;
}

/* A process may have the same node open any number of times. */
static bool is_noted(const struct openers *o, const struct opener *found, size_t first)
{
	for (size_t i = first; i < o->count; i++)
		if (o->list[i].type == found->type && o->list[i].number == found->number &&
		    (found->type || strcmp(o->list[i].name, found->name) == 0))
			return true;
	return false;
}

static void note(struct openers *o, const struct opener *found)
{
	size_t n = o->count;

	if (n == OPENERS_MAX) {
		o->full = true;
		return;
	}
	o->list[n] = *found;
	o->count = n + 1;
}

/* The link of a descriptor is read only where it tells more than the file's type: most descriptors
 * are of no node, or of one that was seen. */
static void look_at_fd(struct openers *o, int dir, const char *link, size_t first)
{
	struct opener found = { .pid = o->pid };
	bool known = process_fd_type(dir, link, &found.type, &found.number);

	if (known &&
	    ((found.type != S_IFCHR && found.type != S_IFBLK) || is_noted(o, &found, first)))
		return;
	if (!read_name(o, dir, link, found.name))
		return;
	if (known || (strncmp(found.name, "vfio/", 5) == 0 && !is_noted(o, &found, first)))
		note(o, &found);
}

static void look_at_process(struct openers *o, int pid, int after)
{
	struct listing l;
	const char *entry;
	char path[PATH_MAX];
	size_t first = o->count;

	snprintf(path, sizeof(path), "%s/%d/fd", o->ctx->procfs, pid);
	listing_open(&l, path);
	if (l.fd < 0 && is_exhausted(errno))
		o->err = -errno;
	while ((entry = listing_next(&l))) {
		int fd = entry[0] == '.' ? -1 : atoi(entry);

		if (fd <= after)
			continue;
		o->fd = fd;
		look_at_fd(o, l.fd, entry, first);
	}
	close_fdp(&l.fd);
}

static void look(void *arg)
{
	struct openers *o = arg;
	int from = o->pid, after = o->fd;
	struct listing l;
	const char *entry;

	listing_open(&l, o->ctx->procfs);
	if (l.fd < 0)
		o->err = -errno;
	while ((entry = listing_next(&l))) {
		int pid = atoi(entry);

		/* The kernel lists processes, and their descriptors, in the order of their numbers.
		 */
		if (pid <= 0 || pid == o->self || pid < from)
			continue;
		o->fd = -1;
		o->pid = pid;
		look_at_process(o, pid, pid == from ? after : -1);
	}
	o->done = true;
}

/* ---- Having it looked ---------------------------------------------------- */

/* How long to look. */
struct patience {
	struct vfiomig_ctx *ctx;
	bool back;	   /* an interruption does not end it */
	uint64_t until;	   /* when to give up */
	uint64_t stuck;	   /* how long to wait for one descriptor */
	uint64_t quiet;	   /* when to give the notice */
	const char *whose; /* the device that the notice is about */
};

static void give_notice(struct patience *p)
{
	if (now_ns() < p->quiet)
		return;
	p->quiet = UINT64_MAX;
	ctx_notice(p->ctx, "still looking for processes that have %s open, at all descriptors",
		   p->whose);
}

/* Wait while the process that looks gets on. Returns 0 or -EINTR, -ETIMEDOUT when the time is over,
 * or -EAGAIN when it is stuck. */
static int watch(struct patience *p, const struct openers *o, const struct apart *a)
{
	uint64_t since = now_ns(), next;
	int pid = o->pid, fd = o->fd, err;

	for (;;) {
		next = now_ns() + STUCK_NS;
		err = apart_wait(p->back ? NULL : p->ctx, a, next < p->until ? next : p->until);
		if (err != -ETIMEDOUT || now_ns() >= p->until)
			return err;
		give_notice(p);
		if (o->pid != pid || o->fd != fd || apart_is_running(p->ctx, a))
			since = now_ns();
		else if (now_ns() - since >= p->stuck)
			return -EAGAIN;
		pid = o->pid;
		fd = o->fd;
	}
}

static void pass_over(const struct patience *p, struct openers *o)
{
	ctx_log(p->ctx, "passed over descriptor %d of process %d, which does not answer", o->fd,
		o->pid);
	if (!o->stuck_pid) {
		o->stuck_pid = o->pid;
		o->stuck_fd = o->fd;
	}
	/* Opening the directory got stuck, and not a descriptor in it. */
	if (o->fd < 0)
		o->pid++;
}

static int look_with(struct patience *p, struct openers **openers)
{
	struct openers *o = apart_alloc(sizeof(*o));
	struct apart a;
	int err;

	*openers = o;
	if (!o)
		return -ENOMEM;
	o->ctx = p->ctx;
	o->self = getpid();
	o->fd = -1;
	do {
		err = apart_start(&a, look, o);
		if (!err)
			err = watch(p, o, &a);
		apart_end(&a);
		if (err == -EAGAIN)
			pass_over(p, o);
	} while (err == -EAGAIN);
	if (!err && !o->done)
		return -EIO;
	if (!err && o->full)
		return -E2BIG;
	return err ? err : o->err;
}

int openers_look(struct vfiomig_ctx *ctx, uint64_t until, struct openers **openers)
{
	struct patience p = { .ctx = ctx, .until = until, .stuck = STUCK_NS, .quiet = UINT64_MAX };

	return look_with(&p, openers);
}

int openers_look_back(struct vfiomig_ctx *ctx, uint64_t until, struct openers **openers)
{
	struct patience p = {
		.ctx = ctx, .until = until, .stuck = STUCK_NS, .quiet = UINT64_MAX, .back = true
	};

	return look_with(&p, openers);
}

void openers_free(struct openers *o)
{
	apart_free(o, sizeof(*o));
}

/* ---- One look for all functions ------------------------------------------ */

int look_make(struct look *look, struct vfiomig_device *dev, bool back)
{
	struct patience p = {
		.ctx = dev->ctx,
		.back = back,
		.until = UINT64_MAX,
		.stuck = SURE_NS,
		.quiet = now_ns() + QUIET_NS,
		.whose = dev->name,
	};

	if (look->made)
		return look->err;
	look->made = true;
	look->err = look_with(&p, &look->openers);
	if (!look->err && look->openers->stuck_pid)
		look->err = -ETIMEDOUT;
	return look->err;
}

int look_fail(const struct look *look, struct vfiomig_device *dev, const char *hint)
{
	const struct openers *o = look->openers;
	char what[64] = "list the descriptors", comm[16];

	if (look->err == -EINTR)
		return ctx_fail_interrupted(dev->ctx);
	if (look->err != -ETIMEDOUT)
		return ctx_fail(
			dev->ctx, look->err,
			"cannot tell whether %s is in use: cannot look at the descriptors of all processes: %s%s",
			dev->name, strerror(-look->err), hint);
	if (o->stuck_fd >= 0)
		snprintf(what, sizeof(what), "tell what is descriptor %d", o->stuck_fd);
	process_comm(dev->ctx, o->stuck_pid, comm);
	return ctx_fail(
		dev->ctx, look->err,
		"cannot tell whether %s is in use: the kernel does not %s of process %d (%s)%s",
		dev->name, what, o->stuck_pid, comm, hint);
}

void look_clear(struct look *look)
{
	openers_free(look->openers);
	*look = (struct look){ .made = false };
}

/* ---- What was seen ------------------------------------------------------- */

/* The number in the file "dev" of a directory of sysfs; 0 if there is none. */
static dev_t number_of(const struct vfiomig_ctx *ctx, const char *class, const char *name)
{
	char dir[PATH_MAX], text[32];
	unsigned int major, minor;

	snprintf(dir, sizeof(dir), "%s/class/%s/%s", ctx->sysfs, class, name);
	if (sysfs_read_text(dir, "dev", text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

static int opener_of_node(const struct openers *o, dev_t number, const char *name)
{
	for (size_t i = 0; i < o->count; i++) {
		const struct opener *opener = &o->list[i];

		if (opener->type == S_IFCHR && number ? opener->number == number
						      : strcmp(opener->name, name) == 0)
			return opener->pid;
	}
	return 0;
}

int openers_of_device(const struct openers *o, const struct vfiomig_device *dev)
{
	char group[32], name[NAME_MAX + 16];
	int pid = 0;

	if (sysdev_group_name(dev->ctx, &dev->sys, group)) {
		snprintf(name, sizeof(name), "vfio/%s", group);
		pid = opener_of_node(o, number_of(dev->ctx, "vfio", group), name);
	}
	if (!pid && dev->sys.cdev) {
		snprintf(name, sizeof(name), "vfio/devices/%s", dev->sys.cdev);
		pid = opener_of_node(o, number_of(dev->ctx, "vfio-dev", dev->sys.cdev), name);
	}
	return pid;
}

static void describe_node(const struct vfiomig_ctx *ctx, const struct opener *opener, char node[64])
{
	if (opener->name[0])
		snprintf(node, 64, "%s/%s", ctx->devfs, opener->name);
	else
		snprintf(node, 64, "%s device %u:%u",
			 opener->type == S_IFBLK ? "block" : "character", major(opener->number),
			 minor(opener->number));
}

int openers_of_nodes(const struct openers *o, const struct nodes *nodes, char node[64])
{
	for (size_t i = 0; i < o->count; i++) {
		if (!nodes_have(nodes, o->list[i].type, o->list[i].number))
			continue;
		describe_node(o->ctx, &o->list[i], node);
		return o->list[i].pid;
	}
	return 0;
}

int device_get_opener(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	struct openers *openers;
	int err = openers_look(dev->ctx, now_ns() + LOOK_NS, &openers);

	*pid = openers ? openers_of_device(openers, dev) : 0;
	openers_free(openers);
	if (*pid) {
		process_comm(dev->ctx, *pid, comm);
		return 0;
	}
	return err ? err : -ENOENT;
}
