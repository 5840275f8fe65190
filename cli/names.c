// SPDX-License-Identifier: GPL-2.0-or-later
/* The names of PCI devices in pci.ids, through libpci. */
#include <pci/pci.h>
#include <stdio.h>
#include <stdlib.h>

#include "names.h"

static struct pci_access *names;

static void close_names(void)
{
	pci_cleanup(names);
}

/* Without pci.ids there are no names. That is not worth a warning. */
__attribute__((format(printf, 1, 2))) static void say_nothing(char *fmt, ...)
{
	(void)fmt;
}

/* Open only the list of names, not the bus. */
static struct pci_access *open_names(void)
{
	if (!names) {
		names = pci_alloc();
		/* Return no text for numbers that are not in the list. */
		names->numeric_ids = 0;
		/* pci_init() would set these, but it also looks for a bus. */
		names->warning = say_nothing;
		names->debug = say_nothing;
		atexit(close_names);
	}
	return names;
}

static const char *look_up(int flags, char *name, int size, int a, int b)
{
	return pci_lookup_name(open_names(), name, size, flags | PCI_LOOKUP_NO_NUMBERS, a, b);
}

const char *pci_vendor_name(const struct vfiomig_pci_id *id, char *name, int size)
{
	return look_up(PCI_LOOKUP_VENDOR, name, size, id->vendor, 0);
}

const char *pci_device_name(const struct vfiomig_pci_id *id, char *name, int size)
{
	return look_up(PCI_LOOKUP_DEVICE, name, size, id->vendor, id->device);
}

const char *pci_class_name(const struct vfiomig_pci_id *id, char *name, int size)
{
	return look_up(PCI_LOOKUP_CLASS, name, size, id->class_code >> 8, 0);
}
