/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_STREAM_H
#define IVSHMEM_VFIO_STREAM_H

#include <linux/align.h>
#include <linux/fs.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/xxhash.h>

#include "format.h"
#include "hw.h"

struct ivshmem_vfio_device;

/* How many bytes are copied between user memory and the device at a time */
#define IVSHMEM_VFIO_BUF_SIZE	SZ_64K
static_assert(IS_ALIGNED(IVSHMEM_VFIO_BUF_SIZE, IVSHMEM_VFIO_GRANULE));

/* The next part of the stream */
enum ivshmem_vfio_part {
	IVSHMEM_VFIO_PART_HEADER,
	IVSHMEM_VFIO_PART_RECORD,
	IVSHMEM_VFIO_PART_MEM,
	IVSHMEM_VFIO_PART_REGS,
	IVSHMEM_VFIO_PART_END,
	IVSHMEM_VFIO_PART_DONE,
};

/*
 * A data transfer session and its data_fd, protected by the device's
 * state_mutex. save.c and resume.c describe how they use buf, head and tail.
 */
struct ivshmem_vfio_stream {
	struct ivshmem_vfio_device *ivdev;
	struct file *filp;

	enum ivshmem_vfio_part part;
	u64 offset;			/* in BAR 2, of the next MEM data */
	u64 left;			/* bytes of the present MEM record */
	struct ivshmem_vfio_regs regs;
	bool have_regs;
	int err;			/* the first error in RESUMING, or 0 */

	u64 length;			/* of the stream so far */
	struct xxh64_state digest;

	size_t head;
	size_t tail;
	u8 *buf;
};

struct ivshmem_vfio_stream *
ivshmem_vfio_stream_begin(struct ivshmem_vfio_device *ivdev,
			  const struct file_operations *fops, int flags);
void ivshmem_vfio_stream_end(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_stream_release(struct inode *inode, struct file *filp);
void ivshmem_vfio_stream_account(struct ivshmem_vfio_stream *stream,
				 const void *data, size_t len);

#endif /* IVSHMEM_VFIO_STREAM_H */
