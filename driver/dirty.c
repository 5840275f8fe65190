// SPDX-License-Identifier: GPL-2.0-only
/* Which granules of BAR 2 a data transfer session has still to move. */

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
	return 0;
}

void ivshmem_vfio_dirty_free(struct ivshmem_vfio_dirty *dirty)
{
	kvfree(dirty->bitmap);
	dirty->bitmap = NULL;
}

void ivshmem_vfio_dirty_set_all(struct ivshmem_vfio_dirty *dirty)
{
	bitmap_fill(dirty->bitmap, dirty->size);
	dirty->next = 0;
}

void ivshmem_vfio_dirty_clear(struct ivshmem_vfio_dirty *dirty,
			      unsigned long first, unsigned long count)
{
	bitmap_clear(dirty->bitmap, first, count);
}

bool ivshmem_vfio_dirty_empty(struct ivshmem_vfio_dirty *dirty)
{
	return bitmap_empty(dirty->bitmap, dirty->size);
}

/*
 * Take the next run of at most @max granules out of the bitmap. Returns its
 * length, 0 if there is none left. The search goes around, because a granule
 * behind it may be set again.
 */
unsigned long ivshmem_vfio_dirty_take(struct ivshmem_vfio_dirty *dirty,
				      unsigned long max, unsigned long *first)
{
	unsigned long start, end;

	start = find_next_bit(dirty->bitmap, dirty->size, dirty->next);
	if (start == dirty->size)
		start = find_first_bit(dirty->bitmap, dirty->size);
	if (start == dirty->size)
		return 0;

	end = find_next_zero_bit(dirty->bitmap, min(dirty->size, start + max),
				 start);
	bitmap_clear(dirty->bitmap, start, end - start);
	dirty->next = end;

	*first = start;
	return end - start;
}
