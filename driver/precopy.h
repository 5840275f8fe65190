/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_PRECOPY_H
#define IVSHMEM_VFIO_PRECOPY_H

#include <linux/fs.h>
#include <linux/poll.h>

struct ivshmem_vfio_device;

bool ivshmem_vfio_in_precopy(struct ivshmem_vfio_device *ivdev);
long ivshmem_vfio_precopy_ioctl(struct file *filp, unsigned int cmd,
				unsigned long arg);
__poll_t ivshmem_vfio_precopy_poll(struct file *filp,
				   struct poll_table_struct *wait);
u64 ivshmem_vfio_save_size(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_PRECOPY_H */
