/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_DEV_H
#define IVSHMEM_VFIO_DEV_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/vfio_pci_core.h>

#include "dirty.h"

struct ivshmem_vfio_stream;

struct ivshmem_vfio_device {
	struct vfio_pci_core_device core;

	/*
	 * Protects the migration state and the data transfer session. Taken
	 * before mmap_lock (data_fd copies to and from user memory under it)
	 * and before core.memory_lock, hence never from a fault handler or
	 * from reset_done. Release it with ivshmem_vfio_state_mutex_unlock().
	 */
	struct mutex state_mutex;
	enum vfio_device_mig_state state;
	struct ivshmem_vfio_stream *stream;	/* of the session, or NULL */
	struct ivshmem_vfio_dirty dirty;
	bool irqs_masked;	/* and a reference keeps the device awake */

	/* Protects deferred_reset, a reset that found state_mutex taken */
	spinlock_t reset_lock;
	bool deferred_reset;
};

extern const struct vfio_device_ops ivshmem_vfio_ops;

struct ivshmem_vfio_device *ivshmem_vfio_drvdata(struct pci_dev *pdev);
void ivshmem_vfio_state_mutex_unlock(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_reset_done(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_DEV_H */
