/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCI drivers, by their names or by those of their modules. */
#ifndef VFIOMIG_DRIVER_H
#define VFIOMIG_DRIVER_H

#include "internal.h"

/*
 * Find the PCI driver called @name, which may also be the name of its module (vfio_pci for
 * vfio-pci). With @load, load the module if the kernel does not have the driver. Without @load it
 * is enough that the module is there, and @driver is the name that the driver will probably have.
 * Returns 0, -ENOENT when there is no such driver, or another negative errno. free() @driver.
 */
int driver_find(struct vfiomig_ctx *ctx, const char *name, bool load, char **driver);

#endif
