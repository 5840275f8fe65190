// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who uses which device. First comes one look at the descriptors of all processes. Then, for each
 * device that is in use, a process asks its holder and another one reads its state, all at the same
 * time.
 */
#include <stdio.h>
#include <string.h>

#include "device/apart.h"
#include "device/device.h"
#include "device/opener.h"
#include "device/process.h"
#include "held.h"
#include "migration/state.h"
#include "use.h"

/* What one of the processes has found out. */
struct answer {
	int holder; /* a process, or 0 */
	int state;
	int error; /* of what it could not find out */
	struct account account;
	bool done;
};

struct question {
	const struct vfiomig_device *dev;
	struct apart apart;
	struct answer *answer;
};

struct subject {
	struct vfiomig_device *dev;
	int opener, error;
	bool silent;
	char sentence[512]; /* about a silent holder */
	struct question holder, state;
};

struct subjects {
	struct subject *list;
	size_t n;
	struct answer *answers; /* two for each of the list */
};

/* Whether a failure says only that there is nothing to be seen for this user. */
static bool is_hidden(int err)
{
	return err == -ENOENT || err == -EACCES || err == -EPERM;
}

/* The parent makes the sentences. */
static void begin_asking(const struct question *q)
{
	/* That descriptor is closed here. */
	q->dev->ctx->wake = -1;
	ctx_mute(q->dev->ctx);
}

static void ask_holder(void *arg)
{
	struct question *q = arg;
	struct wire_reply reply;
	int err;

	begin_asking(q);
	q->dev->ctx->account = &q->answer->account;
	err = held_ask(q->dev, &reply);
	/* It may just have ended. One that is silent is silent again. */
	if (err == -EBUSY)
		err = held_ask(q->dev, &reply);
	if (!err) {
		q->answer->holder = reply.holder;
		q->answer->state = reply.state;
	}
	/* A holder of somebody else is none for this user. */
	if (!is_hidden(err))
		q->answer->error = err == -EBUSY ? -ETIMEDOUT : err;
	q->answer->done = true;
}

static void ask_state(void *arg)
{
	struct question *q = arg;
	int state;

	begin_asking(q);
	state = state_from_debugfs(q->dev);
	/* Few kernels tell it, and only root. */
	if (state < 0 && !is_hidden(state))
		q->answer->error = state;
	q->answer->state = state;
	q->answer->done = true;
}

static void ask(struct subject *s, struct question *q, void (*fn)(void *arg))
{
	int err;

	q->dev = s->dev;
	err = apart_start(&q->apart, fn, q);
	if (err)
		s->error = err;
}

/* Ask about each device that is in use. */
static void ask_all(struct subjects *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct subject *s = &all->list[i];
		bool has_holder = held_has_socket(s->dev);

		if (has_holder)
			ask(s, &s->holder, ask_holder);
		if (has_holder || s->opener)
			ask(s, &s->state, ask_state);
	}
}

/* Returns 0, or -EINTR. */
static int wait_answer(struct subject *s, struct question *q, uint64_t until)
{
	int err = 0;

	if (!q->apart.pid)
		return 0;
	if (s->error != -EINTR)
		err = apart_wait(s->dev->ctx, &q->apart, until);
	if (!q->answer->done)
		q->answer->error = err ? err : -EIO;
	if (q->answer->error)
		s->error = q->answer->error;
	apart_kill(&q->apart);
	return err == -EINTR ? err : 0;
}

static int wait_all(struct subjects *all, uint64_t until)
{
	uint64_t dead;
	int err = 0;

	for (size_t i = 0; i < all->n; i++) {
		struct subject *s = &all->list[i];

		if (err)
			s->error = err;
		if (wait_answer(s, &s->holder, until))
			err = -EINTR;
		if (wait_answer(s, &s->state, until))
			err = -EINTR;
	}
	dead = now_ns() + APART_DYING;
	for (size_t i = 0; i < all->n; i++) {
		apart_end_until(&all->list[i].holder.apart, dead);
		apart_end_until(&all->list[i].state.apart, dead);
	}
	return err;
}

/* The device has a holder that does not answer. The kernel says who that is, or else whoever has
 * the device open is taken for it. */
static void note_silent(struct subject *s)
{
	int server = s->holder.answer->account.server;

	if (server)
		s->opener = server;
	s->silent = true;
	held_fail_silent(s->dev, s->opener);
	snprintf(s->sentence, sizeof(s->sentence), "%s", s->dev->ctx->error);
}

/* Returns 0, or -EINTR. */
static int look(struct subjects *all, uint64_t until)
{
	struct openers *openers;
	int err = openers_look(all->list[0].dev->ctx, until, &openers);

	for (size_t i = 0; i < all->n; i++) {
		if (openers)
			all->list[i].opener = openers_of_device(openers, all->list[i].dev);
		all->list[i].error = err;
	}
	openers_free(openers);
	return err == -EINTR ? err : 0;
}

static int tell(const struct subject *s, vfiomig_use_fn fn, void *data)
{
	struct vfiomig_use use = { .device = s->dev, .pid = s->opener, .comm = "", .state = -1 };
	char comm[16] = HOLDER_NAME;

	use.error = s->error;
	use.silent = s->silent;
	use.sentence = s->sentence;
	if (s->holder.answer->holder) {
		use.pid = s->holder.answer->holder;
		use.holder = true;
	} else if (use.pid) {
		process_comm(s->dev->ctx, use.pid, comm);
	}
	if (use.pid) {
		use.comm = comm;
		use.state = s->holder.answer->state;
		if (use.state < 0)
			use.state = s->state.answer->state;
	}
	return fn(data, &use);
}

/* Takes the references in @all over. */
static int find_out(struct vfiomig_ctx *ctx, struct subjects *all, unsigned int ms,
		    vfiomig_use_fn fn, void *data)
{
	uint64_t until = now_ns() + ms * 1000000ULL, share = ms * 1000000ULL / 3;
	size_t size = (2 * all->n + 1) * sizeof(*all->answers);
	int ret = 0;

	all->answers = apart_alloc(size);
	if (!all->answers)
		ret = ctx_fail_memory(ctx);
	for (size_t i = 0; i < all->n && !ret; i++) {
		struct subject *s = &all->list[i];

		s->holder.answer = &all->answers[2 * i];
		s->state.answer = &all->answers[2 * i + 1];
		s->holder.answer->state = s->state.answer->state = -1;
	}
	if (!ret && all->n)
		ret = look(all, until - share);
	if (!ret) {
		ask_all(all);
		ret = wait_all(all, until);
	}
	if (ret == -EINTR)
		ctx_fail_interrupted(ctx);
	for (size_t i = 0; i < all->n; i++) {
		if (!ret && all->list[i].holder.answer->error == -ETIMEDOUT)
			note_silent(&all->list[i]);
		if (!ret)
			ret = tell(&all->list[i], fn, data);
		vfiomig_device_unref(all->list[i].dev);
	}
	apart_free(all->answers, size);
	free(all->list);
	return ret;
}

static int add(struct vfiomig_device *dev, void *data)
{
	struct subjects *all = data;
	struct subject *list = reallocarray(all->list, all->n + 1, sizeof(*list));

	if (!list)
		return ctx_fail_memory(dev->ctx);
	all->list = list;
	list[all->n++] = (struct subject){ .dev = vfiomig_device_ref(dev) };
	return 0;
}

static void forget(struct subjects *all)
{
	for (size_t i = 0; i < all->n; i++)
		vfiomig_device_unref(all->list[i].dev);
	free(all->list);
}

int use_foreach(struct vfiomig_ctx *ctx, unsigned int ms, vfiomig_use_fn fn, void *data)
{
	struct subjects all = { .n = 0 };
	int err = device_foreach(ctx, add, &all);

	if (!err)
		return find_out(ctx, &all, ms, fn, data);
	forget(&all);
	return err;
}

int use_get(struct vfiomig_device *dev, unsigned int ms, vfiomig_use_fn fn, void *data)
{
	struct subjects all = { .n = 0 };
	int err = add(dev, &all);

	return err ? err : find_out(dev->ctx, &all, ms, fn, data);
}
