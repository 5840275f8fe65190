/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where an image comes from. */
#ifndef INPUT_H
#define INPUT_H

#include "cli.h"

/*
 * Open @path; NULL or "-" is standard input. A terminal is refused. @mute: standard error is part
 * of the output, so SIGUSR1 prints nothing. Returns a descriptor, or a negative number after a
 * message, with the exit status in *@status.
 */
int open_input(const struct cli *cli, const char *path, bool mute, int *status);

/* Refuse two inputs that are one stream. @names are for the message. Returns the exit status. */
int keep_streams_apart(const struct cli *cli, const int fds[2], const char *const names[2]);

#endif
