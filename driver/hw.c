// SPDX-License-Identifier: GPL-2.0-only
/* Access to the ivshmem device: its memory, its registers, its interrupts. */

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/vfio_pci_core.h>

#include "ivshmem_vfio.h"

#define IVSHMEM_REGS_BAR	0

/* Offsets in IVSHMEM_REGS_BAR. Reading INTR_STATUS clears it. */
#define IVSHMEM_INTR_MASK	0x0
#define IVSHMEM_INTR_STATUS	0x4
#define IVSHMEM_IV_POSITION	0x8
#define IVSHMEM_DOORBELL	0xc
#define IVSHMEM_REGS_SIZE	0x10

/* Doorbell: which vector of which peer, named by its IVPosition */
#define IVSHMEM_DOORBELL_PEER_SHIFT	16

/**
 * ivshmem_vfio_hw_check() - can this driver stop the device and move its state?
 * @pdev: the PCI function
 *
 * Revision 0 is ivshmem of before QEMU 2.6, which may signal by INTx. An
 * interrupt that is not MSI-X could not be masked; see
 * ivshmem_vfio_hw_mask_irqs(). Nor has the device power management, by which
 * the user could reset it without anybody's knowledge (D3hot to D0).
 *
 * Return: 0 or -ENODEV.
 */
int ivshmem_vfio_hw_check(struct pci_dev *pdev)
{
	resource_size_t size = pci_resource_len(pdev, IVSHMEM_VFIO_MEMORY_BAR);

	if (!pdev->revision || pdev->pm_cap || (pdev->pin && !pdev->msix_cap))
		return -ENODEV;

	if (!(pci_resource_flags(pdev, IVSHMEM_REGS_BAR) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, IVSHMEM_REGS_BAR) < IVSHMEM_REGS_SIZE)
		return -ENODEV;

	if (!(pci_resource_flags(pdev, IVSHMEM_VFIO_MEMORY_BAR) & IORESOURCE_MEM) ||
	    !size || !IS_ALIGNED(size, IVSHMEM_VFIO_GRANULE) ||
	    size - 1 > VFIO_PCI_OFFSET_MASK)
		return -ENODEV;

	return 0;
}

/**
 * ivshmem_vfio_hw_map() - map the registers and the memory, count the vectors
 * @ivdev: the device
 *
 * The core owns the mappings and releases them in vfio_pci_core_disable().
 *
 * Return: 0 or a negative errno.
 */
int ivshmem_vfio_hw_map(struct ivshmem_vfio_device *ivdev)
{
	struct vfio_pci_core_device *core = &ivdev->core;

	ivdev->regs = vfio_pci_core_get_iomap(core, IVSHMEM_REGS_BAR);
	if (IS_ERR(ivdev->regs))
		return PTR_ERR(ivdev->regs);

	ivdev->memory = vfio_pci_core_get_iomap(core, IVSHMEM_VFIO_MEMORY_BAR);
	if (IS_ERR(ivdev->memory))
		return PTR_ERR(ivdev->memory);

	/* ivshmem-plain has no MSI-X, and 0 vectors */
	ivdev->vectors = max(pci_msix_vec_count(core->pdev), 0);

	return 0;
}

/**
 * ivshmem_vfio_hw_memory_size() - the size of BAR 2
 * @ivdev: the device
 *
 * Return: the number of bytes.
 */
u64 ivshmem_vfio_hw_memory_size(struct ivshmem_vfio_device *ivdev)
{
	return pci_resource_len(ivdev->core.pdev, IVSHMEM_VFIO_MEMORY_BAR);
}

/*
 * Every access to the device is made between begin and end. The user owns the
 * command register and the power state and may change them at any time, but
 * "failure by the user to restrict device access while in STOP must not result
 * in error conditions outside the user context". Resets come at any time, too.
 *
 * All of these have to wait for an access, because they take access_lock for
 * writing. reset_prepare does this for each reset, whoever has asked for it,
 * and main.c for each call of the user in which vfio_pci_core changes the
 * command register (ivshmem_vfio_hw_config_begin()). So an access holds
 * access_lock for reading, and nothing of vfio_pci_core's.
 *
 * If the user has switched memory decode off, the access switches it on for as
 * long as it takes, and holds access_lock for writing, which keeps other
 * accesses out. The user's mappings and regions stay switched off, because
 * vfio_pci_core looks at what the user has written to the command register.
 *
 * An access does not hold core.memory_lock. A hot reset of a neighbouring
 * function only tries to take the lock, and fails if somebody has it. The
 * exception is an access during a call of the user that may change the command
 * register. The access cannot wait for the end of the call, which may take as
 * long as the user likes. vfio_pci_core holds memory_lock while it changes the
 * command register, so the access takes that lock, too.
 *
 * An access wakes a device that sleeps. VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
 * "the host will move the device out of the low power state as necessary prior
 * to the access". LOW_POWER_ENTRY_WITH_WAKEUP ends by that, and its eventfd is
 * signalled, also when PRE_COPY only looks for changes.
 *
 * A device that is gone reads as all ones, in its command register too. A reset
 * of which the PCI core does not know leaves the BARs without their addresses,
 * and memory decode off although the user has switched it on. It ends the
 * session as any other reset does.
 *
 * Faults on the BARs take memory_lock, so user memory must not be accessed
 * between begin and end.
 */
struct ivshmem_vfio_access {
	unsigned int resets;
	u16 cmd;
	bool exclusive;		/* access_lock is held for writing */
	bool memory_locked;	/* and core.memory_lock, too */
};

/*
 * Has the user switched memory decode on? vfio_pci_core switches it on for
 * itself at times, so the command register of the device does not tell.
 */
static bool ivshmem_vfio_hw_user_decodes(struct ivshmem_vfio_device *ivdev)
{
	const __le16 *cmd = (__le16 *)&ivdev->core.vconfig[PCI_COMMAND];

	return le16_to_cpu(*cmd) & PCI_COMMAND_MEMORY;
}

/*
 * Has the function lost its addresses? Somebody has reset it behind the back of
 * the PCI core, and what would answer there is not the device.
 */
static bool ivshmem_vfio_hw_lost_address(struct pci_dev *pdev, int bar)
{
	int reg = PCI_BASE_ADDRESS_0 + 4 * bar;
	struct pci_bus_region region;
	u32 low, high = 0;

	pcibios_resource_to_bus(pdev->bus, &region, &pdev->resource[bar]);
	pci_read_config_dword(pdev, reg, &low);
	if (pci_resource_flags(pdev, bar) & IORESOURCE_MEM_64)
		pci_read_config_dword(pdev, reg + 4, &high);
	low &= PCI_BASE_ADDRESS_MEM_MASK;

	return low != lower_32_bits(region.start) ||
	       high != upper_32_bits(region.start);
}

static bool ivshmem_vfio_hw_lost(struct ivshmem_vfio_device *ivdev, u16 cmd)
{
	struct pci_dev *pdev = ivdev->core.pdev;

	if (!(cmd & PCI_COMMAND_MEMORY) && ivshmem_vfio_hw_user_decodes(ivdev))
		return true;

	return ivshmem_vfio_hw_lost_address(pdev, IVSHMEM_REGS_BAR) ||
	       ivshmem_vfio_hw_lost_address(pdev, IVSHMEM_VFIO_MEMORY_BAR);
}

/* Returns -EAGAIN if the access has to hold more locks */
static int ivshmem_vfio_hw_prepare(struct ivshmem_vfio_device *ivdev,
				   struct ivshmem_vfio_access *access)
{
	struct pci_dev *pdev = ivdev->core.pdev;

	lockdep_assert_held(&ivdev->access_lock);

	if (ivdev->resetting)
		return -EIO;
	if (access->resets != ivdev->resets)
		return -ENODEV;
	if (ivdev->config_writes && !access->memory_locked)
		return -EAGAIN;
	/* In all other states only configuration space responds */
	if (pdev->current_state != PCI_D0)
		return -EIO;

	pci_read_config_word(pdev, PCI_COMMAND, &access->cmd);
	if (PCI_POSSIBLE_ERROR(access->cmd))
		return -EIO;

	if (access->exclusive) {
		if (ivshmem_vfio_hw_lost(ivdev, access->cmd)) {
			WRITE_ONCE(ivdev->resets, ivdev->resets + 1);
			return -EIO;
		}
		if (!(access->cmd & PCI_COMMAND_MEMORY))
			pci_write_config_word(pdev, PCI_COMMAND,
					      access->cmd | PCI_COMMAND_MEMORY);
		return 0;
	}

	return access->cmd & PCI_COMMAND_MEMORY &&
	       ivshmem_vfio_hw_user_decodes(ivdev) ? 0 : -EAGAIN;
}

static void ivshmem_vfio_hw_lock(struct ivshmem_vfio_device *ivdev,
				 const struct ivshmem_vfio_access *access)
{
	if (access->memory_locked)
		down_write(&ivdev->core.memory_lock);
	if (access->exclusive)
		down_write(&ivdev->access_lock);
	else
		down_read(&ivdev->access_lock);
}

static void ivshmem_vfio_hw_unlock(struct ivshmem_vfio_device *ivdev,
				   const struct ivshmem_vfio_access *access)
{
	if (access->exclusive)
		up_write(&ivdev->access_lock);
	else
		up_read(&ivdev->access_lock);
	if (access->memory_locked)
		up_write(&ivdev->core.memory_lock);
}

static void ivshmem_vfio_hw_release(struct ivshmem_vfio_device *ivdev,
				    const struct ivshmem_vfio_access *access)
{
	ivshmem_vfio_hw_unlock(ivdev, access);
	pm_runtime_put(&ivdev->core.pdev->dev);
}

/* @resets: ivdev->resets when the session began for which this is done */
static int ivshmem_vfio_hw_begin(struct ivshmem_vfio_device *ivdev,
				 struct ivshmem_vfio_access *access,
				 unsigned int resets)
{
	int err;

	if (pm_runtime_resume_and_get(&ivdev->core.pdev->dev))
		return -EIO;

	*access = (struct ivshmem_vfio_access){ .resets = resets };
	for (;;) {
		ivshmem_vfio_hw_lock(ivdev, access);
		err = ivshmem_vfio_hw_prepare(ivdev, access);
		if (err != -EAGAIN)
			break;
		ivshmem_vfio_hw_unlock(ivdev, access);
		/*
		 * First without memory_lock, and then with it. If there is a
		 * ROM, GET_REGION_INFO changes the command register, too.
		 */
		access->memory_locked =
			access->exclusive ||
			pci_resource_len(ivdev->core.pdev, PCI_ROM_RESOURCE);
		access->exclusive = true;
	}
	if (err)
		ivshmem_vfio_hw_release(ivdev, access);

	return err;
}

/* Returns -EIO if the device did not respond to the end of the access */
static int ivshmem_vfio_hw_end(struct ivshmem_vfio_device *ivdev,
			       const struct ivshmem_vfio_access *access)
{
	struct pci_dev *pdev = ivdev->core.pdev;
	int err = 0;
	u16 cmd;

	pci_read_config_word(pdev, PCI_COMMAND, &cmd);
	if (PCI_POSSIBLE_ERROR(cmd) || !(cmd & PCI_COMMAND_MEMORY))
		err = -EIO;
	else if (!(access->cmd & PCI_COMMAND_MEMORY))
		pci_write_config_word(pdev, PCI_COMMAND,
				      cmd & ~PCI_COMMAND_MEMORY);

	ivshmem_vfio_hw_release(ivdev, access);

	return err;
}

/**
 * ivshmem_vfio_hw_read_memory() - read from BAR 2
 * @ivdev: the device
 * @resets: ivdev->resets when the session began
 * @offset: where
 * @buf: receives the data
 * @len: how many bytes; not more than a window
 *
 * Return: 0, -EIO if the device does not respond or is being reset, or -ENODEV
 *	if the session has ended by a reset.
 */
int ivshmem_vfio_hw_read_memory(struct ivshmem_vfio_device *ivdev,
				unsigned int resets, u64 offset,
				void *buf, size_t len)
{
	struct ivshmem_vfio_access access;
	int err;

	err = ivshmem_vfio_hw_begin(ivdev, &access, resets);
	if (err)
		return err;

	memcpy_fromio(buf, ivdev->memory + offset, len);

	return ivshmem_vfio_hw_end(ivdev, &access);
}

/**
 * ivshmem_vfio_hw_write_memory() - write to BAR 2
 * @ivdev: the device
 * @resets: ivdev->resets when the session began
 * @offset: where
 * @buf: the data
 * @len: how many bytes; not more than a window
 *
 * Return: 0, -EIO if the device does not respond or is being reset, or -ENODEV
 *	if the session has ended by a reset.
 */
int ivshmem_vfio_hw_write_memory(struct ivshmem_vfio_device *ivdev,
				 unsigned int resets, u64 offset,
				 const void *buf, size_t len)
{
	struct ivshmem_vfio_access access;
	int err;

	err = ivshmem_vfio_hw_begin(ivdev, &access, resets);
	if (err)
		return err;

	memcpy_toio(ivdev->memory + offset, buf, len);

	return ivshmem_vfio_hw_end(ivdev, &access);
}

/**
 * ivshmem_vfio_hw_save_regs() - read the registers that are state
 * @ivdev: the device
 * @resets: ivdev->resets when the session began
 * @regs: receives them
 *
 * Return: 0, -EIO if the device does not respond or is being reset, or -ENODEV
 *	if the session has ended by a reset.
 */
int ivshmem_vfio_hw_save_regs(struct ivshmem_vfio_device *ivdev,
			      unsigned int resets,
			      struct ivshmem_vfio_regs *regs)
{
	struct ivshmem_vfio_access access;
	void __iomem *io = ivdev->regs;
	int err;

	err = ivshmem_vfio_hw_begin(ivdev, &access, resets);
	if (err)
		return err;

	regs->intr_mask = ioread32(io + IVSHMEM_INTR_MASK);
	regs->intr_status = ioread32(io + IVSHMEM_INTR_STATUS);
	/* Saving must not change the device, so undo the clear-on-read */
	if (regs->intr_status)
		iowrite32(regs->intr_status, io + IVSHMEM_INTR_STATUS);

	return ivshmem_vfio_hw_end(ivdev, &access);
}

/**
 * ivshmem_vfio_hw_load_regs() - write the registers that are state
 * @ivdev: the device
 * @resets: ivdev->resets when the session began
 * @regs: their values
 *
 * Return: 0, -EIO if the device does not respond or is being reset, or -ENODEV
 *	if the session has ended by a reset.
 */
int ivshmem_vfio_hw_load_regs(struct ivshmem_vfio_device *ivdev,
			      unsigned int resets,
			      const struct ivshmem_vfio_regs *regs)
{
	struct ivshmem_vfio_access access;
	void __iomem *io = ivdev->regs;
	int err, bad = 0;

	err = ivshmem_vfio_hw_begin(ivdev, &access, resets);
	if (err)
		return err;

	iowrite32(regs->intr_status, io + IVSHMEM_INTR_STATUS);
	iowrite32(regs->intr_mask, io + IVSHMEM_INTR_MASK);
	/* Flush the writes, and check that the device responds */
	if (ioread32(io + IVSHMEM_INTR_MASK) != regs->intr_mask)
		bad = -EIO;

	err = ivshmem_vfio_hw_end(ivdev, &access);

	return err ?: bad;
}

static int ivshmem_vfio_hw_set_irq_mask(struct ivshmem_vfio_device *ivdev,
					bool mask)
{
	struct pci_dev *pdev = ivdev->core.pdev;
	u16 ctrl;

	if (ivdev->resetting)
		return -EIO;

	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &ctrl);
	if (PCI_POSSIBLE_ERROR(ctrl))
		return -EIO;

	if (mask)
		ctrl |= PCI_MSIX_FLAGS_MASKALL;
	else
		ctrl &= ~PCI_MSIX_FLAGS_MASKALL;
	pci_write_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, ctrl);

	return 0;
}

static int ivshmem_vfio_hw_write_irq_mask(struct ivshmem_vfio_device *ivdev,
					  bool mask)
{
	int err;

	if (!ivdev->core.pdev->msix_cap)
		return 0;

	/* vfio_pci_core sets up MSI-X under memory_lock, too */
	down_write(&ivdev->core.memory_lock);
	down_write(&ivdev->access_lock);
	err = ivshmem_vfio_hw_set_irq_mask(ivdev, mask);
	up_write(&ivdev->access_lock);
	up_write(&ivdev->core.memory_lock);

	return err;
}

/**
 * ivshmem_vfio_hw_mask_irqs() - stop the interrupts of ivshmem-doorbell
 * @ivdev: the device
 *
 * This uses the function mask of MSI-X. When a peer rings a doorbell meanwhile,
 * the vector becomes pending, and fires when the mask is cleared. ivshmem-plain
 * has no interrupts, and neither device has INTx.
 *
 * The user's writes to the MSI-X capability cannot interfere, because
 * vfio_pci_core drops them (interrupts are set up with VFIO_DEVICE_SET_IRQS).
 * But the user sees the mask when reading the capability.
 *
 * The PCI core clears the mask when it restores MSI-X, which happens after a
 * reset and after a runtime suspend. A reset ends the stopped state anyway. To
 * avoid the suspend, keep the device awake while its interrupts are masked. The
 * user loses nothing, because VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY does not
 * promise that the device will be suspended.
 *
 * Return: 0, or -EIO if the device does not respond or is being reset.
 */
int ivshmem_vfio_hw_mask_irqs(struct ivshmem_vfio_device *ivdev)
{
	int err;

	lockdep_assert_held(&ivdev->state_mutex);

	if (!ivdev->irqs_masked &&
	    pm_runtime_resume_and_get(&ivdev->core.pdev->dev))
		return -EIO;

	err = ivshmem_vfio_hw_write_irq_mask(ivdev, true);
	if (err && !ivdev->irqs_masked)
		pm_runtime_put(&ivdev->core.pdev->dev);
	if (!err)
		ivdev->irqs_masked = true;

	return err;
}

/**
 * ivshmem_vfio_hw_irqs_unmasked() - something has cleared the mask
 * @ivdev: the device
 */
void ivshmem_vfio_hw_irqs_unmasked(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	if (!ivdev->irqs_masked)
		return;

	ivdev->irqs_masked = false;
	pm_runtime_put(&ivdev->core.pdev->dev);
}

/**
 * ivshmem_vfio_hw_unmask_irqs() - let interrupts come again
 * @ivdev: the device
 *
 * If the mask cannot be cleared, then because of a reset, which clears it.
 */
void ivshmem_vfio_hw_unmask_irqs(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	if (ivdev->irqs_masked)
		ivshmem_vfio_hw_write_irq_mask(ivdev, false);
	ivshmem_vfio_hw_irqs_unmasked(ivdev);
}

/**
 * ivshmem_vfio_hw_ring() - fire all vectors of a device that was loaded
 * @ivdev: the device
 *
 * A doorbell that was rung after the source had stopped is pending there, and
 * nobody can carry it over, but the memory that it announced may well be in the
 * stream. A wake-up without a reason is legal, and a lost one is not. Until the
 * user has set up MSI-X and bus mastering, the device has nowhere to send an
 * interrupt to.
 */
void ivshmem_vfio_hw_ring(struct ivshmem_vfio_device *ivdev)
{
	struct ivshmem_vfio_access access;
	bool rings = false;
	unsigned int vector;
	u32 peer;

	lockdep_assert_held(&ivdev->state_mutex);

	if (!ivdev->ring || ivdev->irqs_masked ||
	    !ivdev->core.pdev->msix_enabled)
		return;
	if (ivshmem_vfio_hw_begin(ivdev, &access, READ_ONCE(ivdev->resets)))
		return;

	if (access.cmd & PCI_COMMAND_MASTER) {
		/* The position is negative while there is no connection */
		peer = ioread32(ivdev->regs + IVSHMEM_IV_POSITION);
		rings = (s32)peer >= 0;
		for (vector = 0; rings && vector < ivdev->vectors; vector++)
			iowrite32(peer << IVSHMEM_DOORBELL_PEER_SHIFT | vector,
				  ivdev->regs + IVSHMEM_DOORBELL);
	}

	if (!ivshmem_vfio_hw_end(ivdev, &access) && rings)
		ivdev->ring = false;
}

/**
 * ivshmem_vfio_hw_reset() - the device's own reset
 * @ivdev: the device
 *
 * It resets the registers, as QEMU's reset of the device does, and nothing
 * else: the memory belongs to the peers as much as to this device.
 *
 * Return: 0 or -EIO.
 */
int ivshmem_vfio_hw_reset(struct ivshmem_vfio_device *ivdev)
{
	static const struct ivshmem_vfio_regs zero;

	return ivshmem_vfio_hw_load_regs(ivdev, READ_ONCE(ivdev->resets), &zero);
}

/* ---- What accesses have to wait for ------------------------------------- */

/**
 * ivshmem_vfio_hw_reset_begin() - the PCI core is going to reset the function
 * @ivdev: the device
 *
 * Wait for the accesses to it, and let no other begin before the reset is done.
 */
void ivshmem_vfio_hw_reset_begin(struct ivshmem_vfio_device *ivdev)
{
	down_write(&ivdev->access_lock);
	ivdev->resetting = true;
	WRITE_ONCE(ivdev->resets, ivdev->resets + 1);
	up_write(&ivdev->access_lock);
}

/**
 * ivshmem_vfio_hw_reset_end() - the PCI core has reset the function
 * @ivdev: the device
 */
void ivshmem_vfio_hw_reset_end(struct ivshmem_vfio_device *ivdev)
{
	down_write(&ivdev->access_lock);
	ivdev->resetting = false;
	up_write(&ivdev->access_lock);
}

/**
 * ivshmem_vfio_hw_config_begin() - vfio_pci_core may write to config space
 * @ivdev: the device
 *
 * The user has asked for something that may change memory decode or the power
 * state. access_lock is not held meanwhile, because user memory is read.
 * Accesses take memory_lock instead, as vfio_pci_core does when it changes
 * either.
 */
void ivshmem_vfio_hw_config_begin(struct ivshmem_vfio_device *ivdev)
{
	down_write(&ivdev->access_lock);
	ivdev->config_writes++;
	up_write(&ivdev->access_lock);
}

/**
 * ivshmem_vfio_hw_config_end() - vfio_pci_core has written to config space
 * @ivdev: the device
 */
void ivshmem_vfio_hw_config_end(struct ivshmem_vfio_device *ivdev)
{
	down_write(&ivdev->access_lock);
	ivdev->config_writes--;
	up_write(&ivdev->access_lock);
}
