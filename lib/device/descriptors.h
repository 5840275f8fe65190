/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors of this process. */
#ifndef VFIOMIG_DESCRIPTORS_H
#define VFIOMIG_DESCRIPTORS_H

/* Close the descriptors from @first to @last, or all from @first on if @last is negative. It
 * allocates no memory. */
void descriptors_close(int first, int last);

#endif
