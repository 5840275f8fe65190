// SPDX-License-Identifier: LGPL-2.1-or-later
/* driver/format.h: a header, and then records up to END. */
#include "format.h"

static const struct structure regs = {
	.name = "ivshmem_vfio_regs_data",
	.size = 8,
	.fields =
		(const struct field[]){
			{ "intr_mask", 0, 4, FIELD_HEX, 0, 0 },
			{ "intr_status", 4, 4, FIELD_HEX, 0, 0 },
			{ 0 },
		},
};

static const struct structure end = {
	.name = "ivshmem_vfio_end_data",
	.size = 16,
	.fields =
		(const struct field[]){
			{ "length", 0, 8, 0, 0, 0 },
			{ "digest", 8, 8, FIELD_HEX, 0, 0 },
			{ 0 },
		},
};

static const struct record_type types[] = {
	{ .id = 1, .name = "MEM" },
	{ .id = 2, .name = "REGS", .data = &regs },
	{ .id = 3, .name = "END", .data = &end, .flags = TYPE_ENDS | TYPE_LAST },
	{ 0 },
};

static const struct record_kind record = {
	.header = {
		.name = "ivshmem_vfio_record",
		.size = 24,
		.fields = (const struct field[]){
			{ "type", 0, 4, FIELD_TOLD, 0, 0 },
			{ "reserved", 4, 4, FIELD_TOLD, 0, 0 },
			{ "offset", 8, 8, FIELD_HEX | FIELD_KEY, 0, 0 },
			{ "length", 16, 8, FIELD_TOLD, 0, 0 },
			{ 0 },
		},
	},
	.length = { 16, 8, 1 },
	.type = { 0, 4, 1 },
	.types = types,
};

static const struct record_kind header = {
	.header = {
		.name = "ivshmem_vfio_header",
		.size = 32,
		.fields = (const struct field[]){
			{ "magic", 0, 8, FIELD_HEX, 0, 0 },
			{ "version", 8, 4, 0, 0, 0 },
			{ "granule", 12, 4, 0, 0, 0 },
			{ "memory_size", 16, 8, 0, 0, 0 },
			{ "vectors", 24, 4, 0, 0, 0 },
			{ "revision", 28, 4, FIELD_HEX, 0, 0 },
			{ 0 },
		},
	},
	.other = { .name = "header", .next = &record },
};

static enum likeness like(const uint8_t *p)
{
	uint64_t version = format_number(p + 8, 4);

	return memcmp(p, "ivshmem", 8) == 0 && version >= 1 && version <= 2 ? ALIKE : UNLIKE;
}

/* Version 1 has zero for a revision. */
static const struct requirement requirements[] = {
	{ "header", "memory_size", FACT_BAR2_SIZE, false },
	{ "header", "revision", FACT_PCI_REVISION, true },
	{ 0 },
};

const struct format format_ivshmem = {
	.name = "ivshmem",
	.driver = "ivshmem_vfio_pci",
	.first = &header,
	.final = "END",
	.like = like,
	.requirements = requirements,
};
