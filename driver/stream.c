// SPDX-License-Identifier: GPL-2.0-only
/* The data transfer session: the part that saving and resuming share. */

#include <linux/anon_inodes.h>
#include <linux/error-injection.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/vfio.h>

#include "stream.h"
#include "track.h"
#include "vfio_dev.h"

/*
 * Begin a session. The caller gets a reference to stream->filp, which is for
 * the user's descriptor. The session holds a second reference, so that the user
 * may close data_fd before the session ends.
 *
 * The user may also keep data_fd longer than the session, even after the device
 * was unbound. read() and write() then still take state_mutex to find out that
 * the session has ended. So the file holds a reference to the vfio_device,
 * which contains state_mutex. fops->owner keeps the module loaded.
 */
struct ivshmem_vfio_stream *
ivshmem_vfio_stream_begin(struct ivshmem_vfio_device *ivdev,
			  const struct file_operations *fops, int flags)
{
	struct ivshmem_vfio_stream *stream;
	int err = -ENOMEM;

	stream = kzalloc(sizeof(*stream), GFP_KERNEL_ACCOUNT);
	if (!stream)
		return ERR_PTR(err);

	stream->buf = kvmalloc(IVSHMEM_VFIO_BUF_SIZE, GFP_KERNEL_ACCOUNT);
	if (!stream->buf)
		goto err_free;

	stream->filp = anon_inode_getfile("ivshmem_vfio_mig", fops, stream,
					  flags);
	if (IS_ERR(stream->filp)) {
		err = PTR_ERR(stream->filp);
		goto err_free_buf;
	}
	stream_open(stream->filp->f_inode, stream->filp);

	get_device(&ivdev->core.vdev.device);
	stream->ivdev = ivdev;
	xxh64_reset(&stream->digest, 0);

	/* A late fault of the last session may still be setting its bit */
	down_write(&ivdev->core.memory_lock);
	ivshmem_vfio_dirty_set_all(&ivdev->dirty);
	up_write(&ivdev->core.memory_lock);

	get_file(stream->filp);
	ivdev->stream = stream;

	return stream;

err_free_buf:
	kvfree(stream->buf);
err_free:
	kfree(stream);
	return ERR_PTR(err);
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_stream_begin, ERRNO);

/*
 * End the session, if there is one. From here on read() and write() fail with
 * ENODEV, because the device no longer points to their stream.
 */
void ivshmem_vfio_stream_end(struct ivshmem_vfio_device *ivdev)
{
	if (!ivdev->stream)
		return;

	ivshmem_vfio_track_stop(ivdev);
	fput(ivdev->stream->filp);
	ivdev->stream = NULL;
	wake_up_interruptible_all(&ivdev->wait);
}

int ivshmem_vfio_stream_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_vfio_stream *stream = filp->private_data;

	put_device(&stream->ivdev->core.vdev.device);
	kvfree(stream->buf);
	kfree(stream);

	return 0;
}

void ivshmem_vfio_stream_account(struct ivshmem_vfio_stream *stream,
				 const void *data, size_t len)
{
	xxh64_update(&stream->digest, data, len);
	stream->length += len;
}
