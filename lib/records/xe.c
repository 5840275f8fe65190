// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * drivers/gpu/drm/xe/xe_sriov_packet_types.h. A DESCRIPTOR comes first, and a TRAILER last. The
 * descriptor has keys, lengths and values (KLVs) as the GuC's firmware has them.
 */
#include "format.h"

static const struct structure device = {
	.size = 4,
	.fields = (const struct field[]){ { "device", 0, 4, FIELD_HEX, 0, 0 }, { 0 } },
};

static const struct structure revision = {
	.size = 4,
	.fields = (const struct field[]){ { "revision", 0, 4, FIELD_HEX, 0, 0 }, { 0 } },
};

static const struct record_type keys[] = {
	{ .id = 0xf001, .name = "DEVICE_DEVID", .data = &device },
	{ .id = 0xf002, .name = "DEVICE_REVID", .data = &revision },
	{ 0 },
};

static const struct record_kind klv = {
	.header = {
		.size = 4,
		.fields = (const struct field[]){
			{ "length", 0, 2, FIELD_TOLD, 0, 0 },
			{ "key", 2, 2, FIELD_TOLD, 0, 0 },
			{ 0 },
		},
	},
	.length = { 0, 2, 4 },
	.type = { 2, 2, 1 },
	.types = keys,
};

static const struct record_type types[] = {
	{ .id = 1, .name = "DESCRIPTOR", .inside = &klv },
	{ .id = 2, .name = "TRAILER", .flags = TYPE_ENDS | TYPE_LAST },
	{ .id = 3, .name = "GGTT" },
	{ .id = 4, .name = "MMIO" },
	{ .id = 5, .name = "GUC" },
	{ .id = 6, .name = "VRAM" },
	{ 0 },
};

static const struct record_kind packet;

static const struct record_type *choose(const uint8_t *header, char *name)
{
	(void)name;
	if (header[0] != 1 || !header[1])
		return NULL;
	return header[1] <= 6 ? &types[header[1] - 1] : &packet.other;
}

static const struct record_kind packet = {
	.header = {
		.name = "xe_sriov_packet_hdr",
		.size = 24,
		.fields = (const struct field[]){
			{ "version", 0, 1, 0, 0, 0 },
			{ "type", 1, 1, FIELD_TOLD, 0, 0 },
			{ "tile_id", 2, 1, FIELD_KEY, 0, 0 },
			{ "gt_id", 3, 1, FIELD_KEY, 0, 0 },
			{ "flags", 4, 4, FIELD_HEX, 0, 0 },
			{ "offset", 8, 8, FIELD_HEX | FIELD_KEY, 0, 0 },
			{ "size", 16, 8, FIELD_TOLD, 0, 0 },
			{ 0 },
		},
	},
	.length = { 16, 8, 1 },
	.type = { 1, 1, 1 },
	.types = types,
	.choose = choose,
};

static enum likeness like(const uint8_t *p)
{
	uint64_t size = format_number(p + 16, 8), key = format_number(p + 26, 2);

	if (p[0] != 1 || p[1] != 1)
		return UNLIKE;
	return size && size % 4 == 0 && key >= 0xf001 && key <= 0xf002 ? ALIKE : POSSIBLE;
}

/* The driver compares them with the physical function's. */
static const struct requirement requirements[] = {
	{ "DEVICE_DEVID", "device", FACT_PF_DEVICE, false },
	{ "DEVICE_REVID", "revision", FACT_PF_REVISION, false },
	{ 0 },
};

const struct format format_xe = {
	.name = "xe",
	.driver = "xe-vfio-pci",
	.first = &packet,
	.final = "TRAILER",
	.like = like,
	.requirements = requirements,
};
