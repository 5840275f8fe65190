// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A ring of slots. Chunk n is in slot n % slots, so that three counters describe the ring:
 *
 *	written <= taken <= filled <= written + slots
 *
 * The reader fills the slot after the last filled one. A worker takes the first filled slot that no
 * other worker has taken. The writer writes the slots in their order, each when it is done.
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kick.h"
#include "pipeline.h"

#define TICK_NS	    200000000
#define LOOK_MS	    1000
#define KICK_NS	    20000000
#define HUGE_PAGE   (2u << 20)
/* Of a worker: its stack, and what the allocator keeps for the thread. */
#define WORKER_ROOM (256u << 10)

struct slot {
	struct chunk chunk;
	bool done;
};

/* A thread that reads or writes, and may sleep in a system call. */
struct sleeper {
	pthread_t thread;
	bool runs;
};

struct run {
	const struct pipeline *p;
	struct slot *slots;
	uint64_t nr_slots;
	int nr_workers;
	struct kick kick;

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t room;  /* for the reader: a slot was written */
	pthread_cond_t work;  /* for the workers: a slot was filled */
	pthread_cond_t ready; /* for the writer: a slot is done, or the reader has ended */
	pthread_cond_t gone;  /* for the watcher: the other threads have ended */
	uint64_t filled, taken, written;
	bool ended;  /* the reader has come to the end */
	bool failed; /* ctx->error says how */
	bool over;   /* all threads but the watcher have ended */
	struct sleeper reading, writing;
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

static void begin_sleeping(struct run *run, struct sleeper *sleeper)
{
	pthread_mutex_lock(&run->lock);
	*sleeper = (struct sleeper){ pthread_self(), true };
	pthread_mutex_unlock(&run->lock);
}

static void end_sleeping(struct run *run, struct sleeper *sleeper)
{
	pthread_mutex_lock(&run->lock);
	sleeper->runs = false;
	pthread_mutex_unlock(&run->lock);
}

static void kick(const struct run *run, const struct sleeper *sleeper)
{
	if (sleeper->runs)
		kick_thread(&run->kick, sleeper->thread);
}

/* Wait for @cond with the lock held, for some nanoseconds. Returns whether the time is over. */
static bool wait_for(struct run *run, pthread_cond_t *cond, long ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_clockwait(cond, &run->lock, CLOCK_MONOTONIC, &until) != 0;
}

/*
 * Wait, without the lock, until somebody interrupts the context or fails the pipeline. Look once a
 * second in any case, so that a wake that could not be written ends nothing for ever.
 */
static void wait_wake(struct run *run)
{
	struct pollfd wake = { .fd = run->p->ctx->wake, .events = POLLIN };

	pthread_mutex_unlock(&run->lock);
	poll(&wake, 1, LOOK_MS);
	ctx_forget_wake(run->p->ctx);
	pthread_mutex_lock(&run->lock);
}

/*
 * End the pipeline when the context is interrupted. When the pipeline ends before its time, kick
 * the threads that may sleep in a read or a write, until they have noticed. Nothing is kicked
 * before that, because drivers lose bytes when a signal interrupts a read.
 */
static void *watcher(void *arg)
{
	struct run *run = arg;
	struct vfiomig_ctx *ctx = run->p->ctx;

	pthread_mutex_lock(&run->lock);
	while (!run->failed && !run->over) {
		wait_wake(run);
		if (ctx->interrupted && !run->failed && !run->over) {
			ctx_fail_interrupted(ctx);
			set_failed(run);
		}
	}
	while (!run->over) {
		kick(run, &run->reading);
		kick(run, &run->writing);
		wait_for(run, &run->gone, KICK_NS);
	}
	pthread_mutex_unlock(&run->lock);
	return NULL;
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

	begin_sleeping(run, &run->reading);
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
	end_sleeping(run, &run->reading);
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
	int err;

	if (!run->p->ctx->progress.fn) {
		pthread_cond_wait(&run->ready, &run->lock);
		return;
	}
	if (!wait_for(run, &run->ready, TICK_NS))
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

	begin_sleeping(run, &run->writing);
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
	end_sleeping(run, &run->writing);
}

/* ---- Memory -------------------------------------------------------------- */

/* How much room a buffer takes. A large one lies on huge pages, which cost fewer page faults and
 * fewer TLB misses. */
static size_t buffer_size(size_t size)
{
	return size < HUGE_PAGE ? size : (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

static void *new_buffer(size_t size)
{
	void *buf;

	if (size < HUGE_PAGE)
		return malloc(size);
	size = buffer_size(size);
	buf = aligned_alloc(HUGE_PAGE, size);
	/* A kernel without huge pages uses small ones. */
	if (buf)
		madvise(buf, size, MADV_HUGEPAGE);
	return buf;
}

static size_t slot_size(const struct pipeline *p)
{
	return buffer_size(p->in_room) + buffer_size(p->out_room) +
	       p->iov_room * sizeof(struct iovec);
}

/*
 * Have as many workers as the caller wants, and a slot for each, one to read into, and one to write
 * from; but no more than there is memory for. Two slots and one worker always fit: the largest
 * chunks, compressed at the highest level, need 216 MiB.
 */
static void plan_memory(struct run *run)
{
	const struct pipeline *p = run->p;
	size_t slot = slot_size(p), worker = p->worker_room + WORKER_ROOM;
	size_t most = PIPELINE_MEMORY_MAX > 2 * slot + worker
			      ? (PIPELINE_MEMORY_MAX - 2 * slot) / (slot + worker)
			      : 0;

	if (!p->work) {
		run->nr_slots = 4;
	} else {
		run->nr_workers = p->threads;
		if ((size_t)run->nr_workers > most)
			run->nr_workers = most ? most : 1;
		run->nr_slots = run->nr_workers + 2;
		if (run->nr_workers < p->threads)
			ctx_log(p->ctx,
				"%d of %d threads: chunks of more would not fit into %u MiB",
				run->nr_workers, p->threads, PIPELINE_MEMORY_MAX >> 20);
	}
	while (run->nr_slots > 2 &&
	       run->nr_slots * slot + run->nr_workers * worker > PIPELINE_MEMORY_MAX)
		run->nr_slots--;
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

/* ---- Threads ------------------------------------------------------------- */

/* The new threads block all signals but the kick. The others are for the caller's thread. */
static int start_threads(struct run *run, pthread_t *threads, int *started)
{
	void *(*const first[])(void *) = { watcher, reader };
	sigset_t before;
	int err = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&run->kick);
	for (int i = 0; !err && i < 2 + run->nr_workers; i++) {
		err = pthread_create(&threads[i], NULL, i < 2 ? first[i] : worker, run);
		*started += !err;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

/* The watcher is the first thread to start, and the last one to end. */
static void join_threads(struct run *run, const pthread_t *threads, int started)
{
	for (int i = 1; i < started; i++)
		pthread_join(threads[i], NULL);
	if (!started)
		return;
	pthread_mutex_lock(&run->lock);
	run->over = true;
	pthread_cond_signal(&run->gone);
	pthread_mutex_unlock(&run->lock);
	ctx_wake(run->p->ctx);
	pthread_join(threads[0], NULL);
}

static int run_threads(struct run *run, pthread_t *threads)
{
	int started = 0, err;

	kick_begin(&run->kick);
	err = start_threads(run, threads, &started);
	if (err) {
		ctx_fail(run->p->ctx, err, "cannot start a thread: %s", strerror(-err));
		pthread_mutex_lock(&run->lock);
		set_failed(run);
		pthread_mutex_unlock(&run->lock);
	}
	writer(run);
	join_threads(run, threads, started);
	kick_end(&run->kick);
	return run->failed ? run->p->ctx->error_code : 0;
}

int pipeline_run(const struct pipeline *p)
{
	struct run run = {
		.p = p,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.ready = PTHREAD_COND_INITIALIZER,
		.gone = PTHREAD_COND_INITIALIZER,
	};
	pthread_t *threads;
	int err;

	plan_memory(&run);
	threads = calloc(2 + run.nr_workers, sizeof(*threads));
	ctx_keep_first_error(p->ctx, true);
	if (!threads || make_slots(&run))
		err = ctx_fail_memory(p->ctx);
	else
		err = run_threads(&run, threads);
	ctx_keep_first_error(p->ctx, false);
	free_slots(&run);
	free(threads);
	return err;
}
