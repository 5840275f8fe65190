/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Structures of vfiomig.h that begin with their size in bytes, and grow at their end, so that
 * programs and libraries of different versions understand each other. The rules are those of
 * copy_struct_from_user() in the kernel.
 */
#ifndef VFIOMIG_SIZED_H
#define VFIOMIG_SIZED_H

#include <stddef.h>

#include "internal.h"

struct sized {
	const char *name, *init; /* of the structure, and of its initialiser */
	size_t first;		 /* the size of the first version; it never changes */
	size_t size;		 /* the size here */
	int unused;		 /* each byte of a member that is not in use */
};

/*
 * Describe struct vfiomig_NAME, whose first version ended with the member @last. No version may end
 * with padding, because a member that is added there does not make the structure larger.
 */
#define SIZED(of, last, initialiser, unused_byte)                             \
	{                                                                     \
		.name = "struct " #of,                                        \
		.init = initialiser,                                          \
		.first = SIZED_END(struct of, last),                          \
		.size = sizeof(struct of),                                    \
		.unused = unused_byte,                                        \
	};                                                                    \
	_Static_assert(SIZED_END(struct of, last) % _Alignof(struct of) == 0, \
		       "padding at the end of struct " #of)
#define SIZED_END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/* Whether the size of the caller's structure @given is that of any version. sized_check() returns
 * 0, or -EINVAL after ctx_fail(). */
bool sized_is_valid(const struct sized *type, const void *given);
int sized_check(struct vfiomig_ctx *ctx, const struct sized *type, const void *given);

/*
 * Copy the caller's structure into @own, which has the defaults of members that an older version
 * does not have. Returns 0, or after ctx_fail() -EINVAL if the size is not valid, or -E2BIG if
 * a member that is unknown here is in use.
 */
int sized_read(struct vfiomig_ctx *ctx, const struct sized *type, const void *given, void *own);

/* Copy @own to the caller's structure, whose size must be valid, and stays. Members that are
 * unknown here become unused. */
void sized_write(const struct sized *type, void *given, const void *own);

#endif
