// SPDX-License-Identifier: GPL-2.0-only
/*
 * Telling the user how much data a session in PRE_COPY has, and when there is
 * some to be read.
 */

#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "ivshmem_vfio.h"

/* How many windows the worker looks at before it lets others have a turn */
#define IVSHMEM_VFIO_RESCAN_WINDOWS	16

/*
 * The rest of the first pass, which goes through all of the memory in order.
 * Each of its records is one window.
 */
static u64 ivshmem_vfio_initial(struct ivshmem_vfio_migf *migf)
{
	u64 memory = ivshmem_vfio_hw_memory_size(migf->ivdev);
	u64 total = sizeof(struct ivshmem_vfio_header) + memory +
		    DIV_ROUND_UP_ULL(memory, IVSHMEM_VFIO_WINDOW) *
		    sizeof(struct ivshmem_vfio_record);
	u64 delivered = migf->length - (migf->len - migf->pos);

	return total > delivered ? total - delivered : 0;
}

/*
 * What a round over the memory has found, and was not read yet. As long as some
 * of that is left, all of it counts: about as much will have changed meanwhile.
 * When nothing is left, this is 0 until the next round finds something. A round
 * takes too long to be made here. read() makes one, and so does the worker.
 */
static u64 ivshmem_vfio_dirty(struct ivshmem_vfio_migf *migf, u64 initial)
{
	if (ivshmem_vfio_save_left(migf) == initial)
		return 0;

	return ivshmem_vfio_save_estimate(migf) - initial;
}

/* Let the worker go on with the round, or begin the next one when it is time */
static void ivshmem_vfio_schedule_rescan(struct ivshmem_vfio_migf *migf)
{
	unsigned long now = jiffies, at = migf->granules.rescan_at;
	bool later = !ivshmem_vfio_scanning(migf) && time_before(now, at);

	queue_delayed_work(system_dfl_wq, &migf->rescan, later ? at - now : 0);
}

/**
 * ivshmem_vfio_precopy_ioctl() - VFIO_MIG_GET_PRECOPY_INFO
 * @filp: the migration file
 * @cmd: the ioctl
 * @arg: struct vfio_precopy_info
 *
 * The second version of this ioctl (VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2)
 * needs nothing from the driver: it adds a flag for new initial data, and this
 * device never has any. So no flag is set.
 *
 * Return: 0 or a negative errno.
 */
long ivshmem_vfio_precopy_ioctl(struct file *filp, unsigned int cmd,
				unsigned long arg)
{
	struct ivshmem_vfio_migf *migf = filp->private_data;
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

	mutex_lock(&migf->lock);
	if (!ivshmem_vfio_migf_alive(migf) || !migf->precopy) {
		ret = -EINVAL;
	} else if (migf->err) {
		/* Of the worker, which tries again */
		ret = migf->err;
		migf->err = 0;
		ivshmem_vfio_schedule_rescan(migf);
	} else {
		info.flags = 0;
		info.initial_bytes = ivshmem_vfio_initial(migf);
		info.dirty_bytes = ivshmem_vfio_dirty(migf,
						      info.initial_bytes);
		/* For the next call, should the user not read before that */
		if (ivshmem_vfio_scanning(migf) ||
		    !ivshmem_vfio_save_has_data(migf))
			ivshmem_vfio_schedule_rescan(migf);
	}
	mutex_unlock(&migf->lock);

	if (!ret && copy_to_user((void __user *)arg, &info, minsz))
		return -EFAULT;
	return ret;
}

/* Is a round over the memory to be made, or to be gone on with, now? */
static bool ivshmem_vfio_wants_round(struct ivshmem_vfio_migf *migf)
{
	return ivshmem_vfio_migf_alive(migf) && migf->precopy &&
	       ivshmem_vfio_scan_is_due(migf);
}

/* Go on with a round, if one is due, by no more than so many windows */
static int ivshmem_vfio_round(struct ivshmem_vfio_migf *migf,
			      unsigned int windows)
{
	int err = 0;

	while (!err && windows-- && ivshmem_vfio_wants_round(migf)) {
		err = ivshmem_vfio_scan_window(migf);
		mutex_unlock(&migf->lock);
		cond_resched();
		mutex_lock(&migf->lock);
	}

	return err;
}

/**
 * ivshmem_vfio_precopy_rescan() - look for something to be read
 * @work: migf->rescan
 *
 * The work goes on to the end of the round, also when it has found something:
 * only then is it known how much has changed. After that it goes on as long as
 * somebody waits in poll() and there is nothing to be read.
 */
void ivshmem_vfio_precopy_rescan(struct work_struct *work)
{
	struct ivshmem_vfio_migf *migf = container_of(to_delayed_work(work),
						      struct ivshmem_vfio_migf,
						      rescan);
	bool ended, readable;

	mutex_lock(&migf->lock);
	migf->err = ivshmem_vfio_round(migf, IVSHMEM_VFIO_RESCAN_WINDOWS);
	ended = migf->err || !ivshmem_vfio_migf_alive(migf) || !migf->precopy;
	readable = ended || ivshmem_vfio_save_has_data(migf);
	if (!ended && (ivshmem_vfio_scanning(migf) ||
		       (!readable && wq_has_sleeper(&migf->wait))))
		ivshmem_vfio_schedule_rescan(migf);
	mutex_unlock(&migf->lock);

	if (readable)
		wake_up_interruptible_poll(&migf->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * ivshmem_vfio_precopy_poll() - is there something to be read?
 * @filp: the migration file
 * @wait: who waits
 *
 * "Userspace can wait for more data (which may never come) by using poll."
 *
 * Return: the events that have happened.
 */
__poll_t ivshmem_vfio_precopy_poll(struct file *filp,
				   struct poll_table_struct *wait)
{
	struct ivshmem_vfio_migf *migf = filp->private_data;
	__poll_t mask = 0;

	poll_wait(filp, &migf->wait, wait);

	mutex_lock(&migf->lock);
	if (!ivshmem_vfio_migf_alive(migf))
		mask = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	else if (migf->err)
		/* read() tries again, and tells what is wrong */
		mask = EPOLLIN | EPOLLRDNORM | EPOLLERR;
	else if (!migf->precopy || ivshmem_vfio_save_has_data(migf))
		mask = EPOLLIN | EPOLLRDNORM;
	else
		ivshmem_vfio_schedule_rescan(migf);
	mutex_unlock(&migf->lock);

	return mask;
}
