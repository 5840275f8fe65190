// SPDX-License-Identifier: LGPL-2.1-or-later
/* The formats that are known. */
#include "format.h"
#include "records.h"

/* Those with a magic number first, and at last the one that looks like many others. */
static const struct format *const formats[] = {
	&format_qat,  &format_ivshmem, &format_hisi_acc, &format_hisi_acc_v1,
	&format_mtty, &format_xe,      &format_virtio,	 &format_mlx5,
};

const struct format *format_get(size_t i)
{
	return i < ARRAY_SIZE(formats) ? formats[i] : NULL;
}

static bool is_same(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	return *a == *b;
}

bool format_is_of(const struct format *f, const char *driver)
{
	return is_same(f->name, driver) || is_same(f->driver, driver);
}

bool records_knows(const char *driver)
{
	for (size_t i = 0; driver && i < ARRAY_SIZE(formats); i++)
		if (format_is_of(formats[i], driver))
			return true;
	return false;
}

EXPORT const char *vfiomig_format_name(size_t i)
{
	/* Two formats of a driver follow each other. */
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		if ((!f || strcmp(formats[f]->name, formats[f - 1]->name) != 0) && i-- == 0)
			return formats[f]->name;
	return NULL;
}
