// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resuming: read the stream that format.h describes. The stream is not to be
 * trusted, and "the user is not required to preserve buffer segmentation".
 *
 * The buffer collects one piece of the stream: head is how many bytes of the
 * piece have arrived, tail how many it has when it is complete.
 */

#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "format.h"
#include "hw.h"
#include "resume.h"
#include "stream.h"
#include "vfio_dev.h"

static void ivshmem_vfio_resume_expect(struct ivshmem_vfio_stream *stream,
				       enum ivshmem_vfio_part part, size_t len)
{
	stream->part = part;
	stream->head = 0;
	stream->tail = len;
}

static void ivshmem_vfio_resume_expect_record(struct ivshmem_vfio_stream *stream)
{
	ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_RECORD,
				   sizeof(struct ivshmem_vfio_record));
}

static void ivshmem_vfio_resume_expect_mem(struct ivshmem_vfio_stream *stream)
{
	ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_MEM,
				   min_t(u64, stream->left,
					 IVSHMEM_VFIO_BUF_SIZE));
}

static int ivshmem_vfio_resume_header(struct ivshmem_vfio_stream *stream)
{
	const struct ivshmem_vfio_header *header = (void *)stream->buf;

	if (le64_to_cpu(header->magic) != IVSHMEM_VFIO_MAGIC ||
	    le32_to_cpu(header->version) != IVSHMEM_VFIO_VERSION ||
	    le32_to_cpu(header->granule) != IVSHMEM_VFIO_GRANULE ||
	    le64_to_cpu(header->memory_size) !=
			ivshmem_vfio_hw_memory_size(stream->ivdev) ||
	    header->reserved)
		return -EINVAL;

	ivshmem_vfio_resume_expect_record(stream);
	return 0;
}

static int ivshmem_vfio_resume_mem_record(struct ivshmem_vfio_stream *stream,
					  u64 offset, u64 length)
{
	u64 size = ivshmem_vfio_hw_memory_size(stream->ivdev);

	if (stream->have_regs)
		return -EINVAL;

	if (!length || length > IVSHMEM_VFIO_MEM_MAX ||
	    !IS_ALIGNED(length, IVSHMEM_VFIO_GRANULE))
		return -EINVAL;

	if (!IS_ALIGNED(offset, IVSHMEM_VFIO_GRANULE) || offset >= size ||
	    length > size - offset)
		return -EINVAL;

	stream->offset = offset;
	stream->left = length;
	ivshmem_vfio_resume_expect_mem(stream);
	return 0;
}

static int ivshmem_vfio_resume_record(struct ivshmem_vfio_stream *stream)
{
	const struct ivshmem_vfio_record *record = (void *)stream->buf;
	u64 offset = le64_to_cpu(record->offset);
	u64 length = le64_to_cpu(record->length);

	if (record->reserved)
		return -EINVAL;

	switch (le32_to_cpu(record->type)) {
	case IVSHMEM_VFIO_RECORD_MEM:
		return ivshmem_vfio_resume_mem_record(stream, offset, length);
	case IVSHMEM_VFIO_RECORD_REGS:
		if (stream->have_regs || offset ||
		    length != sizeof(struct ivshmem_vfio_regs_data) ||
		    !ivshmem_vfio_dirty_empty(&stream->ivdev->dirty))
			return -EINVAL;
		ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_REGS,
					   length);
		return 0;
	case IVSHMEM_VFIO_RECORD_END:
		if (!stream->have_regs || offset ||
		    length != sizeof(struct ivshmem_vfio_end_data))
			return -EINVAL;
		ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_END,
					   length);
		return 0;
	default:
		return -EINVAL;
	}
}

/* A second copy of the memory would be too large, so write to the BAR now */
static int ivshmem_vfio_resume_mem(struct ivshmem_vfio_stream *stream)
{
	size_t len = stream->tail;
	int err;

	err = ivshmem_vfio_hw_write_memory(stream->ivdev, stream->offset,
					   stream->buf, len);
	if (err)
		return err;

	ivshmem_vfio_dirty_clear(&stream->ivdev->dirty,
				 stream->offset / IVSHMEM_VFIO_GRANULE,
				 len / IVSHMEM_VFIO_GRANULE);
	stream->offset += len;
	stream->left -= len;
	if (stream->left)
		ivshmem_vfio_resume_expect_mem(stream);
	else
		ivshmem_vfio_resume_expect_record(stream);

	return 0;
}

/* The registers are written on the arc RESUMING -> STOP, after all checks */
static int ivshmem_vfio_resume_regs(struct ivshmem_vfio_stream *stream)
{
	const struct ivshmem_vfio_regs_data *data = (void *)stream->buf;

	stream->regs.intr_mask = le32_to_cpu(data->intr_mask);
	stream->regs.intr_status = le32_to_cpu(data->intr_status);
	stream->have_regs = true;
	ivshmem_vfio_resume_expect_record(stream);

	return 0;
}

static int ivshmem_vfio_resume_end(struct ivshmem_vfio_stream *stream)
{
	const struct ivshmem_vfio_end_data *data = (void *)stream->buf;

	if (le64_to_cpu(data->length) != stream->length ||
	    le64_to_cpu(data->digest) != xxh64_digest(&stream->digest))
		return -EINVAL;

	ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_DONE, 0);
	return 0;
}

/* A piece is complete: check it, use it, and set what has to come next */
static int ivshmem_vfio_resume_use(struct ivshmem_vfio_stream *stream)
{
	if (stream->part != IVSHMEM_VFIO_PART_END)
		ivshmem_vfio_stream_account(stream, stream->buf, stream->tail);

	switch (stream->part) {
	case IVSHMEM_VFIO_PART_HEADER:
		return ivshmem_vfio_resume_header(stream);
	case IVSHMEM_VFIO_PART_RECORD:
		return ivshmem_vfio_resume_record(stream);
	case IVSHMEM_VFIO_PART_MEM:
		return ivshmem_vfio_resume_mem(stream);
	case IVSHMEM_VFIO_PART_REGS:
		return ivshmem_vfio_resume_regs(stream);
	case IVSHMEM_VFIO_PART_END:
		return ivshmem_vfio_resume_end(stream);
	case IVSHMEM_VFIO_PART_DONE:
		break;
	}

	/* Nothing may follow the end record */
	return -EINVAL;
}

static ssize_t ivshmem_vfio_resume_piece(struct ivshmem_vfio_stream *stream,
					 const char __user *ubuf, size_t len)
{
	int err;

	lockdep_assert_held(&stream->ivdev->state_mutex);

	if (stream->ivdev->stream != stream)
		return -ENODEV;
	if (stream->err)
		return stream->err;

	if (stream->part != IVSHMEM_VFIO_PART_DONE) {
		len = min(len, stream->tail - stream->head);
		len -= copy_from_user(stream->buf + stream->head, ubuf, len);
		if (!len)
			return -EFAULT;

		stream->head += len;
		if (stream->head < stream->tail)
			return len;
	}

	err = ivshmem_vfio_resume_use(stream);
	if (err) {
		stream->err = err;
		return err;
	}

	return len;
}

/* Releases the mutex after each piece, like ivshmem_vfio_save_read() */
static ssize_t ivshmem_vfio_resume_write(struct file *filp,
					 const char __user *ubuf, size_t len,
					 loff_t *pos)
{
	struct ivshmem_vfio_stream *stream = filp->private_data;
	struct ivshmem_vfio_device *ivdev = stream->ivdev;
	size_t done = 0;
	ssize_t ret = 0;

	while (done < len) {
		mutex_lock(&ivdev->state_mutex);
		ret = ivshmem_vfio_resume_piece(stream, ubuf + done,
						len - done);
		ivshmem_vfio_state_mutex_unlock(ivdev);
		if (ret < 0)
			break;

		done += ret;
		if (signal_pending(current))
			break;
		cond_resched();
	}

	return done ?: ret;
}

static const struct file_operations ivshmem_vfio_resume_fops = {
	.owner = THIS_MODULE,
	.write = ivshmem_vfio_resume_write,
	.release = ivshmem_vfio_stream_release,
};

struct file *ivshmem_vfio_resume_begin(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_stream *stream;

	stream = ivshmem_vfio_stream_begin(ivdev, &ivshmem_vfio_resume_fops,
					   O_WRONLY);
	if (IS_ERR(stream))
		return ERR_CAST(stream);

	ivshmem_vfio_resume_expect(stream, IVSHMEM_VFIO_PART_HEADER,
				   sizeof(struct ivshmem_vfio_header));
	return stream->filp;
}

/* Returns 0 if a valid stream has been written completely */
int ivshmem_vfio_resume_check(struct ivshmem_vfio_stream *stream)
{
	if (stream->err)
		return stream->err;

	return stream->part == IVSHMEM_VFIO_PART_DONE ? 0 : -EINVAL;
}
