// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of vfiomig.h that can fail, in its order. Each forgets what failed before, has the
 * room that is responsible do the work, and leaves a sentence if that failed and none if it did
 * not. The rooms themselves call each other's own functions, never these.
 */
#include "internal.h"

/* ---- Devices ------------------------------------------------------------- */

/* ---- Holders ------------------------------------------------------------- */

/* ---- Binding to drivers -------------------------------------------------- */

/* ---- Features of an open device ------------------------------------------ */

/* ---- Driving the state --------------------------------------------------- */

/* ---- Transfers ----------------------------------------------------------- */

/* ---- Looking into images ------------------------------------------------- */
