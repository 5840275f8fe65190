// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.h: one structure, struct acc_vf_data. If the
 * driver in the virtual machine was not ready, the stream has only the part of it that says what
 * the state fits.
 */
#include "format.h"

#define MAGIC_V1 0xcdcdcdcdfeedaaccULL
#define MAGIC_V2 0xaaccfeeddecadedeULL

static const struct record_kind rest = {
	.header = {
		.name = "acc_vf_data",
		.base = 40,
		.size = 136,
		.fields = (const struct field[]){
			{ "aeq_int_mask", 0, 4, FIELD_HEX, 0, 0 },
			{ "eq_int_mask", 4, 4, FIELD_HEX, 0, 0 },
			{ "ifc_int_source", 8, 4, FIELD_HEX, 0, 0 },
			{ "ifc_int_mask", 12, 4, FIELD_HEX, 0, 0 },
			{ "ifc_int_set", 16, 4, FIELD_HEX, 0, 0 },
			{ "page_size", 20, 4, FIELD_HEX, 0, 0 },
			{ "qm_eqc_dw[]", 24, 4, FIELD_HEX, 7, 4 },
			{ "qm_aeqc_dw[]", 52, 4, FIELD_HEX, 7, 4 },
			{ "qm_rsv_regs[]", 80, 4, FIELD_HEX, 5, 4 },
			{ "padding", 100, 4, FIELD_HEX, 0, 0 },
			{ "eqe_dma", 104, 8, FIELD_HEX, 0, 0 },
			{ "aeqe_dma", 112, 8, FIELD_HEX, 0, 0 },
			{ "sqc_dma", 120, 8, FIELD_HEX, 0, 0 },
			{ "cqc_dma", 128, 8, FIELD_HEX, 0, 0 },
			{ 0 },
		},
	},
	.other = { .name = "registers", .flags = TYPE_ENDS | TYPE_LAST },
};

/*
 * The registers follow if the driver in the virtual machine was ready. What vf_qm_state says about
 * that counts only without pre-copy: in PRE_COPY the kernel's driver does not know yet.
 */
/* clang-format off */
#define MATCH { .name = "match", .next = &rest, .flags = TYPE_ENDS }

#define COMMON_FIELDS                                                                              \
	{ "acc_magic", 0, 8, FIELD_HEX, 0, 0 },                                                    \
	{ "qp_num", 8, 4, 0, 0, 0 },                                                               \
	{ "dev_id", 12, 4, FIELD_HEX, 0, 0 },                                                      \
	{ "que_iso_cfg", 16, 4, 0, 0, 0 },                                                         \
	{ "qp_base", 20, 4, 0, 0, 0 },                                                             \
	{ "vf_qm_state", 24, 4, 0, 0, 0 }
/* clang-format on */

static const struct record_kind match = {
	.header = {
		.name = "acc_vf_data",
		.size = 40,
		.fields = (const struct field[]){
			COMMON_FIELDS,
			{ "major_ver", 28, 2, 0, 0, 0 },
			{ "minor_ver", 30, 2, 0, 0, 0 },
			{ "qm_rsv_state[]", 32, 4, FIELD_HEX, 2, 4 },
			{ 0 },
		},
	},
	.other = MATCH,
};

/* Before Linux 6.16 there was no version. */
static const struct record_kind match_v1 = {
	.header = {
		.size = 40,
		.fields = (const struct field[]){
			COMMON_FIELDS,
			{ "qm_rsv_state[]", 28, 4, FIELD_HEX, 3, 4 },
			{ 0 },
		},
	},
	.other = MATCH,
};

static enum likeness like(const uint8_t *p)
{
	return format_number(p, 8) == MAGIC_V2 ? ALIKE : UNLIKE;
}

static enum likeness like_v1(const uint8_t *p)
{
	return format_number(p, 8) == MAGIC_V1 ? ALIKE : UNLIKE;
}

/*
 * The driver compares qp_num and que_iso_cfg, too, but shows the target's nowhere. It has the one
 * from the device's mailbox and the other from a register of the physical function. dev_data in its
 * debugfs dumps the structure without these two, and in the physical function's debugfs there are
 * the queues of that function only. So they are left to the driver, whose write() fails with
 * EINVAL.
 */
static const struct requirement requirements[] = {
	{ "match", "dev_id", FACT_PCI_DEVICE, false },
	{ 0 },
};

const struct format format_hisi_acc = {
	.name = "hisi_acc",
	.driver = "hisi_acc_vfio_pci",
	.first = &match,
	.final = "registers",
	.like = like,
	.requirements = requirements,
};

const struct format format_hisi_acc_v1 = {
	.name = "hisi_acc",
	.driver = "hisi_acc_vfio_pci",
	.first = &match_v1,
	.final = "registers",
	.like = like_v1,
	.requirements = requirements,
};
