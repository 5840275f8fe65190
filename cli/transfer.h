/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the commands that move state. */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <argp.h>
#include <stdio.h>

#include "cli.h"
#include "output.h"

struct transfer {
	struct cli *cli;
	struct vfiomig_options opt;
	const char *input, *output; /* NULL for standard input and output */
	bool json;		    /* print a summary at the end */
	FILE *summary;		    /* where the summary goes, see keep_apart() */
	bool mute;		    /* standard error is part of the image: print nothing there */
	enum progress_mode {
		PROGRESS_AUTO,
		PROGRESS_ALWAYS,
		PROGRESS_NEVER
	} progress;
};
/* Versions of clang-format differ about macros that are initializers. */
/* clang-format off */
#define TRANSFER_INIT(c) { .cli = (c), .opt = VFIOMIG_OPTIONS_INIT }
/* clang-format on */

/* With a struct transfer as input: the options of all, with those for making
 * frames, and those of save and restore, with the device. */
extern const struct argp argp_transfer, argp_frames, argp_session;

/* Keep messages out of the image: choose where the summary goes, and refuse what cannot be kept
 * apart. @talks: success is reported on standard error. Returns 0, or the exit status after a
 * message and output_discard(). */
int keep_apart(struct transfer *t, struct output *out, bool talks);

#endif
