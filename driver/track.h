/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_TRACK_H
#define IVSHMEM_VFIO_TRACK_H

#include <linux/types.h>
#include <linux/vfio.h>

#include "format.h"
#include "vfio_dev.h"

#ifdef IVSHMEM_VFIO_HAVE_PRECOPY

void ivshmem_vfio_track_start(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_track_stop(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_track_clean(struct ivshmem_vfio_device *ivdev, u64 offset,
			      size_t len);

int ivshmem_vfio_track_mmap(struct vfio_device *vdev,
			    struct vm_area_struct *vma);
ssize_t ivshmem_vfio_track_write(struct vfio_device *vdev,
				 const char __user *buf, size_t count,
				 loff_t *ppos);

#else

static inline void ivshmem_vfio_track_start(struct ivshmem_vfio_device *ivdev)
{
}

static inline void ivshmem_vfio_track_stop(struct ivshmem_vfio_device *ivdev)
{
}

static inline void ivshmem_vfio_track_clean(struct ivshmem_vfio_device *ivdev,
					    u64 offset, size_t len)
{
	ivshmem_vfio_dirty_clear(&ivdev->dirty, offset / IVSHMEM_VFIO_GRANULE,
				 len / IVSHMEM_VFIO_GRANULE);
}

#define ivshmem_vfio_track_mmap		vfio_pci_core_mmap
#define ivshmem_vfio_track_write	vfio_pci_core_write

#endif

#endif /* IVSHMEM_VFIO_TRACK_H */
