// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving: produce the stream that format.h describes.
 *
 * In PRE_COPY all of the memory is sent first, in order, and then, round after
 * round, what has changed since it was sent; see granules.c. STOP_COPY makes
 * one last round, and sends what that finds, the registers, and the end record.
 * Without PRE_COPY it sends all of the memory, once.
 */

#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "ivshmem_vfio.h"

/* Internal: nothing to be read yet, but it goes on */
#define IVSHMEM_VFIO_AGAIN	1

static size_t ivshmem_vfio_save_unread(const struct ivshmem_vfio_migf *migf)
{
	return migf->len - migf->pos;
}

static void ivshmem_vfio_save_piece(struct ivshmem_vfio_migf *migf, u8 *piece,
				    size_t len)
{
	ivshmem_vfio_migf_account(migf, piece, len);
	migf->piece = piece;
	migf->pos = 0;
	migf->len = len;
}

/* The small parts are put together in @small, and the buffer keeps its data */
static void ivshmem_vfio_save_record(struct ivshmem_vfio_migf *migf,
				     enum ivshmem_vfio_record_type type,
				     u64 offset, u64 length)
{
	struct ivshmem_vfio_record *record = (void *)migf->small;

	*record = (struct ivshmem_vfio_record){
		.type = cpu_to_le32(type),
		.offset = cpu_to_le64(offset),
		.length = cpu_to_le64(length),
	};
	ivshmem_vfio_save_piece(migf, migf->small, sizeof(*record));
}

static void ivshmem_vfio_save_header(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_header *header = (void *)migf->small;
	struct ivshmem_vfio_device *ivdev = migf->ivdev;

	*header = (struct ivshmem_vfio_header){
		.magic = cpu_to_le64(IVSHMEM_VFIO_MAGIC),
		.version = cpu_to_le32(IVSHMEM_VFIO_VERSION),
		.granule = cpu_to_le32(IVSHMEM_VFIO_GRANULE),
		.memory_size = cpu_to_le64(ivshmem_vfio_hw_memory_size(ivdev)),
		.vectors = cpu_to_le32(ivdev->vectors),
		.revision = cpu_to_le32(ivdev->core.pdev->revision),
	};
	ivshmem_vfio_save_piece(migf, migf->small, sizeof(*header));
	migf->part = IVSHMEM_VFIO_PART_RECORD;
}

/* Begin the record of the next run of granules in the buffer */
static void ivshmem_vfio_save_run(struct ivshmem_vfio_migf *migf)
{
	migf->run = __ffs(migf->pending);
	migf->run_len = find_next_zero_bit(&migf->pending, BITS_PER_LONG,
					   migf->run) - migf->run;
	bitmap_clear(&migf->pending, migf->run, migf->run_len);

	ivshmem_vfio_save_record(migf, IVSHMEM_VFIO_RECORD_MEM,
				 (u64)(migf->window + migf->run) *
				 IVSHMEM_VFIO_GRANULE,
				 (u64)migf->run_len * IVSHMEM_VFIO_GRANULE);
	migf->part = IVSHMEM_VFIO_PART_MEM;
}

/* Choose the next record. This may take several calls. */
static int ivshmem_vfio_save_next(struct ivshmem_vfio_migf *migf)
{
	if (migf->pending) {
		ivshmem_vfio_save_run(migf);
		return 0;
	}

	if (ivshmem_vfio_scan_is_due(migf))
		return ivshmem_vfio_scan_window(migf) ?: IVSHMEM_VFIO_AGAIN;

	if (migf->granules.unsent) {
		int ret = ivshmem_vfio_load_window(migf);

		return ret < 0 ? ret : IVSHMEM_VFIO_AGAIN;
	}

	/* "temporary end of stream" */
	if (migf->precopy)
		return -ENOMSG;

	ivshmem_vfio_save_record(migf, IVSHMEM_VFIO_RECORD_REGS, 0,
				 sizeof(struct ivshmem_vfio_regs_data));
	migf->part = IVSHMEM_VFIO_PART_REGS;
	return 0;
}

static void ivshmem_vfio_save_mem(struct ivshmem_vfio_migf *migf)
{
	ivshmem_vfio_save_piece(migf,
				migf->buf + migf->run * IVSHMEM_VFIO_GRANULE,
				migf->run_len * IVSHMEM_VFIO_GRANULE);
	migf->part = IVSHMEM_VFIO_PART_RECORD;
}

static int ivshmem_vfio_save_regs(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_regs_data *data = (void *)migf->small;
	struct ivshmem_vfio_regs regs;
	int err;

	err = ivshmem_vfio_hw_save_regs(migf->ivdev, migf->resets, &regs);
	if (err)
		return err;

	data->intr_mask = cpu_to_le32(regs.intr_mask);
	data->intr_status = cpu_to_le32(regs.intr_status);
	ivshmem_vfio_save_piece(migf, migf->small, sizeof(*data));
	migf->part = IVSHMEM_VFIO_PART_END;

	return 0;
}

/* The end record's own header counts, but not its data */
static void ivshmem_vfio_save_end(struct ivshmem_vfio_migf *migf)
{
	struct ivshmem_vfio_end_data *data;

	ivshmem_vfio_save_record(migf, IVSHMEM_VFIO_RECORD_END, 0,
				 sizeof(*data));
	data = (void *)migf->small + migf->len;
	data->length = cpu_to_le64(migf->length);
	data->digest = cpu_to_le64(xxh64_digest(&migf->digest));
	migf->len += sizeof(*data);
	migf->part = IVSHMEM_VFIO_PART_DONE;
}

/* Make the next piece of the stream. At the end it stays empty. */
static int ivshmem_vfio_save_fill(struct ivshmem_vfio_migf *migf)
{
	switch (migf->part) {
	case IVSHMEM_VFIO_PART_HEADER:
		ivshmem_vfio_save_header(migf);
		return 0;
	case IVSHMEM_VFIO_PART_RECORD:
		return ivshmem_vfio_save_next(migf);
	case IVSHMEM_VFIO_PART_MEM:
		ivshmem_vfio_save_mem(migf);
		return 0;
	case IVSHMEM_VFIO_PART_REGS:
		return ivshmem_vfio_save_regs(migf);
	case IVSHMEM_VFIO_PART_END:
		ivshmem_vfio_save_end(migf);
		return 0;
	case IVSHMEM_VFIO_PART_DONE:
		return 0;
	}

	return -EINVAL;
}

/* See to it that there is something to be read, or that the end is reached */
static int ivshmem_vfio_save_prepare(struct ivshmem_vfio_migf *migf)
{
	int ret = 0;

	mutex_lock(&migf->lock);
	if (!ivshmem_vfio_migf_alive(migf)) {
		ret = -ENODEV;
	} else if (!ivshmem_vfio_save_unread(migf)) {
		migf->err = 0;
		ret = ivshmem_vfio_save_fill(migf);
		/* A reset may have come while the device was read */
		if (!ivshmem_vfio_migf_alive(migf))
			ret = -ENODEV;
	}
	mutex_unlock(&migf->lock);

	return ret;
}

/*
 * Give the user a part of the piece. Nobody replaces a piece that was not read
 * to its end, so the lock need not be held for this.
 */
static ssize_t ivshmem_vfio_save_copy(struct ivshmem_vfio_migf *migf,
				      char __user *ubuf, size_t len)
{
	len = min(len, ivshmem_vfio_save_unread(migf));
	if (!len)
		return 0;

	len -= copy_to_user(ubuf, migf->piece + migf->pos, len);
	if (!len)
		return -EFAULT;

	mutex_lock(&migf->lock);
	migf->pos += len;
	mutex_unlock(&migf->lock);

	return len;
}

/*
 * The lock is released between the pieces, so that a reset or a change of the
 * state can end the session during a long read(), and a signal a long round.
 */
static ssize_t ivshmem_vfio_save_read(struct file *filp, char __user *ubuf,
				      size_t len, loff_t *pos)
{
	struct ivshmem_vfio_migf *migf = filp->private_data;
	size_t done = 0;
	ssize_t ret = 0;

	if (mutex_lock_interruptible(&migf->user_lock))
		return -ERESTARTSYS;

	while (done < len) {
		ret = ivshmem_vfio_save_prepare(migf);
		if (ret < 0)
			break;

		if (ret != IVSHMEM_VFIO_AGAIN) {
			/* "End of stream": the entire state was transferred */
			ret = ivshmem_vfio_save_copy(migf, ubuf + done,
						     len - done);
			if (ret <= 0)
				break;
			done += ret;
		}

		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		cond_resched();
	}
	mutex_unlock(&migf->user_lock);

	return done ?: ret;
}

static const struct file_operations ivshmem_vfio_save_fops = {
	.owner = THIS_MODULE,
	.read = ivshmem_vfio_save_read,
	.poll = ivshmem_vfio_precopy_poll,
	.unlocked_ioctl = ivshmem_vfio_precopy_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = ivshmem_vfio_migf_release,
};

/**
 * ivshmem_vfio_save_begin() - begin a saving session
 * @ivdev: the device
 * @precopy: the device is running
 *
 * Return: the file for the user's descriptor, or an ERR_PTR.
 */
struct file *ivshmem_vfio_save_begin(struct ivshmem_vfio_device *ivdev,
				     bool precopy)
{
	struct ivshmem_vfio_migf *migf;
	int err;

	migf = ivshmem_vfio_migf_begin(ivdev, &ivshmem_vfio_save_fops,
				       O_RDONLY);
	if (IS_ERR(migf))
		return ERR_CAST(migf);

	err = ivshmem_vfio_granules_init(&migf->granules,
					 ivshmem_vfio_hw_memory_size(ivdev),
					 precopy);
	if (err) {
		struct file *filp = migf->filp;

		ivshmem_vfio_migf_end(ivdev);
		fput(filp);
		return ERR_PTR(err);
	}
	migf->precopy = precopy;

	return migf->filp;
}

/**
 * ivshmem_vfio_save_stop() - the device has stopped in PRE_COPY
 * @migf: the migration file
 *
 * The last round over the memory begins.
 */
void ivshmem_vfio_save_stop(struct ivshmem_vfio_migf *migf)
{
	mutex_lock(&migf->lock);
	migf->precopy = false;
	ivshmem_vfio_scan_begin(migf);
	mutex_unlock(&migf->lock);

	wake_up_interruptible_all(&migf->wait);
}

/* ---- Sizes --------------------------------------------------------------- */

/**
 * ivshmem_vfio_save_has_data() - is there something to be read that is known of?
 * @migf: the migration file
 *
 * Return: true if there is.
 */
bool ivshmem_vfio_save_has_data(struct ivshmem_vfio_migf *migf)
{
	lockdep_assert_held(&migf->lock);

	return migf->part != IVSHMEM_VFIO_PART_RECORD ||
	       ivshmem_vfio_save_unread(migf) || migf->pending ||
	       migf->granules.unsent;
}

/**
 * ivshmem_vfio_save_left() - the length of the rest of the memory's part
 * @migf: the migration file
 *
 * Return: the number of bytes, as far as it is known.
 */
u64 ivshmem_vfio_save_left(struct ivshmem_vfio_migf *migf)
{
	u64 left = ivshmem_vfio_save_unread(migf);

	lockdep_assert_held(&migf->lock);

	if (migf->part == IVSHMEM_VFIO_PART_HEADER)
		left += sizeof(struct ivshmem_vfio_header);
	if (migf->part == IVSHMEM_VFIO_PART_MEM)
		left += ivshmem_vfio_size_mem(migf->run_len, 0);

	return left +
	       ivshmem_vfio_size_mem(hweight_long(migf->pending),
				     ivshmem_vfio_count_runs(migf->pending)) +
	       ivshmem_vfio_size_mem(migf->granules.unsent,
				     migf->granules.runs);
}

/**
 * ivshmem_vfio_save_estimate() - the same, and what will have changed meanwhile
 * @migf: the migration file
 *
 * What has changed since the last round over the memory is not known before the
 * next one has ended. Until then it is taken for as much as the last one has
 * found.
 *
 * Return: the number of bytes.
 */
u64 ivshmem_vfio_save_estimate(struct ivshmem_vfio_migf *migf)
{
	const struct ivshmem_vfio_granules *granules = &migf->granules;
	u64 left = ivshmem_vfio_save_left(migf);

	if (!migf->precopy && !ivshmem_vfio_scanning(migf))
		return left;

	return max(left, ivshmem_vfio_size_mem(granules->found,
					       granules->found_runs));
}

/* The length of what follows the memory and has not been made yet */
static u64 ivshmem_vfio_size_after(enum ivshmem_vfio_part part)
{
	u64 left = 0;

	switch (part) {
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

/* A reset may have left the file of a session that is over */
static bool ivshmem_vfio_is_saving(struct ivshmem_vfio_device *ivdev)
{
	return ivdev->migf && (ivdev->state == VFIO_DEVICE_STATE_PRE_COPY ||
			       ivdev->state == VFIO_DEVICE_STATE_PRE_COPY_P2P ||
			       ivdev->state == VFIO_DEVICE_STATE_STOP_COPY);
}

/**
 * ivshmem_vfio_get_data_size() - VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
 * @vdev: the VFIO device
 * @stop_copy_length: receives the number of bytes
 *
 * "The estimated data length that will be required to complete stop copy": the
 * rest of the session's stream, or a whole stream.
 *
 * Return: 0.
 */
int ivshmem_vfio_get_data_size(struct vfio_device *vdev,
			       unsigned long *stop_copy_length)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	u64 memory = ivshmem_vfio_hw_memory_size(ivdev);
	u64 length;

	mutex_lock(&ivdev->state_mutex);
	if (ivshmem_vfio_is_saving(ivdev)) {
		mutex_lock(&ivdev->migf->lock);
		length = ivshmem_vfio_save_estimate(ivdev->migf) +
			 ivshmem_vfio_size_after(ivdev->migf->part);
		mutex_unlock(&ivdev->migf->lock);
	} else {
		length = sizeof(struct ivshmem_vfio_header) +
			 ivshmem_vfio_size_mem(memory / IVSHMEM_VFIO_GRANULE,
					       DIV_ROUND_UP_ULL(memory,
								IVSHMEM_VFIO_WINDOW)) +
			 ivshmem_vfio_size_after(IVSHMEM_VFIO_PART_HEADER);
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	*stop_copy_length = min_t(u64, length, ULONG_MAX);
	return 0;
}
