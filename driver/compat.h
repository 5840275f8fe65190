/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_COMPAT_H
#define IVSHMEM_VFIO_COMPAT_H

/*
 * The rest of the driver is written for the newest kernel. This file provides
 * what older kernels lack, down to Linux 6.1, and hides what newer kernels have
 * dropped.
 *
 * Features that have a macro in the uAPI are detected by that macro. Kbuild
 * detects the others in the kernel's headers, and leaves out the source files
 * that this kernel has no use for.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

/*
 * The numbers of the pre-copy states, which exist since Linux 6.2. On older
 * kernels vfio_mig_get_next_state() never leads to these states.
 */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_DEVICE_STATE_PRE_COPY	((enum vfio_device_mig_state)6)
#define VFIO_DEVICE_STATE_PRE_COPY_P2P	((enum vfio_device_mig_state)7)
#endif

/* Without precopy.c and track.c, their headers have stubs */
#ifdef IVSHMEM_VFIO_HAVE_PRECOPY
#define IVSHMEM_VFIO_PRECOPY_FLAG	VFIO_MIGRATION_PRE_COPY
#else
#define IVSHMEM_VFIO_PRECOPY_FLAG	0
#endif

/* Since Linux 6.2, where it is mandatory; see size.c */
#ifdef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define IVSHMEM_VFIO_DATA_SIZE_OPS \
	.migration_get_data_size = ivshmem_vfio_get_data_size,
#else
#define IVSHMEM_VFIO_DATA_SIZE_OPS
#endif

/* Also since Linux 6.2: iommufd was added together with PRE_COPY */
#ifdef VFIO_MIGRATION_PRE_COPY
#define IVSHMEM_VFIO_IOMMUFD_OPS \
	.bind_iommufd = vfio_iommufd_physical_bind, \
	.unbind_iommufd = vfio_iommufd_physical_unbind, \
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
#else
#define IVSHMEM_VFIO_IOMMUFD_OPS
#endif

/* Since Linux 6.6, for the device cdev */
#ifdef VFIO_DEVICE_BIND_IOMMUFD
#define IVSHMEM_VFIO_CDEV_OPS \
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
#else
#define IVSHMEM_VFIO_CDEV_OPS
#endif

/* Since Linux 6.17, where it is mandatory: vfio_pci_core_match() calls it */
#ifdef IVSHMEM_VFIO_HAVE_MATCH_TOKEN_UUID
#define IVSHMEM_VFIO_MATCH_TOKEN_OPS \
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#else
#define IVSHMEM_VFIO_MATCH_TOKEN_OPS
#endif

/*
 * Since Linux 6.19 only this operation answers VFIO_DEVICE_GET_REGION_INFO. In
 * older kernels vfio_pci_core_ioctl() answers it.
 */
#ifdef IVSHMEM_VFIO_HAVE_REGION_INFO_CAPS
#define IVSHMEM_VFIO_REGION_INFO_OPS \
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
#else
#define IVSHMEM_VFIO_REGION_INFO_OPS
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

/* Linux 7.1 has renamed zap_vma_ptes() to this */
#ifndef IVSHMEM_VFIO_HAVE_ZAP_SPECIAL_VMA_RANGE
#define zap_special_vma_range	zap_vma_ptes
#endif

/* Until Linux 6.16 the functions for huge pages take a pfn_t */
#ifdef IVSHMEM_VFIO_HAVE_PFN_T
#include <linux/pfn_t.h>
#define ivshmem_vfio_huge_pfn(pfn)	__pfn_to_pfn_t(pfn, PFN_DEV)
#else
#define ivshmem_vfio_huge_pfn(pfn)	(pfn)
#endif

#endif /* IVSHMEM_VFIO_COMPAT_H */
