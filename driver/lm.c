// SPDX-License-Identifier: GPL-2.0-only
/* The arcs of the migration state machine, in the order of a migration. */

#include <linux/pci.h>
#include <linux/vfio.h>

#include "compat.h"
#include "hw.h"
#include "lm.h"
#include "resume.h"
#include "save.h"
#include "stream.h"
#include "track.h"
#include "vfio_dev.h"

/*
 * Take one arc. On success the caller sets ivdev->state to @next. If this
 * returns an error, the device is in its old state, or in ERROR.
 */
struct file *
ivshmem_vfio_step_device_state_locked(struct ivshmem_vfio_device *ivdev,
				      enum vfio_device_mig_state next)
{
	enum vfio_device_mig_state cur = ivdev->state;
	struct file *filp;
	int err;

	lockdep_assert_held(&ivdev->state_mutex);

	dev_dbg(&ivdev->core.pdev->dev, "%s: %d -> %d\n", __func__, cur, next);

	/*
	 * "These arcs begin the process of saving the device state and will
	 * return a new data_fd."
	 */
	if ((cur == VFIO_DEVICE_STATE_RUNNING &&
	     next == VFIO_DEVICE_STATE_PRE_COPY) ||
	    (cur == VFIO_DEVICE_STATE_RUNNING_P2P &&
	     next == VFIO_DEVICE_STATE_PRE_COPY_P2P)) {
		filp = ivshmem_vfio_save_begin(ivdev);
		if (!IS_ERR(filp))
			ivshmem_vfio_track_start(ivdev);
		return filp;
	}

	/* "The PRE_COPY arc will terminate a data transfer session." */
	if ((cur == VFIO_DEVICE_STATE_PRE_COPY &&
	     next == VFIO_DEVICE_STATE_RUNNING) ||
	    (cur == VFIO_DEVICE_STATE_PRE_COPY_P2P &&
	     next == VFIO_DEVICE_STATE_RUNNING_P2P)) {
		ivshmem_vfio_stream_end(ivdev);
		return NULL;
	}

	/*
	 * "The RUNNING_P2P and PRE_COPY_P2P states must prevent the device
	 * from initiating any new P2P DMA transactions." ivshmem never does
	 * DMA, so there is nothing to stop or to start.
	 */
	if (cur == VFIO_DEVICE_STATE_RUNNING &&
	    next == VFIO_DEVICE_STATE_RUNNING_P2P)
		return NULL;

	if (cur == VFIO_DEVICE_STATE_RUNNING_P2P &&
	    next == VFIO_DEVICE_STATE_RUNNING)
		return NULL;

	if (cur == VFIO_DEVICE_STATE_PRE_COPY &&
	    next == VFIO_DEVICE_STATE_PRE_COPY_P2P)
		return NULL;

	if (cur == VFIO_DEVICE_STATE_PRE_COPY_P2P &&
	    next == VFIO_DEVICE_STATE_PRE_COPY)
		return NULL;

	/*
	 * "The device must not generate interrupts, DMA, or any other change
	 * to external state." Only the interrupts that the peers of
	 * ivshmem-doorbell raise have to be stopped.
	 */
	if (cur == VFIO_DEVICE_STATE_RUNNING_P2P &&
	    next == VFIO_DEVICE_STATE_STOP)
		return ERR_PTR(ivshmem_vfio_hw_mask_irqs(ivdev));

	if (cur == VFIO_DEVICE_STATE_STOP &&
	    next == VFIO_DEVICE_STATE_RUNNING_P2P) {
		ivshmem_vfio_hw_unmask_irqs(ivdev);
		return NULL;
	}

	/*
	 * The session continues with the granules that are dirty now, and with
	 * the registers: "the data transfers session continues to stream the
	 * migration state. The user should take steps to restrict access to
	 * vfio device regions while the device is in STOP_COPY or risk
	 * corruption of the device migration data stream." If the user does
	 * not, tracking the writes would only delay the end of the stream.
	 */
	if (cur == VFIO_DEVICE_STATE_PRE_COPY_P2P &&
	    next == VFIO_DEVICE_STATE_STOP_COPY) {
		err = ivshmem_vfio_hw_mask_irqs(ivdev);
		if (err)
			return ERR_PTR(err);

		ivshmem_vfio_track_stop(ivdev);
		wake_up_interruptible_all(&ivdev->wait);
		return NULL;
	}

	if (cur == VFIO_DEVICE_STATE_STOP &&
	    next == VFIO_DEVICE_STATE_STOP_COPY)
		return ivshmem_vfio_save_begin(ivdev);

	/* "The STOP_COPY arc will terminate a data transfer session." */
	if (cur == VFIO_DEVICE_STATE_STOP_COPY &&
	    next == VFIO_DEVICE_STATE_STOP) {
		ivshmem_vfio_stream_end(ivdev);
		return NULL;
	}

	if (cur == VFIO_DEVICE_STATE_STOP &&
	    next == VFIO_DEVICE_STATE_RESUMING)
		return ivshmem_vfio_resume_begin(ivdev);

	/*
	 * "If the user provided data is found to be incomplete, inconsistent,
	 * or otherwise invalid, the migration driver must fail the SET_STATE
	 * ioctl". The device then stays in RESUMING, and the user has to reset
	 * it. The device enters ERROR only if its registers cannot be accessed
	 * or do not have the values that were written.
	 */
	if (cur == VFIO_DEVICE_STATE_RESUMING &&
	    next == VFIO_DEVICE_STATE_STOP) {
		err = ivshmem_vfio_resume_check(ivdev->stream);
		if (err)
			return ERR_PTR(err);

		err = ivshmem_vfio_hw_load_regs(ivdev, &ivdev->stream->regs);
		ivshmem_vfio_stream_end(ivdev);
		if (err)
			ivdev->state = VFIO_DEVICE_STATE_ERROR;
		return ERR_PTR(err);
	}

	/* vfio_mig_get_next_state() returns no other arcs */
	WARN_ON(true);
	return ERR_PTR(-EINVAL);
}
