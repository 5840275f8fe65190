/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef IVSHMEM_VFIO_COMPAT_H
#define IVSHMEM_VFIO_COMPAT_H

/*
 * What older kernels lack, and newer ones have no more: the rest of the driver
 * is written for the newest. Linux 6.1 is the oldest that it builds for.
 *
 * What has a name in the uAPI is asked for by that name. Kbuild looks for the
 * rest in the kernel's headers, and leaves out the files that are of no use.
 */

#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

/*
 * Until Linux 6.2 there are no pre-copy states. These are their numbers; before
 * that vfio_mig_get_next_state() refuses to go there.
 */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_DEVICE_STATE_PRE_COPY	((enum vfio_device_mig_state)6)
#define VFIO_DEVICE_STATE_PRE_COPY_P2P	((enum vfio_device_mig_state)7)
#endif

/* precopy.c and track.c are there or not; precopy.h and track.h stand in */
#ifdef IVSHMEM_VFIO_HAVE_PRECOPY
#define IVSHMEM_VFIO_PRECOPY_FLAG	VFIO_MIGRATION_PRE_COPY
#else
#define IVSHMEM_VFIO_PRECOPY_FLAG	0
#endif

/* Since Linux 6.2, and mandatory since then; size.c */
#ifdef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define IVSHMEM_VFIO_DATA_SIZE_OPS \
	.migration_get_data_size = ivshmem_vfio_get_data_size,
#else
#define IVSHMEM_VFIO_DATA_SIZE_OPS
#endif

/* The same for iommufd, which came together with PRE_COPY */
#ifdef VFIO_MIGRATION_PRE_COPY
#define IVSHMEM_VFIO_IOMMUFD_OPS \
	.bind_iommufd = vfio_iommufd_physical_bind, \
	.unbind_iommufd = vfio_iommufd_physical_unbind, \
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
#else
#define IVSHMEM_VFIO_IOMMUFD_OPS
#endif

/* And for the device cdev, since Linux 6.6 */
#ifdef VFIO_DEVICE_BIND_IOMMUFD
#define IVSHMEM_VFIO_CDEV_OPS \
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
#else
#define IVSHMEM_VFIO_CDEV_OPS
#endif

/* Since Linux 6.17, and mandatory since then: vfio_pci_core_match() calls it */
#ifdef IVSHMEM_VFIO_HAVE_MATCH_TOKEN_UUID
#define IVSHMEM_VFIO_MATCH_TOKEN_OPS \
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#else
#define IVSHMEM_VFIO_MATCH_TOKEN_OPS
#endif

/*
 * Since Linux 6.19 VFIO_DEVICE_GET_REGION_INFO is answered by this alone. In
 * older kernels vfio_pci_core_ioctl() answers it.
 */
#ifdef IVSHMEM_VFIO_HAVE_REGION_INFO_CAPS
#define IVSHMEM_VFIO_REGION_INFO_OPS \
	.get_region_info_caps = vfio_pci_ioctl_get_region_info,
#else
#define IVSHMEM_VFIO_REGION_INFO_OPS
#endif

/*
 * Since Linux 7.2 vfio_pci_core_enable() maps all BARs, and leaves an error
 * pointer in barmap where it cannot. Before that a BAR is mapped when it is
 * asked for, from Linux 6.8 on by an exported function. In still older kernels
 * vfio_pci_core has that function to itself, but releases what it finds in
 * barmap, whoever has put it there.
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

/* The name of zap_vma_ptes() since Linux 7.1 */
#ifndef IVSHMEM_VFIO_HAVE_ZAP_SPECIAL_VMA_RANGE
#define zap_special_vma_range	zap_vma_ptes
#endif

/* Until Linux 6.16 huge pages have a type of their own for this */
#ifdef IVSHMEM_VFIO_HAVE_PFN_T
#include <linux/pfn_t.h>
#define ivshmem_vfio_huge_pfn(pfn)	__pfn_to_pfn_t(pfn, PFN_DEV)
#else
#define ivshmem_vfio_huge_pfn(pfn)	(pfn)
#endif

#endif /* IVSHMEM_VFIO_COMPAT_H */
