/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of PCI devices in pci.ids. */
#ifndef NAMES_H
#define NAMES_H

#include <vfiomig.h>

/* Each returns @name, or NULL if pci.ids has no name. */
const char *pci_vendor_name(const struct vfiomig_pci_id *id, char *name, int size);
const char *pci_device_name(const struct vfiomig_pci_id *id, char *name, int size);
const char *pci_class_name(const struct vfiomig_pci_id *id, char *name, int size);

#endif
