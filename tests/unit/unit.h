/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every unit test includes: cmocka, and the library from the inside. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../lib/internal.h"

#endif
