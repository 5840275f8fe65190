/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VFIO driver fits a PCI function. */
#ifndef VFIOMIG_VARIANT_H
#define VFIOMIG_VARIANT_H

#include "device.h"

/* Returns the name of the VFIO driver that is made for this PCI function, or NULL if there is none
 * but vfio-pci, which fits every function. free() it. */
char *variant_driver_for(const struct vfiomig_device *dev);

struct variant {
	char *pattern, *module;
};

/* The "vfio_pci:" aliases of the kernel's modules, without that of vfio_pci itself. */
struct variants {
	struct variant *list;
	size_t n;
};

/* Read them. Returns 0, or a negative errno without a sentence: -ENOENT when the modules of this
 * kernel have no list of aliases. Free @v with variants_free() in both cases. */
int variants_read(const struct vfiomig_ctx *ctx, struct variants *v);
void variants_free(struct variants *v);
/* Whether one of the aliases fits the PCI function in the directory @syspath. */
bool variants_fit(const struct variants *v, const char *syspath);

#endif
