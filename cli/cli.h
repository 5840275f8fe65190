/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of the program: the command, the device that it works on, and the options that all
 * commands have. The commands reach a device only through vfiomig.h.
 *
 * Each file has a header for what it offers. A file includes only headers of files that come before
 * it in this list, so that no two of them need each other:
 *
 *	status, cli (this header), rundir, further, printable, message, signals, stream, wrap,
 *	notify, place, terminal, table, names, user, json, words, spelling, values, arguments,
 *	options, device, holder, output, input, transfer, progress, trend, describe, records,
 *	differences, summary, report, commands/, main
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <sys/types.h>
#include <vfiomig.h>

#include "status.h"

/* Images and states are larger than 2 GiB, on 32-bit machines too. */
_Static_assert(sizeof(off_t) == 8, "-D_FILE_OFFSET_BITS=64 is missing");

/* A device of save or restore. */
struct target {
	char *device; /* as the user named it */
	char *name;   /* what the image calls it, or NULL */
};

struct cli {
	struct vfiomig_ctx *ctx;
	const char *command; /* "save" */
	const char *device;  /* as the user named it, or NULL, also where it is about several */
	const struct target *targets; /* of save and restore: all devices */
	int nr_targets;
	char usage_name[32];   /* "vfiomig save", for the usage message */
	char message_name[32]; /* "vfiomig: save", for getopt's messages */
	enum vfiomig_via via;
	const char *vf_token; /* or NULL */
	int wait;      /* seconds to wait for other commands; negative: as long as it takes */
	bool in_order; /* the options end at the command's first argument */
	bool verbose, quiet;
	bool json; /* print a JSON object instead of text */
};

/* Each file in commands/ defines one or two of these, named cmd_NAME; main.c lists them. */
struct command {
	const char *name;
	const char *help;				     /* one line, for "vfiomig --help" */
	int (*main)(struct cli *cli, int argc, char **argv); /* returns the exit status */
};

#endif
