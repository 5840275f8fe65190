/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_LM_H
#define IVSHMEM_VFIO_LM_H

#include <linux/fs.h>
#include <linux/vfio.h>

struct ivshmem_vfio_device;

struct file *
ivshmem_vfio_step_device_state_locked(struct ivshmem_vfio_device *ivdev,
				      enum vfio_device_mig_state next);

#endif /* IVSHMEM_VFIO_LM_H */
