/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors of this process. */
#ifndef VFIOMIG_DESCRIPTORS_H
#define VFIOMIG_DESCRIPTORS_H

#include <stddef.h>

/* Close the descriptors from @first to @last, or all from @first on if @last is negative. It
 * allocates no memory. */
void descriptors_close(int first, int last);
/* Close all from @first on, except those in @keep, which has room for @count, may have negative
 * numbers and duplicates, and is sorted by this. */
void descriptors_close_others(int first, int *keep, size_t count);

#endif
