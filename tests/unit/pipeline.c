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
	size_t part;		/* of the first chunk is read then */
	size_t worker_room;	/* that the worker takes, late; 0 for nothing */
	_Atomic int64_t budget; /* that can be allocated, if @limited */
	bool limited;
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
	return pay(size) ? __real_malloc(size) : NULL;
}

void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size)
{
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
	now.works_then = now.works;
	now.works_on_the_way = now.works - works;
	now.writes_home = now.writes;
	now.ended = true;
	return 0;
}

static void *new_worker(const void *how)
{
	(void)how;
	if (now.worker_room)
		usleep(50000);
	return malloc(now.worker_room + 1);
}

static int work(void *own, struct chunk *c)
{
	(void)own;
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

/* All of the memory is there before the first read, however many bytes there are to be. */
static void test_prepares(void **state)
{
	(void)state;
	prepare_for((CHUNKS - 1) * (uint64_t)SIZE);
	run(false, CHUNKS);
	assert_int_equal(now.fresh, 0);
	again(state);
	prepare_for(UINT64_MAX);
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
}

/* The worker gets its memory, although it comes late. */
static void test_leaves_memory(void **state)
{
	(void)state;
	prepare_for(UINT64_MAX);
	now.worker_room = 64 << 20;
	now.budget = 150 << 20;
	now.limited = true;
	run(true, CHUNKS);
	/* Also if there is little more than that */
	again(state);
	prepare_for(UINT64_MAX);
	now.worker_room = 64 << 20;
	now.budget = 90 << 20;
	now.limited = true;
	run(true, CHUNKS);
}

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
	assert_in_range(now.writes_then, 1, 3);
	/* Its way home needs no processor. */
	assert_in_range(now.writes_home, now.writes_then + 1, CHUNKS);
	/* It had more than was expected: */
	again(state);
	spin_for((CHUNKS - 1) * (uint64_t)SIZE);
	run(false, MANY);
}

/* There is no use in that when a reader or the writer sleeps, or when there is another
 * processor, or not memory enough, or when nobody knows. */
static void test_leaves_some(void **state)
{
	static const struct {
		bool sleeps;
		int write_us, processors, chunks;
		uint64_t expected;
	} cases[] = {
		{ true, 0, 1, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, 1000, 1, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, 0, 2, CHUNKS, (CHUNKS - 1) * (uint64_t)SIZE },
		{ false, 0, 1, MANY, (MANY - 1) * (uint64_t)SIZE },
		{ false, 0, 1, CHUNKS, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		again(state);
		spin_for(cases[i].expected);
		now.spins = !cases[i].sleeps;
		now.write_us = cases[i].write_us;
		now.processors = cases[i].processors;
		run(false, cases[i].chunks);
		assert_in_range(now.writes_then, 10, CHUNKS);
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
		cmocka_unit_test_setup_teardown(test_takes_all, setup, free_ctx),
		cmocka_unit_test_setup_teardown(test_leaves_some, setup, free_ctx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
