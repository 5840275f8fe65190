// SPDX-License-Identifier: LGPL-2.1-or-later
/* Structures that begin with their size. */
#include "sized.h"

/* More than this is no size, but a structure that was not initialised. */
#define SIZE_MOST 4096

static size_t size_of(const void *structure)
{
	return *(const size_t *)structure;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

bool sized_is_valid(const struct sized *type, const void *given)
{
	return size_of(given) >= type->first && size_of(given) <= SIZE_MOST;
}

int sized_check(struct vfiomig_ctx *ctx, const struct sized *type, const void *given)
{
	if (sized_is_valid(type, given))
		return 0;
	return ctx_fail(ctx, -EINVAL, "%s has no valid size (%zu); initialise it with %s",
			type->name, size_of(given), type->init);
}

/* Whether the caller's structure has nothing that is unknown here. */
static bool is_known(const struct sized *type, const void *given)
{
	const unsigned char *rest = (const unsigned char *)given + type->size;

	return size_of(given) <= type->size ||
	       (*rest == type->unused && is_constant(rest, size_of(given) - type->size));
}

int sized_read(struct vfiomig_ctx *ctx, const struct sized *type, const void *given, void *own)
{
	int err = sized_check(ctx, type, given);

	if (err)
		return err;
	if (!is_known(type, given))
		return ctx_fail(ctx, -E2BIG,
				"%s has a member that is newer than this libvfiomig (%s)",
				type->name, VERSION);
	memcpy(own, given, smaller(size_of(given), type->size));
	*(size_t *)own = type->size;
	return 0;
}

void sized_write(const struct sized *type, void *given, const void *own)
{
	size_t size = size_of(given);

	memcpy(given, own, smaller(size, type->size));
	if (size > type->size)
		memset((char *)given + type->size, type->unused, size - type->size);
	*(size_t *)given = size;
}
