/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an open device reports of itself, to be compared with sysfs. */
#ifndef VFIOMIG_FACTS_H
#define VFIOMIG_FACTS_H

#include <linux/pci_regs.h>

#include "config.h"
#include "sysdev.h"

struct facts {
	bool has_config;
	uint8_t config[CONFIG_SIZE_MAX];
	uint64_t bar[PCI_STD_NUM_BARS]; /* sizes in bytes */
	struct vfio_pci_hot_reset_info *reset;
};

/*
 * Read them from the device descriptor @fd, in a process of its own: the driver may not return from
 * one of the calls. A fact that cannot be read is left out. Returns 0 or a negative errno:
 * -ETIMEDOUT after a second. Release @facts with facts_free() in each case.
 */
int facts_read(struct vfiomig_ctx *ctx, int fd, struct facts *facts);
void facts_free(struct facts *facts);

/* The PCI ids that the device descriptor @fd shows; false if the device is no PCI function. */
bool facts_pci_id(int fd, uint32_t info_flags, struct vfiomig_pci_id *id);

/* Whether the facts fit a device of sysfs: the same vendor, device, subsystem and revision. */
bool facts_fit_ids(const struct sysdev *s, const struct facts *facts);
/* The same vendor. */
bool facts_fit_vendor(const struct sysdev *s, const struct facts *facts);
/* The device of sysfs is no PCI function, but a mediated device for example. */
bool facts_fit_no_function(const struct sysdev *s, const struct facts *facts);
/* BARs of the same sizes. */
bool facts_fit_bars(const struct sysdev *s, const struct facts *facts);
/* A hot reset of the open device would reset the device of sysfs. */
bool facts_fit_reset(const struct sysdev *s, const struct facts *facts);

#endif
