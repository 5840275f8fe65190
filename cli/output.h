/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where an image goes: standard output, or a file that gets its name only when it is whole. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "cli.h"

#define TEMPORARY_NAME sizeof(".vfiomig.XXXXXX")

struct output {
	int fd;
	/* The file to be renamed, or "", and the name that it gets in dir. */
	char temporary[TEMPORARY_NAME];
	int dir;
	char *name;
	int input;  /* the descriptor that the command reads from, or -1 */
	bool named; /* the file was renamed, whatever failed after that */
};

/* Open @path; NULL or "-" is standard output. A file that is @input, too, is refused before it is
 * changed; @input is -1 if the command reads no file. Returns 0, or the exit status after a
 * message. */
int output_open(const struct cli *cli, struct output *out, const char *path, int input);
/* Make the image durable and give it its name. Returns 0 or a negative errno; the output is closed
 * in both cases. */
int output_commit(struct output *out);
/* Close the output and remove what was written. */
void output_discard(struct output *out);

/* The reason that output_commit() failed with @err, as a sentence; @path as for output_open(). */
#define OUTPUT_WHY 4096
void output_why(const struct output *out, const char *path, int err, char why[OUTPUT_WHY]);
/* Print that sentence. Returns the exit status. */
int fail_output(const struct cli *cli, const struct output *out, const char *path, int err);

/* Whether a write to @fd would go into the file that @input reads. */
bool prints_to(int fd, int input);
/* Whether a write to @fd would go into the file @path; NULL or "-" is standard output. */
bool output_is(const char *path, int fd);
/* Whether a write to @fd would go into the image. */
bool output_shares(const struct output *out, int fd);

#endif
