// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which granules of BAR 2 a saving session has still to send.
 *
 * The peers, the host and other devices write to the memory as well as the
 * user, and nothing that a driver could do notices all of their writes. So in
 * PRE_COPY each granule's hash is kept as the granule was sent. A round over
 * the memory compares the granules with their hashes, and marks those that
 * differ. They are sent then, and the next round begins. When the device has
 * stopped, a last round finds what has changed since. This is right for every
 * writer, and needs nothing of the one who maps the memory.
 *
 * The price is one reading of the memory for each round, and so for the
 * downtime: some milliseconds for 16 MiB, and some hundred for 1 GiB. The
 * hashes take 1/512 of the memory's size. If two contents have the same hash, a
 * change is missed. That happens by chance in one of 2^64 changes; somebody who
 * writes to the memory can make it happen, and harms only that memory.
 */

#include <linux/bitops.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math.h>
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/vmalloc.h>

#include "ivshmem_vfio.h"

/* How many windows without a marked granule are passed over at a time */
#define IVSHMEM_VFIO_SKIP_MAX	1024

/* The shortest and the longest pause after a round that has found nothing */
#define IVSHMEM_VFIO_PAUSE_MIN	(HZ / 10)
#define IVSHMEM_VFIO_PAUSE_MAX	HZ

/**
 * ivshmem_vfio_granules_init() - all granules are to be sent
 * @granules: to be initialised
 * @memory_size: of BAR 2
 * @precopy: hashes are needed
 *
 * This is the first pass. The hashes are accounted to the user, and take 1/512
 * of the memory's size.
 *
 * Return: 0 or -ENOMEM.
 */
int ivshmem_vfio_granules_init(struct ivshmem_vfio_granules *granules,
			       u64 memory_size, bool precopy)
{
	granules->count = memory_size / IVSHMEM_VFIO_GRANULE;
	granules->unsent = granules->count;
	granules->runs = DIV_ROUND_UP(granules->count,
				      IVSHMEM_VFIO_WINDOW_GRANULES);
	granules->scan = granules->count;
	granules->rescan_at = jiffies;

	if (!precopy)
		return 0;

	granules->hash = __vmalloc(array_size(granules->count,
					      sizeof(*granules->hash)),
				   GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				   __GFP_NOWARN);
	return granules->hash ? 0 : -ENOMEM;
}

/**
 * ivshmem_vfio_granules_free() - free the hashes, at the end of the session
 * @granules: whose hashes
 */
void ivshmem_vfio_granules_free(struct ivshmem_vfio_granules *granules)
{
	vfree(granules->hash);
	granules->hash = NULL;
}

/* 0 means that the granule is to be sent, so no hash may be 0 */
static u64 ivshmem_vfio_hash(const void *granule)
{
	return xxh64(granule, IVSHMEM_VFIO_GRANULE, 0) ?: 1;
}

/* How many granules the window that begins with @first has */
static unsigned int
ivshmem_vfio_window_size(const struct ivshmem_vfio_granules *granules,
			 unsigned long first)
{
	return min_t(unsigned long, granules->count - first,
		     IVSHMEM_VFIO_WINDOW_GRANULES);
}

/* The granules of a window that are to be sent */
static unsigned long
ivshmem_vfio_window_unsent(const struct ivshmem_vfio_granules *granules,
			   unsigned long first)
{
	unsigned int i, size = ivshmem_vfio_window_size(granules, first);
	unsigned long unsent = 0;

	for (i = 0; i < size; i++)
		if (!granules->hash || !granules->hash[first + i])
			__set_bit(i, &unsent);

	return unsent;
}

/**
 * ivshmem_vfio_count_runs() - in how many runs are these granules?
 * @window: a bitmap of granules
 *
 * Return: the number of runs, and so of records.
 */
unsigned int ivshmem_vfio_count_runs(unsigned long window)
{
	return hweight_long(window & ~(window << 1));
}

/**
 * ivshmem_vfio_scan_begin() - begin a round over the memory
 * @migf: the migration file
 */
void ivshmem_vfio_scan_begin(struct ivshmem_vfio_migf *migf)
{
	migf->granules.scan = 0;
	migf->granules.took = 0;
}

/**
 * ivshmem_vfio_scanning() - is a round over the memory under way?
 * @migf: the migration file
 *
 * Return: true if it is.
 */
bool ivshmem_vfio_scanning(const struct ivshmem_vfio_migf *migf)
{
	return migf->granules.scan < migf->granules.count;
}

/**
 * ivshmem_vfio_scan_is_due() - is a round to be made, or gone on with?
 * @migf: the migration file
 *
 * In PRE_COPY a round begins when everything was sent that the last one has
 * found. After a round that has found nothing, the next one has to wait a
 * while.
 *
 * Return: true if there is.
 */
bool ivshmem_vfio_scan_is_due(struct ivshmem_vfio_migf *migf)
{
	lockdep_assert_held(&migf->lock);

	if (ivshmem_vfio_scanning(migf))
		return true;

	return migf->precopy && !ivshmem_vfio_save_has_data(migf) &&
	       time_after_eq(jiffies, migf->granules.rescan_at);
}

/*
 * Rounds that find nothing must not take all of a processor's time. So the next
 * round has to wait, longer and longer, and never less than twice the time that
 * the last one took. Time between its windows does not count: the user may have
 * been stopped.
 */
static void ivshmem_vfio_scan_end(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_granules *granules = &migf->granules;
	unsigned long wait = 0;

	granules->found = granules->unsent;
	granules->found_runs = granules->runs;
	granules->send = 0;
	if (granules->unsent) {
		granules->pause = 0;
	} else {
		granules->pause = clamp_t(unsigned long, 2 * granules->pause,
					  IVSHMEM_VFIO_PAUSE_MIN,
					  IVSHMEM_VFIO_PAUSE_MAX);
		wait = max(granules->pause,
			   2 * nsecs_to_jiffies(granules->took));
	}
	granules->rescan_at = jiffies + wait;

	dev_dbg(&migf->ivdev->core.pdev->dev,
		"round: found %lu, took %llu us, pause %u ms, wait %u ms\n",
		granules->found, div_u64(granules->took, NSEC_PER_USEC),
		jiffies_to_msecs(granules->pause), jiffies_to_msecs(wait));
}

/* Mark those granules of the buffer that are not what was sent */
static void ivshmem_vfio_compare(struct ivshmem_vfio_granules *granules,
				 unsigned long first, unsigned int size,
				 const u8 *buf)
{
	unsigned int i;

	for (i = 0; i < size; i++, buf += IVSHMEM_VFIO_GRANULE)
		if (granules->hash[first + i] != ivshmem_vfio_hash(buf))
			granules->hash[first + i] = 0;
}

/**
 * ivshmem_vfio_scan_window() - go on with the round by one window
 * @migf: the migration file
 *
 * If none is under way, begin one. This overwrites the buffer, so there must be
 * nothing in it that is still to be read.
 *
 * Return: 0 or a negative errno.
 */
int ivshmem_vfio_scan_window(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_granules *granules = &migf->granules;
	unsigned long before, after;
	unsigned int size;
	u64 began;
	int err;

	lockdep_assert_held(&migf->lock);

	if (!ivshmem_vfio_scanning(migf))
		ivshmem_vfio_scan_begin(migf);

	began = ktime_get_ns();

	size = ivshmem_vfio_window_size(granules, granules->scan);
	before = ivshmem_vfio_window_unsent(granules, granules->scan);
	after = before;
	/* There is nothing to be found in a window that was not sent at all */
	if (hweight_long(before) < size) {
		err = ivshmem_vfio_hw_read_memory(migf->ivdev, migf->resets,
						  (u64)granules->scan *
						  IVSHMEM_VFIO_GRANULE,
						  migf->buf,
						  size * IVSHMEM_VFIO_GRANULE);
		if (err)
			return err;

		ivshmem_vfio_compare(granules, granules->scan, size, migf->buf);
		after = ivshmem_vfio_window_unsent(granules, granules->scan);
	}

	granules->unsent += hweight_long(after) - hweight_long(before);
	granules->runs += ivshmem_vfio_count_runs(after) -
			  ivshmem_vfio_count_runs(before);
	granules->scan += size;
	granules->took += ktime_get_ns() - began;
	if (!ivshmem_vfio_scanning(migf))
		ivshmem_vfio_scan_end(migf);

	return 0;
}

/**
 * ivshmem_vfio_load_window() - read the next granules that are to be sent
 * @migf: the migration file
 *
 * They are in the buffer then, and count as sent, because their hashes are
 * kept.
 *
 * Return: 0, 1 if none was found yet and there are more windows to look
 *	at, or a negative errno.
 */
int ivshmem_vfio_load_window(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_granules *granules = &migf->granules;
	unsigned int i, first, last, skipped = 0;
	unsigned long unsent;
	int err;

	lockdep_assert_held(&migf->lock);

	for (;;) {
		unsent = ivshmem_vfio_window_unsent(granules, granules->send);
		if (unsent)
			break;
		granules->send += IVSHMEM_VFIO_WINDOW_GRANULES;
		if (WARN_ON_ONCE(granules->send >= granules->count))
			return -EIO;
		if (++skipped == IVSHMEM_VFIO_SKIP_MAX)
			return 1;
	}

	first = __ffs(unsent);
	last = __fls(unsent);
	err = ivshmem_vfio_hw_read_memory(migf->ivdev, migf->resets,
					  (u64)(granules->send + first) *
					  IVSHMEM_VFIO_GRANULE,
					  migf->buf +
					  first * IVSHMEM_VFIO_GRANULE,
					  (last - first + 1) *
					  IVSHMEM_VFIO_GRANULE);
	if (err)
		return err;

	for_each_set_bit(i, &unsent, IVSHMEM_VFIO_WINDOW_GRANULES)
		if (granules->hash)
			granules->hash[granules->send + i] =
				ivshmem_vfio_hash(migf->buf +
						  i * IVSHMEM_VFIO_GRANULE);

	migf->window = granules->send;
	migf->pending = unsent;
	granules->send += IVSHMEM_VFIO_WINDOW_GRANULES;
	granules->unsent -= hweight_long(unsent);
	granules->runs -= ivshmem_vfio_count_runs(unsent);

	return 0;
}
