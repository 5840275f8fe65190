// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * drivers/crypto/intel/qat/qat_common/adf_mstate_mgr.c and adf_gen4_vf_mig.c. A stream always has
 * 4096 bytes: the setup, the state, and what is not used. Each of the two is a preamble and
 * sections, which have sections in them.
 */
#include <ctype.h>
#include <stdio.h>

#include "format.h"

#define MAGIC 0xadf5caea

static const struct structure number_u8 = {
	.size = 1,
	.fields = (const struct field[]){ { "value", 0, 1, 0, 0, 0 }, { 0 } },
};

static const struct structure number_u16 = {
	.size = 2,
	.fields = (const struct field[]){ { "value", 0, 2, FIELD_HEX, 0, 0 }, { 0 } },
};

static const struct structure number_u32 = {
	.size = 4,
	.fields = (const struct field[]){ { "value", 0, 4, FIELD_HEX, 0, 0 }, { 0 } },
};

static const struct structure bank_state = {
	.name = "adf_bank_state",
	.size = 472,
	.fields =
		(const struct field[]){
			{ "ringstat0", 0, 4, FIELD_HEX, 0, 0 },
			{ "ringstat1", 4, 4, FIELD_HEX, 0, 0 },
			{ "ringuostat", 8, 4, FIELD_HEX, 0, 0 },
			{ "ringestat", 12, 4, FIELD_HEX, 0, 0 },
			{ "ringnestat", 16, 4, FIELD_HEX, 0, 0 },
			{ "ringnfstat", 20, 4, FIELD_HEX, 0, 0 },
			{ "ringfstat", 24, 4, FIELD_HEX, 0, 0 },
			{ "ringcstat0", 28, 4, FIELD_HEX, 0, 0 },
			{ "ringcstat1", 32, 4, FIELD_HEX, 0, 0 },
			{ "ringcstat2", 36, 4, FIELD_HEX, 0, 0 },
			{ "ringcstat3", 40, 4, FIELD_HEX, 0, 0 },
			{ "iaintflagen", 44, 4, FIELD_HEX, 0, 0 },
			{ "iaintflagreg", 48, 4, FIELD_HEX, 0, 0 },
			{ "iaintflagsrcsel0", 52, 4, FIELD_HEX, 0, 0 },
			{ "iaintflagsrcsel1", 56, 4, FIELD_HEX, 0, 0 },
			{ "iaintcolen", 60, 4, FIELD_HEX, 0, 0 },
			{ "iaintcolctl", 64, 4, FIELD_HEX, 0, 0 },
			{ "iaintflagandcolen", 68, 4, FIELD_HEX, 0, 0 },
			{ "ringexpstat", 72, 4, FIELD_HEX, 0, 0 },
			{ "ringexpintenable", 76, 4, FIELD_HEX, 0, 0 },
			{ "ringsrvarben", 80, 4, FIELD_HEX, 0, 0 },
			{ "reserved0", 84, 4, FIELD_HEX, 0, 0 },
			{ "rings[].base", 88, 8, FIELD_HEX, 16, 24 },
			{ "rings[].config", 96, 4, FIELD_HEX, 16, 24 },
			{ "rings[].head", 100, 4, FIELD_HEX, 16, 24 },
			{ "rings[].tail", 104, 4, FIELD_HEX, 16, 24 },
			{ "rings[].reserved0", 108, 4, FIELD_HEX, 16, 24 },
			{ 0 },
		},
};

/* As many limits of the rate as there are. */
static const struct structure slas = {
	.name = "mig_user_sla",
	.size = 96,
	.fields =
		(const struct field[]){
			{ "sla[].srv", 0, 4, 0, 4, 24 },
			{ "sla[].rp_mask", 8, 8, FIELD_HEX, 4, 24 },
			{ "sla[].cir", 16, 4, 0, 4, 24 },
			{ "sla[].pir", 20, 4, 0, 4, 24 },
			{ 0 },
		},
};

static const struct record_kind section;

/* A section is known by its name. */
/* clang-format off */
static const struct record_type types[] = {
	{ .name = "CONFIG", .inside = &section },
	{ .name = "gencap", .data = &number_u32 },
	{ .name = "svcmap", .data = &number_u16 },
	{ .name = "extdc", .data = &number_u32 },
	{ .name = "GENER", .inside = &section },
	{ .name = "iovinit", .data = &number_u8 },
	{ .name = "compver", .data = &number_u8 },
	{ .name = "sla", .data = &slas },
	{ .name = "MISCBAR", .inside = &section },
	{ .name = "visrc", .data = &number_u32 },
	{ .name = "vimsk", .data = &number_u32 },
	{ .name = "vispv", .data = &number_u32 },
	{ .name = "vimpv", .data = &number_u32 },
	{ .name = "pf2vm", .data = &number_u32 },
	{ .name = "vm2pf", .data = &number_u32 },
	{ .name = "ETRBAR", .inside = &section },
	{ .name = "bnk", .inside = &section }, /* the number of the bank follows */
	{ .name = "mregs", .data = &bank_state },
	{ 0 },
};
/* clang-format on */

/* The bytes after the zero byte of a name are left from something else. */
static const struct record_type *choose(const uint8_t *header, char *name)
{
	size_t n = strnlen((const char *)header, 8);

	memcpy(name, header, n);
	name[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return NULL;
	if (!n)
		return NULL;
	for (const struct record_type *t = types; t->name; t++)
		if (strcmp(t->name, name) == 0 ||
		    (strcmp(t->name, "bnk") == 0 && strncmp(name, "bnk", 3) == 0))
			return t;
	return &section.other;
}

static const struct record_kind section = {
	.header = {
		.name = "adf_mstate_sect_h",
		.size = 16,
		.fields = (const struct field[]){
			{ "id", 0, 8, FIELD_TOLD | FIELD_BYTES, 0, 0 },
			{ "size", 8, 4, FIELD_TOLD, 0, 0 },
			{ "sub_sects", 12, 4, 0, 0, 0 },
			{ 0 },
		},
	},
	.length = { 8, 4, 1 },
	.types = types,
	.choose = choose,
};

static bool is_preamble(const uint8_t *p)
{
	return format_number(p, 4) == MAGIC && format_number(p + 4, 4) <= 1 &&
	       format_number(p + 8, 2) == 16;
}

static const struct record_kind state;

static const struct record_type setup_types[] = {
	{ .name = "setup", .inside = &section, .next = &state },
	{ 0 },
};

static const struct record_type state_types[] = {
	{ .name = "state", .inside = &section, .flags = TYPE_ENDS | TYPE_LAST },
	{ 0 },
};

static const struct record_type *choose_setup(const uint8_t *header, char *name)
{
	(void)name;
	return is_preamble(header) ? &setup_types[0] : NULL;
}

static const struct record_type *choose_state(const uint8_t *header, char *name)
{
	(void)name;
	return is_preamble(header) ? &state_types[0] : NULL;
}

static const struct field preamble_fields[] = {
	{ "magic", 0, 4, FIELD_HEX, 0, 0 },  { "version", 4, 4, 0, 0, 0 },
	{ "preh_len", 8, 2, 0, 0, 0 },	     { "n_sects", 10, 2, 0, 0, 0 },
	{ "size", 12, 4, FIELD_TOLD, 0, 0 }, { 0 },
};

static const struct record_kind setup = {
	.header = { .name = "adf_mstate_preh", .size = 16, .fields = preamble_fields },
	.length = { 12, 4, 1 },
	.types = setup_types,
	.choose = choose_setup,
};

static const struct record_kind state = {
	.header = { .name = "adf_mstate_preh", .size = 16, .fields = preamble_fields },
	.length = { 12, 4, 1 },
	.types = state_types,
	.choose = choose_state,
};

static enum likeness like(const uint8_t *p)
{
	return is_preamble(p) ? ALIKE : UNLIKE;
}

/* ---- What the state fits -------------------------------------------------- */

/*
 * The driver compares three things with the target, of which user space can be told one. svcmap
 * has the service of each of the four pairs of rings, and must be the same. The physical function
 * has the services in sysfs, without their pairs; but the same services have the same pairs.
 *
 * gencap and extdc are capabilities that the target must have all of. The driver makes them of
 * fuses and the firmware's answers, and shows them nowhere. So they are left to the driver, whose
 * write() fails with EINVAL.
 */
#define RING_PAIRS   4
#define SERVICE_BITS 3 /* ADF_SRV_TYPE_BIT_LEN */

/* In enum adf_cfg_service_type. Chained compression (dcc) has the rings of compression. */
static const struct service {
	const char *name;
	unsigned int number;
} services[] = {
	{ "asym", 4 },
	{ "dc", 2 },
	{ "sym", 3 },
	{ "dcc", 2 },
};

uint64_t qat_services_of_map(uint64_t svcmap)
{
	uint64_t set = 0;

	for (int i = 0; i < RING_PAIRS; i++)
		set |= 1ULL << (svcmap >> i * SERVICE_BITS & ((1 << SERVICE_BITS) - 1));
	/* A pair of rings without a service, or one of another generation */
	return set & ~(1ULL << 2 | 1ULL << 3 | 1ULL << 4) ? 0 : set;
}

uint64_t qat_services_of_text(const char *text)
{
	uint64_t set = 0;

	while (*text) {
		size_t length = strcspn(text, ";"), i = 0;

		while (i < ARRAY_SIZE(services) && (strlen(services[i].name) != length ||
						    strncmp(services[i].name, text, length) != 0))
			i++;
		if (i == ARRAY_SIZE(services))
			return 0;
		set |= 1ULL << services[i].number;
		text += length + (text[length] != '\0');
	}
	return set;
}

void qat_name_services(uint64_t set, char text[32])
{
	size_t length = 0;

	*text = '\0';
	/* The last one is compression once more. */
	for (size_t i = 0; i < ARRAY_SIZE(services) - 1; i++)
		if (set >> services[i].number & 1)
			length += snprintf(text + length, 32 - length, "%s%s", length ? ";" : "",
					   services[i].name);
}

static const struct requirement requirements[] = {
	{ "svcmap", "value", FACT_QAT_SERVICES, false },
	{ 0 },
};

const struct format format_qat = {
	.name = "qat",
	.driver = "qat_vfio_pci",
	.first = &setup,
	.total = 4096,
	.final = "state",
	.like = like,
	.requirements = requirements,
};
