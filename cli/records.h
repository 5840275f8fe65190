/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The records that a state consists of, on standard output. */
#ifndef RECORDS_H
#define RECORDS_H

#include "transfer.h"

/* For parsers: the name of a format, or of a driver that has it. Returns 0, or EINVAL after
 * usage_error(). */
error_t parse_driver(struct argp_state *state, const char *arg, const char **driver);

/* Print the records of the state at @fd, which is an image or raw. @driver: whose it is, or NULL.
 * Returns the exit status. */
int print_records(struct transfer *t, int fd, const char *driver);

#endif
