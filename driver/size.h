/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_SIZE_H
#define IVSHMEM_VFIO_SIZE_H

#include <linux/types.h>
#include <linux/vfio.h>

struct ivshmem_vfio_stream;

u64 ivshmem_vfio_size_left(struct ivshmem_vfio_stream *stream);
int ivshmem_vfio_get_data_size(struct vfio_device *vdev,
			       unsigned long *stop_copy_length);

#endif /* IVSHMEM_VFIO_SIZE_H */
