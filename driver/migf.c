// SPDX-License-Identifier: GPL-2.0-only
/* The migration file: what saving and resuming share. */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/vfio.h>
#include <linux/vmalloc.h>

#include "ivshmem_vfio.h"

/**
 * ivshmem_vfio_migf_begin() - begin a session
 * @ivdev: the device
 * @fops: the operations of the file
 * @flags: O_RDONLY or O_WRONLY
 *
 * The caller gets a reference to migf->filp, which is for the user's
 * descriptor. fops->owner keeps the module loaded while there is a file. The
 * caller holds state_mutex.
 *
 * Return: the migration file, or an ERR_PTR.
 */
struct ivshmem_vfio_migf *
ivshmem_vfio_migf_begin(struct ivshmem_vfio_device *ivdev,
			const struct file_operations *fops, int flags)
{
	struct ivshmem_vfio_migf *migf;
	int err = -ENOMEM;

	lockdep_assert_held(&ivdev->state_mutex);

	/* A reset may have left the file of the last session */
	ivshmem_vfio_migf_end(ivdev);

	migf = kzalloc(sizeof(*migf), GFP_KERNEL_ACCOUNT);
	if (!migf)
		return ERR_PTR(err);

	migf->buf = kvmalloc(IVSHMEM_VFIO_WINDOW, GFP_KERNEL_ACCOUNT);
	if (!migf->buf)
		goto err_free;

	migf->ivdev = ivdev;
	migf->resets = READ_ONCE(ivdev->resets);
	migf->piece = migf->buf;
	xxh64_reset(&migf->digest, 0);
	mutex_init(&migf->user_lock);
	mutex_init(&migf->lock);
	init_waitqueue_head(&migf->wait);
	INIT_DELAYED_WORK(&migf->rescan, ivshmem_vfio_precopy_rescan);

	migf->filp = anon_inode_getfile("ivshmem_vfio_mig", fops, migf, flags);
	if (IS_ERR(migf->filp)) {
		err = PTR_ERR(migf->filp);
		goto err_free_buf;
	}
	stream_open(migf->filp->f_inode, migf->filp);

	get_file(migf->filp);
	ivdev->migf = migf;

	return migf;

err_free_buf:
	kvfree(migf->buf);
err_free:
	kfree(migf);
	return ERR_PTR(err);
}

/**
 * ivshmem_vfio_migf_end() - end the session, if there is one
 * @ivdev: the device
 *
 * When this returns, nobody uses the device for the session any more, and
 * read() and write() fail with ENODEV. The caller holds state_mutex.
 */
void ivshmem_vfio_migf_end(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_migf *migf = ivdev->migf;

	lockdep_assert_held(&ivdev->state_mutex);

	if (!migf)
		return;

	mutex_lock(&migf->lock);
	ivshmem_vfio_migf_kill(migf);
	/* The user may keep data_fd for ever, but not what the session needed */
	ivshmem_vfio_granules_free(&migf->granules);
	vfree(migf->arrived);
	migf->arrived = NULL;
	mutex_unlock(&migf->lock);

	fput(migf->filp);
	ivdev->migf = NULL;
}

/**
 * ivshmem_vfio_migf_kill() - end the session without waiting for those who use it
 * @migf: the migration file
 *
 * A reset does this: memory_lock may be held then, for which they may wait.
 * They find out when they have got it; see ivshmem_vfio_migf_alive().
 */
void ivshmem_vfio_migf_kill(struct ivshmem_vfio_migf *migf)
{
	WRITE_ONCE(migf->ended, true);
	wake_up_interruptible_all(&migf->wait);
}

/**
 * ivshmem_vfio_migf_alive() - is the session under way?
 * @migf: the migration file
 *
 * To be asked before the device is used, and again before anything is given to
 * the user that was read from the device. The caller holds migf->lock.
 *
 * Return: true if it is.
 */
bool ivshmem_vfio_migf_alive(struct ivshmem_vfio_migf *migf)
{
	lockdep_assert_held(&migf->lock);

	return !READ_ONCE(migf->ended) &&
	       migf->resets == READ_ONCE(migf->ivdev->resets);
}

/**
 * ivshmem_vfio_migf_release() - the last reference to the file is gone
 * @inode: not used
 * @filp: the file
 *
 * Return: 0.
 */
int ivshmem_vfio_migf_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_vfio_migf *migf = filp->private_data;

	cancel_delayed_work_sync(&migf->rescan);
	mutex_destroy(&migf->lock);
	mutex_destroy(&migf->user_lock);
	kvfree(migf->buf);
	kfree(migf);

	return 0;
}

/**
 * ivshmem_vfio_migf_account() - count a part of the stream, and digest it
 * @migf: the migration file
 * @data: the part
 * @len: its length
 */
void ivshmem_vfio_migf_account(struct ivshmem_vfio_migf *migf,
			       const void *data, size_t len)
{
	xxh64_update(&migf->digest, data, len);
	migf->length += len;
}
