// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is done for a stopped device while the writer is slow: what the workers do, and the memory
 * that is there before.
 */
#include <malloc.h>
#include <pthread.h>

#include "image/pipeline.h"
#include "unit.h"

#define CHUNKS 30
#define MANY   80 /* more than there is memory for */
#define SIZE   (4u << 20)
#define PAGE   4096u

static struct {
	bool running; /* the device is not stopped */
	bool slow;    /* the worker is slower than the reader */
	bool spins;   /* the reader takes a processor all the time */
	bool prompt;  /* the writer waits for nothing */
	int write_us; /* for which it sleeps then */
	int writes_then,
		writes_home; /* when so many chunks were read, and when the device was home */
	int processors;
	int chunks, reads;
	_Atomic int writes;
	_Atomic int works, digests;
	int works_then, works_on_the_way; /* when the device was home, and since its last byte */
	int fresh, resident; /* chunks whose memory was there, or not, when they were read into */
	_Atomic bool ending, ended; /* the device is on its way home; it is home */

	bool prepares; /* for so many bytes, before the first read */
	uint64_t bytes;
	size_t part; /* of the first chunk is read then */
	/* The worker takes so many bytes, late, when it starts or for its first chunk */
	size_t worker_room;
	bool at_first;
	void *first;
	_Atomic bool leaves; /* memory for the worker, because it makes slots early */
	_Atomic int working;
	_Atomic int64_t budget; /* that can be allocated, if @limited */
	bool limited;
	int64_t least_left; /* of the budget */
	_Atomic int buffers;
} now;

/* ---- Memory -------------------------------------------------------------- */

static bool pay(int64_t size)
{
	now.budget -= size;
	if (!now.limited || now.budget >= 0)
		return true;
	now.budget += size;
	return false;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	void *p = pay(size) ? __real_malloc(size) : NULL;

	/* What is left for the worker while memory is prepared: the time for a worker to miss it */
	if (now.limited && size > now.worker_room + 2) {
		now.leaves = true;
		usleep(100000);
	}
	return p;
}

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size)
{
	now.buffers++;
	if (now.leaves)
		usleep(20000);
	return pay(size) ? __real_aligned_alloc(align, size) : NULL;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	now.budget += malloc_usable_size(p);
	__real_free(p);
}

static bool is_resident(uint8_t *buf)
{
	unsigned char pages[SIZE / PAGE + 1];
	uint8_t *start = buf - (uintptr_t)buf % PAGE;

	assert_int_equal(mincore(start, SIZE, pages), 0);
	return pages[0] & pages[SIZE / PAGE - 1] & 1;
}

/* As a device's reader does before it stops the device */
static void prepare(struct chunk *c)
{
	memset(c->in, 'x', now.part);
	c->in_size = now.part;
	pipeline_prepare(c, now.bytes);
	if (now.limited) {
		/* Nor does a worker that has helped take what is left. */
		usleep(20000);
		assert_true(now.budget >= now.least_left);
	}
	for (size_t i = 0; i < now.part; i++)
		assert_int_equal(c->in[i], 'x');
	c->in_size = 0;
}

/* ---- The stages ---------------------------------------------------------- */

static void spin(void)
{
	uint64_t until = now_ns() + 5000000;

	while (now_ns() < until)
		;
}

static int read_some(void *from, struct chunk *c)
{
	(void)from;
	if (now.reads == CHUNKS)
		now.writes_then = now.writes;
	if (now.reads == now.chunks)
		return 0;
	if (now.prepares && !now.reads)
		prepare(c);
	/* Time for the others */
	if (now.spins)
		spin();
	else
		usleep(5000);
	if (is_resident(c->in))
		now.resident++;
	else
		now.fresh++;
	memset(c->in, now.reads++, SIZE);
	c->in_size = SIZE;
	return 0;
}

static bool is_stopped(const void *from)
{
	(void)from;
	return !now.running;
}

static int end(void *from)
{
	int works = now.works;

	(void)from;
	now.ending = true;
	/* Time for the workers, which are to leave it to the device's way home */
	usleep(now.slow ? 300000 : 50000);
	for (int i = 0; i < 400 && now.prompt && now.writes == now.writes_then; i++)
		usleep(1000);
	now.works_then = now.works;
	now.works_on_the_way = now.works - works;
	now.writes_home = now.writes;
	now.ended = true;
	return 0;
}

static void *new_worker(const void *how)
{
	(void)how;
	if (now.limited)
		usleep(50000);
	return malloc(now.at_first ? 1 : now.worker_room + 1);
}

static int work(void *own, struct chunk *c)
{
	(void)own;
	now.working++;
	if (now.at_first && !now.first) {
		usleep(100000);
		now.first = malloc(now.worker_room);
		if (!now.first)
			return ctx_fail_memory(ctx);
	}
	if (now.slow)
		usleep(20000);
	c->iov[0] = (struct iovec){ c->in, c->in_size };
	c->iov_count = 1;
	now.works++;
	return 0;
}

static void digest(void *digests, const struct chunk *c)
{
	(void)digests;
	assert_int_equal(c->number, now.digests++);
}

/* Take the first chunk when the device waits for memory, and the next ones until it is on its way
 * home, or when it is home. */
static bool is_late(void)
{
	bool full = now.chunks == MANY && now.works >= CHUNKS;

	return now.running || now.ended || (full && !now.ending);
}

static int write_late(void *to, struct chunk *c)
{
	(void)to;
	for (int i = 0; i < 30000 && !now.prompt && !is_late(); i++)
		usleep(1000);
	assert_true(now.prompt || is_late());
	if (now.write_us)
		usleep(now.write_us);
	assert_int_equal(*c->in, now.writes++);
	return 0;
}

static int try_run(bool running, int chunks, bool works)
{
	const struct reader reader = { .read = read_some, .ahead = is_stopped, .end = end };
	const struct writer writer = { .write = write_late };
	const struct pipeline p = {
		.ctx = ctx,
		.processors = now.processors,
		.threads = 1,
		.worker_room = now.worker_room,
		.in_room = SIZE,
		.iov_room = 1,
		.readers = &reader,
		.nr_readers = 1,
		.writers = &writer,
		.nr_writers = 1,
		.work = works ? work : NULL,
		.worker_new = new_worker,
		.worker_free = free,
		.digest = digest,
	};

	now.running = running;
	now.chunks = chunks;
	return pipeline_run(&p);
}

static void run(bool running, int chunks)
{
	assert_int_equal(try_run(running, chunks, true), 0);
	assert_true(now.ended);
	assert_int_equal(now.writes, chunks);
	assert_int_equal(now.digests, chunks);
}

static int setup(void **state)
{
	memset(&now, 0, sizeof(now));
	return make_ctx(state);
}

static void test_stopped(void **state)
{
	(void)state;
	run(false, CHUNKS);
	/* One is written, and one waits; one more before the reader gets ahead. */
	assert_in_range(now.works_then, 1, 3);
	/* Most, if the worker gets a processor at once. */
	assert_in_range(now.resident, 3, CHUNKS);
}

/* A device for whose state there is no memory waits for the writer, which is not to wait for the
 * workers then. */
static void test_full(void **state)
{
	(void)state;
	now.slow = true;
	run(false, MANY);
	/* Nobody waits for memory when all is read. */
	assert_in_range(now.works_on_the_way, 0, 3);
}

/* As long as the device runs, nobody gets ahead. */
static void test_runs(void **state)
{
	(void)state;
	run(true, CHUNKS);
	assert_in_range(now.works_then, CHUNKS - 3, CHUNKS);
	assert_in_range(now.fresh, 1, 3);
}

static void again(void **state)
{
	free_ctx(state);
	setup(state);
}

static void prepare_for(uint64_t bytes)
{
	now.prepares = true;
	now.bytes = bytes;
}

/* All of the memory is there before the first read, also if it is not enough for all bytes, and
 * without workers. */
static void test_prepares(void **state)
{
	(void)state;
	prepare_for((CHUNKS - 1) * (uint64_t)SIZE);
	run(false, CHUNKS);
	assert_int_equal(now.fresh, 0);
	again(state);
	prepare_for((MANY - 1) * (uint64_t)SIZE);
	run(false, MANY);
	assert_int_equal(now.fresh, 0);
	again(state);
	prepare_for((CHUNKS - 1) * (uint64_t)SIZE);
	assert_int_equal(try_run(false, CHUNKS, false), 0);
	assert_int_equal(now.fresh, 0);
}

/* No more than is needed is touched, and nothing that was read. */
static void test_prepares_enough(void **state)
{
	(void)state;
	prepare_for(SIZE / 2);
	now.part = SIZE / 2 - 1;
	run(true, CHUNKS);
	assert_in_range(now.fresh, 1, 2);
	/* Where the device waits for the writer anyway, that is nothing. */
	again(state);
	prepare_for(UINT64_MAX);
	run(true, CHUNKS);
	assert_in_range(now.fresh, 1, 2);
}

static void limit(int64_t budget)
{
	now.worker_room = 64 << 20;
	now.budget = budget;
	now.limited = true;
}

/* The worker gets its memory, although it comes late. */
static void test_leaves_memory(void **state)
{
	(void)state;
	prepare_for((MANY - 1) * (uint64_t)SIZE);
	limit(220 << 20);
	now.least_left = (64 + 32) << 20;
	run(true, CHUNKS);
	/* Also if there is little more than that */
	again(state);
	prepare_for((MANY - 1) * (uint64_t)SIZE);
	limit(90 << 20);
	run(true, CHUNKS);
}

/* ---- Two readers --------------------------------------------------------- */

#define FEW   3
/* Not quite, of the chunks for which there is memory */
#define SHARE (PIPELINE_MEMORY_MAX / SIZE / 2 - 3)

/* What each does. */
static struct lane_test {
	_Atomic int reads;
	bool prepares;
	/* It waits until the worker has begun with a chunk of the other one, or until that one
	 * prepares. */
	bool waits_work, waits_prepare;
	uint64_t bytes;
} lanes[2];

static int read_lane(void *from, struct chunk *c)
{
	struct lane_test *l = from;

	for (int i = 0; i < 30000 && l->waits_work && !now.working; i++)
		usleep(1000);
	for (int i = 0; i < 30000 && l->waits_prepare && !now.leaves; i++)
		usleep(1000);
	if (l->prepares && !l->reads)
		pipeline_prepare(c, l->bytes);
	if (l->reads == FEW)
		return 0;
	c->in_size = SIZE;
	l->reads++;
	return 0;
}

static int write_lane(void *to, struct chunk *c)
{
	(void)to;
	(void)c;
	now.writes++;
	return 0;
}

static void digest_lane(void *digests, const struct chunk *c)
{
	(void)digests;
	(void)c;
}

static bool is_late_lane(const void *from)
{
	return ((const struct lane_test *)from)->prepares;
}

static int run_lanes(void)
{
	const struct reader readers[] = {
		{ .read = read_lane, .ahead = is_late_lane, .from = &lanes[0] },
		{ .read = read_lane, .ahead = is_late_lane, .from = &lanes[1] },
	};
	const struct writer writer = { .write = write_lane };
	const struct pipeline p = {
		.ctx = ctx,
		.processors = 2,
		.threads = 1,
		.worker_room = now.worker_room,
		.in_room = SIZE,
		.iov_room = 1,
		.readers = readers,
		.nr_readers = 2,
		.writers = &writer,
		.nr_writers = 1,
		.work = work,
		.worker_new = new_worker,
		.worker_free = free,
		.digest = digest_lane,
	};
	int err = pipeline_run(&p);

	free(now.first);
	return err;
}

/* One reader prepares, and another one has chunks meanwhile, or has had one. The worker that takes
 * its memory for the first chunk finds it, be there much more or little. */
static void test_leaves_first_memory(void **state)
{
	for (int i = 0; i < 4; i++) {
		again(state);
		limit(i & 1 ? 150 << 20 : 100 << 20);
		now.at_first = true;
		lanes[0] = (struct lane_test){ .waits_prepare = !(i & 2) };
		lanes[1] = (struct lane_test){ .prepares = true,
					       .waits_work = i & 2,
					       .bytes = 2 * SHARE * (uint64_t)SIZE };
		assert_int_equal(run_lanes(), 0);
		assert_int_equal(now.writes, 2 * FEW);
	}
}

/* Nobody takes more than a share. */
static void test_share(void **state)
{
	(void)state;
	lanes[0] = (struct lane_test){ .prepares = true, .bytes = 2 * SHARE * (uint64_t)SIZE };
	lanes[1] = (struct lane_test){ .prepares = true, .bytes = FEW * SIZE };
	assert_int_equal(run_lanes(), 0);
	assert_in_range(now.buffers, SHARE, SHARE + 2 * FEW);
}

/* ---- Processors ---------------------------------------------------------- */

static void spin_for(uint64_t expected)
{
	now.spins = now.prompt = true;
	now.processors = 1;
	prepare_for(expected);
}

/* A device that keeps the only processor busy is read before the writer goes on, after its first
 * write has shown that this takes the processor, too. */
static void test_takes_all(void **state)
{
	(void)state;
	spin_for((CHUNKS - 1) * (uint64_t)SIZE);
	run(false, CHUNKS);
	assert_in_range(now.writes_then, 1, 5);
	/* Its way home needs no processor. */
	assert_in_range(now.writes_home, now.writes_then + 1, CHUNKS);
	/* It had more than was expected: */
	again(state);
	spin_for((CHUNKS - 1) * (uint64_t)SIZE);
	run(false, MANY);
}

/* There is no use in that when a reader or the writer sleeps, or when there is another
 * processor, or not memory enough, or when nobody knows, or the device runs. */
static void test_leaves_some(void **state)
{
	static const struct {
		bool sleeps, running;
		int write_us, processors, chunks;
		uint64_t expected;
	} cases[] = {
		{ true, false, 0, 1, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, false, 1000, 1, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, false, 0, 2, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, false, 0, 1, MANY, (MANY - 1) * (uint64_t)SIZE },
		{ false, false, 0, 1, CHUNKS, 0 },
		{ false, true, 0, 1, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		again(state);
		spin_for(cases[i].expected);
		now.spins = !cases[i].sleeps;
		now.write_us = cases[i].write_us;
		now.processors = cases[i].processors;
		run(cases[i].running, cases[i].chunks);
		assert_in_range(now.writes_then, 8, CHUNKS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stopped, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_full, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_runs, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_prepares, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_prepares_enough, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_leaves_memory, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_leaves_first_memory, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_share, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_takes_all, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_leaves_some, setup, free_ctx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
