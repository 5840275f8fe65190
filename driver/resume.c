// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resuming: read the stream that format.h describes. The stream is not to be
 * trusted, and "the user is not required to preserve buffer segmentation".
 *
 * The buffer collects one piece of the stream: pos is how many bytes of the
 * piece have arrived, len how many it has when it is complete. A piece that is
 * complete is used before its last bytes count as written.
 *
 * The memory is written piece by piece, before the end of the stream has proved
 * that it is whole, because a second copy of it would be too large. So a stream
 * that is refused at its end has damaged the memory, which the peers share.
 */

#include <linux/bitmap.h>
#include <linux/file.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "ivshmem_vfio.h"

/*
 * Note in the kernel's log why a stream is refused, and where in the stream, so
 * that whoever has to find out need not guess. Returns -EINVAL. Errors of the
 * device are others, so this one tells that the stream was refused.
 */
#define ivshmem_vfio_refuse(migf, fmt, ...) ({				\
	struct ivshmem_vfio_migf *_migf = (migf);			\
									\
	ivshmem_vfio_notice(_migf->ivdev,				\
			    "stream refused at byte %llu: " fmt,	\
			    _migf->length, ##__VA_ARGS__);		\
	-EINVAL;							\
})

static void ivshmem_vfio_resume_expect(struct ivshmem_vfio_migf *migf,
				       enum ivshmem_vfio_part part, size_t len)
{
	migf->part = part;
	migf->pos = 0;
	migf->len = len;
}

static void ivshmem_vfio_resume_expect_record(struct ivshmem_vfio_migf *migf)
{
	ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_RECORD,
				   sizeof(struct ivshmem_vfio_record));
}

static void ivshmem_vfio_resume_expect_mem(struct ivshmem_vfio_migf *migf)
{
	ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_MEM,
				   min_t(u64, migf->left,
					 IVSHMEM_VFIO_WINDOW));
}

/* Is the stream of a device like this one? */
static int ivshmem_vfio_resume_header(struct ivshmem_vfio_migf *migf)
{
	const struct ivshmem_vfio_header *header = (void *)migf->buf;
	struct ivshmem_vfio_device *ivdev = migf->ivdev;
	u32 vectors = le32_to_cpu(header->vectors);
	u32 revision = le32_to_cpu(header->revision);
	u64 size = le64_to_cpu(header->memory_size);

	migf->version = le32_to_cpu(header->version);
	if (le64_to_cpu(header->magic) != IVSHMEM_VFIO_MAGIC)
		return ivshmem_vfio_refuse(migf, "not the state of an ivshmem device");
	if (!migf->version || migf->version > IVSHMEM_VFIO_VERSION)
		return ivshmem_vfio_refuse(migf, "its version is %u, and this driver reads 1 to %u",
					   migf->version, IVSHMEM_VFIO_VERSION);
	if (le32_to_cpu(header->granule) != IVSHMEM_VFIO_GRANULE)
		return ivshmem_vfio_refuse(migf, "its granule is %u bytes, not %u",
					   le32_to_cpu(header->granule),
					   IVSHMEM_VFIO_GRANULE);
	if (size != ivshmem_vfio_hw_memory_size(ivdev))
		return ivshmem_vfio_refuse(migf, "its memory has %llu bytes, and this one's %llu",
					   size,
					   ivshmem_vfio_hw_memory_size(ivdev));
	if (migf->version == 1 && (vectors || revision))
		return ivshmem_vfio_refuse(migf, "a reserved field is not zero");
	if (migf->version > 1 && vectors != ivdev->vectors)
		return ivshmem_vfio_refuse(migf, "its device has %u vectors, and this one %u",
					   vectors, ivdev->vectors);
	if (migf->version > 1 && revision != ivdev->core.pdev->revision)
		return ivshmem_vfio_refuse(migf, "its device has revision %u, and this one %u",
					   revision,
					   ivdev->core.pdev->revision);

	ivshmem_vfio_resume_expect_record(migf);
	return 0;
}

static int ivshmem_vfio_resume_mem_record(struct ivshmem_vfio_migf *migf,
					  u64 offset, u64 length)
{
	u64 size = ivshmem_vfio_hw_memory_size(migf->ivdev);

	if (migf->have_regs)
		return ivshmem_vfio_refuse(migf, "memory after the registers");

	if (!length || length > IVSHMEM_VFIO_MEM_MAX ||
	    !IS_ALIGNED(length, IVSHMEM_VFIO_GRANULE) ||
	    !IS_ALIGNED(offset, IVSHMEM_VFIO_GRANULE) || offset >= size ||
	    length > size - offset)
		return ivshmem_vfio_refuse(migf, "a record has %llu bytes of memory at %llu",
					   length, offset);

	migf->offset = offset;
	migf->left = length;
	ivshmem_vfio_resume_expect_mem(migf);
	return 0;
}

static int ivshmem_vfio_resume_record(struct ivshmem_vfio_migf *migf)
{
	const struct ivshmem_vfio_record *record = (void *)migf->buf;
	u64 offset = le64_to_cpu(record->offset);
	u64 length = le64_to_cpu(record->length);
	u32 type = le32_to_cpu(record->type);

	if (record->reserved)
		return ivshmem_vfio_refuse(migf, "a reserved field is not zero");

	if (type == IVSHMEM_VFIO_RECORD_MEM)
		return ivshmem_vfio_resume_mem_record(migf, offset, length);

	if (type == IVSHMEM_VFIO_RECORD_REGS) {
		if (migf->have_regs || offset ||
		    length != sizeof(struct ivshmem_vfio_regs_data))
			return ivshmem_vfio_refuse(migf, "a bad record of the registers");
		if (migf->missing)
			return ivshmem_vfio_refuse(migf, "%lu pages of the memory are missing",
						   migf->missing);
		ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_REGS,
					   length);
		return 0;
	}

	if (type == IVSHMEM_VFIO_RECORD_END) {
		if (!migf->have_regs || offset ||
		    length != sizeof(struct ivshmem_vfio_end_data))
			return ivshmem_vfio_refuse(migf, "a bad end record");
		ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_END,
					   length);
		return 0;
	}

	return ivshmem_vfio_refuse(migf, "a record of type %u", type);
}

static void ivshmem_vfio_resume_arrived(struct ivshmem_vfio_migf *migf,
					size_t len)
{
	unsigned long granule = migf->offset / IVSHMEM_VFIO_GRANULE;
	size_t i;

	for (i = 0; i < len / IVSHMEM_VFIO_GRANULE; i++)
		if (!__test_and_set_bit(granule + i, migf->arrived))
			migf->missing--;
}

static int ivshmem_vfio_resume_mem(struct ivshmem_vfio_migf *migf)
{
	size_t len = migf->len;
	int err;

	err = ivshmem_vfio_hw_write_memory(migf->ivdev, migf->resets,
					   migf->offset, migf->buf, len);
	if (err)
		return err;

	ivshmem_vfio_resume_arrived(migf, len);
	migf->offset += len;
	migf->left -= len;
	if (migf->left)
		ivshmem_vfio_resume_expect_mem(migf);
	else
		ivshmem_vfio_resume_expect_record(migf);

	return 0;
}

/* The registers are written on the arc RESUMING -> STOP, after all checks */
static int ivshmem_vfio_resume_regs(struct ivshmem_vfio_migf *migf)
{
	const struct ivshmem_vfio_regs_data *data = (void *)migf->buf;

	migf->regs.intr_mask = le32_to_cpu(data->intr_mask);
	migf->regs.intr_status = le32_to_cpu(data->intr_status);
	migf->have_regs = true;
	ivshmem_vfio_resume_expect_record(migf);

	return 0;
}

static int ivshmem_vfio_resume_check_end(struct ivshmem_vfio_migf *migf)
{
	const struct ivshmem_vfio_end_data *data = (void *)migf->buf;

	if (le64_to_cpu(data->length) != migf->length)
		return ivshmem_vfio_refuse(migf, "the end record counts %llu bytes",
					   le64_to_cpu(data->length));
	if (le64_to_cpu(data->digest) != xxh64_digest(&migf->digest))
		return ivshmem_vfio_refuse(migf, "the digest in the end record is wrong");

	ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_DONE, 0);
	return 0;
}

/* A piece is complete: check it, use it, and set what has to come next */
static int ivshmem_vfio_resume_use_piece(struct ivshmem_vfio_migf *migf)
{
	switch (migf->part) {
	case IVSHMEM_VFIO_PART_HEADER:
		return ivshmem_vfio_resume_header(migf);
	case IVSHMEM_VFIO_PART_RECORD:
		return ivshmem_vfio_resume_record(migf);
	case IVSHMEM_VFIO_PART_MEM:
		return ivshmem_vfio_resume_mem(migf);
	case IVSHMEM_VFIO_PART_REGS:
		return ivshmem_vfio_resume_regs(migf);
	case IVSHMEM_VFIO_PART_END:
		return ivshmem_vfio_resume_check_end(migf);
	case IVSHMEM_VFIO_PART_DONE:
		break;
	}

	return ivshmem_vfio_refuse(migf, "data after the end record");
}

/* The length and the digest are those of what was in front of the piece */
static int ivshmem_vfio_resume_use(struct ivshmem_vfio_migf *migf)
{
	size_t len = migf->len;
	int err;

	err = ivshmem_vfio_resume_use_piece(migf);
	if (!err)
		ivshmem_vfio_migf_account(migf, migf->buf, len);

	return err;
}

/* Returns 0 if the stream is right so far, or a negative errno */
static int ivshmem_vfio_resume_look(struct ivshmem_vfio_migf *migf)
{
	int err;

	mutex_lock(&migf->lock);
	err = ivshmem_vfio_migf_alive(migf) ? migf->err : -ENODEV;
	mutex_unlock(&migf->lock);

	return err;
}

/*
 * @len more bytes of the piece have arrived. @len is 0 for data after the end.
 *
 * A stream that was refused stays refused. Any other error is one of the device
 * and may pass. Then the piece is as it was before these bytes, and the user,
 * who was told the error, may write them again.
 */
static int ivshmem_vfio_resume_take(struct ivshmem_vfio_migf *migf, size_t len)
{
	int err = 0;

	mutex_lock(&migf->lock);
	if (!ivshmem_vfio_migf_alive(migf)) {
		err = -ENODEV;
	} else if (migf->pos + len < migf->len) {
		migf->pos += len;
	} else {
		err = ivshmem_vfio_resume_use(migf);
		if (err == -EINVAL)
			migf->err = err;
		/* A reset may have kept the device from being written to */
		if (!ivshmem_vfio_migf_alive(migf))
			err = -ENODEV;
	}
	mutex_unlock(&migf->lock);

	return err;
}

/* Only user_lock is held while user memory is read. It protects the piece. */
static ssize_t ivshmem_vfio_resume_copy(struct ivshmem_vfio_migf *migf,
					const char __user *ubuf, size_t len)
{
	size_t n;
	int err;

	err = ivshmem_vfio_resume_look(migf);
	if (err)
		return err;

	n = min(len, migf->len - migf->pos);
	if (n) {
		n -= copy_from_user(migf->buf + migf->pos, ubuf, n);
		if (!n)
			return -EFAULT;
	}

	err = ivshmem_vfio_resume_take(migf, n);

	return err ?: n;
}

static ssize_t ivshmem_vfio_resume_write(struct file *filp,
					 const char __user *ubuf, size_t len,
					 loff_t *pos)
{
	struct ivshmem_vfio_migf *migf = filp->private_data;
	size_t done = 0;
	ssize_t ret = 0;

	if (mutex_lock_interruptible(&migf->user_lock))
		return -ERESTARTSYS;

	while (done < len) {
		ret = ivshmem_vfio_resume_copy(migf, ubuf + done, len - done);
		if (ret < 0)
			break;

		done += ret;
		if (signal_pending(current))
			break;
		cond_resched();
	}
	mutex_unlock(&migf->user_lock);

	return done ?: ret;
}

static const struct file_operations ivshmem_vfio_resume_fops = {
	.owner = THIS_MODULE,
	.write = ivshmem_vfio_resume_write,
	.release = ivshmem_vfio_migf_release,
};

/**
 * ivshmem_vfio_resume_begin() - begin a resuming session
 * @ivdev: the device
 *
 * Return: the file for the user's descriptor, or an ERR_PTR.
 */
struct file *ivshmem_vfio_resume_begin(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_migf *migf;

	migf = ivshmem_vfio_migf_begin(ivdev, &ivshmem_vfio_resume_fops,
				       O_WRONLY);
	if (IS_ERR(migf))
		return ERR_CAST(migf);

	migf->missing = ivshmem_vfio_hw_memory_size(ivdev) /
			IVSHMEM_VFIO_GRANULE;
	migf->arrived = __vmalloc(BITS_TO_LONGS(migf->missing) * sizeof(long),
				  GFP_KERNEL_ACCOUNT | __GFP_ZERO |
				  __GFP_NOWARN);
	if (!migf->arrived) {
		struct file *filp = migf->filp;

		ivshmem_vfio_migf_end(ivdev);
		fput(filp);
		return ERR_PTR(-ENOMEM);
	}
	ivshmem_vfio_resume_expect(migf, IVSHMEM_VFIO_PART_HEADER,
				   sizeof(struct ivshmem_vfio_header));

	return migf->filp;
}

static int ivshmem_vfio_resume_finish(struct ivshmem_vfio_migf *migf)
{
	static const char * const parts[] = {
		[IVSHMEM_VFIO_PART_HEADER] = "header",
		[IVSHMEM_VFIO_PART_RECORD] = "head of a record",
		[IVSHMEM_VFIO_PART_MEM] = "memory",
		[IVSHMEM_VFIO_PART_REGS] = "registers",
		[IVSHMEM_VFIO_PART_END] = "end record",
	};

	lockdep_assert_held(&migf->lock);

	if (!ivshmem_vfio_migf_alive(migf))
		return -ENODEV;
	if (migf->err)
		return migf->err;
	if (migf->part != IVSHMEM_VFIO_PART_DONE)
		return ivshmem_vfio_refuse(migf, "it ends %zu bytes into the %s",
					   migf->pos, parts[migf->part]);

	return ivshmem_vfio_hw_load_regs(migf->ivdev, migf->resets,
					 &migf->regs);
}

/**
 * ivshmem_vfio_resume_end() - the user says that the stream has ended
 * @ivdev: the device
 *
 * If it was whole and right, load the registers and end the session. If this
 * fails, the session goes on: the rest of a stream that was too short can still
 * be written, and registers that could not be loaded can be tried again. Only a
 * stream that was refused leaves the user nothing but a reset.
 *
 * Return: 0 or a negative errno.
 */
int ivshmem_vfio_resume_end(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_migf *migf = ivdev->migf;
	int err;

	lockdep_assert_held(&ivdev->state_mutex);

	mutex_lock(&migf->lock);
	err = ivshmem_vfio_resume_finish(migf);
	mutex_unlock(&migf->lock);
	if (err)
		return err;

	ivshmem_vfio_migf_end(ivdev);
	ivdev->ring = true;
	return 0;
}
