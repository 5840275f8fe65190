// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmm DEVICE IOMMUFD: use inherited descriptors as QEMU uses those of "-object iommufd,fd=" and
 * "-device vfio-pci,fd=": bind the device to the iommufd and attach it to an address space.
 */
#include <err.h>
#include <linux/types.h>
#include <stdlib.h>

#include "../../lib/uapi.h"

int main(int argc, char **argv)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int device, iommufd;

	if (argc != 3)
		errx(2, "usage: vmm DEVICE IOMMUFD");
	device = atoi(argv[1]);
	iommufd = atoi(argv[2]);
	if (ioctl(device, VFIO_DEVICE_GET_INFO, &info) == 0)
		errx(1, "the device is bound already");
	bind.iommufd = iommufd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		err(1, "VFIO_DEVICE_BIND_IOMMUFD");
	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		err(1, "IOMMU_IOAS_ALLOC");
	attach.pt_id = alloc.out_ioas_id;
	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		err(1, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	if (ioctl(device, VFIO_DEVICE_GET_INFO, &info))
		err(1, "VFIO_DEVICE_GET_INFO");
	return 0;
}
