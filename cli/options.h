/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that several commands have, in groups, each of which is a child of the commands'
 * parsers. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <argp.h>

#include "cli.h"

/* Parse a command's own arguments with @argp and @input, and the options of all commands into
 * @cli. Returns 0, or the exit status after a message. */
int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv, void *input);

/* For ARGP_KEY_INIT in parsers: give @input to the first @n children. Returns 0. */
error_t share_input(struct argp_state *state, int n, void *input);

/* The input of these is the struct cli. */
extern const struct argp argp_json;	  /* --json: one object */
extern const struct argp argp_json_lines; /* the same: an object on each line */
/* The argument DEV. A parser that has it as a child, and more arguments of its own, leaves the
 * first one to it: argp counts the arguments of each parser separately. */
extern const struct argp argp_name;
extern const struct argp argp_device; /* argp_name, and --wait */
extern const struct argp argp_open;   /* argp_device, --via and --vf-token */

#endif
