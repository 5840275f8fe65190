/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The data_fds of other processes, through which the state of devices moves. The driver gives each
 * of them the name of an anonymous inode, by which /proc shows it.
 */
#ifndef VFIOMIG_DATAFD_H
#define VFIOMIG_DATAFD_H

#include "internal.h"

struct datafd {
	int number;  /* in its process */
	bool writes; /* a state is loaded through it */
	bool counts; /* its driver counts the bytes that move, in the position of the file: */
	uint64_t moved;
	char name[32]; /* "mlx5vf_mig" */
};

/*
 * Find the data_fds of process @pid that are for a state that is saved, or for one that is loaded
 * (@writes). Those of another driver than @driver are left out, as far as the names tell; NULL if
 * the driver is not known. Returns how many there are, of which @list has @max at most, or a
 * negative errno with a sentence.
 */
int datafd_find(struct vfiomig_ctx *ctx, int pid, const char *driver, bool writes,
		struct datafd *list, size_t max);

/*
 * Whether VFIO_MIG_GET_PRECOPY_INFO changes nothing for the process that has a data_fd of this
 * name. The drivers that are not known are not trusted with that.
 */
bool datafd_may_be_asked(const char *name);

#endif
