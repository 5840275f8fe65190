/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The nodes in /dev that a function has by its driver, told apart by their device numbers. */
#ifndef VFIOMIG_NODES_H
#define VFIOMIG_NODES_H

#include <sys/types.h>

#include "device.h"

struct node_number {
	mode_t type; /* S_IFCHR, S_IFBLK */
	dev_t number;
};

struct nodes {
	struct node_number *list;
	size_t count;
};

/*
 * Find the nodes of the function. Returns 0, or a negative errno without a sentence if there may be
 * more: the driver does not tell them in time, or there is no memory. Free @nodes in each case.
 */
int nodes_read(const struct vfiomig_device *dev, struct nodes *nodes);
void nodes_free(struct nodes *nodes);
bool nodes_have(const struct nodes *nodes, mode_t type, dev_t number);

#endif
