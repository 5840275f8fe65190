/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_SAVE_H
#define IVSHMEM_VFIO_SAVE_H

#include <linux/fs.h>

struct ivshmem_vfio_device;

struct file *ivshmem_vfio_save_begin(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_SAVE_H */
