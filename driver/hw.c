// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access to the ivshmem device: its memory, its registers, its interrupts.
 *
 * Real hardware fails, but this emulated device hardly ever does. So each step
 * that a device might refuse can be made to fail by the kernel's fault
 * injection (Documentation/fault-injection), just as any allocation can.
 */

#include <linux/error-injection.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/vfio_pci_core.h>

#include "compat.h"
#include "format.h"
#include "hw.h"
#include "vfio_dev.h"

#define IVSHMEM_REGS_BAR	0

/* Offsets in IVSHMEM_REGS_BAR. Reading INTR_STATUS clears it. */
#define IVSHMEM_INTR_MASK	0x0
#define IVSHMEM_INTR_STATUS	0x4
#define IVSHMEM_REGS_SIZE	0x10

int ivshmem_vfio_hw_check(struct pci_dev *pdev)
{
	resource_size_t size = pci_resource_len(pdev, IVSHMEM_VFIO_MEMORY_BAR);

	if (!(pci_resource_flags(pdev, IVSHMEM_REGS_BAR) & IORESOURCE_MEM) ||
	    pci_resource_len(pdev, IVSHMEM_REGS_BAR) < IVSHMEM_REGS_SIZE)
		return -ENODEV;

	if (!(pci_resource_flags(pdev, IVSHMEM_VFIO_MEMORY_BAR) & IORESOURCE_MEM) ||
	    !size || !IS_ALIGNED(size, IVSHMEM_VFIO_GRANULE))
		return -ENODEV;

	return 0;
}

/* The core owns the mappings and releases them in vfio_pci_core_disable() */
int ivshmem_vfio_hw_map(struct ivshmem_vfio_device *ivdev)
{
	struct vfio_pci_core_device *core = &ivdev->core;

	ivdev->regs = vfio_pci_core_get_iomap(core, IVSHMEM_REGS_BAR);
	if (IS_ERR(ivdev->regs))
		return PTR_ERR(ivdev->regs);

	ivdev->memory = vfio_pci_core_get_iomap(core, IVSHMEM_VFIO_MEMORY_BAR);
	if (IS_ERR(ivdev->memory))
		return PTR_ERR(ivdev->memory);

	return 0;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_map, ERRNO);

u64 ivshmem_vfio_hw_memory_size(struct ivshmem_vfio_device *ivdev)
{
	return pci_resource_len(ivdev->core.pdev, IVSHMEM_VFIO_MEMORY_BAR);
}

/*
 * Every access to the device is made between begin and end. The user owns the
 * command register and the power state and may change them at any time, but
 * "failure by the user to restrict device access while in STOP must not result
 * in error conditions outside the user context". So wake the device up, keep
 * the user and resets out with memory_lock, and enable memory decode during the
 * access. (ivshmem has no PM capability, so only runtime PM can suspend it.)
 *
 * Faults on the BARs also take memory_lock, so user memory must not be accessed
 * between begin and end.
 */
static int ivshmem_vfio_hw_begin(struct vfio_pci_core_device *core, u16 *cmd)
{
	struct pci_dev *pdev = core->pdev;

	if (pm_runtime_resume_and_get(&pdev->dev))
		return -EIO;

	down_write(&core->memory_lock);
	pci_read_config_word(pdev, PCI_COMMAND, cmd);
	if (!(*cmd & PCI_COMMAND_MEMORY))
		pci_write_config_word(pdev, PCI_COMMAND,
				      *cmd | PCI_COMMAND_MEMORY);

	return 0;
}

static void ivshmem_vfio_hw_end(struct vfio_pci_core_device *core, u16 cmd)
{
	if (!(cmd & PCI_COMMAND_MEMORY))
		pci_write_config_word(core->pdev, PCI_COMMAND, cmd);
	up_write(&core->memory_lock);

	pm_runtime_put(&core->pdev->dev);
}

int ivshmem_vfio_hw_read_memory(struct ivshmem_vfio_device *ivdev, u64 offset,
				void *buf, size_t len)
{
	struct vfio_pci_core_device *core = &ivdev->core;
	u16 cmd;
	int err;

	err = ivshmem_vfio_hw_begin(core, &cmd);
	if (err)
		return err;

	memcpy_fromio(buf, ivdev->memory + offset, len);
	ivshmem_vfio_hw_end(core, cmd);

	return 0;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_read_memory, ERRNO);

int ivshmem_vfio_hw_write_memory(struct ivshmem_vfio_device *ivdev, u64 offset,
				 const void *buf, size_t len)
{
	struct vfio_pci_core_device *core = &ivdev->core;
	u16 cmd;
	int err;

	err = ivshmem_vfio_hw_begin(core, &cmd);
	if (err)
		return err;

	memcpy_toio(ivdev->memory + offset, buf, len);
	ivshmem_vfio_hw_end(core, cmd);

	return 0;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_write_memory, ERRNO);

int ivshmem_vfio_hw_save_regs(struct ivshmem_vfio_device *ivdev,
			      struct ivshmem_vfio_regs *regs)
{
	struct vfio_pci_core_device *core = &ivdev->core;
	void __iomem *io = ivdev->regs;
	u16 cmd;
	int err;

	err = ivshmem_vfio_hw_begin(core, &cmd);
	if (err)
		return err;

	regs->intr_mask = ioread32(io + IVSHMEM_INTR_MASK);
	regs->intr_status = ioread32(io + IVSHMEM_INTR_STATUS);
	/* Saving must not change the device, so undo the clear-on-read */
	if (regs->intr_status)
		iowrite32(regs->intr_status, io + IVSHMEM_INTR_STATUS);
	ivshmem_vfio_hw_end(core, cmd);

	return 0;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_save_regs, ERRNO);

int ivshmem_vfio_hw_load_regs(struct ivshmem_vfio_device *ivdev,
			      const struct ivshmem_vfio_regs *regs)
{
	struct vfio_pci_core_device *core = &ivdev->core;
	void __iomem *io = ivdev->regs;
	u16 cmd;
	int err;

	err = ivshmem_vfio_hw_begin(core, &cmd);
	if (err)
		return err;

	iowrite32(regs->intr_status, io + IVSHMEM_INTR_STATUS);
	iowrite32(regs->intr_mask, io + IVSHMEM_INTR_MASK);
	/* Flush the writes, and check that the device responds */
	if (ioread32(io + IVSHMEM_INTR_MASK) != regs->intr_mask)
		err = -EIO;
	ivshmem_vfio_hw_end(core, cmd);

	return err;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_load_regs, ERRNO);

static void ivshmem_vfio_hw_write_irq_mask(struct ivshmem_vfio_device *ivdev,
					   bool mask)
{
	struct vfio_pci_core_device *core = &ivdev->core;
	struct pci_dev *pdev = core->pdev;
	u16 ctrl;

	if (!pdev->msix_cap)
		return;

	/* vfio_pci_core sets up MSI-X under memory_lock, too */
	down_write(&core->memory_lock);
	pci_read_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, &ctrl);
	if (mask)
		ctrl |= PCI_MSIX_FLAGS_MASKALL;
	else
		ctrl &= ~PCI_MSIX_FLAGS_MASKALL;
	pci_write_config_word(pdev, pdev->msix_cap + PCI_MSIX_FLAGS, ctrl);
	up_write(&core->memory_lock);
}

/*
 * Stop the interrupts of ivshmem-doorbell with the function mask of MSI-X. When
 * a peer rings a doorbell meanwhile, the vector becomes pending, and fires when
 * the mask is cleared. ivshmem-plain has no interrupts, and neither device has
 * INTx.
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
 * A call that only repeats the mask cannot fail.
 */
int ivshmem_vfio_hw_mask_irqs(struct ivshmem_vfio_device *ivdev)
{
	if (!ivdev->irqs_masked) {
		if (pm_runtime_resume_and_get(&ivdev->core.pdev->dev))
			return -EIO;
		ivdev->irqs_masked = true;
	}

	ivshmem_vfio_hw_write_irq_mask(ivdev, true);
	return 0;
}
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_mask_irqs, ERRNO);

void ivshmem_vfio_hw_unmask_irqs(struct ivshmem_vfio_device *ivdev)
{
	if (!ivdev->irqs_masked)
		return;

	ivshmem_vfio_hw_write_irq_mask(ivdev, false);
	ivshmem_vfio_hw_irqs_unmasked(ivdev);
}

/* The mask was cleared, by the function above or by a reset of the device */
void ivshmem_vfio_hw_irqs_unmasked(struct ivshmem_vfio_device *ivdev)
{
	if (!ivdev->irqs_masked)
		return;

	ivdev->irqs_masked = false;
	pm_runtime_put(&ivdev->core.pdev->dev);
}

int ivshmem_vfio_hw_reset(struct ivshmem_vfio_device *ivdev)
{
	static const struct ivshmem_vfio_regs zero;
	int err;

	err = ivshmem_vfio_hw_load_regs(ivdev, &zero);
	if (err)
		return err;

	ivshmem_vfio_hw_unmask_irqs(ivdev);
	return 0;
}
