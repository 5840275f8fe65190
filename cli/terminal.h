/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal that standard output may be. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* The places in a line of the terminal. Without a terminal, there is no limit: SIZE_MAX. */
size_t line_width(void);
bool wants_colour(void);

#endif
