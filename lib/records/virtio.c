// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * drivers/vfio/pci/virtio/common.h. Each record is a complete state of the device, of which the
 * last one counts. It consists of the device parts of include/uapi/linux/virtio_pci.h, whose types
 * are in the virtio specification.
 */
#include "format.h"

/*
 * The values of the parts. Those of virtual queues are struct virtio_dev_part_vq_cfg and struct
 * virtio_dev_part_vq_notify_data of the specification, and their selector is the queue's number.
 */
static const struct structure features = {
	.size = 32,
	.fields = (const struct field[]){ { "features[]", 0, 8, FIELD_HEX, 4, 8 }, { 0 } },
};

static const struct structure common_cfg = {
	.name = "virtio_pci_common_cfg",
	.size = 56,
	.fields =
		(const struct field[]){
			{ "device_feature_select", 0, 4, 0, 0, 0 },
			{ "device_feature", 4, 4, FIELD_HEX, 0, 0 },
			{ "guest_feature_select", 8, 4, 0, 0, 0 },
			{ "guest_feature", 12, 4, FIELD_HEX, 0, 0 },
			{ "msix_config", 16, 2, FIELD_HEX, 0, 0 },
			{ "num_queues", 18, 2, 0, 0, 0 },
			{ "device_status", 20, 1, FIELD_HEX, 0, 0 },
			{ "config_generation", 21, 1, 0, 0, 0 },
			{ "queue_select", 22, 2, 0, 0, 0 },
			{ "queue_size", 24, 2, 0, 0, 0 },
			{ "queue_msix_vector", 26, 2, FIELD_HEX, 0, 0 },
			{ "queue_enable", 28, 2, 0, 0, 0 },
			{ "queue_notify_off", 30, 2, 0, 0, 0 },
			{ "queue_desc_lo", 32, 4, FIELD_HEX, 0, 0 },
			{ "queue_desc_hi", 36, 4, FIELD_HEX, 0, 0 },
			{ "queue_avail_lo", 40, 4, FIELD_HEX, 0, 0 },
			{ "queue_avail_hi", 44, 4, FIELD_HEX, 0, 0 },
			{ "queue_used_lo", 48, 4, FIELD_HEX, 0, 0 },
			{ "queue_used_hi", 52, 4, FIELD_HEX, 0, 0 },
			{ 0 },
		},
};

/* A part usually has one register of that structure, whose offset is in the selector. */
#define REGISTER(at, bytes, called, as)                                                           \
	[at] = { .name = "PCI_COMMON_CFG",                                                        \
		 .data = &(const struct structure){                                               \
			 .size = bytes,                                                           \
			 .fields =                                                                \
				 (const struct field[]){ { called, 0, bytes, as, 0, 0 }, { 0 } }, \
		 } }

/* clang-format off */
static const struct record_type registers[] = {
	REGISTER(0, 4, "device_feature_select", 0),
	REGISTER(4, 4, "device_feature", FIELD_HEX),
	REGISTER(8, 4, "guest_feature_select", 0),
	REGISTER(12, 4, "guest_feature", FIELD_HEX),
	REGISTER(16, 2, "msix_config", FIELD_HEX),
	REGISTER(18, 2, "num_queues", 0),
	REGISTER(20, 1, "device_status", FIELD_HEX),
	REGISTER(21, 1, "config_generation", 0),
	REGISTER(22, 2, "queue_select", 0),
	REGISTER(24, 2, "queue_size", 0),
	REGISTER(26, 2, "queue_msix_vector", FIELD_HEX),
	REGISTER(28, 2, "queue_enable", 0),
	REGISTER(30, 2, "queue_notify_off", 0),
	REGISTER(32, 4, "queue_desc_lo", FIELD_HEX),
	REGISTER(36, 4, "queue_desc_hi", FIELD_HEX),
	REGISTER(40, 4, "queue_avail_lo", FIELD_HEX),
	REGISTER(44, 4, "queue_avail_hi", FIELD_HEX),
	REGISTER(48, 4, "queue_used_lo", FIELD_HEX),
	REGISTER(52, 4, "queue_used_hi", FIELD_HEX),
	REGISTER(56, 2, "queue_notify_data", FIELD_HEX),
	REGISTER(58, 2, "queue_reset", 0),
};
/* clang-format on */

static const struct structure queue = {
	.size = 32,
	.fields =
		(const struct field[]){
			{ "queue_size", 0, 2, 0, 0, 0 },
			{ "vector", 2, 2, FIELD_HEX, 0, 0 },
			{ "enabled", 4, 2, 0, 0, 0 },
			{ "reserved", 6, 2, FIELD_HEX, 0, 0 },
			{ "queue_desc", 8, 8, FIELD_HEX, 0, 0 },
			{ "queue_driver", 16, 8, FIELD_HEX, 0, 0 },
			{ "queue_device", 24, 8, FIELD_HEX, 0, 0 },
			{ 0 },
		},
};

static const struct structure notify = {
	.size = 8,
	.fields =
		(const struct field[]){
			{ "queue_notify_off", 0, 2, 0, 0, 0 },
			{ "queue_notif_config_data", 2, 2, FIELD_HEX, 0, 0 },
			{ "reserved", 4, 4, FIELD_HEX, 0, 0 },
			{ 0 },
		},
};

static const struct structure status = {
	.size = 1,
	.fields = (const struct field[]){ { "device_status", 0, 1, FIELD_HEX, 0, 0 }, { 0 } },
};

#define PCI_COMMON_CFG 0x102

static const struct record_type unknown_register = { .name = "PCI_COMMON_CFG" };

static const struct record_type part_types[] = {
	{ .id = 0x100, .name = "DEV_FEATURES", .data = &features },
	{ .id = 0x101, .name = "DRV_FEATURES", .data = &features },
	{ .id = PCI_COMMON_CFG, .name = "PCI_COMMON_CFG", .data = &common_cfg },
	{ .id = 0x103, .name = "DEVICE_STATUS", .data = &status },
	{ .id = 0x104, .name = "VQ_CFG", .data = &queue },
	{ .id = 0x105, .name = "VQ_NOTIFY_CFG", .data = &notify },
	{ 0 },
};

static const struct record_kind part;

static const struct record_type *choose_part(const uint8_t *header, char *name)
{
	uint64_t type = format_number(header, 2), offset = format_number(header + 4, 4);
	uint64_t length = format_number(header + 12, 4);
	const struct record_type *t = part_types;

	(void)name;
	if (type == PCI_COMMON_CFG && offset < ARRAY_SIZE(registers) && registers[offset].name &&
	    registers[offset].data->size == length)
		return &registers[offset];
	/* From another offset on, the fields are not those of the whole structure. */
	if (type == PCI_COMMON_CFG && offset)
		return &unknown_register;
	while (t->name && t->id != type)
		t++;
	return t->name ? t : &part.other;
}

static const struct record_kind part = {
	.header = {
		.name = "virtio_dev_part_hdr",
		.size = 16,
		.fields = (const struct field[]){
			{ "part_type", 0, 2, FIELD_TOLD, 0, 0 },
			{ "flags", 2, 1, FIELD_HEX, 0, 0 },
			{ "selector", 4, 8, FIELD_KEY, 0, 0 },
			{ "length", 12, 4, FIELD_TOLD, 0, 0 },
			{ 0 },
		},
	},
	.length = { 12, 4, 1 },
	.type = { 0, 2, 1 },
	.types = part_types,
	.choose = choose_part,
};

static const struct record_type types[] = {
	{ .id = 0, .name = "DEVICE_DATA", .inside = &part, .flags = TYPE_ENDS },
	{ 0 },
};

static const struct record_kind record;

static const struct record_type *choose(const uint8_t *header, char *name)
{
	(void)name;
	if (format_number(header + 8, 4) > 1)
		return NULL;
	return format_number(header + 12, 4) == 0 ? &types[0] : &record.other;
}

static const struct record_kind record = {
	.header = {
		.name = "virtiovf_migration_header",
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
	uint64_t size = format_number(p, 8), part_type = format_number(p + 16, 2);

	if (format_number(p + 8, 4) > 1 || format_number(p + 12, 4) || !size || size > UINT32_MAX)
		return UNLIKE;
	return size >= 16 && part_type >= 0x100 && part_type <= 0x105 ? ALIKE : POSSIBLE;
}

const struct format format_virtio = {
	.name = "virtio",
	.driver = "virtio_vfio_pci",
	.first = &record,
	.final = "DEVICE_DATA",
	.like = like,
};
