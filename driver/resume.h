/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_RESUME_H
#define IVSHMEM_VFIO_RESUME_H

#include <linux/fs.h>
#include <linux/types.h>

struct ivshmem_vfio_device;
struct ivshmem_vfio_stream;

struct file *ivshmem_vfio_resume_begin(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_resume_check(struct ivshmem_vfio_stream *stream);

#endif /* IVSHMEM_VFIO_RESUME_H */
