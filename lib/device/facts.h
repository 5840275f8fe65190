/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an open device reports of itself, to be compared with sysfs. */
#ifndef VFIOMIG_FACTS_H
#define VFIOMIG_FACTS_H

#include <linux/pci_regs.h>

#include "config.h"

struct facts {
	bool has_config;
	uint8_t config[CONFIG_SIZE_MAX];
	uint64_t bar[PCI_STD_NUM_BARS]; /* sizes in bytes */
	struct vfio_pci_hot_reset_info *reset;
};

void facts_read(struct vfiomig_ctx *ctx, int fd, struct facts *facts);
void facts_free(struct facts *facts);

/* The PCI ids that an open device shows; false if it is no PCI function. */
bool facts_pci_id(const struct vfiomig_device *dev, struct vfiomig_pci_id *id);

/* The PCI ids of both are the same. */
bool facts_fit_ids(const struct vfiomig_device *dev, const struct facts *facts);
bool facts_fit_vendor(const struct vfiomig_device *dev, const struct facts *facts);
/* The one in sysfs is no PCI function, but a mediated device for example. */
bool facts_fit_no_function(const struct vfiomig_device *dev, const struct facts *facts);
/* The sizes of the BARs are the same. */
bool facts_fit_bars(const struct vfiomig_device *dev, const struct facts *facts);
/* A hot reset of the device would reset the one in sysfs. */
bool facts_fit_reset(const struct vfiomig_device *dev, const struct facts *facts);

#endif
