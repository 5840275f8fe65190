/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals: what they end, and how. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

struct vfiomig_ctx;

/* Ignore the signals that would end the program during a write(2), which then fails instead. */
void signals_ignore(void);
/* Undo that, for another program that this process is about to run. */
void signals_restore(void);
/* From now on, a signal that ends programs interrupts the transfers of @ctx first. */
void signals_catch(struct vfiomig_ctx *ctx);
/* For a holder: SIGTERM interrupts it, even if the parent ignored or blocked that signal. */
void signals_hold(void);
/* If a signal was caught, end by that signal now. */
void signals_raise(void);
/* Whether a signal was caught. */
bool signals_came(void);
/* Whether SIGUSR1 has come since the last call. */
bool signals_usr1(void);

#endif
