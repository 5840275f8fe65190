/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where two states differ, on standard output. */
#ifndef DIFFERENCES_H
#define DIFFERENCES_H

#include "transfer.h"

/*
 * Print where the states at the two descriptors differ. @names: those of the files. @driver: whose
 * states they are, or NULL. Returns the exit status: STATUS_OK if they are equal, STATUS_FAILED if
 * they differ, or another one after a message.
 */
int print_differences(struct transfer *t, const int fds[2], const char *const names[2],
		      const char *driver);
/*
 * The same for two sets, in files, that begin where the descriptors are now: device by device, by
 * their names. @headers: those of the images.
 */
int print_set_differences(struct transfer *t, const int fds[2], const char *const names[2],
			  const char *driver, char *const headers[2]);

#endif
