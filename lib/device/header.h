/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a PCI function answers at all, which the kernel shows without opening it. */
#ifndef VFIOMIG_HEADER_H
#define VFIOMIG_HEADER_H

#include "device.h"

/*
 * Read the type of the header in the configuration space of the PCI function. Returns that, or a
 * negative errno with a sentence:
 *  -EIO	the function does not answer, or has no header
 *  -EBUSY	the kernel lets nobody read it now, because somebody resets the function
 *  -EINTR	interrupted
 */
int header_read_type(const struct vfiomig_device *dev);

/*
 * Before the PCI function is opened, which resets it: the kernel waits for one that does not answer
 * for a minute or more, and no signal ends that. Returns 0, also if nothing can be told, or a
 * negative errno with a sentence.
 */
int header_check(const struct vfiomig_device *dev);

#endif
