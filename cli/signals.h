/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signals: what they end, and how. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <stdbool.h>

struct vfiomig_ctx;

/* Ignore the signals that would end the program during a write(2), which then fails instead, and
 * SIGUSR2, which must not end a holder. Note SIGUSR1, which ends nothing and interrupts no system
 * call that can be restarted. */
void signals_begin(void);
/* Undo that, for another program that this process is about to run. */
void signals_restore(void);
/* From now on, a signal that ends programs interrupts the transfers of @ctx first. */
void signals_catch(struct vfiomig_ctx *ctx);
/* While the program waits for something and has nothing to undo: such a signal ends it at once, as
 * before signals_catch(). Returns false if a signal was caught already. */
bool signals_uncatch(void);
/* Catch them again. */
void signals_catch_again(void);
/* The context that signals_catch() got is about to go. Such a signal does nothing any more if all
 * was done (@status is 0), and ends the program otherwise. */
void signals_end(int status);
/* For a holder: SIGTERM interrupts it, even if the parent ignored or blocked that signal. */
void signals_hold(void);
/* If a signal was caught, end by that signal now. */
void signals_raise(void);
/* Whether a signal was caught. */
bool signals_came(void);
/* The program is going to wait for the other end of this FIFO. Until the next call, with NULL,
 * SIGUSR1 is answered by a line on standard error that says so. */
void signals_wait_fifo(const char *path);
/* Whether SIGUSR1 has come since the last call, and was not answered. */
bool signals_usr1(void);

#endif
