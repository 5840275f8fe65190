// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving: produce the stream that format.h describes.
 *
 * In PRE_COPY all of the memory is sent first, in order, and then, again and
 * again, the granules that were written to since they were read. STOP_COPY
 * continues with the granules that are dirty at that time (all of them, if
 * there was no PRE_COPY), the registers and the end record.
 *
 * The buffer holds one piece of the stream. The user has read the bytes before
 * head, and still has to read those between head and tail.
 */

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "format.h"
#include "hw.h"
#include "precopy.h"
#include "save.h"
#include "stream.h"
#include "track.h"
#include "vfio_dev.h"

static void ivshmem_vfio_save_put(struct ivshmem_vfio_stream *stream,
				  const void *data, size_t len)
{
	memcpy(stream->buf + stream->tail, data, len);
	stream->tail += len;
	ivshmem_vfio_stream_account(stream, data, len);
}

static void ivshmem_vfio_save_put_record(struct ivshmem_vfio_stream *stream,
					 enum ivshmem_vfio_record_type type,
					 u64 offset, u64 length)
{
	struct ivshmem_vfio_record record = {
		.type = cpu_to_le32(type),
		.offset = cpu_to_le64(offset),
		.length = cpu_to_le64(length),
	};

	ivshmem_vfio_save_put(stream, &record, sizeof(record));
}

static void ivshmem_vfio_save_header(struct ivshmem_vfio_stream *stream)
{
	u64 size = ivshmem_vfio_hw_memory_size(stream->ivdev);
	struct ivshmem_vfio_header header = {
		.magic = cpu_to_le64(IVSHMEM_VFIO_MAGIC),
		.version = cpu_to_le32(IVSHMEM_VFIO_VERSION),
		.granule = cpu_to_le32(IVSHMEM_VFIO_GRANULE),
		.memory_size = cpu_to_le64(size),
	};

	ivshmem_vfio_save_put(stream, &header, sizeof(header));
	stream->part = IVSHMEM_VFIO_PART_RECORD;
}

/* Begin the record of the next run of memory, or that of the registers */
static int ivshmem_vfio_save_record(struct ivshmem_vfio_stream *stream)
{
	unsigned long first, count;

	count = ivshmem_vfio_dirty_find(&stream->ivdev->dirty,
					IVSHMEM_VFIO_MEM_MAX /
					IVSHMEM_VFIO_GRANULE, &first);
	if (!count) {
		/* "temporary end of stream" */
		if (ivshmem_vfio_in_precopy(stream->ivdev))
			return -ENOMSG;

		ivshmem_vfio_save_put_record(stream, IVSHMEM_VFIO_RECORD_REGS,
					     0, sizeof(struct ivshmem_vfio_regs_data));
		stream->part = IVSHMEM_VFIO_PART_REGS;
		return 0;
	}

	stream->offset = (u64)first * IVSHMEM_VFIO_GRANULE;
	stream->left = (u64)count * IVSHMEM_VFIO_GRANULE;
	ivshmem_vfio_save_put_record(stream, IVSHMEM_VFIO_RECORD_MEM,
				     stream->offset, stream->left);
	stream->part = IVSHMEM_VFIO_PART_MEM;

	return 0;
}

static int ivshmem_vfio_save_mem(struct ivshmem_vfio_stream *stream)
{
	size_t len = min_t(u64, stream->left, IVSHMEM_VFIO_BUF_SIZE);
	int err;

	ivshmem_vfio_track_clean(stream->ivdev, stream->offset, len);
	err = ivshmem_vfio_hw_read_memory(stream->ivdev, stream->offset,
					  stream->buf, len);
	if (err)
		return err;

	ivshmem_vfio_stream_account(stream, stream->buf, len);
	stream->tail = len;
	stream->offset += len;
	stream->left -= len;
	if (!stream->left)
		stream->part = IVSHMEM_VFIO_PART_RECORD;

	return 0;
}

static int ivshmem_vfio_save_regs(struct ivshmem_vfio_stream *stream)
{
	struct ivshmem_vfio_regs_data data;
	struct ivshmem_vfio_regs regs;
	int err;

	err = ivshmem_vfio_hw_save_regs(stream->ivdev, &regs);
	if (err)
		return err;

	data.intr_mask = cpu_to_le32(regs.intr_mask);
	data.intr_status = cpu_to_le32(regs.intr_status);
	ivshmem_vfio_save_put(stream, &data, sizeof(data));
	stream->part = IVSHMEM_VFIO_PART_END;

	return 0;
}

static void ivshmem_vfio_save_end(struct ivshmem_vfio_stream *stream)
{
	struct ivshmem_vfio_end_data data;

	ivshmem_vfio_save_put_record(stream, IVSHMEM_VFIO_RECORD_END, 0,
				     sizeof(data));
	data.length = cpu_to_le64(stream->length);
	data.digest = cpu_to_le64(xxh64_digest(&stream->digest));
	ivshmem_vfio_save_put(stream, &data, sizeof(data));
	stream->part = IVSHMEM_VFIO_PART_DONE;
}

/* Fill the buffer with the next piece. At the end it stays empty. */
static int ivshmem_vfio_save_fill(struct ivshmem_vfio_stream *stream)
{
	stream->head = 0;
	stream->tail = 0;

	switch (stream->part) {
	case IVSHMEM_VFIO_PART_HEADER:
		ivshmem_vfio_save_header(stream);
		return 0;
	case IVSHMEM_VFIO_PART_RECORD:
		return ivshmem_vfio_save_record(stream);
	case IVSHMEM_VFIO_PART_MEM:
		return ivshmem_vfio_save_mem(stream);
	case IVSHMEM_VFIO_PART_REGS:
		return ivshmem_vfio_save_regs(stream);
	case IVSHMEM_VFIO_PART_END:
		ivshmem_vfio_save_end(stream);
		return 0;
	case IVSHMEM_VFIO_PART_DONE:
		return 0;
	}

	return -EINVAL;
}

static ssize_t ivshmem_vfio_save_piece(struct ivshmem_vfio_stream *stream,
				       char __user *ubuf, size_t len)
{
	int err;

	lockdep_assert_held(&stream->ivdev->state_mutex);

	if (stream->ivdev->stream != stream)
		return -ENODEV;

	if (stream->head == stream->tail) {
		err = ivshmem_vfio_save_fill(stream);
		if (err)
			return err;
	}

	/* "End of stream on the FD indicates the entire device state" */
	len = min(len, stream->tail - stream->head);
	if (!len)
		return 0;

	len -= copy_to_user(ubuf, stream->buf + stream->head, len);
	if (!len)
		return -EFAULT;

	stream->head += len;
	return len;
}

/*
 * Release the mutex after each piece, so that a reset or a change of the state
 * can end the session during a long read().
 */
static ssize_t ivshmem_vfio_save_read(struct file *filp, char __user *ubuf,
				      size_t len, loff_t *pos)
{
	struct ivshmem_vfio_stream *stream = filp->private_data;
	struct ivshmem_vfio_device *ivdev = stream->ivdev;
	size_t done = 0;
	ssize_t ret = 0;

	while (done < len) {
		mutex_lock(&ivdev->state_mutex);
		ret = ivshmem_vfio_save_piece(stream, ubuf + done, len - done);
		ivshmem_vfio_state_mutex_unlock(ivdev);
		if (ret <= 0)
			break;

		done += ret;
		if (signal_pending(current))
			break;
		cond_resched();
	}

	return done ?: ret;
}

static const struct file_operations ivshmem_vfio_save_fops = {
	.owner = THIS_MODULE,
	.read = ivshmem_vfio_save_read,
	.poll = ivshmem_vfio_precopy_poll,
	.unlocked_ioctl = ivshmem_vfio_precopy_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = ivshmem_vfio_stream_release,
};

struct file *ivshmem_vfio_save_begin(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_stream *stream;

	stream = ivshmem_vfio_stream_begin(ivdev, &ivshmem_vfio_save_fops,
					   O_RDONLY);
	if (IS_ERR(stream))
		return ERR_CAST(stream);

	return stream->filp;
}
