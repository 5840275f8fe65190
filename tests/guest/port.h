/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The port that a device is below, for the C programs that test in the guest. */
#ifndef PORT_H
#define PORT_H

#include <err.h>
#include <linux/pci_regs.h>

#include "file.h"

/* Read or write some of a function's configuration space behind VFIO's back. */
static inline void config(const char *name, bool writes, off_t at, void *data, size_t size)
{
	int fd = open(pci_file(name, "config"), O_RDWR | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : (writes ? pwrite(fd, data, size, at) : pread(fd, data, size, at));

	if (n != (ssize_t)size)
		err(1, "%s", name);
	close(fd);
}

/*
 * Let the device below the port vanish as if it had been pulled out, or come back. The port is told
 * that the bus below it has another number, so that nobody finds the device any more: it reads as
 * all ones.
 */
static inline void port_vanish(const char *port, bool gone)
{
	static unsigned char buses[2];
	static unsigned char nowhere[2] = { 0xee, 0xee };

	if (!gone) {
		config(port, true, PCI_SECONDARY_BUS, buses, 2);
		return;
	}
	config(port, false, PCI_SECONDARY_BUS, buses, 2);
	config(port, true, PCI_SECONDARY_BUS, nowhere, 2);
}

#endif
