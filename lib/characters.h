/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which characters may be shown. The command line has the same rule as the library, and includes
 * this header for that. */
#ifndef VFIOMIG_CHARACTERS_H
#define VFIOMIG_CHARACTERS_H

#include <stdbool.h>
#include <unictype.h>

/*
 * Returns false for what must not reach a terminal: control characters, what ends a line, and what
 * has no shape but changes how the text around it looks, such as the direction in which it runs.
 */
static inline bool is_printable(ucs4_t c)
{
	const uint32_t hidden = UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Cs |
				UC_CATEGORY_MASK_Co | UC_CATEGORY_MASK_Cn | UC_CATEGORY_MASK_Zl |
				UC_CATEGORY_MASK_Zp;

	/* The UTF-8 of some locales goes further than Unicode. */
	return c <= 0x10ffff && !uc_is_general_category_withtable(c, hidden) &&
	       !uc_is_property_default_ignorable_code_point(c);
}

#endif
