// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel module that lets the kernel believe, until it is unloaded, that a PCI device is in
 * D3hot: "modprobe asleep device=0000:00:10.0". QEMU's ivshmem device has no power states.
 */
#include <linux/module.h>
#include <linux/pci.h>

static char *device;
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "the device's address");

static struct pci_dev *pdev;

static int __init asleep_init(void)
{
	struct device *dev = bus_find_device_by_name(&pci_bus_type, NULL, device);

	if (!dev)
		return -ENODEV;
	pdev = to_pci_dev(dev);
	pdev->current_state = PCI_D3hot;
	return 0;
}

static void __exit asleep_exit(void)
{
	pdev->current_state = PCI_D0;
	pci_dev_put(pdev);
}

module_init(asleep_init);
module_exit(asleep_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Lets the kernel believe that a PCI device is asleep");
