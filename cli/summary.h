/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of a save, of a restore or of a walk: the message of a failure, and the JSON object.
 * The pages of these commands document the keys. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "device.h"
#include "transfer.h"

/* Report the failure @err, and where the device is now. Returns the exit status, which also tells
 * whether the device was lost. */
int fail_transfer(const struct cli *cli, enum task task, int err, const char *why,
		  const struct vfiomig_result *result);

/* The same for all devices. @which: the one that the failure is about, if there is one of this
 * number. */
int fail_devices(struct cli *cli, enum task task, int err, const char *why,
		 const struct devices *devices, size_t which);

/* Each of these prints the JSON object; @error is NULL after success. @which is as above. Returns
 * 0, or the exit status after a message. */
int print_save(const struct transfer *t, const char *error, const struct devices *devices,
	       size_t which);
/* @holders: the PID of the process that holds each device, or 0 */
int print_restore(const struct transfer *t, const char *error, const struct devices *devices,
		  size_t which, const int holders[]);

/* The arcs that a device was driven along, with the time that each took. */
struct walk {
	int from;
	int arcs;
	int to[VFIOMIG_NR_STATES];
	uint64_t ns[VFIOMIG_NR_STATES];
};
/* @walk: NULL if the state was only read */
int print_walk(const struct cli *cli, const char *error, const struct walk *walk,
	       const struct vfiomig_result *result);

#endif
