// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hostile DEV COUNT [SEED]: write COUNT streams that nobody would send (mutate.h) to an ivshmem
 * device in RESUMING, in any segmentation. The device must accept exactly the streams that another
 * reader than the driver's accepts (model.h). It must hold what an accepted stream says, and save
 * the same again. After a refused stream and a reset it must work as before. Stream N has the seed
 * SEED + N: "hostile DEV 1 SEED+N" plays that one alone.
 *
 * hostile --blind DEV COUNT [SEED]: write a device's own stream with random changes. This works
 * with any device, because the changes do not depend on the format. The device may accept a stream
 * or not, but must go on to work.
 *
 * hostile --print DEV 1 SEED: print one of these streams.
 */
#include <getopt.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "mutate.h"
#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static uint64_t size; /* the size of the device's memory */
static struct model expected, got;
static struct whole good;
static uint64_t taken, refused, early, bytes;
static bool blind;

/* The first thing that was wrong with how the device treated the current stream. */
static const char *trouble;

static void expect(bool fine, const char *what)
{
	if (!fine && !trouble)
		trouble = what;
}

/* ---- Writing ------------------------------------------------------------- */

#define WINDOW (1u << 17)

/* Memory with an unmapped page behind it. */
static unsigned char *window;

static void make_window(void)
{
	window = mmap(NULL, WINDOW + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	if (window == MAP_FAILED || mprotect(window + WINDOW, 4096, PROT_NONE))
		err(1, "mmap");
}

/* Write the bytes with a count that goes beyond the end of mapped memory. */
static ssize_t write_over_the_edge(int fd, const unsigned char *data, size_t n)
{
	unsigned char *at = window + WINDOW - n;

	memcpy(at, data, n);
	return write(fd, at, n + 1 + (n & 4095));
}

/*
 * Returns how long the next write is, which depends on the writer's habit. Small writes are used
 * only where the stream has more than memory.
 */
static size_t segment(struct mutant *m, unsigned int habit, size_t done)
{
	bool memory = done > 2000 && m->size - done > 2000;

	switch (habit) {
	case 0:
		return m->size;
	case 1:
		return memory ? 1 + mutant_below(m, 100000) : 1;
	case 2:
		return memory ? m->size : MODEL_RECORD_SIZE;
	case 3:
		return 1 + mutant_below(m, memory ? 200000 : 50);
	default:
		return 1 + mutant_below(m, 200000);
	}
}

/* The arc to STOP is refused before the stream is complete, and the stream goes on. */
static void stop_early(const struct mutant *m, size_t done)
{
	int none;

	/* A stream that continues behind its end is complete earlier. */
	if (model_read(&got, m->data, done))
		return;
	expect(vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none) < 0,
	       "a part of the stream is accepted");
	early++;
}

/* Write the stream. Returns false if the device has refused it, which is final. */
static bool pour(struct mutant *m, int fd)
{
	unsigned int habit = mutant_below(m, 6);
	size_t done = 0;

	while (done < m->size) {
		size_t n = segment(m, habit, done);
		ssize_t ret;

		if (n > m->size - done)
			n = m->size - done;
		if (!blind && mutant_at_times(m, 100))
			stop_early(m, done);
		/*
		 * Only in the middle of the stream: a longer write at its end would be an error of
		 * its own.
		 */
		if (!blind && n < WINDOW && n < m->size - done && mutant_at_times(m, 8))
			ret = write_over_the_edge(fd, m->data + done, n);
		else
			ret = write(fd, m->data + done, n);
		expect(ret != 0 && ret <= (ssize_t)n, "a write returns more than it was given");
		if (ret <= 0)
			return false;
		done += ret;
		bytes += ret;
	}
	return true;
}

/* ---- One stream ---------------------------------------------------------- */

/* Check that the device saves and holds what the model has read from the stream. */
static void check_state(void)
{
	struct whole w = { 0 };
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);

	expect(whole_read(&w, fd) == 0, "the device cannot be saved");
	close(fd);
	expect(model_read(&got, w.data, w.size), "the device saves a malformed stream");
	expect(memcmp(got.memory, expected.memory, size) == 0, "the device saves other memory");
	expect(got.intr_mask == expected.intr_mask && got.intr_status == expected.intr_status,
	       "the device saves other registers");
	free(w.data);
	region_read(dev, VFIO_PCI_BAR2_REGION_INDEX, 0, got.memory, size);
	expect(memcmp(got.memory, expected.memory, size) == 0, "the device holds other memory");
	device_go(dev, VFIOMIG_STATE_RUNNING);
}

static void check_refused(int fd)
{
	int none;

	expect(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING,
	       "the device refuses the stream and leaves RESUMING");
	expect(write(fd, good.data, good.size) < 0,
	       "the device refuses the stream and then accepts data");
	expect(vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none) < 0,
	       "the device refuses the stream and then accepts it");
}

static void play(struct mutant *m)
{
	bool fine = !blind && model_read(&expected, m->data, m->size), took;
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none;

	took = pour(m, fd);
	/* A stream that is only incomplete was not refused, and may go on. */
	if (!blind && !took && mutant_at_times(m, 4))
		check_refused(fd);
	took &= vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0;
	if (!blind) {
		expect(took || !fine, "a good stream is refused");
		expect(!took || fine, "a bad stream is accepted");
	}
	if (took && fine)
		check_state();
	else if (took)
		device_go(dev, VFIOMIG_STATE_RUNNING);
	else
		device_reset(dev);
	close(fd);
	expect(vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING,
	       "the device is not RUNNING in the end");
	taken += took;
	refused += !took;
}

static void make(struct mutant *m, uint64_t seed)
{
	if (!blind) {
		mutant_make(m, seed, size);
		return;
	}
	m->seed = seed;
	m->size = 0;
	mutant_put(m, good.data, good.size);
	for (int changes = mutant_below(m, 4); changes && m->size; changes--)
		mutant_bytes(m, good.size);
}

/* ---- Many ---------------------------------------------------------------- */

static void report(uint64_t from, uint64_t to)
{
	tap(true, "streams %" PRIu64 " to %" PRIu64 ": %" PRIu64 " accepted, %" PRIu64 " refused",
	    from, to, taken, refused);
}

static void play_all(uint64_t seed, uint64_t count)
{
	struct mutant m = { 0 };
	int bad = 0;

	for (uint64_t i = 0; i < count && bad < 10; i++) {
		trouble = NULL;
		make(&m, seed + i);
		play(&m);
		if (i % 50 == 49 || i == count - 1)
			expect(whole_load(dev, &good) && (blind || whole_is(dev, &good)),
			       "the device does not work as before");
		if (trouble) {
			tap(false, "stream of seed %" PRIu64 ": %s", seed + i, trouble);
			bad++;
		}
		if (i % 1000 == 999 || i == count - 1)
			report(i / 1000 * 1000, i);
	}
	free(m.data);
}

static void print(uint64_t seed)
{
	struct mutant m = { 0 };

	make(&m, seed);
	if (!write_all(STDOUT_FILENO, m.data, m.size))
		err(1, "write");
	free(m.data);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "blind", no_argument, NULL, 'b' },
		{ "print", no_argument, NULL, 'p' },
		{ 0 },
	};
	bool only_print = false;
	uint64_t seed;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		blind |= c == 'b';
		only_print |= c == 'p';
	}
	if (argc - optind < 2)
		errx(2, "usage: hostile [--blind|--print] DEV COUNT [SEED]");
	ctx = new_context();
	dev = device_open(ctx, argv[optind]);
	seed = argc - optind > 2 ? strtoull(argv[optind + 2], NULL, 0) : 0;
	good = whole_save(dev);
	if (!blind) {
		size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
		expected = model_new(size);
		got = model_new(size);
	}
	make_window();
	if (only_print)
		print(seed);
	else
		play_all(seed, strtoull(argv[optind + 1], NULL, 0));
	if (!only_print)
		printf("# %" PRIu64 " accepted, %" PRIu64 " refused, %" PRIu64
		       " arcs to STOP too early, %" PRIu64 " bytes\n",
		       taken, refused, early, bytes);
	model_free(&expected);
	model_free(&got);
	free(good.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return only_print ? 0 : tap_end();
}
