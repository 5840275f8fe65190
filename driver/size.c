// SPDX-License-Identifier: GPL-2.0-only
/* The number of bytes that a session's stream still has. */

#include <linux/vfio.h>

#include "format.h"
#include "hw.h"
#include "precopy.h"
#include "size.h"
#include "stream.h"
#include "vfio_dev.h"

/* The length of a stream that has each granule once, in order */
static u64 ivshmem_vfio_size_whole(struct ivshmem_vfio_device *ivdev)
{
	u64 memory = ivshmem_vfio_hw_memory_size(ivdev);
	u64 records = DIV_ROUND_UP_ULL(memory, IVSHMEM_VFIO_MEM_MAX) + 2;

	return sizeof(struct ivshmem_vfio_header) +
	       records * sizeof(struct ivshmem_vfio_record) + memory +
	       sizeof(struct ivshmem_vfio_regs_data) +
	       sizeof(struct ivshmem_vfio_end_data);
}

/* The length of the part after the memory, as far as it is still to be read */
static u64 ivshmem_vfio_size_after(struct ivshmem_vfio_stream *stream)
{
	u64 left = 0;

	switch (stream->part) {
	case IVSHMEM_VFIO_PART_HEADER:
	case IVSHMEM_VFIO_PART_RECORD:
	case IVSHMEM_VFIO_PART_MEM:
		left += sizeof(struct ivshmem_vfio_record);
		fallthrough;
	case IVSHMEM_VFIO_PART_REGS:
		left += sizeof(struct ivshmem_vfio_regs_data);
		fallthrough;
	case IVSHMEM_VFIO_PART_END:
		left += sizeof(struct ivshmem_vfio_record) +
			sizeof(struct ivshmem_vfio_end_data);
		fallthrough;
	case IVSHMEM_VFIO_PART_DONE:
		break;
	}

	return left;
}

/* The length of the part before that, if no more granules become dirty */
u64 ivshmem_vfio_size_left(struct ivshmem_vfio_stream *stream)
{
	u64 left = stream->tail - stream->head;
	unsigned long granules, runs;

	if (stream->part == IVSHMEM_VFIO_PART_HEADER)
		left += sizeof(struct ivshmem_vfio_header);

	granules = ivshmem_vfio_dirty_left(&stream->ivdev->dirty,
					   IVSHMEM_VFIO_MEM_MAX /
					   IVSHMEM_VFIO_GRANULE,
					   stream->left / IVSHMEM_VFIO_GRANULE,
					   &runs);
	return left + stream->left + (u64)granules * IVSHMEM_VFIO_GRANULE +
	       (u64)runs * sizeof(struct ivshmem_vfio_record);
}

/* The rest of the session's stream, or a whole stream if there is no session */
static u64 ivshmem_vfio_size(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	if (!ivshmem_vfio_in_precopy(ivdev) &&
	    ivdev->state != VFIO_DEVICE_STATE_STOP_COPY)
		return ivshmem_vfio_size_whole(ivdev);

	return ivshmem_vfio_size_left(ivdev->stream) +
	       ivshmem_vfio_size_after(ivdev->stream);
}

int ivshmem_vfio_get_data_size(struct vfio_device *vdev,
			       unsigned long *stop_copy_length)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	*stop_copy_length = ivshmem_vfio_size(ivdev);
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return 0;
}
