/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that all commands have, and those of the commands that work on a device. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <argp.h>

#include "cli.h"

/* Parse a command's own arguments with @argp and @input, and the options of all commands into
 * @cli. Returns 0, or STATUS_USAGE after a message. */
int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv, void *input);

/* --wait, for the commands that work on a device, and with --via, for those
 * that open it; their input is the struct cli. */
extern const struct argp argp_wait, argp_device;
/* For parsers of commands with one positional argument, the device, and one of
 * the above as their first child. */
error_t parse_device(struct argp_state *state, int key, char *arg, struct cli *cli);

#endif
