// SPDX-License-Identifier: GPL-2.0-only
/*
 * Telling the user how much data a session in PRE_COPY has, and when there is
 * some to be read.
 */

#include <linux/poll.h>
#include <linux/uaccess.h>

#include "format.h"
#include "hw.h"
#include "precopy.h"
#include "size.h"
#include "stream.h"
#include "vfio_dev.h"

bool ivshmem_vfio_in_precopy(struct ivshmem_vfio_device *ivdev)
{
	return ivdev->state == VFIO_DEVICE_STATE_PRE_COPY ||
	       ivdev->state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/*
 * The rest of the first pass, which goes through all of the memory in order,
 * whatever becomes dirty again behind it. The user reads it first.
 */
static u64 ivshmem_vfio_initial(struct ivshmem_vfio_stream *stream)
{
	u64 memory = ivshmem_vfio_hw_memory_size(stream->ivdev);
	u64 total = sizeof(struct ivshmem_vfio_header) + memory +
		    DIV_ROUND_UP_ULL(memory, IVSHMEM_VFIO_MEM_MAX) *
		    sizeof(struct ivshmem_vfio_record);
	u64 delivered = stream->length - (stream->tail - stream->head);

	return total > delivered ? total - delivered : 0;
}

/*
 * Both fields are exact as long as nobody writes to the memory. The second
 * version of this ioctl (VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2) needs nothing
 * from the driver: it adds a flag for new initial data, and this device never
 * has any. So no flag is set here.
 */
long ivshmem_vfio_precopy_ioctl(struct file *filp, unsigned int cmd,
				unsigned long arg)
{
	struct ivshmem_vfio_stream *stream = filp->private_data;
	struct ivshmem_vfio_device *ivdev = stream->ivdev;
	struct vfio_precopy_info info;
	unsigned long minsz = offsetofend(struct vfio_precopy_info,
					  dirty_bytes);
	int ret = 0;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;

	if (copy_from_user(&info, (void __user *)arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	mutex_lock(&ivdev->state_mutex);
	if (!ivshmem_vfio_in_precopy(ivdev)) {
		ret = -EINVAL;
	} else if (ivdev->stream != stream) {
		ret = -ENODEV;
	} else {
		info.flags = 0;
		info.initial_bytes = ivshmem_vfio_initial(stream);
		info.dirty_bytes = ivshmem_vfio_size_left(stream) -
				   info.initial_bytes;
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	if (!ret && copy_to_user((void __user *)arg, &info, minsz))
		return -EFAULT;
	return ret;
}

/* "Userspace can wait for more data (which may never come) by using poll." */
__poll_t ivshmem_vfio_precopy_poll(struct file *filp,
				   struct poll_table_struct *wait)
{
	struct ivshmem_vfio_stream *stream = filp->private_data;
	struct ivshmem_vfio_device *ivdev = stream->ivdev;
	__poll_t mask = 0;

	poll_wait(filp, &ivdev->wait, wait);

	mutex_lock(&ivdev->state_mutex);
	if (ivdev->stream != stream)
		mask = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	else if (!ivshmem_vfio_in_precopy(ivdev) ||
		 stream->part != IVSHMEM_VFIO_PART_RECORD ||
		 stream->head != stream->tail ||
		 !ivshmem_vfio_dirty_empty(&ivdev->dirty))
		mask = EPOLLIN | EPOLLRDNORM;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return mask;
}
