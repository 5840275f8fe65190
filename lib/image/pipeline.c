// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The chunks that are under way are in a ring of slots. Chunk n is in slot n % slots, so that four
 * counters describe the ring:
 *
 *	written <= digested <= taken <= filled <= written + slots
 *
 * The reader fills the slot after the last filled one. A worker takes the first filled slot that no
 * other worker has taken. When the worker is through with the chunk, it waits until the chunks
 * before were digested, and digests this one. The writer writes the slots in their order, each when
 * it is done.
 *
 * The buffers of the other chunks lie on a stack. The reader takes the one that was written last,
 * which is in the processor's caches if anything is. A reader that is to get ahead makes more of
 * them when the stack is empty.
 *
 * There is one worker in the beginning. More start while a chunk waits for a worker, and neither
 * the digest nor the writer, which take one chunk at a time, is busy most of the time. So a slow
 * reader or a slow writer keeps few workers and few buffers busy, however many processors there
 * are.
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "calm.h"
#include "kick.h"
#include "pipeline.h"

#define TICK_NS	     200000000
#define LOOK_MS	     1000
#define CALM_MS	     100
#define KICK_NS	     20000000
#define DEAF_NS	     1000000000ULL /* of kicks, before the user is told that they do not help */
#define HELP_NS	     2000000
#define HUGE_PAGE    (2u << 20)
/* The chunks of a pipeline without workers: one is read, one is written, and some wait. */
#define PLAIN_CHUNKS 4
/* Of a worker: its stack, and what the allocator keeps for the thread. */
#define WORKER_ROOM  (256u << 10)

struct slot {
	struct chunk *chunk;
	bool done;	     /* the chunk is to be written */
	pthread_cond_t turn; /* for the worker that is to digest the chunk */
};

/* What one thread at a time does, with one chunk after the other. */
struct stage {
	uint64_t busy;	/* nanoseconds, without the chunk that is there now */
	uint64_t since; /* when that came; 0 for none */
};

/* A time over which the writer looks at how busy the stages are. */
struct window {
	uint64_t since;		  /* 0 for no window */
	uint64_t digested, wrote; /* stage_busy() at that time */
};

/* A thread that reads or writes, and may sleep in a system call. */
struct sleeper {
	pthread_t thread;
	bool runs;
	bool ends;  /* it calls p->end, which only the user may break off */
	bool moves; /* it is the reader or the writer */
};

struct run {
	const struct pipeline *p;
	struct slot *slots;
	uint64_t nr_slots;
	struct chunk *chunks; /* those of the ring and of the stack, at most one for each slot */
	uint64_t nr_chunks, least_chunks;
	int most_workers;
	struct kick kick;
	pthread_t *threads; /* the watcher, the reader, and the workers; of the caller's thread */
	int nr_threads;

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t room;  /* for the reader: a slot was written */
	pthread_cond_t work;  /* for the workers: a slot was filled */
	pthread_cond_t ready; /* for the writer: a slot is done, or the reader has ended */
	pthread_cond_t gone;  /* for the watcher: the other threads have ended */
	uint64_t filled, taken, digested, written;
	struct chunk **unused; /* the stack */
	int nr_unused;
	int nr_workers, nr_idle; /* an idle worker waits for a chunk, or has just started */
	bool ended;		 /* the reader has come to the end */
	bool failed;		 /* ctx->error says how */
	bool over;		 /* all threads but the watcher have ended */
	struct stage digester, writer;
	uint64_t ticked; /* when the writer has last called the progress function while it waited */
	struct sleeper
		*sleepers; /* the writer, the reader, and the workers, as they have started */
	int nr_sleepers;
};

static struct slot *slot_of(const struct run *run, uint64_t number)
{
	return &run->slots[number % run->nr_slots];
}

/* These are called with the lock held. */
static void stage_begin(struct stage *stage)
{
	stage->since = now_ns();
}

static void stage_end(struct stage *stage)
{
	stage->busy += now_ns() - stage->since;
	stage->since = 0;
}

static uint64_t stage_busy(const struct stage *stage, uint64_t now)
{
	return stage->busy + (stage->since ? now - stage->since : 0);
}

/* Have all threads stop, also a reader that waits for bytes. */
static void set_failed(struct run *run)
{
	run->failed = true;
	pthread_cond_broadcast(&run->room);
	pthread_cond_broadcast(&run->work);
	pthread_cond_broadcast(&run->ready);
	for (uint64_t i = 0; i < run->nr_slots; i++)
		pthread_cond_broadcast(&run->slots[i].turn);
	ctx_cancel(run->p->ctx);
}

static int begin_sleeping(struct run *run, bool moves)
{
	int number;

	pthread_mutex_lock(&run->lock);
	number = run->nr_sleepers++;
	run->sleepers[number] =
		(struct sleeper){ .thread = pthread_self(), .runs = true, .moves = moves };
	pthread_mutex_unlock(&run->lock);
	return number;
}

static void end_sleeping(struct run *run, int number)
{
	pthread_mutex_lock(&run->lock);
	run->sleepers[number].runs = false;
	pthread_mutex_unlock(&run->lock);
}

/* Whether a read or a write has not come back. Arcs are waited for with words of their own. */
static bool is_moving(const struct run *run)
{
	bool moves = false;

	if (pthread_mutex_trylock(&run->p->ctx->arc))
		return false;
	pthread_mutex_unlock(&run->p->ctx->arc);
	for (int i = 0; i < run->nr_sleepers; i++)
		moves = moves || (run->sleepers[i].runs && run->sleepers[i].moves);
	return moves;
}

static void kick_all(const struct run *run)
{
	for (int i = 0; i < run->nr_sleepers; i++) {
		const struct sleeper *s = &run->sleepers[i];

		if (s->runs && (!s->ends || run->p->ctx->interrupted))
			kick_thread(&run->kick, s->thread);
	}
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
 * second in any case, so that a wake that could not be written ends nothing for ever. Where arcs
 * are taken, this thread also takes the signals that all others block.
 */
static void wait_wake(struct run *run)
{
	struct pollfd wake = { .fd = run->p->ctx->wake, .events = POLLIN };

	pthread_mutex_unlock(&run->lock);
	poll(&wake, 1, run->p->takes_arcs ? CALM_MS : LOOK_MS);
	ctx_forget_wake(run->p->ctx);
	if (run->p->takes_arcs)
		calm_look(run->p->ctx);
	pthread_mutex_lock(&run->lock);
}

/* With the lock held: kick the others until they have noticed. A call that does not react to that is
 * waited for. */
static void kick_until_over(struct run *run)
{
	uint64_t begun = now_ns();
	bool told = false;

	while (!run->over) {
		kick_all(run);
		wait_for(run, &run->gone, KICK_NS);
		if (told || run->over || now_ns() - begun < DEAF_NS || !is_moving(run))
			continue;
		told = true;
		pthread_mutex_unlock(&run->lock);
		ctx_notice(
			run->p->ctx,
			"a read or a write cannot be broken off, because the driver or the file does not react to signals; still waiting for it");
		pthread_mutex_lock(&run->lock);
	}
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
	kick_until_over(run);
	pthread_mutex_unlock(&run->lock);
	return NULL;
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

static size_t chunk_room(const struct pipeline *p)
{
	return buffer_size(p->in_room) + buffer_size(p->out_room) +
	       p->iov_room * sizeof(struct iovec);
}

/*
 * Have at most as many workers as the caller wants, and a chunk for each, one to read into, and one
 * to write from; but no more than there is memory for. Two chunks and one worker always fit: the
 * largest chunks, compressed at the highest level, need 216 MiB. A reader that gets ahead may have
 * all the memory that is left.
 */
static void plan_memory(struct run *run)
{
	const struct pipeline *p = run->p;
	size_t room = chunk_room(p), worker = p->worker_room + WORKER_ROOM, left;
	size_t most = PIPELINE_MEMORY_MAX > 2 * room + worker
			      ? (PIPELINE_MEMORY_MAX - 2 * room) / (room + worker)
			      : 0;

	if (!p->work) {
		run->least_chunks = PLAIN_CHUNKS;
	} else {
		run->most_workers = p->threads;
		if ((size_t)run->most_workers > most)
			run->most_workers = most ? most : 1;
		run->least_chunks = run->most_workers + 2;
		if (run->most_workers < p->threads)
			ctx_log(p->ctx,
				"%d of %d threads: chunks of more would not fit into %u MiB",
				run->most_workers, p->threads, PIPELINE_MEMORY_MAX >> 20);
	}
	left = PIPELINE_MEMORY_MAX - run->most_workers * worker;
	while (run->least_chunks > 2 && run->least_chunks * room > left)
		run->least_chunks--;
	run->nr_slots = run->least_chunks;
	if (p->ahead && left / room > run->nr_slots)
		run->nr_slots = left / room;
}

static void free_buffers(struct chunk *c)
{
	free(c->in);
	free(c->out);
	free(c->iov);
	*c = (struct chunk){ 0 };
}

/* Another chunk, for the stack. Returns whether there is memory for it. */
static bool add_buffers(struct run *run)
{
	const struct pipeline *p = run->p;
	struct chunk *c = &run->chunks[run->nr_chunks];

	c->in = new_buffer(p->in_room);
	c->out = p->out_room ? new_buffer(p->out_room) : NULL;
	c->iov = calloc(p->iov_room, sizeof(*c->iov));
	if (!c->in || !c->iov || (p->out_room && !c->out)) {
		free_buffers(c);
		return false;
	}
	run->nr_chunks++;
	run->unused[run->nr_unused++] = c;
	return true;
}

static void free_slots(struct run *run)
{
	for (uint64_t i = 0; i < run->nr_chunks; i++)
		free_buffers(&run->chunks[i]);
	free(run->chunks);
	free(run->unused);
	free(run->slots);
}

static int make_slots(struct run *run)
{
	run->slots = calloc(run->nr_slots, sizeof(*run->slots));
	run->unused = calloc(run->nr_slots, sizeof(*run->unused));
	run->chunks = calloc(run->nr_slots, sizeof(*run->chunks));
	if (!run->slots || !run->unused || !run->chunks)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->nr_slots; i++)
		pthread_cond_init(&run->slots[i].turn, NULL);
	while (run->nr_chunks < run->least_chunks)
		if (!add_buffers(run))
			return -ENOMEM;
	return 0;
}

/* ---- Reading ------------------------------------------------------------- */

/* How many chunks may be under way: as many as keep the workers busy while one chunk is read, and
 * one written. */
static uint64_t most_under_way(const struct run *run)
{
	return run->p->work ? run->nr_workers + 2u : PLAIN_CHUNKS;
}

/* Returns NULL if there is none. */
static struct chunk *find_room(struct run *run)
{
	/* The first worker comes first: without its memory nothing goes on. */
	bool ahead =
		run->p->ahead && (run->digested || !run->p->work) && run->p->ahead(run->p->from);

	if (!ahead && run->filled - run->written >= most_under_way(run))
		return NULL;
	if (!run->nr_unused && (!ahead || run->nr_chunks == run->nr_slots || !add_buffers(run)))
		return NULL;
	return run->unused[--run->nr_unused];
}

/* Wait for a chunk to read into. Returns NULL if the pipeline has failed. */
static struct chunk *wait_room(struct run *run)
{
	struct chunk *chunk = NULL;

	pthread_mutex_lock(&run->lock);
	while (!run->failed && !(chunk = find_room(run)))
		pthread_cond_wait(&run->room, &run->lock);
	if (run->failed)
		chunk = NULL;
	pthread_mutex_unlock(&run->lock);
	return chunk;
}

/* If a chunk waits for a worker, and no worker is idle, it is for the writer to start one. If there
 * are none, the chunk is for the writer itself. */
static void ask_help(struct run *run)
{
	if (!run->nr_idle && run->taken < run->filled)
		pthread_cond_signal(&run->ready);
}

static void add_chunk(struct run *run, struct chunk *chunk)
{
	struct slot *slot;

	pthread_mutex_lock(&run->lock);
	slot = slot_of(run, run->filled++);
	slot->chunk = chunk;
	slot->done = !run->p->work;
	if (run->p->work)
		pthread_cond_signal(&run->work);
	ask_help(run);
	pthread_mutex_unlock(&run->lock);
}

static int read_chunk(struct run *run, struct chunk *chunk)
{
	chunk->number = run->filled;
	chunk->in_size = 0;
	chunk->fetch = chunk->zero = false;
	return run->p->read(run->p->from, chunk);
}

/* Nothing more is read, because of @err or because there is nothing more. @number: that of the
 * sleeper. */
static void end_reading(struct run *run, int number, int err)
{
	pthread_mutex_lock(&run->lock);
	run->sleepers[number].ends = true;
	pthread_mutex_unlock(&run->lock);
	if (!err && run->p->end)
		err = run->p->end(run->p->from);
	pthread_mutex_lock(&run->lock);
	if (err) {
		set_failed(run);
	} else {
		run->ended = true;
		pthread_cond_broadcast(&run->work);
		pthread_cond_signal(&run->ready);
	}
	pthread_mutex_unlock(&run->lock);
}

static void *reader(void *arg)
{
	struct run *run = arg;
	int number = begin_sleeping(run, true), err = 0;
	struct chunk *chunk;

	while ((chunk = wait_room(run))) {
		err = read_chunk(run, chunk);
		if (err || !chunk->in_size)
			break;
		add_chunk(run, chunk);
	}
	if (chunk)
		end_reading(run, number, err);
	end_sleeping(run, number);
	return NULL;
}

/* ---- Working ------------------------------------------------------------- */

/* Wait, with the lock held, for a chunk to work on. Returns NULL if there is none any more. */
static struct slot *take_chunk(struct run *run)
{
	struct slot *slot;

	while (!run->failed && !run->ended && run->taken == run->filled)
		pthread_cond_wait(&run->work, &run->lock);
	if (run->failed || run->taken == run->filled)
		return NULL;
	slot = slot_of(run, run->taken++);
	run->nr_idle--;
	ask_help(run);
	return slot;
}

static int work_on(const struct pipeline *p, void *own, struct chunk *chunk)
{
	int err = chunk->fetch ? p->fetch(p->from, chunk) : 0;

	return err ? err : p->work(own, chunk);
}

/* Digest a chunk, with the lock held, when it is its turn. */
static void digest(struct run *run, struct slot *slot)
{
	while (!run->failed && slot != slot_of(run, run->digested))
		pthread_cond_wait(&slot->turn, &run->lock);
	if (run->failed)
		return;
	stage_begin(&run->digester);
	pthread_mutex_unlock(&run->lock);

	run->p->digest(run->p->digests, slot->chunk);

	pthread_mutex_lock(&run->lock);
	stage_end(&run->digester);
	slot->done = true;
	pthread_cond_signal(&slot_of(run, ++run->digested)->turn);
	if (run->p->ahead)
		pthread_cond_signal(&run->room);
	/* The writer waits for the first chunk that is not written. */
	if (slot == slot_of(run, run->written))
		pthread_cond_signal(&run->ready);
}

/* A worker has no memory to work with. The others go on without it, if there are any. */
static void give_up(struct run *run)
{
	run->most_workers = --run->nr_workers;
	run->nr_idle--;
	if (run->nr_workers) {
		ask_help(run);
		return;
	}
	ctx_fail_memory(run->p->ctx);
	set_failed(run);
}

static void *worker(void *arg)
{
	struct run *run = arg;
	const struct pipeline *p = run->p;
	int number = begin_sleeping(run, false);
	void *own = p->worker_new(p->how);
	struct slot *slot;

	pthread_mutex_lock(&run->lock);
	if (!own)
		give_up(run);
	while (own && (slot = take_chunk(run))) {
		int err;

		pthread_mutex_unlock(&run->lock);
		err = work_on(p, own, slot->chunk);
		pthread_mutex_lock(&run->lock);
		if (err)
			set_failed(run);
		else
			digest(run, slot);
		run->nr_idle++;
	}
	pthread_mutex_unlock(&run->lock);
	if (own)
		p->worker_free(own);
	end_sleeping(run, number);
	return NULL;
}

/* ---- Threads ------------------------------------------------------------- */

static int make_threads(struct run *run)
{
	int most = 2 + run->most_workers;

	run->threads = calloc(most, sizeof(*run->threads));
	run->sleepers = calloc(most, sizeof(*run->sleepers));
	return run->threads && run->sleepers ? 0 : -ENOMEM;
}

/* A new thread blocks all signals but the kick. The others are for the caller's thread. */
static int start_thread(struct run *run, void *(*fn)(void *))
{
	sigset_t before;
	int err;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&run->kick);
	err = pthread_create(&run->threads[run->nr_threads], NULL, fn, run);
	run->nr_threads += !err;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

/* With the lock held. Another worker is room for another chunk. */
static int start_worker(struct run *run)
{
	int err = start_thread(run, worker);

	run->nr_workers += !err;
	run->nr_idle += !err;
	pthread_cond_signal(&run->room);
	return err;
}

static void start_threads(struct run *run)
{
	int err = start_thread(run, watcher);

	if (!err)
		err = start_thread(run, reader);
	pthread_mutex_lock(&run->lock);
	if (!err && run->p->work)
		err = start_worker(run);
	if (err) {
		ctx_fail(run->p->ctx, err, "cannot start a thread: %s", strerror(-err));
		set_failed(run);
	}
	pthread_mutex_unlock(&run->lock);
}

/* The watcher is the first thread to start, and the last one to end. */
static void join_threads(struct run *run)
{
	for (int i = 1; i < run->nr_threads; i++)
		pthread_join(run->threads[i], NULL);
	if (!run->nr_threads)
		return;
	pthread_mutex_lock(&run->lock);
	run->over = true;
	pthread_cond_signal(&run->gone);
	pthread_mutex_unlock(&run->lock);
	ctx_wake(run->p->ctx);
	pthread_join(run->threads[0], NULL);
}

/* ---- Writing ------------------------------------------------------------- */

static bool needs_worker(const struct run *run)
{
	return run->nr_workers < run->most_workers && !run->nr_idle && run->taken < run->filled;
}

/*
 * How many more workers help, after a window: as many again if no stage was busy for two fifths of
 * the time, so that none is at its limit with twice the workers, either. One, up to four fifths.
 */
static int help_for(const struct run *run, const struct window *w, uint64_t now)
{
	uint64_t digested = stage_busy(&run->digester, now) - w->digested;
	uint64_t wrote = stage_busy(&run->writer, now) - w->wrote;
	uint64_t busy = digested > wrote ? digested : wrote, time = now - w->since;

	if (busy >= time / 5 * 4)
		return 0;
	return busy < time / 5 * 2 ? run->nr_workers : 1;
}

/* There is work without these workers, so it is no failure when a thread cannot be started. */
static void add_workers(struct run *run, int count)
{
	while (count-- && run->nr_workers < run->most_workers)
		if (start_worker(run))
			run->most_workers = run->nr_workers;
}

/* Start workers when they have been needed for a while. */
static void help_workers(struct run *run, struct window *w)
{
	uint64_t now = now_ns();

	if (!needs_worker(run)) {
		w->since = 0;
		return;
	}
	if (w->since && now - w->since < HELP_NS)
		return;
	if (w->since)
		add_workers(run, help_for(run, w, now));
	*w = (struct window){ now, stage_busy(&run->digester, now), stage_busy(&run->writer, now) };
}

/* Wait for a chunk to be done, but look after the workers, and call the progress function, now and
 * then. */
static void wait_ready(struct run *run, struct window *w)
{
	int err;

	help_workers(run, w);
	if (!w->since && !run->p->ctx->progress.fn) {
		pthread_cond_wait(&run->ready, &run->lock);
		return;
	}
	/* A look after the workers is due more often than a call. */
	if (!wait_for(run, &run->ready, w->since ? HELP_NS : TICK_NS) ||
	    now_ns() - run->ticked < TICK_NS)
		return;
	run->ticked = now_ns();
	pthread_mutex_unlock(&run->lock);
	err = ctx_progress(run->p->ctx);
	pthread_mutex_lock(&run->lock);
	if (err)
		set_failed(run);
}

static void writer(struct run *run)
{
	const struct pipeline *p = run->p;
	int number = begin_sleeping(run, true);
	struct window window = { 0 };

	pthread_mutex_lock(&run->lock);
	for (;;) {
		struct slot *slot = slot_of(run, run->written);
		int err;

		while (!run->failed && !slot->done && !(run->ended && run->written == run->filled))
			wait_ready(run, &window);
		if (run->failed || !slot->done)
			break;
		stage_begin(&run->writer);
		pthread_mutex_unlock(&run->lock);

		err = p->write(p->to, slot->chunk);
		if (!err && p->moved) {
			p->moved->bytes += slot->chunk->in_size;
			p->moved->at_ns = now_ns();
		}
		if (!err)
			err = ctx_progress(p->ctx);

		pthread_mutex_lock(&run->lock);
		stage_end(&run->writer);
		slot->done = false;
		run->unused[run->nr_unused++] = slot->chunk;
		run->written++;
		if (err)
			set_failed(run);
		else
			pthread_cond_signal(&run->room);
	}
	pthread_mutex_unlock(&run->lock);
	end_sleeping(run, number);
}

/* ---- The whole ----------------------------------------------------------- */

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
	sigset_t before;
	int err;

	plan_memory(&run);
	ctx_keep_first_error(p->ctx, true);
	if (make_threads(&run) || make_slots(&run)) {
		err = ctx_fail_memory(p->ctx);
	} else {
		kick_begin(&run.kick);
		if (p->takes_arcs)
			calm_begin(&before);
		start_threads(&run);
		writer(&run);
		join_threads(&run);
		if (p->takes_arcs)
			calm_end(&before);
		kick_end(&run.kick);
		err = run.failed ? p->ctx->error_code : 0;
	}
	ctx_keep_first_error(p->ctx, false);
	free_slots(&run);
	free(run.threads);
	free(run.sleepers);
	return err;
}
