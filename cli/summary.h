/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came of a save, of a restore or of a walk: the message of a failure, and the JSON object.
 * The pages of these commands document the keys. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "transfer.h"

/* Report the failure @err, and where the device is now. Returns the exit status, which also tells
 * whether the device was lost. */
int fail_transfer(const struct cli *cli, enum task task, int err, const char *why,
		  const struct vfiomig_result *result);

/* Each of these prints the JSON object; @error is NULL after success. Returns 0, or the exit status
 * after a message. */
int print_save(const struct transfer *t, const char *error, const struct vfiomig_result *result);
/* @holder: the PID of the process that holds the device, or 0 */
int print_restore(const struct transfer *t, const char *error, const struct vfiomig_result *result,
		  int holder);

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
