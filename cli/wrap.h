/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that is broken into lines between its words. */
#ifndef WRAP_H
#define WRAP_H

#include <stddef.h>

/* Print @text after @before and @label, in lines that are not longer than @width, or in one line if
 * that is SIZE_MAX. All lines begin with @before, and have blanks in the place of @label. */
void print_wrapped(const char *before, const char *label, const char *text, size_t width);
/* The same after @done places, such as a word in colour, that were printed in the first line. */
void print_wrapped_after(size_t done, const char *label, const char *text, size_t width);

#endif
