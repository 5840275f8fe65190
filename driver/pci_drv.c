// SPDX-License-Identifier: GPL-2.0-only
/* PCI driver registration of the ivshmem VFIO variant driver. */

#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "vfio_dev.h"

#define PCI_DEVICE_ID_IVSHMEM	0x1110

static int ivshmem_vfio_pci_probe(struct pci_dev *pdev,
				  const struct pci_device_id *id)
{
	struct ivshmem_vfio_device *ivdev;
	int err;

	ivdev = vfio_alloc_device(ivshmem_vfio_device, core.vdev, &pdev->dev,
				  &ivshmem_vfio_ops);
	if (IS_ERR(ivdev))
		return PTR_ERR(ivdev);

	dev_set_drvdata(&pdev->dev, &ivdev->core);

	err = vfio_pci_core_register_device(&ivdev->core);
	if (err)
		vfio_put_device(&ivdev->core.vdev);

	return err;
}

static void ivshmem_vfio_pci_remove(struct pci_dev *pdev)
{
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_drvdata(pdev);

	vfio_pci_core_unregister_device(&ivdev->core);
	vfio_put_device(&ivdev->core.vdev);
}

static void ivshmem_vfio_pci_reset_done(struct pci_dev *pdev)
{
	ivshmem_vfio_reset_done(ivshmem_vfio_drvdata(pdev));
}

static const struct pci_error_handlers ivshmem_vfio_pci_err_handlers = {
	.reset_done = ivshmem_vfio_pci_reset_done,
	.error_detected = vfio_pci_core_aer_err_detected,
};

static const struct pci_device_id ivshmem_vfio_pci_table[] = {
	/* ivshmem-plain and ivshmem-doorbell */
	{ PCI_DRIVER_OVERRIDE_DEVICE_VFIO(PCI_VENDOR_ID_REDHAT_QUMRANET,
					  PCI_DEVICE_ID_IVSHMEM) },
	{}
};
MODULE_DEVICE_TABLE(pci, ivshmem_vfio_pci_table);

static struct pci_driver ivshmem_vfio_pci_driver = {
	.name = KBUILD_MODNAME,
	.id_table = ivshmem_vfio_pci_table,
	.probe = ivshmem_vfio_pci_probe,
	.remove = ivshmem_vfio_pci_remove,
	.err_handler = &ivshmem_vfio_pci_err_handlers,
	.driver_managed_dma = true,
};
module_pci_driver(ivshmem_vfio_pci_driver);

MODULE_LICENSE("GPL");
#ifdef IVSHMEM_VFIO_VERSION
MODULE_VERSION(IVSHMEM_VFIO_VERSION);
#endif
MODULE_AUTHOR("The vfiomig authors");
MODULE_DESCRIPTION("VFIO PCI variant driver with migration for ivshmem");
