/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of devices and states, as other tools print them. */
#ifndef SPELLING_H
#define SPELLING_H

#include <stdbool.h>

/* @name in our own spelling; or @name itself, if it is not a spelling of another tool. The text may
 * be overwritten by the next call. */
const char *spell_device(const char *name);
/* Whether @name has the shape of a device's name, in our own spelling. */
bool names_device(const char *name);

/* The number of the state that @name is in any spelling, or a negative number. */
int spell_state(const char *name);
/* The state that somebody may mean who writes @name, or NULL. @seen: see parse_state() */
const char *guess_state(const char *name, bool seen);

#endif
