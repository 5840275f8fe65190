/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_COMPAT_H
#define IVSHMEM_VFIO_COMPAT_H

/*
 * The rest of the driver is written for the newest kernel. This file provides
 * what older kernels lack, down to Linux 6.1.
 *
 * Features that have a macro in the uAPI are detected by that macro. Kbuild
 * detects the others in the kernel's headers, and builds compat.c where the
 * tables in main.c have members that the kernel lacks.
 */

#include <linux/io.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

/* The unbound workqueue has got a new name in 2025 */
#ifndef IVSHMEM_VFIO_HAVE_SYSTEM_DFL_WQ
#define system_dfl_wq			system_unbound_wq
#endif

/*
 * The kernel has a bitmap for DMA logging if a driver asks for it by "select
 * IOMMUFD_DRIVER" in its Kconfig, which one that is built outside of the tree
 * cannot. Without the bitmap a log would start, and fail when it is read. Until
 * Linux 6.6 the bitmap was always there.
 */
#if IS_ENABLED(CONFIG_IOMMUFD_DRIVER) || !defined(IVSHMEM_VFIO_HAVE_IOMMUFD_DRIVER)
#define IVSHMEM_VFIO_LOG_OPS		(&ivshmem_vfio_log_ops)
#else
#define IVSHMEM_VFIO_LOG_OPS		NULL
#endif

/*
 * PRE_COPY exists since Linux 6.2. On older kernels the flag is not there to be
 * set, so vfio_mig_get_next_state() never leads to these states.
 */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY		0
#define VFIO_DEVICE_STATE_PRE_COPY	((enum vfio_device_mig_state)6)
#define VFIO_DEVICE_STATE_PRE_COPY_P2P	((enum vfio_device_mig_state)7)

struct vfio_precopy_info {
	__u32 argsz;
	__u32 flags;
	__aligned_u64 initial_bytes;
	__aligned_u64 dirty_bytes;
};

#define VFIO_MIG_GET_PRECOPY_INFO	_IO(VFIO_TYPE, VFIO_BASE + 21)
#endif

/*
 * Since Linux 7.2 vfio_pci_core_enable() maps all BARs, and stores an error
 * pointer in barmap if it cannot map one. In older kernels a BAR is mapped on
 * demand, since Linux 6.8 by an exported function. In still older kernels that
 * function is private to vfio_pci_core. But vfio_pci_core_disable() releases
 * every mapping that it finds in barmap, so this driver may add its own.
 */
#ifndef IVSHMEM_VFIO_HAVE_GET_IOMAP
#ifndef IVSHMEM_VFIO_HAVE_SETUP_BARMAP
static inline int vfio_pci_core_setup_barmap(struct vfio_pci_core_device *core,
					     int bar)
{
	int err;

	if (core->barmap[bar])
		return 0;

	err = pci_request_selected_regions(core->pdev, BIT(bar), "vfio-pci");
	if (err)
		return err;

	core->barmap[bar] = pci_iomap(core->pdev, bar, 0);
	if (!core->barmap[bar]) {
		pci_release_selected_regions(core->pdev, BIT(bar));
		return -ENOMEM;
	}

	return 0;
}
#endif

static inline void __iomem __must_check *
vfio_pci_core_get_iomap(struct vfio_pci_core_device *core, unsigned int bar)
{
	int err = vfio_pci_core_setup_barmap(core, bar);

	return err ? IOMEM_ERR_PTR(err) : core->barmap[bar];
}
#endif

#endif /* IVSHMEM_VFIO_COMPAT_H */
