// SPDX-License-Identifier: GPL-2.0-only
/* The arcs of the migration state machine, in the order of a migration. */

#include <linux/file.h>
#include <linux/pci.h>
#include <linux/vfio.h>

#include "ivshmem_vfio.h"

static const char *ivshmem_vfio_state_name(enum vfio_device_mig_state state)
{
	static const char * const names[] = {
		[VFIO_DEVICE_STATE_ERROR] = "ERROR",
		[VFIO_DEVICE_STATE_STOP] = "STOP",
		[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
		[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
		[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
		[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
		[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
	};

	return state < ARRAY_SIZE(names) ? names[state] : "an unknown state";
}

/*
 * Which arc is the next one on the path to @new_state? Until 2026
 * vfio_mig_get_next_state() did not return when it was asked for a way from
 * STOP_COPY to PRE_COPY or PRE_COPY_P2P.
 */
static int ivshmem_vfio_next_state(struct ivshmem_vfio_device *ivdev,
				   enum vfio_device_mig_state new_state,
				   enum vfio_device_mig_state *next)
{
	/* "ERROR cannot be specified as a device state" */
	if (new_state == VFIO_DEVICE_STATE_ERROR)
		return -EINVAL;

	/* "These arcs are not permitted and return error if requested" */
	if (ivdev->state == VFIO_DEVICE_STATE_STOP_COPY &&
	    (new_state == VFIO_DEVICE_STATE_PRE_COPY ||
	     new_state == VFIO_DEVICE_STATE_PRE_COPY_P2P))
		return -EINVAL;

	return vfio_mig_get_next_state(&ivdev->core.vdev, ivdev->state,
				       new_state, next);
}

/*
 * Take one arc. On success the caller sets ivdev->state to @next. If this
 * returns an error, the device is in its old state, and the arc can be tried
 * again. No arc leads to ERROR.
 */
static struct file *
ivshmem_vfio_step_device_state_locked(struct ivshmem_vfio_device *ivdev,
				      enum vfio_device_mig_state next)
{
	enum vfio_device_mig_state cur = ivdev->state;
	int err;

	lockdep_assert_held(&ivdev->state_mutex);

	/* In the words of the other variant drivers, which tests look for */
	dev_dbg(&ivdev->core.pdev->dev, "%s: %d -> %d\n", __func__, cur, next);

	/*
	 * "These arcs begin the process of saving the device state and will
	 * return a new data_fd."
	 */
	if ((cur == VFIO_DEVICE_STATE_RUNNING &&
	     next == VFIO_DEVICE_STATE_PRE_COPY) ||
	    (cur == VFIO_DEVICE_STATE_RUNNING_P2P &&
	     next == VFIO_DEVICE_STATE_PRE_COPY_P2P))
		return ivshmem_vfio_save_begin(ivdev, true);

	/* "The PRE_COPY arc will terminate a data transfer session." */
	if ((cur == VFIO_DEVICE_STATE_PRE_COPY &&
	     next == VFIO_DEVICE_STATE_RUNNING) ||
	    (cur == VFIO_DEVICE_STATE_PRE_COPY_P2P &&
	     next == VFIO_DEVICE_STATE_RUNNING_P2P)) {
		ivshmem_vfio_migf_end(ivdev);
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
		ivshmem_vfio_hw_ring(ivdev);
		return NULL;
	}

	/*
	 * The session continues with the granules that have changed, and with
	 * the registers: "the data transfers session continues to stream the
	 * migration state. The user should take steps to restrict access to
	 * vfio device regions while the device is in STOP_COPY or risk
	 * corruption of the device migration data stream."
	 */
	if (cur == VFIO_DEVICE_STATE_PRE_COPY_P2P &&
	    next == VFIO_DEVICE_STATE_STOP_COPY) {
		err = ivshmem_vfio_hw_mask_irqs(ivdev);
		if (err)
			return ERR_PTR(err);

		ivshmem_vfio_save_stop(ivdev->migf);
		return NULL;
	}

	if (cur == VFIO_DEVICE_STATE_STOP &&
	    next == VFIO_DEVICE_STATE_STOP_COPY)
		return ivshmem_vfio_save_begin(ivdev, false);

	/* "The STOP_COPY arc will terminate a data transfer session." */
	if (cur == VFIO_DEVICE_STATE_STOP_COPY &&
	    next == VFIO_DEVICE_STATE_STOP) {
		ivshmem_vfio_migf_end(ivdev);
		return NULL;
	}

	if (cur == VFIO_DEVICE_STATE_STOP &&
	    next == VFIO_DEVICE_STATE_RESUMING)
		return ivshmem_vfio_resume_begin(ivdev);

	/*
	 * "If the user provided data is found to be incomplete, inconsistent,
	 * or otherwise invalid, the migration driver must fail the SET_STATE
	 * ioctl". The device then stays in RESUMING, and the user has to reset
	 * it. It also stays there, with its session, if the registers could not
	 * be loaded; the user may try again.
	 */
	if (cur == VFIO_DEVICE_STATE_RESUMING &&
	    next == VFIO_DEVICE_STATE_STOP)
		return ERR_PTR(ivshmem_vfio_resume_end(ivdev));

	/* vfio_mig_get_next_state() returns no other arcs */
	WARN_ON(true);
	return ERR_PTR(-EINVAL);
}

/**
 * ivshmem_vfio_set_device_state() - VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, SET
 * @vdev: the VFIO device
 * @new_state: where to go; several arcs may lead there
 *
 * If an arc fails, the device stays in the state in front of it.
 *
 * Return: the file of the session that begins, NULL if none does, or an
 *	ERR_PTR.
 */
struct file *
ivshmem_vfio_set_device_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state new_state)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	enum vfio_device_mig_state next;
	struct file *res = NULL;
	int err;

	mutex_lock(&ivdev->state_mutex);
	while (new_state != ivdev->state) {
		err = ivshmem_vfio_next_state(ivdev, new_state, &next);
		if (err) {
			ivshmem_vfio_notice(ivdev, "no way from %s to %s",
					    ivshmem_vfio_state_name(ivdev->state),
					    ivshmem_vfio_state_name(new_state));
			res = ERR_PTR(err);
			break;
		}

		res = ivshmem_vfio_step_device_state_locked(ivdev, next);
		if (IS_ERR(res)) {
			ivshmem_vfio_notice(ivdev, "%s -> %s failed (%pe)",
					    ivshmem_vfio_state_name(ivdev->state),
					    ivshmem_vfio_state_name(next), res);
			break;
		}
		ivdev->state = next;

		/* Only the last arc of a path begins a session */
		if (WARN_ON(res && new_state != ivdev->state)) {
			ivshmem_vfio_migf_end(ivdev);
			fput(res);
			res = ERR_PTR(-EINVAL);
			break;
		}
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return res;
}

/**
 * ivshmem_vfio_get_device_state() - VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET
 * @vdev: the VFIO device
 * @state: receives the state
 *
 * Return: 0.
 */
int ivshmem_vfio_get_device_state(struct vfio_device *vdev,
				  enum vfio_device_mig_state *state)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	*state = ivdev->state;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return 0;
}
