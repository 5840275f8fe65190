// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Following a migration that another process drives.
 *
 * Each look is made by a process of its own: the driver has a lock, which it holds during arcs, and
 * whoever reads the state or asks about PRE_COPY waits for it. As long as one look has not come
 * back, no other one is begun, so that no more than one process ever waits for the lock. What a
 * look borrows it gives back before it ends. Nothing of the device stays open here in between,
 * because the session has to end when its owner ends it.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "device/apart.h"
#include "device/datafd.h"
#include "device/device.h"
#include "device/feature.h"
#include "device/lock.h"
#include "device/process.h"
#include "held.h"
#include "migration/state.h"
#include "use.h"
#include "watcher.h"

#define USE_MS	  1200
/* How often to ask the driver about PRE_COPY, and the holder who has the device from it. */
#define ASK_NS	  1000000000ULL
#define DATA_MAX  16
#define ENDING_MS 100

/* What a look has seen, in shared memory. */
struct sight {
	struct account account;
	int err; /* of the look as a whole: the owner has closed the device, for example */
	bool done;
	_Atomic bool has_state;
	uint64_t ns;
	int state, source;
	char owner_state;
	/* The descriptor that the device is in its owner, or -1, and what /proc tells of it. */
	bool searched;
	int number;
	char link[64], file[512];
	/* Who moves the state, and by what. */
	int mover, data;
	struct datafd datafd;
	int io;
	uint64_t bytes_read, written;
	bool asked;
	int precopy;
	struct vfio_precopy_info info;
	uint64_t info_ns;
	char sentence[512], data_sentence[512];
};

struct vfiomig_watch {
	struct vfiomig_device *dev;
	unsigned int flags;
	int data_fd; /* that the user has named, or -1 */
	int owner;   /* the process that has the device open, 0 if none is seen */
	int pidfd;   /* of it, or -1 */
	bool is_holder;
	char comm[16];
	struct sight *sight;
	struct apart apart; /* the look that goes on */
	uint64_t began;	    /* when the last look began */
	uint64_t asked;	    /* when the driver was asked last about PRE_COPY */
	bool seen;	    /* the state was seen at least once */
	int mover;	    /* who has the device from its holder, or works on it, or 0 */
	struct vfiomig_look look;
	char doing[160], mover_comm[16], sentence[512], data_sentence[512], data_name[32];
};

/* ---- A look, in a process of its own ---------------------------------------- */

enum source {
	FROM_NOTHING,
	FROM_DEBUGFS,
	FROM_DEVICE,
	FROM_HOLDER
};

static const char *const source_names[] = {
	[FROM_DEBUGFS] = "debugfs",
	[FROM_DEVICE] = "device",
	[FROM_HOLDER] = "holder",
};

static void keep_sentence(const struct vfiomig_watch *w, char sentence[512])
{
	snprintf(sentence, 512, "%s", w->dev->ctx->error);
}

/* Find the device among the descriptors of its owner, unless it was found: that asks the driver for
 * more than its state. Returns 0 or a negative errno with a sentence. */
static int find_device(const struct vfiomig_watch *w, struct sight *s)
{
	int fd, number = w->dev->origin.fd;

	if (s->number >= 0)
		return 0;
	fd = number >= 0 ? process_take_fd(w->dev->ctx, w->owner, number)
			 : device_find_in_process(w->dev, w->owner, &number);
	if (fd < 0)
		return fd;
	close(fd);
	s->number = number;
	process_fd_target(w->dev->ctx, w->owner, number, s->link, sizeof(s->link));
	process_fd_file(w->dev->ctx, w->owner, number, s->file, sizeof(s->file));
	return 0;
}

/* What a message calls the owner */
static const char *owner_name(const struct vfiomig_watch *w)
{
	return w->is_holder ? "holder" : w->comm;
}

static int fail_closed(const struct vfiomig_watch *w)
{
	return ctx_fail(w->dev->ctx, -EOWNERDEAD, "process %d (%s) has closed the device", w->owner,
			owner_name(w));
}

/* Whether both are known, and are not the same. */
static bool differ(const char *a, const char *b)
{
	return *a && *b && strcmp(a, b) != 0;
}

/*
 * Whether the owner has the device still, or has given its number to another file. A node may be
 * removed or get another name while it is open, and another one may be made in its place: files
 * with a path are told apart by their inodes. Those without one share an inode, and have a name for
 * each kind.
 */
static bool is_open(const struct vfiomig_watch *w, const struct sight *s)
{
	char target[sizeof(s->link)], file[sizeof(s->file)];

	if (s->number < 0)
		return true;
	if (!process_fd_target(w->dev->ctx, w->owner, s->number, target, sizeof(target)))
		return false;
	process_fd_file(w->dev->ctx, w->owner, s->number, file, sizeof(file));
	if (differ(file, s->file))
		return false;
	return (*target == '/' && *s->link == '/' && strstr(file, "ino:")) ||
	       !differ(target, s->link);
}

/* Ask the device itself, by a descriptor that is borrowed for the moment. */
static int ask_device(const struct vfiomig_watch *w, const struct sight *s)
{
	struct vfiomig_device *dev = w->dev;
	uint64_t flags;
	int ret;

	if (!w->owner)
		return ctx_fail(dev->ctx, -ENOENT, "nobody is seen to have %s open", dev->name);
	dev->fd = process_take_fd(dev->ctx, w->owner, s->number);
	if (dev->fd == -ENOENT)
		ret = fail_closed(w);
	else
		ret = dev->fd < 0 ? dev->fd : feature_migration(dev, &flags);
	if (!ret)
		ret = state_get(dev);
	close_fdp(&dev->fd);
	dev->fd = -1;
	return ret;
}

/* The state that the holder tells, if it lets its own user ask and the kernel does not. */
static int ask_holder(const struct vfiomig_watch *w)
{
	struct failure why = ctx_get_failure(w->dev->ctx);
	struct wire_reply reply;
	int err = held_ask(w->dev, &reply);

	if (!err && reply.state >= 0)
		return reply.state;
	/* While somebody has the device from its holder, the holder does not ask the driver. */
	ctx_set_failure(w->dev->ctx, &why);
	return -EPERM;
}

/* None of them tells the state. @hidden: why debugfs does not. Returns @err. */
static int fail_hidden(const struct vfiomig_watch *w, int err, int hidden)
{
	struct vfiomig_ctx *ctx = w->dev->ctx;

	if (hidden == -EACCES || hidden == -EPERM)
		return ctx_fail(
			ctx, err,
			"%s; root also sees the state in debugfs, if the kernel has VFIO_DEBUGFS",
			ctx->error);
	return ctx_fail(
		ctx, err,
		"%s; nor does debugfs show the state: that needs VFIO_DEBUGFS (Linux 6.8) and \"mount -t debugfs none /sys/kernel/debug\"",
		ctx->error);
}

/* Ask whoever can be asked, if debugfs does not tell the state for the reason @hidden. */
static int ask_state(const struct vfiomig_watch *w, struct sight *s, int hidden)
{
	/* It may not have been found before. */
	int state = w->owner ? find_device(w, s) : 0;

	s->source = FROM_DEVICE;
	if (!state)
		state = ask_device(w, s);
	if (state == -EPERM && w->is_holder) {
		s->source = FROM_HOLDER;
		state = ask_holder(w);
	}
	return state == -EPERM || state == -ENOTUNIQ ? fail_hidden(w, state, hidden) : state;
}

/* Returns 0 or a negative errno with a sentence. */
static int read_state(const struct vfiomig_watch *w, struct sight *s)
{
	int err = 0;

	if (w->owner && !s->searched)
		err = find_device(w, s);
	if (err == -ENOENT || err == -ESRCH || err == -EBUSY)
		return err;
	if (!is_open(w, s))
		return fail_closed(w);
	s->source = FROM_DEBUGFS;
	s->state = state_read_debugfs(w->dev);
	/* Whether the descriptor was found or not, it is not searched for in each look. */
	s->searched = s->state >= 0;
	if (s->state < 0)
		s->state = ask_state(w, s, s->state);
	return s->state < 0 ? s->state : 0;
}

static bool moves_state(int state)
{
	return state_is_saving(state) || state == VFIOMIG_STATE_RESUMING;
}

/* Find data_fds of process @pid. Returns how many it has, or a negative errno with a sentence. */
static int find_in(const struct vfiomig_watch *w, struct sight *s, int pid)
{
	struct datafd list[DATA_MAX];
	int n = datafd_find(w->dev->ctx, pid, w->dev->sys.driver,
			    s->state == VFIOMIG_STATE_RESUMING, list, DATA_MAX);

	s->mover = pid;
	for (int i = 0; i < n && i < DATA_MAX; i++) {
		if (w->data_fd >= 0 && list[i].number != w->data_fd)
			continue;
		s->datafd = list[i];
		if (w->data_fd >= 0)
			return 1;
	}
	return w->data_fd >= 0 && n > 0 ? 0 : n;
}

/* Who works on the device, beside the owner of its session: a command that has it from its holder,
 * or has borrowed it. */
static int find_worker(const struct vfiomig_watch *w)
{
	struct wire_reply reply;
	int pid = lock_owner(w->dev->ctx, w->dev->name);

	if (!pid && w->is_holder && !held_ask(w->dev, &reply))
		pid = reply.claimed;
	return pid == w->owner ? 0 : pid;
}

/* Returns 0, or why the data_fd is not known. */
static int find_data(const struct vfiomig_watch *w, struct sight *s)
{
	int n = find_in(w, s, w->owner);

	if (!n) {
		int worker = w->mover ? w->mover : find_worker(w);

		n = worker ? find_in(w, s, worker) : 0;
		if (!worker || !n || n == -ESRCH)
			s->mover = n = 0;
	}
	if (n < 0)
		keep_sentence(w, s->data_sentence);
	if (!n && w->data_fd >= 0)
		snprintf(
			s->data_sentence, sizeof(s->data_sentence),
			"descriptor %d of process %d is no data_fd through which a state moves now",
			w->data_fd, w->mover ? w->mover : w->owner);
	if (n > 1)
		snprintf(
			s->data_sentence, sizeof(s->data_sentence),
			"process %d has %d descriptors that may be the data_fd (%s); --data-fd=N names the one to look at",
			s->mover, n, s->datafd.name);
	return n == 1 ? 0 : n > 1 ? -ENOTUNIQ : n < 0 ? n : -ENOENT;
}

/* VFIO_MIG_GET_PRECOPY_INFO, by a descriptor that is borrowed for the moment. */
static void ask_precopy(const struct vfiomig_watch *w, struct sight *s)
{
	_cleanup_close_ int fd = process_take_fd(w->dev->ctx, s->mover, s->datafd.number);

	s->asked = true;
	s->precopy = fd < 0 ? fd : 0;
	s->info = (struct vfio_precopy_info){ .argsz = sizeof(s->info) };
	if (fd >= 0 && ctx_ioctl(w->dev->ctx, fd, VFIO_MIG_GET_PRECOPY_INFO, &s->info))
		s->precopy = -errno;
	s->info_ns = now_ns();
}

static void look_at_data(const struct vfiomig_watch *w, struct sight *s)
{
	if (!w->owner || !moves_state(s->state))
		return;
	s->data = find_data(w, s);
	if (s->mover)
		s->io = process_io(w->dev->ctx, s->mover, &s->bytes_read, &s->written);
	if (s->data || s->state == VFIOMIG_STATE_STOP_COPY || s->state == VFIOMIG_STATE_RESUMING)
		return;
	if (!(w->flags & VFIOMIG_WATCH_ASK) && !datafd_may_be_asked(s->datafd.name))
		s->precopy = -ECANCELED;
	else if (now_ns() >= w->asked + ASK_NS)
		ask_precopy(w, s);
}

static void look(void *arg)
{
	const struct vfiomig_watch *w = arg;
	struct vfiomig_ctx *ctx = w->dev->ctx;
	struct sight *s = w->sight;

	/* That descriptor is closed here. */
	ctx->wake = -1;
	ctx->interrupted = 0;
	ctx->account = &s->account;
	ctx->log = NULL;
	ctx->notice = NULL;
	s->err = read_state(w, s);
	s->ns = now_ns();
	if (s->err)
		keep_sentence(w, s->sentence);
	s->has_state = true;
	s->owner_state = w->owner ? process_state(ctx, w->owner) : 0;
	if (!s->err)
		look_at_data(w, s);
	s->done = true;
}

/* ---- Having it made ------------------------------------------------------------ */

static void begin(struct vfiomig_watch *w)
{
	struct sight *s = w->sight, old = *s;

	/* What was found out about the device stays. */
	*s = (struct sight){
		.searched = old.searched,
		.number = old.number,
		.state = -ETIMEDOUT,
		.data = -ENOENT,
		.io = -ENOENT,
		.precopy = -ENODATA,
	};
	memcpy(s->link, old.link, sizeof(s->link));
	memcpy(s->file, old.file, sizeof(s->file));
	w->began = now_ns();
	if (apart_start(&w->apart, look, w))
		w->apart = APART_NONE;
}

static int fail_ended(const struct vfiomig_watch *w)
{
	return ctx_fail(w->dev->ctx, -EOWNERDEAD, "process %d (%s) has ended", w->owner,
			owner_name(w));
}

/* End the look that goes on. A process that nothing ends may have the device open. */
static int end_look(struct vfiomig_watch *w, int err)
{
	int pid = w->apart.pid;

	if (apart_end(&w->apart))
		return err;
	return ctx_fail(
		w->dev->ctx, err,
		"%s; %s does not return: process %d, which waits for that, was killed, and may have the device open until the kernel lets it go",
		w->dev->ctx->error, w->sight->account.doing, pid);
}

/* Wait until the time @until, or the end of the look. Returns 0, -EOWNERDEAD or -EINTR. */
static int wait_until(struct vfiomig_watch *w, uint64_t until)
{
	struct vfiomig_ctx *ctx = w->dev->ctx;
	struct pollfd p[] = {
		{ .fd = w->pidfd, .events = POLLIN },
		{ .fd = ctx->wake, .events = POLLIN },
		{ .fd = w->apart.pidfd, .events = POLLIN },
	};
	uint64_t now;

	while (!ctx->interrupted && (now = now_ns()) < until) {
		struct timespec left = { (until - now) / 1000000000, (until - now) % 1000000000 };

		ppoll(p, ARRAY_SIZE(p), &left, NULL);
		if (p[0].revents)
			return end_look(w, fail_ended(w));
		if (p[2].revents)
			return 0;
		ctx_forget_wake(ctx);
	}
	return ctx->interrupted ? end_look(w, ctx_fail_interrupted(ctx)) : 0;
}

/* What a look tells that came back, or has got as far as the state. */
static void take_state(struct vfiomig_watch *w)
{
	const struct sight *s = w->sight;
	struct vfiomig_look *l = &w->look;

	l->ns = s->ns;
	l->state = s->err ? s->err : s->state;
	l->source = s->err ? NULL : source_names[s->source];
	l->owner_state = s->owner_state;
	snprintf(w->sentence, sizeof(w->sentence), "%s", s->sentence);
}

static void take_data(struct vfiomig_watch *w)
{
	const struct sight *s = w->sight;
	struct vfiomig_look *l = &w->look;

	l->data = s->data;
	l->data_fd = s->data ? -1 : s->datafd.number;
	snprintf(w->data_name, sizeof(w->data_name), "%s", s->data ? "" : s->datafd.name);
	snprintf(w->data_sentence, sizeof(w->data_sentence), "%s", s->data_sentence);
	l->counts = !s->data && s->datafd.counts;
	l->moved = l->counts ? s->datafd.moved : 0;
	l->io = s->io;
	l->bytes_read = s->bytes_read;
	l->written = s->written;
	if (s->mover != l->mover && s->mover)
		process_comm(w->dev->ctx, s->mover, w->mover_comm);
	l->mover = s->mover;
	w->mover = s->mover == w->owner ? 0 : s->mover;
	/* Between two questions the last answer stays, as long as the device is in PRE_COPY. */
	if (s->asked) {
		w->asked = s->info_ns;
		l->precopy_ns = s->info_ns;
		l->initial_bytes = s->info.initial_bytes;
		l->dirty_bytes = s->info.dirty_bytes;
		l->reinit = s->info.flags & VFIO_PRECOPY_INFO_REINIT;
	}
	if (s->asked || s->precopy == -ECANCELED || s->data ||
	    (s->state != VFIOMIG_STATE_PRE_COPY && s->state != VFIOMIG_STATE_PRE_COPY_P2P))
		l->precopy = s->precopy;
}

static int fail_look(const struct vfiomig_watch *w)
{
	return ctx_fail(w->dev->ctx, -EIO, "the process that looks at it has failed");
}

static bool has_ended(const struct vfiomig_watch *w)
{
	struct pollfd p = { .fd = w->pidfd, .events = POLLIN };

	/* Closing a device may take as long as its reset does. */
	return poll(&p, 1, ENDING_MS) > 0 || process_is_ending(w->dev->ctx, w->owner);
}

/* Make what the caller sees of a look. Returns 0, or the failure that ends the watch. */
static int finish(struct vfiomig_watch *w)
{
	struct sight *s = w->sight;
	int err = s->err;

	apart_end(&w->apart);
	if (!s->done)
		return fail_look(w);
	take_state(w);
	take_data(w);
	w->look.waits = NULL;
	w->look.waits_ns = 0;
	if (!err)
		w->seen = true;
	/* A process that ends closes its descriptors a little earlier. */
	if (err == -EOWNERDEAD || err == -ESRCH)
		err = has_ended(w) ? fail_ended(w) : ctx_fail(w->dev->ctx, err, "%s", w->sentence);
	else if (err && !w->seen)
		ctx_fail(w->dev->ctx, err, "%s", w->sentence);
	/* A state that could be read once may be readable again. */
	else
		err = 0;
	return err;
}

/* The look has not come back. */
static void tell_waiting(struct vfiomig_watch *w)
{
	const struct sight *s = w->sight;
	struct vfiomig_look *l = &w->look;

	/* What has failed is taken when the look has ended. */
	if (s->has_state && !s->err)
		take_state(w);
	else
		l->state = -ETIMEDOUT;
	snprintf(w->doing, sizeof(w->doing), "%s", s->account.doing);
	l->waits = w->doing;
	l->waits_ns = now_ns() - w->began;
}

int watcher_look(struct vfiomig_watch *w, unsigned int ms, const struct vfiomig_look **look)
{
	uint64_t ns = ms * 1000000ULL;
	int err = 0;

	if (!w->apart.pid) {
		err = wait_until(w, w->began + ns);
		if (err)
			return err;
		begin(w);
		if (!w->apart.pid)
			return fail_look(w);
	}
	err = wait_until(w, now_ns() + ns);
	if (err)
		return err;
	*look = &w->look;
	if (apart_wait(NULL, &w->apart, 0) == 0)
		return finish(w);
	tell_waiting(w);
	return 0;
}

/* ---- Beginning and end ----------------------------------------------------------- */

static int take_use(void *data, const struct vfiomig_use *use)
{
	struct vfiomig_watch *w = data;

	w->owner = use->pid;
	w->is_holder = use->holder || use->silent;
	return 0;
}

static int fail_nobody(const struct vfiomig_device *dev)
{
	if (geteuid())
		return ctx_fail(
			dev->ctx, -EPERM,
			"nobody is seen to have it open; this user may not see all processes: run as root");
	if (!process_sees_all(dev->ctx))
		return ctx_fail(
			dev->ctx, -ENOENT,
			"nobody is seen to have it open from this PID namespace; look outside of the container, too");
	return ctx_fail(dev->ctx, -ENOENT, "nobody has it open, so there is nothing to be watched");
}

/* Find the process whose session is watched. */
static int find_owner(struct vfiomig_watch *w)
{
	struct vfiomig_device *dev = w->dev;
	int err;

	if (dev->origin.backend == &backend_fd)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"what is watched is a device that another process has open; name it, or pid:PID/DEV");
	if (dev->origin.backend == &backend_process)
		w->owner = dev->origin.pid;
	err = w->owner ? 0 : use_get(dev, USE_MS, take_use, w);
	if (err)
		return err;
	/* Another PID namespace may have the process: then debugfs shows the state all the same. */
	if (!w->owner && process_sees_all(dev->ctx))
		return fail_nobody(dev);
	if (!w->owner) {
		int state = state_from_debugfs(dev);

		if (state == -EINTR || state == -ENOMEM)
			return state;
		return state < 0 ? fail_nobody(dev) : 0;
	}
	process_comm(dev->ctx, w->owner, w->comm);
	/* It may have been named by its process. */
	w->is_holder |= strcmp(w->comm, HOLDER_NAME) == 0;
	w->pidfd = syscall(SYS_pidfd_open, w->owner, 0);
	if (w->pidfd < 0 && (errno == ESRCH || errno == EINVAL))
		return ctx_fail(dev->ctx, -ESRCH, "there is no process %d", w->owner);
	return w->pidfd < 0 ? ctx_fail(dev->ctx, -errno, "process %d: %m", w->owner) : 0;
}

int watcher_new(struct vfiomig_device *dev, int data_fd, unsigned int flags,
		struct vfiomig_watch **watch)
{
	struct vfiomig_watch *w;
	int err;

	if (flags & ~VFIOMIG_WATCH_ASK)
		return ctx_fail(dev->ctx, -EINVAL, "flags 0x%x for watching a device are unknown",
				flags & ~VFIOMIG_WATCH_ASK);
	w = calloc(1, sizeof(*w));
	if (!w)
		return ctx_fail_memory(dev->ctx);
	w->dev = vfiomig_device_ref(dev);
	w->flags = flags;
	w->data_fd = data_fd;
	w->pidfd = -1;
	w->apart = APART_NONE;
	w->sight = apart_alloc(sizeof(*w->sight));
	err = w->sight ? find_owner(w) : ctx_fail_memory(dev->ctx);
	if (err) {
		vfiomig_watch_free(w);
		return err;
	}
	w->sight->number = -1;
	/* A descriptor that is kept would keep the session alive. */
	close_fdp(&dev->origin.given.device);
	dev->origin.given.device = -1;
	w->look = (struct vfiomig_look){
		.state = -ETIMEDOUT,
		.owner = w->owner,
		.comm = w->comm,
		.holder = w->is_holder,
		.data = -ENOENT,
		.data_fd = -1,
		.data_name = w->data_name,
		.mover_comm = w->mover_comm,
		.io = -ENOENT,
		.precopy = -ENODATA,
		.sentence = w->sentence,
		.data_sentence = w->data_sentence,
	};
	*watch = w;
	return 0;
}

struct vfiomig_ctx *watcher_ctx(const struct vfiomig_watch *w)
{
	return w->dev->ctx;
}

EXPORT void vfiomig_watch_free(struct vfiomig_watch *w)
{
	if (!w)
		return;
	apart_end(&w->apart);
	close_fdp(&w->pidfd);
	apart_free(w->sight, sizeof(*w->sight));
	vfiomig_device_unref(w->dev);
	free(w);
}
