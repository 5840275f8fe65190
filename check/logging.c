// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about DMA logging. The device is idle, so the log has nothing in it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stream.h"
#include "tests.h"

#define START  VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP   VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

#define PAGE   4096ULL /* the smallest one that the uAPI allows in a report */
#define IOVA   0x1000000ULL
#define BYTES  (4096 * PAGE) /* what is logged, if a test does not say otherwise */

typedef struct vfio_device_feature_dma_logging_control control_t;
typedef struct vfio_device_feature_dma_logging_range range_t;
typedef struct vfio_device_feature_dma_logging_report report_t;

/* The kernel's pages can be larger. */
static uint64_t kernel_page(void)
{
	return sysconf(_SC_PAGESIZE);
}

static int start_ranges(struct run *run, const range_t *ranges, unsigned int n, uint64_t *page_size)
{
	control_t control = { .page_size = page_size ? *page_size : kernel_page(),
			      .num_ranges = n,
			      .ranges = (uintptr_t)ranges };
	int err = feature(run, VFIO_DEVICE_FEATURE_SET | START, &control, sizeof(control));

	run->shared->logging |= !err;
	if (page_size)
		*page_size = control.page_size;
	return err;
}

static int start(struct run *run)
{
	return start_ranges(run, &(range_t){ .iova = IOVA, .length = BYTES }, 1, NULL);
}

static int stop(struct run *run)
{
	return feature(run, VFIO_DEVICE_FEATURE_SET | STOP, NULL, 0);
}

static int report_at(struct run *run, uint64_t iova, uint64_t length, uint64_t page_size,
		     void *bitmap)
{
	report_t report = {
		.iova = iova, .length = length, .page_size = page_size, .bitmap = (uintptr_t)bitmap
	};

	return feature(run, VFIO_DEVICE_FEATURE_GET | REPORT, &report, sizeof(report));
}

static int report(struct run *run)
{
	uint64_t bitmap[BYTES / PAGE / 64] = { 0 };

	return report_at(run, IOVA, BYTES, PAGE, bitmap);
}

/* Start to log as a step that the rule is not about. */
static void begin(struct run *run)
{
	int err = start(run);

	if (err)
		test_skips(run, "DMA_LOGGING_START gives %s", errno_name(err));
}

/* The same for rules about reports, which a kernel without CONFIG_IOMMUFD_DRIVER cannot make. */
static void begin_reporting(struct run *run)
{
	begin(run);
	if (report(run) == -EOPNOTSUPP)
		test_unsupported(run, "this kernel cannot report: it has no CONFIG_IOMMUFD_DRIVER");
}

void logging_is_a_trio(struct run *run)
{
	static const uint32_t calls[] = { VFIO_DEVICE_FEATURE_SET | START,
					  VFIO_DEVICE_FEATURE_SET | STOP,
					  VFIO_DEVICE_FEATURE_GET | REPORT };
	int supported = 0;

	for (size_t i = 0; i < 3; i++)
		supported += !feature(run, VFIO_DEVICE_FEATURE_PROBE | calls[i], NULL, 0);
	expect(run, supported == 0 || supported == 3, "%d of START, STOP and REPORT are supported",
	       supported);
}

void no_report_without_start(struct run *run)
{
	int err = report(run);

	expect(run, err, "DMA_LOGGING_REPORT before DMA_LOGGING_START succeeds");
	begin_reporting(run);
	err = stop(run);
	expect(run, !err, "DMA_LOGGING_STOP gives %s", errno_name(err));
	err = report(run);
	expect(run, err, "DMA_LOGGING_REPORT after DMA_LOGGING_STOP succeeds");
}

static range_t *make_ranges(struct run *run, unsigned int n)
{
	range_t *ranges = calloc(n, sizeof(*ranges));

	if (!ranges)
		test_skips(run, "out of memory");
	for (unsigned int i = 0; i < n; i++)
		ranges[i] =
			(range_t){ .iova = IOVA + i * 16 * kernel_page(), .length = kernel_page() };
	return ranges;
}

void a_page_of_ranges(struct run *run)
{
	unsigned int fit = kernel_page() / sizeof(range_t);
	int err = start_ranges(run, make_ranges(run, 1), 1, NULL);

	expect(run, !err, "DMA_LOGGING_START of one range gives %s", errno_name(err));
	stop(run);
	err = start_ranges(run, make_ranges(run, fit), fit, NULL);
	expect(run, err != -E2BIG, "DMA_LOGGING_START of %u ranges gives E2BIG", fit);
	if (err)
		note(run, "DMA_LOGGING_START of %u ranges gives %s", fit, errno_name(err));
	stop(run);
	err = start_ranges(run, make_ranges(run, fit + 1), fit + 1, NULL);
	note(run, "DMA_LOGGING_START of %u ranges gives %s", fit + 1, errno_name(err));
}

void bad_ranges(struct run *run)
{
	const uint64_t page = kernel_page();
	const range_t twice[] = { { .iova = IOVA, .length = 4 * page },
				  { .iova = IOVA + page, .length = page } };
	const struct {
		const char *what;
		range_t ranges[2];
		unsigned int n;
		int err;
	} cases[] = {
		{ "no range", { twice[0] }, 0, -EINVAL },
		{ "an iova that is no multiple of the page size",
		  { { .iova = IOVA + 1, .length = page } },
		  1,
		  -EINVAL },
		{ "a length that is no multiple of the page size",
		  { { .iova = IOVA, .length = page + 1 } },
		  1,
		  -EINVAL },
		{ "ranges that overlap", { twice[0], twice[1] }, 2, -EINVAL },
		{ "a range that wraps", { { .iova = -page, .length = 4 * page } }, 1, -EOVERFLOW },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = start_ranges(run, cases[i].ranges, cases[i].n, NULL);

		expect(run, err == cases[i].err, "DMA_LOGGING_START with %s gives %s",
		       cases[i].what, errno_name(err));
		expect(run, report(run), "the device logs after a DMA_LOGGING_START that failed");
	}
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

void page_size_comes_back(struct run *run)
{
	uint64_t page_size = kernel_page();
	int err = start_ranges(run, &(range_t){ .iova = IOVA, .length = BYTES }, 1, &page_size);

	if (err)
		test_skips(run, "DMA_LOGGING_START gives %s", errno_name(err));
	expect(run, is_power_of_two(page_size), "the page size is %#llx",
	       (unsigned long long)page_size);
	warn_unless(run, page_size >= PAGE, "the page size is %llu bytes",
		    (unsigned long long)page_size);
	note(run, "the page size is %llu bytes", (unsigned long long)page_size);
}

void page_size_hints(struct run *run)
{
	static const uint64_t hints[] = { 4096, 65536, 2 << 20, 3 };

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		range_t range = { .iova = 0x40000000, .length = 0x40000000 };
		uint64_t page_size = hints[i];
		int err;

		if (hints[i] == 3)
			range = (range_t){ .iova = 3 << 20, .length = 3 << 20 };
		err = start_ranges(run, &range, 1, &page_size);
		if (err)
			continue;
		expect(run, page_size != 0, "a hint of %llu comes back as 0",
		       (unsigned long long)hints[i]);
		stop(run);
	}
}

void one_start_at_a_time(struct run *run)
{
	int err;

	begin(run);
	err = start(run);
	expect(run, err, "a second DMA_LOGGING_START succeeds");
	err = report(run);
	expect(run, !err || err == -EOPNOTSUPP,
	       "DMA_LOGGING_REPORT gives %s after a second DMA_LOGGING_START", errno_name(err));
}

void report_only_sets_bits(struct run *run)
{
	uint8_t bitmap[BYTES / PAGE / 8];
	int err;

	begin_reporting(run);
	memset(bitmap, 0xa5, sizeof(bitmap));
	err = report_at(run, IOVA, BYTES, PAGE, bitmap);
	expect(run, !err, "DMA_LOGGING_REPORT gives %s", errno_name(err));
	for (size_t i = 0; i < sizeof(bitmap); i++)
		expect(run, (bitmap[i] & 0xa5) == 0xa5,
		       "the byte %zu of the bitmap is %#x, and was 0xa5", i, bitmap[i]);
}

void report_stays_in_the_bitmap(struct run *run)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (at == MAP_FAILED)
		test_skips(run, "out of memory");
	mprotect(at + page, page, PROT_NONE);
	begin_reporting(run);
	/* 100 pages are two words of 64 bits, at the end of a page of memory. */
	err = report_at(run, IOVA, 100 * PAGE, PAGE, at + page - 16);
	expect(run, !err, "DMA_LOGGING_REPORT of 100 pages into 16 bytes gives %s",
	       errno_name(err));
}

void report_takes_any_page_size(struct run *run)
{
	static const uint64_t sizes[] = { 4096, 8192, 2 << 20, 1 << 30 };
	uint64_t bitmap[BYTES / PAGE / 64] = { 0 };

	begin_reporting(run);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int err = report_at(run, IOVA, BYTES, sizes[i], bitmap);

		expect(run, !err, "DMA_LOGGING_REPORT with a page size of %llu gives %s",
		       (unsigned long long)sizes[i], errno_name(err));
	}
}

void report_refuses_page_sizes(struct run *run)
{
	static const uint64_t sizes[] = { 0, 2048, 4097, 12288 };
	uint64_t bitmap[BYTES / PAGE / 64] = { 0 };

	begin_reporting(run);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int err = report_at(run, IOVA, BYTES, sizes[i], bitmap);

		expect(run, err == -EINVAL, "DMA_LOGGING_REPORT with a page size of %llu gives %s",
		       (unsigned long long)sizes[i], errno_name(err));
	}
}

void report_clears(struct run *run)
{
	uint64_t bitmap[BYTES / PAGE / 64] = { 0 };
	int err;

	begin_reporting(run);
	err = report_at(run, IOVA, BYTES, PAGE, bitmap);
	memset(bitmap, 0, sizeof(bitmap));
	err = err ?: report_at(run, IOVA, BYTES, PAGE, bitmap);
	expect(run, !err, "DMA_LOGGING_REPORT gives %s", errno_name(err));
	for (size_t i = 0; i < sizeof(bitmap) / sizeof(bitmap[0]); i++)
		expect(run, !bitmap[i], "the second report of an idle device has bits set: %#llx",
		       (unsigned long long)bitmap[i]);
}

void logging_in_each_state(struct run *run)
{
	static const int path[] = { S(RUNNING), S(PRE_COPY), S(STOP_COPY), S(STOP) };
	int err;

	begin_reporting(run);
	stop(run);
	for (int state = 1; state < VFIOMIG_NR_STATES; state++) {
		if (!has_state(run, state))
			continue;
		enter(run, state);
		err = start(run);
		expect(run, !err, "DMA_LOGGING_START in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
		err = report(run);
		expect(run, !err, "DMA_LOGGING_REPORT in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
		err = stop(run);
		expect(run, !err, "DMA_LOGGING_STOP in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
	}
	enter(run, S(RUNNING));
	begin(run);
	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		int data_fd;

		if (!has_state(run, path[i]))
			continue;
		data_fd = go(run, path[i]);
		err = report(run);
		expect(run, !err, "DMA_LOGGING_REPORT in %s gives %s: the log did not survive",
		       vfiomig_state_name(path[i]), errno_name(err));
		if (data_fd >= 0 && path[i] != S(PRE_COPY))
			close(data_fd);
	}
}

void stop_without_start(struct run *run)
{
	int err;

	begin(run);
	stop(run);
	err = stop(run);
	note(run, "DMA_LOGGING_STOP gives %s for the second time", errno_name(err));
	err = start(run);
	expect(run, !err, "DMA_LOGGING_START then gives %s", errno_name(err));
}

void bad_pointers_of_logging(struct run *run)
{
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = start_ranges(run, nowhere, 1, NULL);

	expect(run, err == -EFAULT, "DMA_LOGGING_START with ranges that are not there gives %s",
	       errno_name(err));
	begin_reporting(run);
	err = report_at(run, IOVA, BYTES, PAGE, nowhere);
	/* A device that has nothing to say need not touch the bitmap. */
	warn_unless(run, !err || err == -EFAULT,
		    "DMA_LOGGING_REPORT with a bitmap that is not there gives %s", errno_name(err));
	stop(run);
	err = start(run);
	expect(run, !err, "DMA_LOGGING_START then gives %s", errno_name(err));
}

void reset_and_close_while_logging(struct run *run)
{
	int err;

	open_device(run);
	begin(run);
	err = reset_device(run);
	expect(run, !err, "VFIO_DEVICE_RESET while the device logs gives %s", errno_name(err));
	stop(run);
	err = start(run);
	expect(run, !err, "DMA_LOGGING_START after a reset gives %s", errno_name(err));
	close_device(run);
	open_device(run);
	err = start(run);
	expect(run, !err, "DMA_LOGGING_START after the device was closed gives %s",
	       errno_name(err));
}
