/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_PRECOPY_H
#define IVSHMEM_VFIO_PRECOPY_H

#include <linux/fs.h>
#include <linux/poll.h>

struct ivshmem_vfio_device;

#ifdef IVSHMEM_VFIO_HAVE_PRECOPY

bool ivshmem_vfio_in_precopy(struct ivshmem_vfio_device *ivdev);
long ivshmem_vfio_precopy_ioctl(struct file *filp, unsigned int cmd,
				unsigned long arg);
__poll_t ivshmem_vfio_precopy_poll(struct file *filp,
				   struct poll_table_struct *wait);

#else

static inline bool ivshmem_vfio_in_precopy(struct ivshmem_vfio_device *ivdev)
{
	return false;
}

/* Without PRE_COPY a data_fd can only be read */
#define ivshmem_vfio_precopy_ioctl	NULL
#define ivshmem_vfio_precopy_poll	NULL

#endif

#endif /* IVSHMEM_VFIO_PRECOPY_H */
