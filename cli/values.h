/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The values of options. */
#ifndef VALUES_H
#define VALUES_H

#include <argp.h>

/*
 * Join values to options that take theirs only in the same word, where it is clear that the next
 * word is one: "--wait 5" becomes "--wait=5". Changes @argv, and @argc. @in_order: the options end
 * at the second argument, a command line; @files: the arguments are files, which can have any name.
 *
 * Returns NULL; or a sentence, which the caller frees, about an option that nearly exists or a
 * value that could be a file as well.
 */
char *join_values(const struct argp *argp, int *argc, char **argv, bool in_order, bool files);

/* The long option that @word is, without the dashes in front, or NULL. */
const char *option_called(const struct argp *argp, const char *word);

#endif
