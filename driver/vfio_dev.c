// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI variant driver for QEMU's inter-VM shared memory device, with
 * migration. This file is the VFIO device; lm.c has the migration arcs.
 *
 * What the device state is:
 *   The shared memory (BAR 2) and the two writable registers of BAR 0,
 *   IntrMask and IntrStatus. The user can also access them through the regions
 *   of vfio-pci, so a stream discloses nothing new and loads nothing that the
 *   user could not have written directly. IVPosition and Doorbell are not
 *   state: the host determines IVPosition, and Doorbell is write-only. The
 *   user migrates PCI configuration space and the MSI-X setup, as for every
 *   VFIO PCI device.
 *
 * How the state is saved and loaded:
 *   format.h describes the stream, save.c writes it, and resume.c reads it. The
 *   data passes through one small buffer between user memory and the BAR. The
 *   kernel never holds a copy of the device's memory.
 *
 *   In PRE_COPY the memory is sent while it changes, and changed pages are sent
 *   again. track.c notices each page to which the user writes, through a
 *   mapping or by write(), and precopy.c says how much is left. The registers
 *   follow when the device is stopped. Outside of PRE_COPY nothing is tracked,
 *   and a mapping of the memory is as fast as one by vfio_pci_core. For a
 *   kernel without PRE_COPY these two files are not built; see Kbuild and
 *   compat.h.
 *
 * How a stream is checked:
 *   resume.c checks each field before it is used. Memory is written only inside
 *   BAR 2. Registers are written only on the arc RESUMING -> STOP, and this arc
 *   fails unless the stream was complete and in order, covered all of BAR 2,
 *   and had the right digest. The digest is computed over the stream as it was
 *   sent, so it does not check the tracking. Tracking depends on one rule, see
 *   track.c: the user cannot write to a granule that is not set in the bitmap
 *   without a fault.
 *
 * What a migration of shared memory cannot guarantee:
 *   The peers of an ivshmem device write to the same memory. No driver can stop
 *   them, or notice their writes in PRE_COPY. The driver does not notice DMA to
 *   the memory by other devices of the user either. To migrate a device, its
 *   peers must be quiesced first, and before PRE_COPY if that is used.
 */

#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "compat.h"
#include "format.h"
#include "hw.h"
#include "lm.h"
#include "size.h"
#include "stream.h"
#include "track.h"
#include "vfio_dev.h"

struct ivshmem_vfio_device *ivshmem_vfio_drvdata(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	return container_of(core, struct ivshmem_vfio_device, core);
}

/* A reset ends the data transfer session and leaves the device in RUNNING */
static void ivshmem_vfio_set_running_locked(struct ivshmem_vfio_device *ivdev)
{
	ivshmem_vfio_stream_end(ivdev);
	ivdev->state = VFIO_DEVICE_STATE_RUNNING;
}

/*
 * Every unlock of state_mutex handles a reset that came while the mutex was
 * held. An arc may have masked the interrupts after that reset, so they are
 * unmasked again here.
 *
 * The user may have kept a data_fd after the device was closed, unbound or
 * unplugged, and its unlock comes here, too. It must not access the device
 * then, which may be gone or belong to another driver. It does not, because
 * interrupts are masked only while the device is open: close_device unmasks
 * them, and takes state_mutex for this, so that it cannot overtake this unlock.
 */
void ivshmem_vfio_state_mutex_unlock(struct ivshmem_vfio_device *ivdev)
{
again:
	spin_lock(&ivdev->reset_lock);
	if (ivdev->deferred_reset) {
		ivdev->deferred_reset = false;
		spin_unlock(&ivdev->reset_lock);
		ivshmem_vfio_set_running_locked(ivdev);
		ivshmem_vfio_hw_unmask_irqs(ivdev);
		goto again;
	}
	mutex_unlock(&ivdev->state_mutex);
	spin_unlock(&ivdev->reset_lock);
}

/*
 * The PCI core has reset the function. If vfio_pci_core has asked for this, it
 * holds memory_lock, and waiting for state_mutex would invert the lock order.
 * So if state_mutex is taken, its unlock does the work.
 */
void ivshmem_vfio_reset_done(struct ivshmem_vfio_device *ivdev)
{
	spin_lock(&ivdev->reset_lock);
	if (!mutex_trylock(&ivdev->state_mutex)) {
		ivdev->deferred_reset = true;
		spin_unlock(&ivdev->reset_lock);
		return;
	}
	spin_unlock(&ivdev->reset_lock);

	ivshmem_vfio_set_running_locked(ivdev);
	ivshmem_vfio_hw_irqs_unmasked(ivdev);
	ivshmem_vfio_state_mutex_unlock(ivdev);
}

/*
 * "To recover from ERROR VFIO_DEVICE_RESET must be used to return the
 * device_state back to RUNNING", so the driver must have a reset. An ivshmem
 * device is usually on a root bus, where PCI cannot reset it. The driver then
 * resets the registers, as QEMU's own reset of the device does. Neither reset
 * clears the memory, which belongs to the peers as much as to this device.
 */
static long ivshmem_vfio_ioctl_reset(struct ivshmem_vfio_device *ivdev,
				     unsigned long arg)
{
	long ret;

	mutex_lock(&ivdev->state_mutex);
	if (ivdev->core.reset_works) {
		/* This calls reset_done, which leaves the work to the unlock */
		ret = vfio_pci_core_ioctl(&ivdev->core.vdev, VFIO_DEVICE_RESET,
					  arg);
	} else {
		ret = ivshmem_vfio_hw_reset(ivdev);
		if (!ret)
			ivshmem_vfio_set_running_locked(ivdev);
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return ret;
}

static long ivshmem_vfio_ioctl_get_info(struct ivshmem_vfio_device *ivdev,
					unsigned long arg)
{
	struct vfio_device_info __user *info = (void __user *)arg;
	u32 flags;
	long ret;

	ret = vfio_pci_core_ioctl(&ivdev->core.vdev, VFIO_DEVICE_GET_INFO, arg);
	if (ret)
		return ret;

	if (get_user(flags, &info->flags) ||
	    put_user(flags | VFIO_DEVICE_FLAGS_RESET, &info->flags))
		return -EFAULT;

	return 0;
}

/*
 * "When stopped the device and kernel migration driver must accept and respond
 * to interaction to support external subsystems in the STOP state, for example
 * PCI MSI-X". When MSI-X is set up, the MSI core clears the function mask.
 * Until the mask is set again here, the user, who has just asked for
 * interrupts, may receive one from a peer.
 */
static long ivshmem_vfio_ioctl_set_irqs(struct ivshmem_vfio_device *ivdev,
					unsigned long arg)
{
	long ret, err = 0;

	ret = vfio_pci_core_ioctl(&ivdev->core.vdev, VFIO_DEVICE_SET_IRQS, arg);

	mutex_lock(&ivdev->state_mutex);
	if (ivdev->irqs_masked)
		err = ivshmem_vfio_hw_mask_irqs(ivdev);
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return ret ?: err;
}

/*
 * An ioeventfd writes to a BAR without any other call by the user, so track.c
 * would miss the write. Refuse an ioeventfd for the memory, where it is of no
 * use because there is no doorbell. (If the user changes the argument while it
 * is being read, only the user's own stream suffers.)
 */
static long ivshmem_vfio_ioctl_ioeventfd(struct ivshmem_vfio_device *ivdev,
					 unsigned long arg)
{
	struct vfio_device_ioeventfd __user *ioeventfd = (void __user *)arg;
	u64 offset;

	if (get_user(offset, &ioeventfd->offset))
		return -EFAULT;
	if (VFIO_PCI_OFFSET_TO_INDEX(offset) == IVSHMEM_VFIO_MEMORY_BAR)
		return -EINVAL;

	return vfio_pci_core_ioctl(&ivdev->core.vdev, VFIO_DEVICE_IOEVENTFD,
				   arg);
}

static long ivshmem_vfio_ioctl(struct vfio_device *vdev, unsigned int cmd,
			       unsigned long arg)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return ivshmem_vfio_ioctl_get_info(ivdev, arg);
	case VFIO_DEVICE_RESET:
		return ivshmem_vfio_ioctl_reset(ivdev, arg);
	case VFIO_DEVICE_SET_IRQS:
		return ivshmem_vfio_ioctl_set_irqs(ivdev, arg);
	case VFIO_DEVICE_IOEVENTFD:
		return ivshmem_vfio_ioctl_ioeventfd(ivdev, arg);
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

static struct file *
ivshmem_vfio_set_device_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state new_state)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	enum vfio_device_mig_state next;
	struct file *res = NULL;
	int err;

	/* "ERROR cannot be specified as a device state", not even in ERROR */
	if (new_state == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EINVAL);

	mutex_lock(&ivdev->state_mutex);
	while (new_state != ivdev->state) {
		/* Only a reset leads out of ERROR */
		if (ivdev->state == VFIO_DEVICE_STATE_ERROR) {
			res = ERR_PTR(-EIO);
			break;
		}

		err = vfio_mig_get_next_state(vdev, ivdev->state, new_state,
					      &next);
		if (err) {
			res = ERR_PTR(err);
			break;
		}

		res = ivshmem_vfio_step_device_state_locked(ivdev, next);
		if (IS_ERR(res))
			break;

		ivdev->state = next;
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return res;
}

static int ivshmem_vfio_get_device_state(struct vfio_device *vdev,
					 enum vfio_device_mig_state *state)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	*state = ivdev->state;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return 0;
}

static const struct vfio_migration_ops ivshmem_vfio_mig_ops = {
	.migration_set_state = ivshmem_vfio_set_device_state,
	.migration_get_state = ivshmem_vfio_get_device_state,
	IVSHMEM_VFIO_DATA_SIZE_OPS
};

static int ivshmem_vfio_init_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	int err;

	err = ivshmem_vfio_hw_check(to_pci_dev(vdev->dev));
	if (err)
		return err;

	err = vfio_pci_core_init_dev(vdev);
	if (err)
		return err;

	mutex_init(&ivdev->state_mutex);
	spin_lock_init(&ivdev->reset_lock);
	init_waitqueue_head(&ivdev->wait);

	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
				IVSHMEM_VFIO_PRECOPY_FLAG;
	vdev->mig_ops = &ivshmem_vfio_mig_ops;

	return 0;
}

static void ivshmem_vfio_release_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_destroy(&ivdev->state_mutex);
	vfio_pci_core_release_dev(vdev);
}

static int ivshmem_vfio_open_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	int err;

	err = vfio_pci_core_enable(&ivdev->core);
	if (err)
		return err;

	err = ivshmem_vfio_hw_map(ivdev);
	if (err)
		goto err_disable;

	/* Clear the last user's registers if enabling could not reset them */
	if (!ivdev->core.reset_works) {
		err = ivshmem_vfio_hw_reset(ivdev);
		if (err)
			goto err_disable;
	}

	err = ivshmem_vfio_dirty_alloc(&ivdev->dirty,
				       ivshmem_vfio_hw_memory_size(ivdev) /
				       IVSHMEM_VFIO_GRANULE);
	if (err)
		goto err_disable;

	mutex_lock(&ivdev->state_mutex);
	ivdev->state = VFIO_DEVICE_STATE_RUNNING;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	vfio_pci_core_finish_enable(&ivdev->core);

	return 0;

err_disable:
	vfio_pci_core_disable(&ivdev->core);
	return err;
}

static void ivshmem_vfio_close_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	ivshmem_vfio_stream_end(ivdev);
	/* The next driver needs this; see also the unlock of state_mutex */
	ivshmem_vfio_hw_unmask_irqs(ivdev);
	ivshmem_vfio_state_mutex_unlock(ivdev);

	ivshmem_vfio_dirty_free(&ivdev->dirty);
	vfio_pci_core_close_device(vdev);
}

const struct vfio_device_ops ivshmem_vfio_ops = {
	.name = "ivshmem-vfio-pci",
	.init = ivshmem_vfio_init_device,
	.release = ivshmem_vfio_release_device,
	.open_device = ivshmem_vfio_open_device,
	.close_device = ivshmem_vfio_close_device,
	.ioctl = ivshmem_vfio_ioctl,
	IVSHMEM_VFIO_REGION_INFO_OPS
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = ivshmem_vfio_track_write,
	.mmap = ivshmem_vfio_track_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	IVSHMEM_VFIO_MATCH_TOKEN_OPS
	IVSHMEM_VFIO_IOMMUFD_OPS
	IVSHMEM_VFIO_CDEV_OPS
};
