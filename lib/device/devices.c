// SPDX-License-Identifier: LGPL-2.1-or-later
/* Several devices that are opened together. */
#include <string.h>

#include "device.h"
#include "kick.h"
#include "lock.h"
#include "rundir.h"
#include "token.h"

/* ---- Each only once ------------------------------------------------------- */

static bool have_common(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	for (size_t i = 0; i < a->identity.count; i++)
		if (identity_has(&b->identity, a->identity.syspath[i]))
			return true;
	return false;
}

/* The same descriptor of the same process. Nothing else is known of what sysfs does not have. */
static bool same_origin(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	return a->origin.backend && a->origin.backend == b->origin.backend && a->origin.fd >= 0 &&
	       a->origin.fd == b->origin.fd && a->origin.pid == b->origin.pid;
}

static int compare(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	if (a == b || same_origin(a, b) ||
	    (a->identity.count == 1 && b->identity.count == 1 && have_common(a, b)))
		return ctx_fail(a->ctx, -ENOTUNIQ, "the device %s was given twice", b->name);
	if (have_common(a, b))
		return ctx_fail(a->ctx, -ENOTUNIQ,
				"cannot tell whether %s is another device than %s", b->name,
				a->name);
	return 0;
}

int devices_check(struct vfiomig_device *const *devices, size_t n, int *which)
{
	int err = 0;

	for (size_t i = 1; i < n && !err; i++)
		for (size_t other = 0; other < i && !err; other++) {
			err = compare(devices[other], devices[i]);
			if (err)
				*which = i;
		}
	return err;
}

/* ---- Locked one after the other ------------------------------------------- */

/* One of the locks of a device. */
struct wanted {
	struct vfiomig_device *dev;
	size_t number;
};

static int by_name(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return strcmp(device_lock_name(x->dev, x->number), device_lock_name(y->dev, y->number));
}

static size_t count_locks(struct vfiomig_device *const *devices, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += devices[i]->identity.count;
	return count;
}

static int index_of(struct vfiomig_device *const *devices, const struct vfiomig_device *dev)
{
	int i = 0;

	while (devices[i] != dev)
		i++;
	return i;
}

/* Whoever takes several locks takes them in the order of their names: then no two wait for each
 * other. */
static int lock_all(struct vfiomig_device *const *devices, size_t n, int *which)
{
	struct vfiomig_ctx *ctx = devices[0]->ctx;
	struct turn turn = turn_begin(ctx, devices[0]->wait);
	struct wanted *wanted = calloc(count_locks(devices, n) + 1, sizeof(*wanted));
	size_t count = 0;
	int err = 0;

	if (!wanted)
		return ctx_fail_memory(ctx);
	for (size_t i = 0; i < n && !err; i++) {
		err = device_begin_lock(devices[i]);
		*which = err ? (int)i : *which;
		for (size_t j = 0; j < devices[i]->identity.count; j++)
			wanted[count++] = (struct wanted){ devices[i], j };
	}
	qsort(wanted, count, sizeof(*wanted), by_name);
	for (size_t i = 0; i < count && !err; i++) {
		err = device_take_lock(wanted[i].dev, wanted[i].number, &turn);
		*which = err ? index_of(devices, wanted[i].dev) : *which;
	}
	free(wanted);
	return err;
}

/* ---- Opened at once ------------------------------------------------------- */

/* How many devices are opened at once. */
#define AT_ONCE 16
#define TICK_NS 20000000

/*
 * A driver usually resets a device that is opened, which takes long: after a function level reset
 * the kernel waits for a tenth of a second. So each IOMMU group has a thread. The devices of one
 * group are opened one after the other, because they share what the first one has opened. So are
 * all if there are VF tokens: the kernel has to get the physical function's before it compares that
 * of a virtual one.
 */
struct opening {
	struct vfiomig_device *const *devices;
	unsigned int flags;
	bool in_order; /* one after the other */
	struct kick kick;
	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t changed;
	int running;   /* threads */
	size_t failed; /* the first device that cannot be opened, as far as that is known */
};

/* What is to be done with one device. */
struct task {
	struct opening *opening;
	size_t number; /* of the device */
	struct failure why;
	struct task *next; /* for the same thread, or NULL */
	bool is_first;	   /* of those */
	pthread_t thread;
	bool started, ended; /* the thread */
};

static bool same_group(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	return a->sys.group >= 0 && a->sys.group == b->sys.group;
}

/* Put the last of the tasks behind those that it has to wait for. */
static void add_task(struct task *tasks, struct task *last)
{
	const struct opening *o = last->opening;

	for (struct task *t = tasks; t < last; t++) {
		if (!o->in_order && !same_group(o->devices[t->number], o->devices[last->number]))
			continue;
		while (t->next)
			t = t->next;
		t->next = last;
		return;
	}
	last->is_first = true;
}

/* One of those before @i that was opened here, and is in the same group. */
static const struct vfiomig_device *find_companion(struct vfiomig_device *const *devices, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (same_group(devices[j], devices[i]) &&
		    !device_is(devices[j], BACKEND_SESSION_GOES_ON))
			return devices[j];
	return NULL;
}

static int open_one(struct vfiomig_device *const *devices, size_t i, unsigned int flags)
{
	struct vfiomig_device *dev = devices[i];
	int err = device_check_way(dev, flags);

	if (err)
		return err;
	dev->companion = find_companion(devices, i);
	err = device_open_locked(dev, flags);
	dev->companion = NULL;
	return err;
}

static void note_failure(const struct task *t)
{
	struct opening *o = t->opening;

	pthread_mutex_lock(&o->lock);
	if (t->number < o->failed)
		o->failed = t->number;
	pthread_mutex_unlock(&o->lock);
}

/* Those after a failure are left alone. */
static void work(struct task *first)
{
	int err = 0;

	for (struct task *t = first; t && !err; t = t->next) {
		const struct opening *o = t->opening;
		struct vfiomig_ctx *ctx = o->devices[t->number]->ctx;
		struct other other;

		ctx_begin_other(ctx, &other);
		err = open_one(o->devices, t->number, o->flags);
		t->why = ctx_end_other(ctx, &other);
		t->why.err = err;
		if (err)
			note_failure(t);
	}
}

static void *thread(void *arg)
{
	struct task *first = arg;
	struct opening *o = first->opening;

	work(first);
	pthread_mutex_lock(&o->lock);
	first->ended = true;
	o->running--;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* The threads take no signal but the kick. What has no thread is done here, and all if there is no
 * kick, so that a signal ends a call. */
static void start_threads(struct opening *o, struct task *tasks, size_t n)
{
	sigset_t before;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&o->kick);
	pthread_mutex_lock(&o->lock);
	for (size_t i = 0; i < n; i++) {
		if (tasks[i].is_first && o->kick.signal)
			tasks[i].started =
				!pthread_create(&tasks[i].thread, NULL, thread, &tasks[i]);
		o->running += tasks[i].started;
	}
	pthread_mutex_unlock(&o->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (size_t i = 0; i < n; i++)
		if (tasks[i].is_first && !tasks[i].started)
			work(&tasks[i]);
}

/* What the threads do is in vain if the user has had enough, or if a device before theirs cannot be
 * opened: then their calls that sleep are ended. A signal runs its handler here. */
static void wait_threads(struct opening *o, struct task *tasks, size_t n)
{
	const struct vfiomig_ctx *ctx = o->devices[0]->ctx;

	pthread_mutex_lock(&o->lock);
	while (o->running) {
		wait_cond(&o->changed, &o->lock, TICK_NS);
		for (size_t i = 0; i < n; i++)
			if (tasks[i].started && !tasks[i].ended &&
			    (ctx->interrupted || tasks[i].number > o->failed))
				kick_thread(&o->kick, tasks[i].thread);
	}
	pthread_mutex_unlock(&o->lock);
	for (size_t i = 0; i < n; i++)
		if (tasks[i].started)
			pthread_join(tasks[i].thread, NULL);
}

static void run(struct opening *o, struct task *tasks, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += tasks[i].is_first;
	if (count == 1) {
		work(tasks);
		return;
	}
	kick_begin(&o->kick);
	start_threads(o, tasks, n);
	wait_threads(o, tasks, n);
	kick_end(&o->kick);
}

/* Open the devices from @begin to before @end. Returns the failure of the first one that cannot be
 * opened, whose number @which receives. */
static int open_some(struct vfiomig_device *const *devices, size_t begin, size_t end,
		     unsigned int flags, int *which)
{
	struct opening o = {
		.devices = devices,
		.flags = flags,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
		.failed = SIZE_MAX,
	};
	struct task tasks[AT_ONCE] = { 0 };

	for (size_t i = begin; i < end; i++)
		o.in_order |= token_is_set(devices[i]);
	for (size_t i = begin; i < end; i++) {
		tasks[i - begin].opening = &o;
		tasks[i - begin].number = i;
		add_task(tasks, &tasks[i - begin]);
	}
	run(&o, tasks, end - begin);
	for (size_t i = begin; i < end; i++) {
		const struct failure *why = &tasks[i - begin].why;

		if (!why->err)
			continue;
		ctx_set_failure(devices[i]->ctx, why);
		*which = i;
		return why->err;
	}
	return 0;
}

/* The sentence stays, and no lock. */
static void close_after_failure(struct vfiomig_device *const *devices, size_t n)
{
	struct failure why = ctx_get_failure(devices[0]->ctx);

	for (size_t i = 0; i < n; i++)
		devices[i]->keeps_lock = false;
	devices_close(devices, n, NULL);
	ctx_set_failure(devices[0]->ctx, &why);
}

int devices_open(struct vfiomig_device *const *devices, size_t n, unsigned int flags, int *which)
{
	int err = devices_check(devices, n, which);

	for (size_t i = 0; i < n && !err; i++)
		if (devices[i]->fd >= 0 || devices[i]->locks) {
			*which = i;
			return ctx_fail(devices[i]->ctx, -EBUSY,
					"busy: this process has the device open");
		}
	if (err)
		return err;
	err = lock_all(devices, n, which);
	for (size_t i = 0; i < n && !err; i += AT_ONCE)
		err = open_some(devices, i, n - i < AT_ONCE ? n : i + AT_ONCE, flags, which);
	if (err)
		close_after_failure(devices, n);
	return err;
}
