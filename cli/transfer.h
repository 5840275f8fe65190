/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of the commands that move state or read images. */
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
	FILE *summary;		    /* where the JSON object goes, see keep_apart() */
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

/* Groups of options, as in options.h. The input of these is the struct transfer. */
extern const struct argp argp_progress; /* --progress */
extern const struct argp argp_transfer; /* argp_progress and -T */
extern const struct argp argp_frames;	/* argp_transfer, -z and --chunk-size: to make an image */
extern const struct argp argp_output;	/* -o */
extern const struct argp argp_file;	/* the argument [FILE], which is the input */
extern const struct argp argp_one;	/* --device, of an image of several */
extern const struct argp argp_session;	/* argp_open, argp_json, --leave and --raw */

/* Keep messages out of the image: choose where the JSON object goes, and refuse what cannot be kept
 * apart. @talks: success is reported on standard error. Returns 0, or the exit status after a
 * message and output_discard(). */
int keep_apart(struct transfer *t, struct output *out, bool talks);

#endif
