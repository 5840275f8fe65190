// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which granules of BAR 2 a data transfer session has still to move.
 *
 * Whoever holds state_mutex clears and searches. In PRE_COPY others set at the
 * same time (see track.c), hence the atomic operations.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dirty.h"

/*
 * The bitmap lives as long as the device is open, not as long as a session,
 * so that it is there whenever the device's memory can be written to.
 */
int ivshmem_vfio_dirty_alloc(struct ivshmem_vfio_dirty *dirty,
			     unsigned long size)
{
	dirty->bitmap = kvcalloc(BITS_TO_LONGS(size), sizeof(long),
				 GFP_KERNEL_ACCOUNT);
	if (!dirty->bitmap)
		return -ENOMEM;

	dirty->size = size;
	dirty->next = 0;
	atomic_long_set(&dirty->count, 0);
	return 0;
}

void ivshmem_vfio_dirty_free(struct ivshmem_vfio_dirty *dirty)
{
	kvfree(dirty->bitmap);
	dirty->bitmap = NULL;
}

/* Nobody else may use the bitmap meanwhile */
void ivshmem_vfio_dirty_set_all(struct ivshmem_vfio_dirty *dirty)
{
	bitmap_fill(dirty->bitmap, dirty->size);
	atomic_long_set(&dirty->count, dirty->size);
	dirty->next = 0;
}

/* Returns true if none at all was set before */
bool ivshmem_vfio_dirty_set(struct ivshmem_vfio_dirty *dirty,
			    unsigned long first, unsigned long count)
{
	bool was_empty = false;
	unsigned long i;

	for (i = first; i < first + count; i++) {
		if (!test_and_set_bit(i, dirty->bitmap))
			was_empty |= atomic_long_inc_return(&dirty->count) == 1;
	}

	return was_empty;
}

void ivshmem_vfio_dirty_clear(struct ivshmem_vfio_dirty *dirty,
			      unsigned long first, unsigned long count)
{
	unsigned long i;

	for (i = first; i < first + count; i++) {
		if (test_and_clear_bit(i, dirty->bitmap))
			atomic_long_dec(&dirty->count);
	}
}

/* Are all of these set? */
bool ivshmem_vfio_dirty_test(struct ivshmem_vfio_dirty *dirty,
			     unsigned long first, unsigned long count)
{
	return find_next_zero_bit(dirty->bitmap, first + count, first) ==
	       first + count;
}

bool ivshmem_vfio_dirty_empty(struct ivshmem_vfio_dirty *dirty)
{
	return !atomic_long_read(&dirty->count);
}

static unsigned long ivshmem_vfio_dirty_run(struct ivshmem_vfio_dirty *dirty,
					    unsigned long start,
					    unsigned long end,
					    unsigned long max)
{
	end = min(end, start + max);
	return find_next_zero_bit(dirty->bitmap, end, start) - start;
}

/*
 * Find the next run of at most @max granules. Returns its length, 0 if none is
 * set. The search goes around, because a granule behind it may be set again.
 * The run is the caller's to clear, piece by piece; found again it will be only
 * after that, as far as it is set again.
 */
unsigned long ivshmem_vfio_dirty_find(struct ivshmem_vfio_dirty *dirty,
				      unsigned long max, unsigned long *first)
{
	unsigned long start, count;

	start = find_next_bit(dirty->bitmap, dirty->size, dirty->next);
	if (start == dirty->size)
		start = find_first_bit(dirty->bitmap, dirty->size);
	if (start == dirty->size)
		return 0;

	count = ivshmem_vfio_dirty_run(dirty, start, dirty->size, max);
	dirty->next = start + count;

	*first = start;
	return count;
}

static unsigned long ivshmem_vfio_dirty_walk(struct ivshmem_vfio_dirty *dirty,
					     unsigned long start,
					     unsigned long end,
					     unsigned long max,
					     unsigned long *runs)
{
	unsigned long count, total = 0;

	for (;;) {
		start = find_next_bit(dirty->bitmap, end, start);
		if (start == end)
			return total;

		count = ivshmem_vfio_dirty_run(dirty, start, end, max);
		start += count;
		total += count;
		++*runs;
	}
}

/*
 * How many granules ivshmem_vfio_dirty_find() has still to find, and in how
 * many runs, if no more are set. The last @found granules that it has found are
 * not among them, whether they are cleared or not.
 */
unsigned long ivshmem_vfio_dirty_left(struct ivshmem_vfio_dirty *dirty,
				      unsigned long max, unsigned long found,
				      unsigned long *runs)
{
	*runs = 0;
	return ivshmem_vfio_dirty_walk(dirty, dirty->next, dirty->size, max,
				       runs) +
	       ivshmem_vfio_dirty_walk(dirty, 0, dirty->next - found, max,
				       runs);
}
