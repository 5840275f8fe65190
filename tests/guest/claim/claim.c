// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel module that claims a BAR of a PCI device, like a driver that has not given the BAR back:
 * "modprobe claim device=0000:00:10.0 bar=2".
 */
#include <linux/module.h>
#include <linux/pci.h>

static char *device;
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the device's address");

static int bar;
module_param(bar, int, 0);
MODULE_PARM_DESC(bar, "the number of the BAR");

static struct pci_dev *pdev;

static int __init claim_init(void)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, device);
	int err;

	if (!dev)
		return -ENODEV;
	pdev = to_pci_dev(dev);
	err = pci_request_region(pdev, bar, KBUILD_MODNAME);
	if (err)
		pci_dev_put(pdev);
	return err;
}

static void __exit claim_exit(void)
{
	pci_release_region(pdev, bar);
	pci_dev_put(pdev);
}

module_init(claim_init);
module_exit(claim_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Claims a BAR of a PCI device");
