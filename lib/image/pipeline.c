// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A ring of slots. Chunk n is in slot n % slots, so that three counters describe the ring:
 *
 *	written <= taken <= filled <= written + slots
 *
 * The reader fills the slot after the last filled one. A worker takes the first filled slot that no
 * other worker has taken. The writer writes the slots in their order, each when it is done.
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "pipeline.h"

#define TICK_NS	  200000000
#define HUGE_PAGE (2u << 20)

struct slot {
	struct chunk chunk;
	bool done;
};

struct run {
	const struct pipeline *p;
	struct slot *slots;
	uint64_t nr_slots;

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t room;  /* for the reader: a slot was written */
	pthread_cond_t work;  /* for the workers: a slot was filled */
	pthread_cond_t ready; /* for the writer: a slot is done, or the reader has ended */
	uint64_t filled, taken, written;
	bool ended;  /* the reader has come to the end */
	bool failed; /* ctx->error says how */
};

/* Have all threads stop, also a reader that waits for bytes. */
static void set_failed(struct run *run)
{
	run->failed = true;
	pthread_cond_broadcast(&run->room);
	pthread_cond_broadcast(&run->work);
	pthread_cond_broadcast(&run->ready);
	ctx_cancel(run->p->ctx);
}

/* Wait for a slot to read into. Returns NULL if the pipeline has failed. */
static struct slot *wait_room(struct run *run)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&run->lock);
	while (!run->failed && run->filled == run->written + run->nr_slots)
		pthread_cond_wait(&run->room, &run->lock);
	if (!run->failed)
		slot = &run->slots[run->filled % run->nr_slots];
	pthread_mutex_unlock(&run->lock);
	return slot;
}

static void *reader(void *arg)
{
	struct run *run = arg;
	const struct pipeline *p = run->p;
	bool ended = false;

	while (!ended) {
		struct slot *slot = wait_room(run);
		int err;

		if (!slot)
			break;
		slot->chunk.number = run->filled;
		slot->chunk.in_size = 0;
		err = p->read(p->from, &slot->chunk);
		ended = err || !slot->chunk.in_size;

		pthread_mutex_lock(&run->lock);
		if (err) {
			set_failed(run);
		} else if (ended) {
			run->ended = true;
			pthread_cond_broadcast(&run->work);
			pthread_cond_signal(&run->ready);
		} else {
			run->filled++;
			slot->done = !p->work;
			pthread_cond_signal(p->work ? &run->work : &run->ready);
		}
		pthread_mutex_unlock(&run->lock);
	}
	return NULL;
}

static void *worker(void *arg)
{
	struct run *run = arg;
	const struct pipeline *p = run->p;
	void *own = p->worker_new(p->how);

	pthread_mutex_lock(&run->lock);
	if (!own) {
		ctx_fail_memory(p->ctx);
		set_failed(run);
	}
	for (;;) {
		struct slot *slot;
		int err;

		while (!run->failed && !run->ended && run->taken == run->filled)
			pthread_cond_wait(&run->work, &run->lock);
		if (run->failed || run->taken == run->filled)
			break;
		slot = &run->slots[run->taken++ % run->nr_slots];
		pthread_mutex_unlock(&run->lock);

		err = p->work(own, &slot->chunk);

		pthread_mutex_lock(&run->lock);
		slot->done = true;
		if (err)
			set_failed(run);
		/* The writer waits for the first slot that is not written. */
		else if (slot == &run->slots[run->written % run->nr_slots])
			pthread_cond_signal(&run->ready);
	}
	pthread_mutex_unlock(&run->lock);
	if (own)
		p->worker_free(own);
	return NULL;
}

/* Wait for a chunk to be done, but call the progress function now and then. */
static void wait_ready_or_tick(struct run *run)
{
	struct timespec until;
	int err;

	if (!run->p->ctx->progress.fn) {
		pthread_cond_wait(&run->ready, &run->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += TICK_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (pthread_cond_timedwait(&run->ready, &run->lock, &until) == 0)
		return;
	pthread_mutex_unlock(&run->lock);
	err = ctx_progress(run->p->ctx);
	pthread_mutex_lock(&run->lock);
	if (err)
		set_failed(run);
}

static void writer(struct run *run)
{
	const struct pipeline *p = run->p;

	pthread_mutex_lock(&run->lock);
	for (;;) {
		struct slot *slot = &run->slots[run->written % run->nr_slots];
		int err;

		while (!run->failed && !slot->done && !(run->ended && run->written == run->filled))
			wait_ready_or_tick(run);
		if (run->failed || !slot->done)
			break;
		pthread_mutex_unlock(&run->lock);

		err = p->write(p->to, &slot->chunk);
		if (!err)
			err = ctx_progress(p->ctx);

		pthread_mutex_lock(&run->lock);
		slot->done = false;
		run->written++;
		if (err)
			set_failed(run);
		else
			pthread_cond_signal(&run->room);
	}
	pthread_mutex_unlock(&run->lock);
}

/* A large buffer lies on huge pages, which cost fewer page faults and fewer TLB misses. */
static void *new_buffer(size_t size)
{
	void *buf;

	if (size < HUGE_PAGE)
		return malloc(size);
	size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	buf = aligned_alloc(HUGE_PAGE, size);
	/* A kernel without huge pages uses small ones. */
	if (buf)
		madvise(buf, size, MADV_HUGEPAGE);
	return buf;
}

static void free_slots(struct run *run)
{
	for (uint64_t i = 0; run->slots && i < run->nr_slots; i++) {
		free(run->slots[i].chunk.in);
		free(run->slots[i].chunk.out);
		free(run->slots[i].chunk.iov);
	}
	free(run->slots);
}

static int make_slots(struct run *run)
{
	const struct pipeline *p = run->p;

	/* A slot for each worker, one to read into, and one to write from. */
	run->nr_slots = p->threads + 2;
	run->slots = calloc(run->nr_slots, sizeof(*run->slots));
	for (uint64_t i = 0; run->slots && i < run->nr_slots; i++) {
		struct chunk *c = &run->slots[i].chunk;

		c->in = new_buffer(p->in_room);
		c->out = p->out_room ? new_buffer(p->out_room) : NULL;
		c->iov = calloc(p->iov_room, sizeof(*c->iov));
		if (!c->in || !c->iov || (p->out_room && !c->out))
			return -ENOMEM;
	}
	return run->slots ? 0 : -ENOMEM;
}

/* The new threads block all signals. Those are for the caller's thread, whose write() may block
 * until a signal ends it. */
static int start_threads(struct run *run, pthread_t *threads, int *started)
{
	sigset_t all, before;
	int workers = run->p->work ? run->p->threads : 0;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; !err && i <= workers; i++) {
		err = pthread_create(&threads[i], NULL, i ? worker : reader, run);
		*started += !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int pipeline_run(const struct pipeline *p)
{
	struct run run = {
		.p = p,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.ready = PTHREAD_COND_INITIALIZER,
	};
	pthread_t *threads = calloc(p->threads + 1, sizeof(*threads));
	int started = 0, err = 0;

	ctx_keep_first_error(p->ctx, true);
	if (!threads || make_slots(&run))
		err = ctx_fail_memory(p->ctx);
	if (!err) {
		err = start_threads(&run, threads, &started);
		if (err) {
			ctx_fail(p->ctx, err, "cannot start a thread: %s", strerror(-err));
			pthread_mutex_lock(&run.lock);
			set_failed(&run);
			pthread_mutex_unlock(&run.lock);
		}
		writer(&run);
	}
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (run.failed)
		err = p->ctx->error_code;
	ctx_keep_first_error(p->ctx, false);
	free_slots(&run);
	free(threads);
	return err;
}
