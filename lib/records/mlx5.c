// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * drivers/vfio/pci/mlx5/cmd.h, since Linux 6.3. The images of the firmware are opaque, and there is
 * one for each round of pre-copy. Nothing marks the last record.
 */
#include "format.h"

static const struct structure stop_copy_size = {
	.name = "mlx5_vf_migration_tag_stop_copy_data",
	.size = 8,
	.fields = (const struct field[]){ { "stop_copy_size", 0, 8, 0, 0, 0 }, { 0 } },
};

static const struct record_type types[] = {
	{ .id = 0, .name = "FW_DATA", .flags = TYPE_ENDS },
	{ .id = 1, .name = "STOP_COPY_SIZE", .data = &stop_copy_size },
	{ 0 },
};

static const struct record_kind record;

static const struct record_type *choose(const uint8_t *header, char *name)
{
	uint64_t tag = format_number(header + 12, 4);

	(void)name;
	if (format_number(header + 8, 4) > 1)
		return NULL;
	return tag < 2 ? &types[tag] : &record.other;
}

static const struct record_kind record = {
	.header = {
		.name = "mlx5_vf_migration_header",
		.size = 16,
		.fields = (const struct field[]){
			{ "record_size", 0, 8, FIELD_TOLD, 0, 0 },
			{ "flags", 8, 4, FIELD_HEX, 0, 0 },
			{ "tag", 12, 4, FIELD_TOLD, 0, 0 },
			{ 0 },
		},
	},
	.length = { 0, 8, 1 },
	.type = { 12, 4, 1 },
	.types = types,
	/* What a newer driver adds may be the last record. */
	.other = { .flags = TYPE_ENDS },
	.choose = choose,
};

static enum likeness like(const uint8_t *p)
{
	uint64_t size = format_number(p, 8);
	uint64_t flags = format_number(p + 8, 4), tag = format_number(p + 12, 4);

	if (tag == 1 && flags <= 1 && size == 8)
		return ALIKE;
	if (flags > 1 || tag > 1 || !size)
		return UNLIKE;
	/* Without pre-copy a stream begins with the firmware's image. */
	return size < 1ULL << 40 ? LIKELY : POSSIBLE;
}

const struct format format_mlx5 = {
	.name = "mlx5",
	.driver = "mlx5_vfio_pci",
	.first = &record,
	.final = "FW_DATA",
	.like = like,
};
