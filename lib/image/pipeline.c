// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The chunks that are under way are in slots. Each lane has a ring of those that are its own: its
 * chunk n is in ring[n % nr_slots], so that four counters describe the ring:
 *
 *	written <= digested <= taken <= filled <= written + nr_slots
 *
 * A reader fills a slot and puts it behind the last one of the lane. A worker takes the first
 * filled slot that no other worker has taken, from each lane in turn. When the worker is through
 * with the chunk, it waits until the chunks of the lane before were digested, and digests this one.
 * The writer writes the slots of a lane in their order, each when it is done.
 *
 * The slots that are in no lane lie on a stack. The reader takes the one that was written last,
 * whose buffer is in the processor's caches if anything is. A reader that is to get ahead makes
 * more of them when the stack is empty. The workers have time then, because the writer is slower:
 * they leave the chunks that wait, and make the slots for the reader. The kernel finds the memory
 * of a slot when it is touched, which takes as long as to fill it; so slots are touched before a
 * device is stopped, as many as it is to deliver, unless there is not memory enough by far: see
 * pipeline_prepare().
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
#include <sys/resource.h>

#include "calm.h"
#include "kick.h"
#include "pipeline.h"

#define TICK_NS	     200000000
#define LOOK_MS	     1000
#define CALM_MS	     100
#define KICK_NS	     20000000
#define DEAF_NS	     2000000000ULL /* of kicks, before the user is told that they do not help */
#define HELP_NS	     2000000
#define PAUSE_NS     5000000   /* between the looks of a writer that leaves the processors */
#define BUSY_NS	     500000000 /* after a read the reader is taken to be busy with the next one */
#define HUGE_PAGE    (2u << 20)
#define PAGE	     4096 /* the smallest that any machine has */
/* The chunks of a pipeline without workers: one is read, one is written, and some wait. */
#define PLAIN_CHUNKS 4
/* Of a worker: its stack, and what the allocator keeps for the thread. */
#define WORKER_ROOM  (256u << 10)
/* What slots that are made early leave: room for the stacks of threads that take arcs. */
#define LEFT_ROOM    (32u << 20)

struct slot {
	struct chunk chunk;
	bool warm;	     /* the kernel has found its memory */
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
	uint64_t digested, wrote; /* digesters_busy() and writers_busy() then */
};

/* The way of one state. */
struct lane {
	struct run *run;
	int number;
	struct slot **ring;
	/* With run->lock held: */
	uint64_t filled, taken, digested, written;
	bool ahead; /* its reader reads ahead of the writer, or has, and is in its @end */
	/* Its reader keeps a processor busy until then: it did not sleep in its last read. */
	uint64_t busy_until;
	bool ended;	      /* there are no more chunks to read */
	bool closed;	      /* the writer has done all */
	pthread_cond_t ready; /* for the lane's own writer, if it has one */
	struct stage digester, writer;
};

/* A thread that reads or writes, and may sleep in a system call. */
struct sleeper {
	pthread_t thread;
	bool runs;
	bool ends; /* it calls what only the user may break off, the @end of a reader or a writer */
	bool moves; /* it is a reader or a writer */
};

struct run {
	const struct pipeline *p;
	struct lane *lanes;
	int nr_lanes;
	struct slot *slots; /* at most @nr_slots, of which @nr_made have their buffers */
	uint64_t nr_slots, nr_made, least_made;
	int most_workers;
	struct kick kick;
	pthread_t *threads; /* all but the caller's, the watcher first; for the caller's thread */
	int nr_threads;

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t room;  /* for the readers: a slot was written */
	pthread_cond_t work;  /* for the workers: a slot was filled */
	pthread_cond_t ready; /* for the caller's thread, see wait_ready() */
	pthread_cond_t gone;  /* for the watcher: the other threads have ended */
	struct slot **unused; /* the stack */
	int nr_unused;
	int nr_reading, nr_open;       /* readers that go on, and lanes that are not closed */
	int nr_filling;		       /* readers that have not come to the end of their bytes */
	int nr_waiting;		       /* chunks that no worker has taken */
	int next_taken, next_written;  /* the lanes whose turn it is */
	bool writer_busy;	       /* the caller's thread has not slept in its last write */
	bool begun;		       /* a chunk was digested */
	bool full;		       /* a reader that gets ahead had no room */
	int nr_preparing;	       /* slots that are being touched */
	uint64_t nr_warm, warm_wanted; /* slots that are warm, and how many are to be */
	bool equipped;		       /* a worker has its memory */
	int nr_prepared;	       /* readers that have said how much they read */
	uint64_t nr_expected;	       /* the chunks that these expect */
	int nr_preparing_readers;      /* they are in pipeline_prepare() */
	void *left;		       /* the memory that these leave for others */
	int nr_workers, nr_idle;       /* an idle worker waits for a chunk, or has just started */
	bool failed;		       /* ctx->error says how */
	bool over;		       /* all threads but the watcher have ended */
	uint64_t ticked; /* when the writer has last called the progress function while it waited */
	struct sleeper *sleepers; /* all threads but the watcher, as they have started */
	int nr_sleepers;
};

static struct slot *slot_of(const struct lane *lane, uint64_t number)
{
	return lane->ring[number % lane->run->nr_slots];
}

static bool has_lane_readers(const struct run *run)
{
	return run->p->nr_readers > 1;
}

static bool has_lane_writers(const struct run *run)
{
	return run->p->nr_writers > 1;
}

/* How often this thread has slept; negative if that is not known, or if nobody asks, because no
 * reader gets ahead. */
static long nr_sleeps(const struct run *run)
{
	struct rusage usage;

	if (!run->p->readers->ahead || getrusage(RUSAGE_THREAD, &usage))
		return -1;
	return usage.ru_nvcsw;
}

/* Whether this thread has not slept since it had done so @before times. */
static bool is_awake(const struct run *run, long before)
{
	return before >= 0 && nr_sleeps(run) == before;
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
	for (int i = 0; i < run->nr_lanes; i++)
		pthread_cond_signal(&run->lanes[i].ready);
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

	if (pthread_rwlock_trywrlock(&run->p->ctx->arc))
		return false;
	pthread_rwlock_unlock(&run->p->ctx->arc);
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

/* Wait for @cond with the lock held, for some nanoseconds at most. */
static void wait_for(struct run *run, pthread_cond_t *cond, long ns)
{
	wait_cond(cond, &run->lock, ns);
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

/* With the lock held: kick the others until they have noticed. A call that does not react to that
 * is waited for. */
static void kick_until_over(struct run *run)
{
	uint64_t since = now_ns();
	bool told = false;

	while (!run->over) {
		kick_all(run);
		wait_for(run, &run->gone, KICK_NS);
		if (!is_moving(run))
			since = now_ns();
		if (told || run->over || now_ns() - since < DEAF_NS)
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
 * Have at most as many workers as the caller wants, and a chunk for each, and for each lane one to
 * read into, and one to write from; but no more than there is memory for. One chunk more than
 * lanes, and one worker, always fit: the largest chunks, compressed at the highest level, need 216
 * MiB, and those of several lanes are smaller. A reader that gets ahead may have all the memory
 * that is left.
 */
static void plan_memory(struct run *run)
{
	const struct pipeline *p = run->p;
	size_t room = chunk_room(p), worker = p->worker_room + WORKER_ROOM, left;
	size_t ends = 2 * run->nr_lanes * room;
	size_t most = PIPELINE_MEMORY_MAX > ends + worker
			      ? (PIPELINE_MEMORY_MAX - ends) / (room + worker)
			      : 0;

	if (!p->work) {
		run->least_made = PLAIN_CHUNKS;
	} else {
		run->most_workers = p->threads;
		if ((size_t)run->most_workers > most)
			run->most_workers = most ? most : 1;
		run->least_made = run->most_workers + 2 * run->nr_lanes;
		if (run->most_workers < p->threads)
			ctx_log(p->ctx,
				"%d of %d threads: chunks of more would not fit into %u MiB",
				run->most_workers, p->threads, PIPELINE_MEMORY_MAX >> 20);
	}
	left = PIPELINE_MEMORY_MAX - run->most_workers * worker;
	while (run->least_made > run->nr_lanes + 1u && run->least_made * room > left)
		run->least_made--;
	run->nr_slots = run->least_made;
	/* All readers of a pipeline are of one kind. */
	if (p->readers->ahead && left / room > run->nr_slots)
		run->nr_slots = left / room;
}

static void free_buffers(struct chunk *c)
{
	free(c->in);
	free(c->out);
	free(c->iov);
	*c = (struct chunk){ 0 };
}

/* Another slot, for the stack. Returns whether there is memory for it. */
static bool make_slot(struct run *run)
{
	const struct pipeline *p = run->p;
	struct slot *slot = &run->slots[run->nr_made];
	struct chunk *c = &slot->chunk;

	c->in = new_buffer(p->in_room);
	c->out = p->out_room ? new_buffer(p->out_room) : NULL;
	c->iov = calloc(p->iov_room, sizeof(*c->iov));
	if (!c->in || !c->iov || (p->out_room && !c->out)) {
		free_buffers(c);
		return false;
	}
	run->nr_made++;
	run->unused[run->nr_unused++] = slot;
	return true;
}

static void free_slots(struct run *run)
{
	for (uint64_t i = 0; i < run->nr_made; i++)
		free_buffers(&run->slots[i].chunk);
	for (int i = 0; run->lanes && i < run->nr_lanes; i++)
		free(run->lanes[i].ring);
	free(run->lanes);
	free(run->unused);
	free(run->slots);
}

static int make_lanes(struct run *run)
{
	run->lanes = calloc(run->nr_lanes, sizeof(*run->lanes));
	if (!run->lanes)
		return -ENOMEM;
	for (int i = 0; i < run->nr_lanes; i++) {
		struct lane *lane = &run->lanes[i];

		lane->run = run;
		lane->number = i;
		pthread_cond_init(&lane->ready, NULL);
		lane->ring = calloc(run->nr_slots, sizeof(struct slot *));
		if (!lane->ring)
			return -ENOMEM;
	}
	return 0;
}

static int make_slots(struct run *run)
{
	run->slots = calloc(run->nr_slots, sizeof(*run->slots));
	run->unused = calloc(run->nr_slots, sizeof(struct slot *));
	if (!run->slots || !run->unused)
		return -ENOMEM;
	for (uint64_t i = 0; i < run->nr_slots; i++)
		pthread_cond_init(&run->slots[i].turn, NULL);
	while (run->nr_made < run->least_made)
		if (!make_slot(run))
			return -ENOMEM;
	return 0;
}

/* ---- Reading ------------------------------------------------------------- */

/* How many chunks may be under way: as many as keep the workers busy while one chunk of each lane
 * is read, and one written. */
static uint64_t most_under_way(const struct run *run)
{
	return run->p->work ? run->nr_workers + 2u * run->nr_lanes : PLAIN_CHUNKS;
}

/* How many chunks no worker is through with. */
static uint64_t nr_undigested(const struct run *run)
{
	uint64_t count = 0;

	for (int i = 0; i < run->nr_lanes; i++)
		count += run->lanes[i].filled - run->lanes[i].digested;
	return count;
}

/* How many chunks this reader has under way, and how many it may have. What others have left, when
 * they have come to their end, is for those that go on. The reader of several lanes gets ahead of a
 * slow writer, but not of the workers. */
static bool has_room(const struct lane *lane)
{
	const struct run *run = lane->run;
	uint64_t most = most_under_way(run);
	uint64_t used = has_lane_readers(run) ? lane->filled - lane->written
					      : run->nr_made - run->nr_unused;

	if (lane->ahead && has_lane_writers(run) && nr_undigested(run) >= most)
		return false;
	if (lane->ahead || most > run->nr_slots)
		most = run->nr_slots;
	most /= run->nr_filling;
	return used < (most ? most : 1);
}

static void set_warm(struct run *run, struct slot *slot)
{
	run->nr_warm += !slot->warm;
	slot->warm = true;
}

static struct slot *take_unused(const struct lane *lane)
{
	struct run *run = lane->run;
	struct slot *slot;

	if (!has_room(lane))
		return NULL;
	if (!run->nr_unused && (run->nr_made == run->nr_slots || !make_slot(run)))
		return NULL;
	slot = run->unused[--run->nr_unused];
	/* It is read into now. */
	set_warm(run, slot);
	return slot;
}

/* Returns NULL if there is none. */
static struct slot *find_room(struct lane *lane)
{
	struct run *run = lane->run;
	const struct reader *r = &run->p->readers[lane->number];
	struct slot *slot;

	/* The first worker comes first: without its memory nothing goes on. */
	lane->ahead = r->ahead && (run->begun || !run->p->work) && r->ahead(r->from);
	slot = take_unused(lane);
	if (lane->ahead && slot) {
		/* A worker that has time can make the next one. */
		pthread_cond_signal(&run->work);
	} else if (lane->ahead && !run->full) {
		run->full = true;
		pthread_cond_broadcast(&run->work);
	}
	return slot;
}

/* Wait for a slot to read into. Returns NULL if the pipeline has failed. */
static struct slot *wait_room(struct lane *lane)
{
	struct run *run = lane->run;
	struct slot *slot = NULL;

	pthread_mutex_lock(&run->lock);
	while (!run->failed && !(slot = find_room(lane)))
		pthread_cond_wait(&run->room, &run->lock);
	if (run->failed)
		slot = NULL;
	pthread_mutex_unlock(&run->lock);
	return slot;
}

/* If a chunk waits for a worker, and no worker is idle, it is for the caller's thread to start
 * one. */
static void ask_help(struct run *run)
{
	if (!run->nr_idle && run->nr_waiting)
		pthread_cond_signal(&run->ready);
}

/* Tell whoever writes the chunks of this lane. */
static void signal_ready(struct lane *lane)
{
	struct run *run = lane->run;

	pthread_cond_signal(has_lane_writers(run) ? &lane->ready : &run->ready);
}

static void add_chunk(struct lane *from, struct slot *slot, bool busy)
{
	struct run *run = from->run;
	struct lane *lane = &run->lanes[slot->chunk.lane];

	pthread_mutex_lock(&run->lock);
	from->busy_until = busy ? now_ns() + BUSY_NS : 0;
	slot->chunk.number = lane->filled;
	lane->ring[lane->filled++ % run->nr_slots] = slot;
	slot->done = !run->p->work;
	if (run->p->work) {
		run->nr_waiting++;
		pthread_cond_signal(&run->work);
		ask_help(run);
	} else {
		signal_ready(lane);
	}
	pthread_mutex_unlock(&run->lock);
}

/* @busy receives whether that took a processor all the time, as far as there was one. */
static int read_chunk(const struct lane *lane, struct chunk *chunk, bool *busy)
{
	const struct reader *r = &lane->run->p->readers[lane->number];
	long sleeps = nr_sleeps(lane->run);
	int err;

	chunk->in_size = 0;
	chunk->run = lane->run;
	chunk->lane = lane->number;
	chunk->fetch = chunk->zero = chunk->ends_lane = false;
	err = r->read(r->from, chunk);
	*busy = is_awake(lane->run, sleeps);
	return err;
}

/* With the lock held */
static void end_lane(struct lane *lane)
{
	lane->ended = true;
	signal_ready(lane);
}

static void put_back(struct run *run, struct slot *slot)
{
	run->unused[run->nr_unused++] = slot;
	pthread_cond_broadcast(&run->room);
	/* A chunk that was left until this one was written: see has_time(). */
	if (run->nr_waiting)
		pthread_cond_signal(&run->work);
}

/* A chunk that says that there are no more of its lane. */
static void take_end(struct run *run, struct slot *slot)
{
	pthread_mutex_lock(&run->lock);
	end_lane(&run->lanes[slot->chunk.lane]);
	put_back(run, slot);
	pthread_mutex_unlock(&run->lock);
}

/* With the lock held: the reader of this lane, or of all, has come to the end. */
static void set_ended(struct lane *lane)
{
	struct run *run = lane->run;

	run->nr_reading--;
	if (has_lane_readers(run))
		end_lane(lane);
	else
		for (int i = 0; i < run->nr_lanes; i++)
			end_lane(&run->lanes[i]);
	if (!run->nr_reading) {
		pthread_cond_broadcast(&run->work);
		pthread_cond_signal(&run->ready);
	}
}

/* Nothing more is read, because of @err or because there is nothing more. @number: that of the
 * sleeper. */
static void end_reading(struct lane *lane, struct slot *slot, int number, int err)
{
	struct run *run = lane->run;
	const struct reader *r = &run->p->readers[lane->number];

	pthread_mutex_lock(&run->lock);
	/* The others have a larger share, also while this one's end waits for theirs. The last one
	 * has nobody wait for memory any more. */
	if (!--run->nr_filling)
		run->full = false;
	put_back(run, slot);
	lane->busy_until = 0;
	run->sleepers[number].ends = true;
	pthread_mutex_unlock(&run->lock);
	if (!err && r->end)
		err = r->end(r->from);
	pthread_mutex_lock(&run->lock);
	/* A stopped device is home only now. */
	lane->ahead = false;
	pthread_cond_broadcast(&run->work);
	if (err)
		set_failed(run);
	else
		set_ended(lane);
	pthread_mutex_unlock(&run->lock);
}

static void *reader(void *arg)
{
	struct lane *lane = arg;
	struct run *run = lane->run;
	int number = begin_sleeping(run, true), err = 0;
	struct slot *slot;
	bool busy;

	while ((slot = wait_room(lane))) {
		err = read_chunk(lane, &slot->chunk, &busy);
		if (!err && slot->chunk.ends_lane)
			take_end(run, slot);
		else if (!err && slot->chunk.in_size)
			add_chunk(lane, slot, busy);
		else
			break;
	}
	if (slot)
		end_reading(lane, slot, number, err);
	end_sleeping(run, number);
	return NULL;
}

/* ---- Memory that is there before it is read into ------------------------- */

/* Have the kernel find the memory of a buffer now. */
static void touch(volatile uint8_t *buf, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE)
		buf[at] = 0;
	if (size)
		buf[size - 1] = 0;
}

/* A slot that is not warm, off the stack, or a new one. Returns NULL if there is none. */
static struct slot *take_cold(struct run *run)
{
	for (int i = 0; i < run->nr_unused; i++) {
		struct slot *slot = run->unused[i];

		if (slot->warm)
			continue;
		run->unused[i] = run->unused[--run->nr_unused];
		return slot;
	}
	if (run->nr_made == run->nr_slots || !make_slot(run))
		return NULL;
	return run->unused[--run->nr_unused];
}

/* With the lock held but for the longest part of it. Returns false if there is no slot, or no
 * memory for another one. */
static bool warm_slot(struct run *run)
{
	struct slot *slot = take_cold(run);

	if (!slot)
		return false;
	set_warm(run, slot);
	run->nr_preparing++;
	pthread_mutex_unlock(&run->lock);
	touch(slot->chunk.in, run->p->in_room);
	pthread_mutex_lock(&run->lock);
	run->nr_preparing--;
	put_back(run, slot);
	return true;
}

/* Whether the first worker has its memory, without which nothing goes on. It finds some of it while
 * it works on its first chunk. */
static bool has_worker(const struct run *run)
{
	bool taken = false;

	for (int i = 0; i < run->nr_lanes; i++)
		taken = taken || run->lanes[i].taken;
	return !run->p->work || (run->equipped && (run->begun || !taken));
}

/* With the lock held. While slots are made early, leave memory for what comes later: for the work
 * on the first chunk, which waits as long, and for the stacks of threads that take arcs. */
static void begin_preparing(struct run *run)
{
	if (!run->nr_preparing_readers++)
		run->left = malloc(run->p->worker_room + LEFT_ROOM);
}

static void end_preparing(struct run *run)
{
	if (--run->nr_preparing_readers)
		return;
	free(run->left);
	run->left = NULL;
	pthread_cond_broadcast(&run->work);
}

void pipeline_prepare(const struct chunk *chunk, uint64_t bytes)
{
	struct run *run = chunk->run;
	uint64_t most = run->nr_slots / run->p->nr_readers, count = bytes / run->p->in_room + 1;

	touch(chunk->in + chunk->in_size, run->p->in_room - chunk->in_size);
	pthread_mutex_lock(&run->lock);
	while (!run->failed && !has_worker(run))
		pthread_cond_wait(&run->room, &run->lock);
	begin_preparing(run);
	run->nr_prepared += bytes > 0;
	run->nr_expected += count;
	/* If there is much more, the device waits for the writer, and the memory is found
	 * meanwhile. */
	if (count <= 2 * most)
		run->warm_wanted += count < most ? count : most;
	/* A worker that has time helps. */
	pthread_cond_signal(&run->work);
	while (!run->failed && run->left && run->nr_warm < run->warm_wanted && warm_slot(run))
		;
	end_preparing(run);
	pthread_mutex_unlock(&run->lock);
}

/* ---- Working ------------------------------------------------------------- */

/* The lane whose turn it is, of those that have a chunk that no worker has taken. */
static struct lane *find_filled(struct run *run)
{
	struct lane *lane;

	do {
		lane = &run->lanes[run->next_taken];
		run->next_taken = (run->next_taken + 1) % run->nr_lanes;
	} while (lane->taken == lane->filled);
	return lane;
}

/*
 * Whether the chunks that wait are better left for later: a reader gets ahead, or is in its @end
 * after that, so a device is stopped, and needs the processors more than the writer, for which the
 * next chunk is there. When there is no more memory, the device waits for the writer, and so for
 * all of them.
 */
static bool has_time(const struct run *run)
{
	uint64_t under_way = 0;
	bool ahead = false;

	/* The reader of several lanes waits for the workers. */
	if (has_lane_writers(run) || run->full)
		return false;
	for (int i = 0; i < run->nr_lanes; i++) {
		under_way += run->lanes[i].taken - run->lanes[i].written;
		ahead = ahead || run->lanes[i].ahead;
	}
	return ahead && under_way > (uint64_t)run->nr_workers;
}

/* Whether a slot is to be touched, or made, for a reader that soon takes it. */
static bool needs_slot(const struct run *run)
{
	return (run->left && run->nr_warm < run->warm_wanted) ||
	       (has_time(run) && run->nr_unused + run->nr_preparing < run->nr_filling);
}

/* Wait, with the lock held, for a chunk to work on; for the first one also until nothing has to be
 * left for the work on it. Returns NULL if there is none any more. */
static struct slot *take_chunk(struct run *run)
{
	struct lane *lane;

	while (!run->failed && run->nr_reading &&
	       (!run->nr_waiting || has_time(run) || (run->left && !run->begun)))
		if (!needs_slot(run) || !warm_slot(run))
			pthread_cond_wait(&run->work, &run->lock);
	if (run->failed || !run->nr_waiting)
		return NULL;
	lane = find_filled(run);
	run->nr_waiting--;
	run->nr_idle--;
	ask_help(run);
	return slot_of(lane, lane->taken++);
}

static int work_on(const struct run *run, void *own, struct chunk *chunk)
{
	const struct reader *r = &run->p->readers[has_lane_readers(run) ? chunk->lane : 0];
	int err = chunk->fetch ? r->fetch(r->from, chunk) : 0;

	return err ? err : run->p->work(own, chunk);
}

/* Digest a chunk, with the lock held, when it is its turn. */
static void digest(struct run *run, struct slot *slot)
{
	struct lane *lane = &run->lanes[slot->chunk.lane];

	while (!run->failed && slot != slot_of(lane, lane->digested))
		pthread_cond_wait(&slot->turn, &run->lock);
	if (run->failed)
		return;
	stage_begin(&lane->digester);
	pthread_mutex_unlock(&run->lock);

	run->p->digest(run->p->digests, &slot->chunk);

	pthread_mutex_lock(&run->lock);
	stage_end(&lane->digester);
	slot->done = true;
	if (++lane->digested < lane->taken)
		pthread_cond_signal(&slot_of(lane, lane->digested)->turn);
	if (!run->begun || has_lane_writers(run))
		pthread_cond_broadcast(&run->room);
	run->begun = true;
	/* The writer waits for the first chunk that is not written. */
	if (slot == slot_of(lane, lane->written))
		signal_ready(lane);
}

/* A worker has its memory. */
static void set_equipped(struct run *run)
{
	run->equipped = true;
	pthread_cond_broadcast(&run->room);
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
	if (own)
		set_equipped(run);
	else
		give_up(run);
	while (own && (slot = take_chunk(run))) {
		int err;

		pthread_mutex_unlock(&run->lock);
		err = work_on(run, own, &slot->chunk);
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
	const struct pipeline *p = run->p;
	int most = 1 + p->nr_readers + run->most_workers + p->nr_writers;

	run->threads = calloc(most, sizeof(*run->threads));
	run->sleepers = calloc(most, sizeof(*run->sleepers));
	return run->threads && run->sleepers ? 0 : -ENOMEM;
}

/* A new thread blocks all signals but the kick. The others are for the caller's thread. */
static int start_thread(struct run *run, void *(*fn)(void *), void *arg)
{
	sigset_t before;
	int err;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&run->kick);
	err = pthread_create(&run->threads[run->nr_threads], NULL, fn, arg);
	run->nr_threads += !err;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

/* With the lock held. Another worker is room for another chunk. */
static int start_worker(struct run *run)
{
	int err = start_thread(run, worker, run);

	run->nr_workers += !err;
	run->nr_idle += !err;
	pthread_cond_broadcast(&run->room);
	return err;
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
	return run->nr_workers < run->most_workers && !run->nr_idle && run->nr_waiting;
}

/* How long the digesters, and the writers, were busy, on average of those that there are. */
static uint64_t digesters_busy(const struct run *run, uint64_t now)
{
	uint64_t busy = 0;

	for (int i = 0; i < run->nr_lanes; i++)
		busy += stage_busy(&run->lanes[i].digester, now);
	return busy / run->nr_lanes;
}

static uint64_t writers_busy(const struct run *run, uint64_t now)
{
	uint64_t busy = 0;

	for (int i = 0; i < run->nr_lanes; i++)
		busy += stage_busy(&run->lanes[i].writer, now);
	return busy / run->p->nr_writers;
}

/*
 * How many more workers help, after a window: as many again if no stage was busy for two fifths of
 * the time, so that none is at its limit with twice the workers, either. One, up to four fifths.
 */
static int help_for(const struct run *run, const struct window *w, uint64_t now)
{
	uint64_t digested = digesters_busy(run, now) - w->digested;
	uint64_t wrote = writers_busy(run, now) - w->wrote;
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
	*w = (struct window){ now, digesters_busy(run, now), writers_busy(run, now) };
}

/* With the lock held, in the caller's thread. */
static void tell_progress(struct run *run)
{
	int err;

	pthread_mutex_unlock(&run->lock);
	err = ctx_progress(run->p->ctx);
	pthread_mutex_lock(&run->lock);
	if (err)
		set_failed(run);
}

/*
 * Whether there are as many stopped devices as processors, and each device keeps one busy, as the
 * writer does. Then the writer leaves the processors to them, if there is memory for all that they
 * have: it would not be through earlier otherwise.
 */
static bool readers_take_all(const struct run *run)
{
	bool fits = run->nr_prepared == run->p->nr_readers && run->nr_expected <= run->nr_slots;
	uint64_t now = now_ns();
	int busy = 0;

	for (int i = 0; i < run->nr_lanes; i++)
		busy += run->lanes[i].ahead && now < run->lanes[i].busy_until;
	return run->writer_busy && fits && !run->full && busy && busy >= run->p->processors;
}

/* In the caller's thread: wait for a chunk to be done, or for the readers (@pause), but look after
 * the workers, and call the progress function, now and then. */
static void wait_ready(struct run *run, struct window *w, bool pause)
{
	help_workers(run, w);
	if (!w->since && !pause && !run->p->ctx->progress.fn) {
		pthread_cond_wait(&run->ready, &run->lock);
		return;
	}
	/* The looks after the workers, and the wakes, are more often than a call is due. */
	wait_for(run, &run->ready, w->since ? HELP_NS : pause ? PAUSE_NS : TICK_NS);
	if (now_ns() - run->ticked < TICK_NS)
		return;
	run->ticked = now_ns();
	tell_progress(run);
}

/* Whether a chunk of the lane is to be written now, or its end. */
static bool is_ready(const struct lane *lane)
{
	if (lane->written < lane->filled)
		return slot_of(lane, lane->written)->done;
	return lane->ended && !lane->closed;
}

/* With the lock held. @number: that of the sleeper. */
static void write_chunk(struct lane *lane)
{
	struct run *run = lane->run;
	const struct writer *w = &run->p->writers[has_lane_writers(run) ? lane->number : 0];
	struct slot *slot = slot_of(lane, lane->written);
	long sleeps = nr_sleeps(run);
	bool busy;
	int err;

	stage_begin(&lane->writer);
	pthread_mutex_unlock(&run->lock);

	err = w->write(w->to, &slot->chunk);
	busy = is_awake(run, sleeps);
	if (!err)
		err = ctx_progress(run->p->ctx);

	pthread_mutex_lock(&run->lock);
	stage_end(&lane->writer);
	run->writer_busy = busy;
	slot->done = false;
	lane->written++;
	if (err)
		set_failed(run);
	else
		put_back(run, slot);
}

/* With the lock held, when all chunks of the lane are written. */
static void close_lane(struct lane *lane, int number)
{
	struct run *run = lane->run;
	const struct writer *w = &run->p->writers[has_lane_writers(run) ? lane->number : 0];
	int err = 0;

	if (w->end) {
		/* A lane's own writer writes to a device. */
		run->sleepers[number].ends = has_lane_writers(run);
		pthread_mutex_unlock(&run->lock);
		err = w->end(w->to, lane->number);
		pthread_mutex_lock(&run->lock);
		run->sleepers[number].ends = false;
	}
	lane->closed = true;
	if (err)
		set_failed(run);
	else if (!--run->nr_open)
		pthread_cond_signal(&run->ready);
}

static void write_lane(struct lane *lane, int number)
{
	if (lane->written < lane->filled)
		write_chunk(lane);
	else
		close_lane(lane, number);
}

static void *lane_writer(void *arg)
{
	struct lane *lane = arg;
	struct run *run = lane->run;
	int number = begin_sleeping(run, true);

	pthread_mutex_lock(&run->lock);
	while (!run->failed && !lane->closed)
		if (is_ready(lane))
			write_lane(lane, number);
		else
			pthread_cond_wait(&lane->ready, &run->lock);
	pthread_mutex_unlock(&run->lock);
	end_sleeping(run, number);
	return NULL;
}

/* The lane whose turn it is, of those that are ready; NULL if there is none. */
static struct lane *find_ready(struct run *run)
{
	for (int i = 0; !has_lane_writers(run) && i < run->nr_lanes; i++) {
		struct lane *lane = &run->lanes[run->next_written];

		run->next_written = (run->next_written + 1) % run->nr_lanes;
		if (is_ready(lane))
			return lane;
	}
	return NULL;
}

/* The caller's thread writes, unless each lane has a thread for that, and looks after the rest. */
static void writer(struct run *run)
{
	int number = begin_sleeping(run, true);
	struct window window = { 0 };

	pthread_mutex_lock(&run->lock);
	/* A reader of several lanes goes on when they have ended. */
	while (!run->failed && (run->nr_open || run->nr_reading)) {
		bool pause = readers_take_all(run);
		struct lane *lane = pause ? NULL : find_ready(run);

		if (lane)
			write_lane(lane, number);
		else
			wait_ready(run, &window, pause);
	}
	/* What the other threads have written last is not told yet. */
	if (has_lane_writers(run) && !run->failed)
		tell_progress(run);
	pthread_mutex_unlock(&run->lock);
	end_sleeping(run, number);
}

/* ---- The whole ----------------------------------------------------------- */

static int start_readers_and_writers(struct run *run)
{
	int err = 0;

	for (int i = 0; !err && i < run->p->nr_readers; i++)
		err = start_thread(run, reader, &run->lanes[i]);
	for (int i = 0; !err && has_lane_writers(run) && i < run->nr_lanes; i++)
		err = start_thread(run, lane_writer, &run->lanes[i]);
	return err;
}

static void start_threads(struct run *run)
{
	int err = start_thread(run, watcher, run);

	if (!err)
		err = start_readers_and_writers(run);
	pthread_mutex_lock(&run->lock);
	if (!err && run->p->work)
		err = start_worker(run);
	if (err) {
		ctx_fail(run->p->ctx, err, "cannot start a thread: %s", strerror(-err));
		set_failed(run);
	}
	pthread_mutex_unlock(&run->lock);
}

int pipeline_run(const struct pipeline *p)
{
	struct run run = {
		.p = p,
		.nr_lanes = p->nr_readers > p->nr_writers ? p->nr_readers : p->nr_writers,
		.nr_reading = p->nr_readers,
		.nr_filling = p->nr_readers,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.room = PTHREAD_COND_INITIALIZER,
		.work = PTHREAD_COND_INITIALIZER,
		.ready = PTHREAD_COND_INITIALIZER,
		.gone = PTHREAD_COND_INITIALIZER,
	};
	sigset_t before;
	int err;

	run.nr_open = run.nr_lanes;
	plan_memory(&run);
	ctx_keep_first_error(p->ctx, true);
	if (make_threads(&run) || make_lanes(&run) || make_slots(&run)) {
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
