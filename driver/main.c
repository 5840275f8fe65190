// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO PCI variant driver for QEMU's inter-VM shared memory device, with
 * migration. This file is the PCI driver and the VFIO device; lm.c has the
 * migration arcs, log.c DMA logging, and hw.c all accesses to the device.
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
 *   In PRE_COPY the memory is sent while it changes, and what has changed is
 *   sent again. granules.c finds it by its contents, whoever has written it,
 *   and precopy.c says how much it is. The registers follow when the device is
 *   stopped. Mappings and page faults are those of vfio_pci_core.
 *
 * How a stream is checked:
 *   resume.c checks each field before it is used. Memory is written only inside
 *   BAR 2. Registers are written only on the arc RESUMING -> STOP, and this arc
 *   fails unless the stream was complete and in order, covered all of BAR 2,
 *   came from a device like this one, and had the right digest.
 *
 * What a migration of shared memory cannot guarantee:
 *   The peers of an ivshmem device write to the same memory, and no driver can
 *   stop them. Their writes are noticed until the device is read for the last
 *   time in STOP_COPY, so they must be quiesced before that. And RESUMING
 *   writes into the memory of the peers before the stream has proved itself.
 *   Nor does STOP keep the user from ringing the doorbells of the peers.
 *
 * What a driver for another device does otherwise:
 *   Here the state is memory, which the processor copies, and to which others
 *   write. A device that saves its state by itself, and knows what has changed,
 *   needs neither granules.c, nor the locks of hw.c, which keep each access
 *   clear of resets and of the user. But a device that does DMA has to stop it
 *   on the arcs to and from the P2P states, which do nothing here, and to log
 *   it in log.c. Where PCI resets every device, VFIO_DEVICE_RESET is
 *   vfio_pci_core's.
 *
 * How the locks nest:
 *   state_mutex (the state machine), then a migration file's lock (its
 *   session), then core.memory_lock, then access_lock (the device). No lock but
 *   a migration file's user_lock, which is outside of all of them, is held
 *   while user memory is accessed.
 */

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "ivshmem_vfio.h"

#define PCI_DEVICE_ID_IVSHMEM	0x1110

/* ---- Resets -------------------------------------------------------------- */

/*
 * After a reset the device is in RUNNING, and there is no session. memory_lock
 * may be held, so this cannot wait for those who use the session.
 */
static void ivshmem_vfio_was_reset(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	if (ivdev->migf)
		ivshmem_vfio_migf_kill(ivdev->migf);
	ivdev->state = VFIO_DEVICE_STATE_RUNNING;
	ivdev->ring = false;
}

/**
 * ivshmem_vfio_state_mutex_unlock() - release state_mutex
 * @ivdev: the device
 *
 * A reset that has found the mutex taken is handled here, so every unlock has
 * to be made by this function. An arc may have masked the interrupts after that
 * reset.
 */
void ivshmem_vfio_state_mutex_unlock(struct ivshmem_vfio_device *ivdev)
{
again:
	spin_lock(&ivdev->reset_lock);
	if (ivdev->deferred_reset) {
		ivdev->deferred_reset = false;
		spin_unlock(&ivdev->reset_lock);
		ivshmem_vfio_was_reset(ivdev);
		ivshmem_vfio_migf_end(ivdev);
		ivshmem_vfio_hw_unmask_irqs(ivdev);
		goto again;
	}
	mutex_unlock(&ivdev->state_mutex);
	spin_unlock(&ivdev->reset_lock);
}

static struct ivshmem_vfio_device *ivshmem_vfio_drvdata(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core = dev_get_drvdata(&pdev->dev);

	return container_of(core, struct ivshmem_vfio_device, core);
}

/* The PCI core is about to reset the function, whoever has asked for it */
static void ivshmem_vfio_pci_reset_prepare(struct pci_dev *pdev)
{
	ivshmem_vfio_hw_reset_begin(ivshmem_vfio_drvdata(pdev));
}

/*
 * The PCI core has reset the function. If vfio_pci_core has asked for this, it
 * holds memory_lock, and waiting for state_mutex would invert the lock order.
 * So if state_mutex is taken, its unlock does the work. The reset has cleared
 * the interrupt mask, and no arc could set it again before the end of this.
 */
static void ivshmem_vfio_pci_reset_done(struct pci_dev *pdev)
{
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_drvdata(pdev);
	bool locked;

	spin_lock(&ivdev->reset_lock);
	locked = mutex_trylock(&ivdev->state_mutex);
	if (!locked)
		ivdev->deferred_reset = true;
	spin_unlock(&ivdev->reset_lock);

	if (locked) {
		ivshmem_vfio_was_reset(ivdev);
		ivshmem_vfio_hw_irqs_unmasked(ivdev);
	}
	ivshmem_vfio_hw_reset_end(ivdev);
	if (locked)
		ivshmem_vfio_state_mutex_unlock(ivdev);
}

/*
 * "To abort a RESUMING session the device must be reset", so the driver must
 * have a reset. An ivshmem device is usually on a root bus, where PCI cannot
 * reset it. Then the driver resets the migration state and the registers, and
 * nothing else: PCI's configuration, MSI-X and the mappings stay as they are.
 * Neither reset clears the memory, which belongs to the peers, too.
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
		if (!ret) {
			ivshmem_vfio_was_reset(ivdev);
			ivshmem_vfio_migf_end(ivdev);
			ivshmem_vfio_hw_unmask_irqs(ivdev);
		}
	}
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return ret;
}

/* ---- The VFIO device ------------------------------------------------------ */

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
 *
 * If the mask cannot be set again, the interrupts have been set up all the
 * same, so the user is not told an error. Either a reset is under way, after
 * which the device is in RUNNING, or the device is gone and has no interrupts.
 */
static long ivshmem_vfio_ioctl_set_irqs(struct ivshmem_vfio_device *ivdev,
					unsigned long arg)
{
	long ret;

	/* This switches memory decode on, for the MSI-X table */
	ivshmem_vfio_hw_config_begin(ivdev);
	ret = vfio_pci_core_ioctl(&ivdev->core.vdev, VFIO_DEVICE_SET_IRQS, arg);
	ivshmem_vfio_hw_config_end(ivdev);

	mutex_lock(&ivdev->state_mutex);
	if (!ivdev->irqs_masked)
		ivshmem_vfio_hw_ring(ivdev);
	else if (ivshmem_vfio_hw_mask_irqs(ivdev))
		ivshmem_vfio_notice(ivdev, "the interrupts cannot be masked");
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return ret;
}

/**
 * ivshmem_vfio_ioctl() - the ioctls of the VFIO device
 * @vdev: the VFIO device
 * @cmd: the ioctl
 * @arg: its argument
 *
 * Return: What the ioctl returns.
 */
long ivshmem_vfio_ioctl(struct vfio_device *vdev, unsigned int cmd,
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
	default:
		return vfio_pci_core_ioctl(vdev, cmd, arg);
	}
}

/**
 * ivshmem_vfio_write() - write to a region
 * @vdev: the VFIO device
 * @buf: the user's data
 * @count: how many bytes
 * @ppos: where
 *
 * A write to configuration space may switch memory decode off, and accesses to
 * the device have to know. It may also switch bus mastering on, for which a
 * loaded device may have waited.
 *
 * Return: How many bytes were written, or a negative errno.
 */
ssize_t ivshmem_vfio_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	ssize_t ret;

	if (VFIO_PCI_OFFSET_TO_INDEX(*ppos) != VFIO_PCI_CONFIG_REGION_INDEX)
		return vfio_pci_core_write(vdev, buf, count, ppos);

	ivshmem_vfio_hw_config_begin(ivdev);
	ret = vfio_pci_core_write(vdev, buf, count, ppos);
	ivshmem_vfio_hw_config_end(ivdev);

	mutex_lock(&ivdev->state_mutex);
	ivshmem_vfio_hw_ring(ivdev);
	ivshmem_vfio_state_mutex_unlock(ivdev);

	return ret;
}

/**
 * ivshmem_vfio_init_device() - initialise the VFIO device
 * @vdev: the VFIO device
 *
 * Return: 0, or -ENODEV if this driver is not for the function, or another
 *	errno.
 */
int ivshmem_vfio_init_device(struct vfio_device *vdev)
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
	init_rwsem(&ivdev->access_lock);
	spin_lock_init(&ivdev->reset_lock);
	ratelimit_state_init(&ivdev->notices, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	ivdev->state = VFIO_DEVICE_STATE_RUNNING;

	vdev->migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
				VFIO_MIGRATION_PRE_COPY;
	vdev->mig_ops = &ivshmem_vfio_mig_ops;
	vdev->log_ops = IVSHMEM_VFIO_LOG_OPS;

	return 0;
}

/**
 * ivshmem_vfio_release_device() - free what init has made
 * @vdev: the VFIO device
 */
void ivshmem_vfio_release_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_destroy(&ivdev->state_mutex);
	vfio_pci_core_release_dev(vdev);
}

/**
 * ivshmem_vfio_open_device() - the first user opens the device
 * @vdev: the VFIO device
 *
 * Return: 0 or a negative errno.
 */
int ivshmem_vfio_open_device(struct vfio_device *vdev)
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

	vfio_pci_core_finish_enable(&ivdev->core);

	return 0;

err_disable:
	vfio_pci_core_disable(&ivdev->core);
	return err;
}

/**
 * ivshmem_vfio_close_device() - the last user has closed the device
 * @vdev: the VFIO device
 *
 * When this has ended the session, nobody uses the device for it any more, and
 * the user's data_fd, which may be kept for ever, no longer leads to it.
 */
void ivshmem_vfio_close_device(struct vfio_device *vdev)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);

	mutex_lock(&ivdev->state_mutex);
	ivshmem_vfio_migf_end(ivdev);
	/* The next driver needs this */
	ivshmem_vfio_hw_unmask_irqs(ivdev);
	ivdev->state = VFIO_DEVICE_STATE_RUNNING;
	ivdev->logging = false;
	ivdev->ring = false;
	ivshmem_vfio_state_mutex_unlock(ivdev);

	vfio_pci_core_close_device(vdev);
}

/* On older kernels compat.c has these, because the structures are others */
#ifndef IVSHMEM_VFIO_COMPAT_OPS
const struct vfio_migration_ops ivshmem_vfio_mig_ops = {
	.migration_set_state = ivshmem_vfio_set_device_state,
	.migration_get_state = ivshmem_vfio_get_device_state,
	.migration_get_data_size = ivshmem_vfio_get_data_size,
};

const struct vfio_device_ops ivshmem_vfio_ops = {
	.name = "ivshmem-vfio-pci",
	.init = ivshmem_vfio_init_device,
	.release = ivshmem_vfio_release_device,
	.open_device = ivshmem_vfio_open_device,
	.close_device = ivshmem_vfio_close_device,
	.ioctl = ivshmem_vfio_ioctl,
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = ivshmem_vfio_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
	.match_token_uuid = vfio_pci_core_match_token_uuid,
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
};
#endif

/* ---- The PCI driver ------------------------------------------------------- */

static int ivshmem_vfio_pci_probe(struct pci_dev *pdev,
				  const struct pci_device_id *id)
{
	struct ivshmem_vfio_device *ivdev;
	int err;

	ivdev = vfio_alloc_device(ivshmem_vfio_device, core.vdev, &pdev->dev,
				  &ivshmem_vfio_ops);
	if (IS_ERR(ivdev))
		return PTR_ERR(ivdev);

	dev_set_drvdata(&pdev->dev, &ivdev->core);

	err = vfio_pci_core_register_device(&ivdev->core);
	if (err)
		vfio_put_device(&ivdev->core.vdev);

	return err;
}

static void ivshmem_vfio_pci_remove(struct pci_dev *pdev)
{
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_drvdata(pdev);

	vfio_pci_core_unregister_device(&ivdev->core);
	vfio_put_device(&ivdev->core.vdev);
}

static const struct pci_error_handlers ivshmem_vfio_pci_err_handlers = {
	.reset_prepare = ivshmem_vfio_pci_reset_prepare,
	.reset_done = ivshmem_vfio_pci_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

static const struct pci_device_id ivshmem_vfio_pci_table[] = {
	/* ivshmem-plain and ivshmem-doorbell */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_REDHAT_QUMRANET,
					  PCI_DEVICE_ID_IVSHMEM) },
	{}
};
MODULE_DEVICE_TABLE(pci, ivshmem_vfio_pci_table);

static struct pci_driver ivshmem_vfio_pci_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ivshmem_vfio_pci_table,
	.probe = ivshmem_vfio_pci_probe,
	.remove = ivshmem_vfio_pci_remove,
	.err_handler = &ivshmem_vfio_pci_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(ivshmem_vfio_pci_driver);

MODULE_LICENSE("GPL");
#ifdef IVSHMEM_VFIO_MODULE_VERSION
MODULE_VERSION(IVSHMEM_VFIO_MODULE_VERSION);
#endif
MODULE_AUTHOR("The vfiomig authors");
MODULE_DESCRIPTION("VFIO PCI variant driver with migration for ivshmem");
