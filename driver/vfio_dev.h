/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_DEV_H
#define IVSHMEM_VFIO_DEV_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>

#include "dirty.h"

struct ivshmem_vfio_stream;

struct ivshmem_vfio_device {
	struct vfio_pci_core_device core;

	/* The mappings of BAR 0 and BAR 2 while the device is open */
	void __iomem *regs;
	void __iomem *memory;

	/*
	 * Protects the migration state and the data transfer session. It is
	 * taken before mmap_lock (data_fd copies to and from user memory under
	 * it) and before core.memory_lock, so a fault handler must not take it,
	 * and reset_done may only try to. Release it with
	 * ivshmem_vfio_state_mutex_unlock().
	 */
	struct mutex state_mutex;
	enum vfio_device_mig_state state;
	struct ivshmem_vfio_stream *stream;	/* of the session, or NULL */
	struct ivshmem_vfio_dirty dirty;
	bool tracking;		/* of writes to BAR 2; see track.c */
	bool irqs_masked;	/* if so, a PM reference is held */

	/* Of the device's files, NULL before mmap(); under memory_lock */
	struct address_space *mapping;
	wait_queue_head_t wait;	/* of poll() on data_fd */

	/* Protects deferred_reset, a reset that found state_mutex taken */
	spinlock_t reset_lock;
	bool deferred_reset;
};

extern const struct vfio_device_ops ivshmem_vfio_ops;

static inline struct ivshmem_vfio_device *to_ivdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct ivshmem_vfio_device, core.vdev);
}

struct ivshmem_vfio_device *ivshmem_vfio_drvdata(struct pci_dev *pdev);
void ivshmem_vfio_state_mutex_unlock(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_reset_done(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_DEV_H */
