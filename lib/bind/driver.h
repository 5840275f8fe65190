/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PCI drivers, by their names or by those of their modules. */
#ifndef VFIOMIG_DRIVER_H
#define VFIOMIG_DRIVER_H

#include "internal.h"

/*
 * The PCI driver that @name means, which may be that of its module as well
 * (vfio_pci for vfio-pci). One that the kernel has not got yet is loaded if
 * @load says so; else it is enough that its module is there, and @driver is the
 * name that it will probably have. Returns 0, -ENOENT when there is none, or
 * another negative errno; free() @driver.
 */
int driver_find(struct vfiomig_ctx *ctx, const char *name, bool load, char **driver);

#endif
