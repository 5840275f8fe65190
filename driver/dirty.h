/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_DIRTY_H
#define IVSHMEM_VFIO_DIRTY_H

#include <linux/atomic.h>
#include <linux/types.h>

/*
 * The granules of BAR 2 that a session still has to move: in the saving states
 * those that are still to be sent, in RESUMING those that have not arrived.
 */
struct ivshmem_vfio_dirty {
	unsigned long *bitmap;
	unsigned long size;	/* in granules, like the members below */
	unsigned long next;	/* where to search for the next run */
	atomic_long_t count;	/* how many granules are set */
};

int ivshmem_vfio_dirty_alloc(struct ivshmem_vfio_dirty *dirty,
			     unsigned long size);
void ivshmem_vfio_dirty_free(struct ivshmem_vfio_dirty *dirty);
void ivshmem_vfio_dirty_set_all(struct ivshmem_vfio_dirty *dirty);
bool ivshmem_vfio_dirty_set(struct ivshmem_vfio_dirty *dirty,
			    unsigned long first, unsigned long count);
void ivshmem_vfio_dirty_clear(struct ivshmem_vfio_dirty *dirty,
			      unsigned long first, unsigned long count);
bool ivshmem_vfio_dirty_test(struct ivshmem_vfio_dirty *dirty,
			     unsigned long first, unsigned long count);
bool ivshmem_vfio_dirty_empty(struct ivshmem_vfio_dirty *dirty);
unsigned long ivshmem_vfio_dirty_find(struct ivshmem_vfio_dirty *dirty,
				      unsigned long max, unsigned long *first);
unsigned long ivshmem_vfio_dirty_left(struct ivshmem_vfio_dirty *dirty,
				      unsigned long max, unsigned long found,
				      unsigned long *runs);

#endif /* IVSHMEM_VFIO_DIRTY_H */
