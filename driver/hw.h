/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_HW_H
#define IVSHMEM_VFIO_HW_H

#include <linux/pci.h>
#include <linux/types.h>

struct ivshmem_vfio_device;

#define IVSHMEM_VFIO_MEMORY_BAR	2

/* The registers that belong to the device state */
struct ivshmem_vfio_regs {
	u32 intr_mask;
	u32 intr_status;
};

int ivshmem_vfio_hw_check(struct pci_dev *pdev);
int ivshmem_vfio_hw_map(struct ivshmem_vfio_device *ivdev);
u64 ivshmem_vfio_hw_memory_size(struct ivshmem_vfio_device *ivdev);

int ivshmem_vfio_hw_read_memory(struct ivshmem_vfio_device *ivdev, u64 offset,
				void *buf, size_t len);
int ivshmem_vfio_hw_write_memory(struct ivshmem_vfio_device *ivdev, u64 offset,
				 const void *buf, size_t len);
int ivshmem_vfio_hw_save_regs(struct ivshmem_vfio_device *ivdev,
			      struct ivshmem_vfio_regs *regs);
int ivshmem_vfio_hw_load_regs(struct ivshmem_vfio_device *ivdev,
			      const struct ivshmem_vfio_regs *regs);
int ivshmem_vfio_hw_mask_irqs(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_unmask_irqs(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_irqs_unmasked(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_hw_reset(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_HW_H */
