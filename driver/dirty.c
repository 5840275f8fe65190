// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmap of the granules of BAR 2 that a data transfer session still has to
 * move.
 *
 * Only the holder of state_mutex clears and searches bits. In PRE_COPY others
 * set bits at the same time (see track.c), so all operations are atomic.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dirty.h"

/*
 * The bitmap exists while the device is open, and not only during a session,
 * because faults may use it whenever the user can write to the memory.
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

/* The caller must keep everybody else from using the bitmap meanwhile */
void ivshmem_vfio_dirty_set_all(struct ivshmem_vfio_dirty *dirty)
{
	bitmap_fill(dirty->bitmap, dirty->size);
	atomic_long_set(&dirty->count, dirty->size);
	dirty->next = 0;
}

/* Returns true if no bit of the bitmap was set before */
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
 * Find the next run of at most @max set granules. Returns its length, or 0 if
 * no granule is set. The search wraps around, because granules that it has
 * passed may have been set again. The caller has to clear the run, piece by
 * piece, before the search comes back to it. Then only those granules are found
 * again that have been set again.
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
 * How many granules ivshmem_vfio_dirty_find() would still find, and in how many
 * runs, if no others were set. The last @found granules that it has returned do
 * not count, whether they have been cleared or not.
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
