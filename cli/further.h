/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which command looks further into a failure. */
#ifndef FURTHER_H
#define FURTHER_H

#include "cli.h"

#define FURTHER 320

/* @text receives the end of the sentence @why, which names that command, or "". */
void find_further(const struct cli *cli, enum task task, int err, const char *why,
		  char text[FURTHER]);

#endif
