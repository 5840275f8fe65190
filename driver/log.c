// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA logging: which pages of the user's memory has the device written to?
 *
 * ivshmem never does DMA, so the answer is always: none. A VMM needs the
 * answer all the same. Without it, it must take all of its memory for dirty
 * while the device is running, or finds that the device cannot be migrated.
 */

#include <linux/log2.h>
#include <linux/vfio.h>

#include "ivshmem_vfio.h"

/* "On output the device will return the page size it selected." */
static int ivshmem_vfio_log_start(struct vfio_device *vdev,
				  struct rb_root_cached *ranges, u32 nnodes,
				  u64 *page_size)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	int err = 0;

	mutex_lock(&ivdev->state_mutex);
	if (ivdev->logging)
		err = -EINVAL;
	ivdev->logging = true;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	/* A log of nothing can have pages of any size */
	if (!err && (*page_size < PAGE_SIZE || !is_power_of_2(*page_size)))
		*page_size = PAGE_SIZE;

	return err;
}

static int ivshmem_vfio_log_stop(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	ivdev->logging = false;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return 0;
}

static int ivshmem_vfio_log_read_and_clear(struct vfio_device *vdev,
					   unsigned long iova,
					   unsigned long length,
					   struct iova_bitmap *dirty)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	int err;

	mutex_lock(&ivdev->state_mutex);
	err = ivdev->logging ? 0 : -EINVAL;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return err;
}

const struct vfio_log_ops ivshmem_vfio_log_ops = {
	.log_start = ivshmem_vfio_log_start,
	.log_stop = ivshmem_vfio_log_stop,
	.log_read_and_clear = ivshmem_vfio_log_read_and_clear,
};
