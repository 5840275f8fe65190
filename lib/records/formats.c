// SPDX-License-Identifier: LGPL-2.1-or-later
/* The formats that are known. */
#include <stdio.h>

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

const struct format *format_find(const char *driver, const uint8_t bytes[RECORDS_PEEK], size_t have)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const struct format *f = formats[i];

		if (driver && !format_is_of(f, driver))
			continue;
		/* Of a stream that ends in its first header, the driver is all there is. */
		if (driver && have < RECORDS_PEEK && have < f->first->header.size)
			return f;
		if (f->like(bytes) >= (driver ? POSSIBLE : ALIKE))
			return f;
	}
	/* Without a magic number only a guess is left. */
	return !driver && format_mlx5.like(bytes) == LIKELY ? &format_mlx5 : NULL;
}

const char *format_type_name(const struct field *f)
{
	if (f->how & FIELD_BYTES)
		return "bytes";
	return f->size == 1 ? "u8" : f->size == 2 ? "u16" : f->size == 4 ? "u32" : "u64";
}

void format_name_element(const struct field *f, unsigned int index, char name[FIELD_NAME])
{
	const char *bracket = strchr(f->name, ']');

	if (f->count && bracket)
		snprintf(name, FIELD_NAME, "%.*s%u%s", (int)(bracket - f->name), f->name, index,
			 bracket);
	else
		snprintf(name, FIELD_NAME, "%s", f->name);
}

bool records_knows(const char *driver)
{
	for (size_t i = 0; driver && i < ARRAY_SIZE(formats); i++)
		if (format_is_of(formats[i], driver))
			return true;
	return false;
}

EXPORT bool vfiomig_format_is_known(const char *driver)
{
	return records_knows(driver);
}

EXPORT const char *vfiomig_format_name(size_t i)
{
	/* Two formats of a driver follow each other. */
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		if ((!f || strcmp(formats[f]->name, formats[f - 1]->name) != 0) && i-- == 0)
			return formats[f]->name;
	return NULL;
}
