// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tables of operations for kernels whose structures lack some of the
 * members. main.c has the tables for the newest kernel; Kbuild builds this file
 * instead of those where it is needed.
 */

#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>

#include "ivshmem_vfio.h"

const struct vfio_migration_ops ivshmem_vfio_mig_ops = {
	.migration_set_state = ivshmem_vfio_set_device_state,
	.migration_get_state = ivshmem_vfio_get_device_state,
#ifdef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE /* since Linux 6.2, and mandatory */
	.migration_get_data_size = ivshmem_vfio_get_data_size,
#endif
};

const struct vfio_device_ops ivshmem_vfio_ops = {
	.name = "ivshmem-vfio-pci",
	.init = ivshmem_vfio_init_device,
	.release = ivshmem_vfio_release_device,
	.open_device = ivshmem_vfio_open_device,
	.close_device = ivshmem_vfio_close_device,
	.ioctl = ivshmem_vfio_ioctl,
	.device_feature = vfio_pci_core_ioctl_feature,
	.read = vfio_pci_core_read,
	.write = ivshmem_vfio_write,
	.mmap = vfio_pci_core_mmap,
	.request = vfio_pci_core_request,
	.match = vfio_pci_core_match,
#ifdef IVSHMEM_VFIO_HAVE_MATCH_TOKEN_UUID /* since Linux 6.17 */
	.match_token_uuid = vfio_pci_core_match_token_uuid,
#endif
#ifdef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE /* iommufd also came with Linux 6.2 */
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
#endif
#ifdef VFIO_DEVICE_BIND_IOMMUFD /* since Linux 6.6, for the device cdev */
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
#endif
};
