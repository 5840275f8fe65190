// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the workers do for a stopped device while the writer is slow. */
#include <pthread.h>

#include "image/pipeline.h"
#include "unit.h"

#define CHUNKS 30
#define MANY   80 /* more than there is memory for */
#define SIZE   (4u << 20)
#define PAGE   4096u

static struct {
	bool running; /* the device is not stopped */
	int chunks, reads, writes;
	_Atomic int works, digests;
	int works_then;	     /* when the device was home */
	int fresh, resident; /* chunks whose memory was there, or not, when they were read into */
	_Atomic bool ended;  /* the device is home */
} now;

static bool is_resident(uint8_t *buf)
{
	unsigned char pages[SIZE / PAGE + 1];
	uint8_t *start = buf - (uintptr_t)buf % PAGE;

	assert_int_equal(mincore(start, SIZE, pages), 0);
	return pages[0] & pages[SIZE / PAGE - 1] & 1;
}

static int read_some(void *from, struct chunk *c)
{
	(void)from;
	if (now.reads == now.chunks)
		return 0;
	/* Time for the others */
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
	(void)from;
	/* Time for the workers, which are to leave it to the device's way home */
	usleep(50000);
	now.works_then = now.works;
	now.ended = true;
	return 0;
}

static void *new_worker(const void *how)
{
	(void)how;
	return malloc(1);
}

static int work(void *own, struct chunk *c)
{
	(void)own;
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

static bool is_late(void)
{
	return now.running || now.ended || (now.chunks == MANY && now.works >= CHUNKS);
}

/* Take the first chunk when the device is home, or waits for memory. */
static int write_late(void *to, struct chunk *c)
{
	(void)to;
	for (int i = 0; i < 30000 && !is_late(); i++)
		usleep(1000);
	assert_true(is_late());
	assert_int_equal(*c->in, now.writes++);
	return 0;
}

static void run(bool running, int chunks)
{
	const struct reader reader = { .read = read_some, .ahead = is_stopped, .end = end };
	const struct writer writer = { .write = write_late };
	const struct pipeline p = {
		.ctx = ctx,
		.threads = 1,
		.in_room = SIZE,
		.iov_room = 1,
		.readers = &reader,
		.nr_readers = 1,
		.writers = &writer,
		.nr_writers = 1,
		.work = work,
		.worker_new = new_worker,
		.worker_free = free,
		.digest = digest,
	};

	memset(&now, 0, sizeof(now));
	now.running = running;
	now.chunks = chunks;
	assert_int_equal(pipeline_run(&p), 0);
	assert_true(now.ended);
	assert_int_equal(now.writes, chunks);
	assert_int_equal(now.digests, chunks);
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
	run(false, MANY);
}

/* As long as the device runs, nobody gets ahead. */
static void test_runs(void **state)
{
	(void)state;
	run(true, CHUNKS);
	assert_in_range(now.works_then, CHUNKS - 3, CHUNKS);
	assert_in_range(now.fresh, 1, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stopped, make_ctx, free_ctx),
		cmocka_unit_test_setup_teardown(test_full, make_ctx, free_ctx),
		cmocka_unit_test_setup_teardown(test_runs, make_ctx, free_ctx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
