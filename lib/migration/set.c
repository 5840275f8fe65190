// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Several devices at one instant. From the bottom of this file to its top: what the devices do,
 * down, up, and after a failure; where they wait for each other; and their threads.
 */
#include <stdio.h>

#include "device/feature.h"
#include "image/calm.h"
#include "image/data.h"
#include "session.h"
#include "set.h"
#include "state.h"

/* How soon a thread that waits notices that the transfer has failed elsewhere. */
#define TICK_NS 20000000

/* ---- Threads ------------------------------------------------------------- */

static void run_job(struct part *p, int (*job)(struct part *p))
{
	struct other other;

	part_begin(p, &other);
	part_end(p, &other, job(p));
}

static void *thread(void *arg)
{
	struct part *p = arg;
	struct set *set = p->set;
	unsigned int jobs = 0;

	pthread_mutex_lock(&set->lock);
	for (;;) {
		while (jobs == set->jobs && !set->over)
			pthread_cond_wait(&set->changed, &set->lock);
		if (set->over)
			break;
		jobs = set->jobs;
		pthread_mutex_unlock(&set->lock);
		run_job(p, set->job);
		pthread_mutex_lock(&set->lock);
		set->done++;
		pthread_cond_broadcast(&set->changed);
	}
	pthread_mutex_unlock(&set->lock);
	return NULL;
}

/* Before any device is touched: from then on there is one for each of them. */
static int start_threads(struct set *set)
{
	sigset_t before;
	int err = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&set->kick);
	while (!err && set->nr_threads < set->count) {
		err = pthread_create(&set->threads[set->nr_threads], NULL, thread,
				     set->parts[set->nr_threads]);
		set->nr_threads += !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? ctx_fail(set->ctx, -err, "cannot start a thread: %s", strerror(err)) : 0;
}

static bool has_p2p(struct vfiomig_device *dev)
{
	uint64_t flags;

	return feature_migration(dev, &flags) == 0 && (flags & VFIOMIG_P2P);
}

static int check_p2p(const struct set *set)
{
	for (int i = 0; i < set->count; i++)
		if (!has_p2p(set->parts[i]->dev))
			return ctx_fail(
				set->ctx, -EPROTONOSUPPORT,
				"%s has no P2P states, so that it cannot be stopped at one instant with devices that it may talk to; --no-p2p says that it talks to none of them",
				set->parts[i]->dev->name);
	return 0;
}

int set_look(struct part **parts, int count, int (*look)(struct part *p), int *failed)
{
	struct vfiomig_ctx *ctx = parts[0]->dev->ctx;
	struct failure why = { 0 };

	for (int i = 0; i < count; i++) {
		if (!look(parts[i]) || why.err)
			continue;
		why = ctx_get_failure(ctx);
		*failed = i;
	}
	if (why.err)
		ctx_set_failure(ctx, &why);
	return why.err;
}

int set_begin(struct set *set, struct vfiomig_ctx *ctx, struct part **parts, int count, bool no_p2p)
{
	int err = 0;

	*set = (struct set){
		.ctx = ctx,
		.parts = parts,
		.count = count,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	for (int i = 0; i < count; i++) {
		parts[i]->set = set;
		parts[i]->transfer = -1;
		parts[i]->dev->in_set = count > 1;
	}
	if (count == 1)
		return 0;
	kick_begin(&set->kick);
	err = no_p2p ? 0 : check_p2p(set);
	if (!err)
		err = start_threads(set);
	if (err)
		set_end(set);
	return err;
}

void set_end(struct set *set)
{
	pthread_mutex_lock(&set->lock);
	set->over = true;
	pthread_cond_broadcast(&set->changed);
	pthread_mutex_unlock(&set->lock);
	for (int i = 0; i < set->nr_threads; i++)
		pthread_join(set->threads[i], NULL);
	for (int i = 0; i < set->count; i++)
		set->parts[i]->dev->in_set = false;
	if (set->count > 1)
		kick_end(&set->kick);
}

int set_each(struct set *set, int (*job)(struct part *p))
{
	sigset_t before;

	if (set->count == 1)
		return job(set->parts[0]);
	/* Signals that nobody has a handler for come when no arc is under way. */
	calm_begin(&before);
	pthread_mutex_lock(&set->lock);
	set->job = job;
	set->jobs++;
	set->done = 0;
	pthread_cond_broadcast(&set->changed);
	while (set->done < set->count)
		pthread_cond_wait(&set->changed, &set->lock);
	pthread_mutex_unlock(&set->lock);
	calm_end(&before);
	return set->err;
}

/* ---- Failures ------------------------------------------------------------ */

void part_begin(struct part *p, struct other *other)
{
	if (p->set->count > 1)
		ctx_begin_other(p->dev->ctx, other);
}

/* Whether a failure only follows from another one. */
static bool is_over(const struct set *set)
{
	return set->failed || fd_is_cancelled(set->ctx) || set->ctx->progress.ended;
}

int part_end(struct part *p, struct other *other, int err)
{
	struct set *set = p->set;
	struct failure why;

	if (set->count == 1)
		return err;
	why = ctx_end_other(set->ctx, other);
	if (!err)
		return 0;
	pthread_mutex_lock(&set->lock);
	if (!p->err)
		p->err = err;
	if (!is_over(set)) {
		set->failed = p;
		set->err = err;
		set->why = why;
	} else if (!set->err) {
		set->err = err;
		set->why = why;
	}
	/* For a pipeline that this thread belongs to: before those fail that only follow */
	if (why.err)
		ctx_fail(set->ctx, err, "%s", why.sentence);
	pthread_cond_broadcast(&set->changed);
	pthread_mutex_unlock(&set->lock);
	return err;
}

int set_blame(struct part *p, int err)
{
	struct set *set = p->set;

	if (!err || set->failed)
		return err;
	set->failed = p;
	set->err = err;
	set->why = ctx_get_failure(set->ctx);
	return err;
}

/* ---- Waiting for each other ---------------------------------------------- */

/* With the lock held, until something has changed or a moment is over. */
static void wait_change(struct set *set)
{
	wait_cond(&set->changed, &set->lock, TICK_NS);
}

/* On the way home there is nothing to be given up but the order, and that only for a user who has
 * had enough of waiting for a driver. */
static bool hurries(const struct set *set)
{
	return set->ctx->hurries || set->ctx->insisted;
}

/* Returns whether all have come. */
static bool meet(struct set *set, bool (*gives_up)(const struct set *set))
{
	unsigned int meeting;
	bool met;

	if (set->count == 1)
		return true;
	pthread_mutex_lock(&set->lock);
	meeting = set->meeting;
	if (++set->here == set->count) {
		set->here = 0;
		set->meeting++;
		pthread_cond_broadcast(&set->changed);
	}
	while (meeting == set->meeting && !gives_up(set))
		wait_change(set);
	met = meeting != set->meeting;
	/* Who has waited in vain is not here any more. */
	if (!met)
		set->here--;
	pthread_mutex_unlock(&set->lock);
	return met;
}

static int give_up(const struct set *set)
{
	return set->ctx->interrupted ? ctx_fail_interrupted(set->ctx) : -ECANCELED;
}

int set_meet(struct set *set)
{
	return meet(set, is_over) ? 0 : give_up(set);
}

int set_begin_stop(struct part *p)
{
	struct set *set = p->set;
	int err = set_meet(set);
	bool over;

	if (err)
		return err;
	pthread_mutex_lock(&set->lock);
	over = is_over(set);
	pthread_mutex_unlock(&set->lock);
	if (over)
		return give_up(set);
	p->stop_ns = now_ns();
	p->transfer = -1;
	return 0;
}

bool set_stops(struct part *p, bool ready)
{
	struct set *set = p->set;
	bool stops;

	pthread_mutex_lock(&set->lock);
	set->ready += ready - p->ready;
	p->ready = ready;
	if (set->ready == set->count && !set->stops) {
		set->stops = true;
		pthread_cond_broadcast(&set->changed);
	}
	stops = set->stops;
	pthread_mutex_unlock(&set->lock);
	return stops;
}

int set_wait_stop(struct part *p)
{
	struct set *set = p->set;
	bool stops = set_stops(p, true);

	pthread_mutex_lock(&set->lock);
	while (!set->stops && !is_over(set))
		wait_change(set);
	stops = set->stops;
	pthread_mutex_unlock(&set->lock);
	return stops ? 0 : give_up(set);
}

void set_rest(struct part *p)
{
	struct set *set = p->set;

	pthread_mutex_lock(&set->lock);
	if (!set->stops && !is_over(set))
		wait_change(set);
	pthread_mutex_unlock(&set->lock);
}

/* ---- Down ---------------------------------------------------------------- */

/* The P2P state of @from. A device that is stopped stays where it is. */
static int calm_state(const struct part *p, int from, bool live)
{
	if (p->set->count == 1 || !has_p2p(p->dev))
		return from;
	if (from == VFIOMIG_STATE_PRE_COPY && live)
		return VFIOMIG_STATE_PRE_COPY_P2P;
	/* What is in PRE_COPY otherwise has a session of somebody else, which ends. */
	if (from == VFIOMIG_STATE_RUNNING || from == VFIOMIG_STATE_PRE_COPY ||
	    from == VFIOMIG_STATE_PRE_COPY_P2P)
		return VFIOMIG_STATE_RUNNING_P2P;
	return from;
}

int set_calm(struct part *p, int from, bool live)
{
	int to = calm_state(p, from, live), err = 0;

	if (to != from) {
		p->result->touched = true;
		err = state_continue(p->dev, from, to);
	}
	if (!err)
		err = set_meet(p->set);
	return err ? err : to;
}

/* ---- Up ------------------------------------------------------------------ */

/* Whether a device that is in @now passes @station on its way to @to. */
static bool passes(const struct part *p, int now, int station, int to)
{
	if (station == VFIOMIG_STATE_STOP)
		return now == VFIOMIG_STATE_STOP_COPY && to != now;
	return now == VFIOMIG_STATE_STOP && to != now && to != VFIOMIG_STATE_STOP_COPY &&
	       has_p2p(p->dev);
}

/* From STOP_COPY or STOP on the way to @to, as far as all go together. A device that does not move,
 * or cannot, comes to the meetings all the same. */
static int ascend(struct part *p, int to, bool moves, bool (*gives_up)(const struct set *set))
{
	static const int stations[] = { VFIOMIG_STATE_STOP, VFIOMIG_STATE_RUNNING_P2P };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(stations) && p->set->count > 1; i++) {
		if (moves && !err && passes(p, state_get(p->dev), stations[i], to))
			err = state_walk(p->dev, stations[i]);
		if (gives_up == is_over && err)
			return err;
		if (!meet(p->set, gives_up) && gives_up == is_over)
			return give_up(p->set);
	}
	return err;
}

int set_leave(struct part *p, int state)
{
	int err = ascend(p, state, true, hurries);

	return err ? session_abort(p->dev, -1, err, p->result)
		   : session_leave(p->dev, state, p->result);
}

int set_revive(struct part *p, int state)
{
	int err = ascend(p, state, true, is_over);

	if (!err)
		err = state_walk(p->dev, state);
	if (!err)
		p->result->state = state;
	return err;
}

void set_go_home(struct part *p, bool moves)
{
	ascend(p, p->result->before, moves, hurries);
	if (moves)
		session_go_home(p->dev, p->result);
}

/* ---- After a failure ----------------------------------------------------- */

static int abort_part(struct part *p)
{
	struct set *set = p->set;
	bool ours = p->result->touched, drops;
	int err = p->err ? p->err : -ECANCELED;

	if (p == set->failed)
		ctx_set_failure(set->ctx, &set->why);
	if (ours)
		ours = session_settle(p->dev, p->transfer, &err, p->result);
	if (p == set->failed) {
		set->err = err;
		set->why = ctx_get_failure(set->ctx);
	}
	drops = ours && p->resumed && !p->result->reset;
	if (drops)
		session_drop(p->dev, p->result);
	set_go_home(p, ours && !drops);
	return 0;
}

/* A device that is alone keeps what it has loaded, but not a part of that. */
static int abort_one(struct part *p, int err)
{
	struct vfiomig_result *result = p->result;

	if (!result->touched)
		return err;
	if (!session_settle(p->dev, p->transfer, &err, result))
		return err;
	if (p->resumed && !result->loaded && !result->reset)
		session_drop(p->dev, result);
	else
		session_go_home(p->dev, result);
	return err;
}

int set_abort(struct set *set, int err)
{
	if (set->count == 1)
		return abort_one(set->parts[0], err);
	set_each(set, abort_part);
	if (!set->failed)
		return err;
	ctx_set_failure(set->ctx, &set->why);
	return set->err;
}

/* ---- All of them together ------------------------------------------------ */

static void add(struct vfiomig_result *whole, const struct vfiomig_result *r)
{
	whole->bytes += r->bytes;
	whole->expected += r->expected;
	whole->precopy_bytes += r->precopy_bytes;
	whole->ns = r->ns > whole->ns ? r->ns : whole->ns;
	whole->rounds = r->rounds > whole->rounds ? r->rounds : whole->rounds;
	whole->complete &= r->complete;
	whole->loaded &= r->loaded;
	whole->home &= r->home;
	whole->touched |= r->touched;
	whole->precopy |= r->precopy;
	whole->gave_up |= r->gave_up;
	whole->outpaced |= r->outpaced;
	whole->reset |= r->reset;
}

/* From the first device's leaving to the last one's return */
static uint64_t downtime(struct part *const *parts, int count)
{
	uint64_t begin = UINT64_MAX, end = 0;

	for (int i = 0; i < count; i++) {
		const struct part *p = parts[i];

		if (p->stop_ns && p->stop_ns < begin)
			begin = p->stop_ns;
		if (p->home_ns > end)
			end = p->home_ns;
	}
	return end > begin ? end - begin : 0;
}

void set_sum_up(struct part *const *parts, int count, struct vfiomig_result *whole)
{
	whole->complete = whole->loaded = whole->home = true;
	for (int i = 0; i < count; i++)
		add(whole, parts[i]->result);
	whole->downtime_ns = downtime(parts, count);
}
