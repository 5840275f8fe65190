// SPDX-License-Identifier: LGPL-2.1-or-later
/* samples/vfio-mdev/mtty.c: a header, and a structure for each port. */
#include "format.h"

#define MAGIC 0x7e9d09898c3e2c4eULL

static const struct record_kind port = {
	.header = {
		.name = "serial_port",
		.size = 36,
		.fields = (const struct field[]){
			{ "uart_reg", 0, 8, FIELD_BYTES, 0, 0 },
			{ "rxtx.fifo", 8, 16, FIELD_BYTES, 0, 0 },
			{ "rxtx.head", 24, 1, 0, 0, 0 },
			{ "rxtx.tail", 25, 1, 0, 0, 0 },
			{ "rxtx.count", 26, 1, 0, 0, 0 },
			{ "dlab", 27, 1, 0, 0, 0 },
			{ "overrun", 28, 1, 0, 0, 0 },
			{ "divisor", 30, 2, 0, 0, 0 },
			{ "fcr", 32, 1, FIELD_HEX, 0, 0 },
			{ "max_fifo_size", 33, 1, 0, 0, 0 },
			{ "intr_trigger_level", 34, 1, 0, 0, 0 },
			{ 0 },
		},
	},
	.other = { .name = "port" },
};

static const struct record_kind ports = {
	.header = {
		.name = "mtty_data",
		.size = 24,
		.fields = (const struct field[]){
			{ "magic", 0, 8, FIELD_HEX, 0, 0 },
			{ "major_ver", 8, 4, 0, 0, 0 },
			{ "minor_ver", 12, 4, 0, 0, 0 },
			{ "nr_ports", 16, 4, 0, 0, 0 },
			{ "flags", 20, 4, FIELD_HEX, 0, 0 },
			{ 0 },
		},
	},
	.length = { 16, 4, 36 },
	.other = { .name = "ports", .inside = &port, .flags = TYPE_ENDS | TYPE_LAST },
};

static enum likeness like(const uint8_t *p)
{
	return format_number(p, 8) == MAGIC && format_number(p + 8, 4) == 1 ? ALIKE : UNLIKE;
}

static const struct requirement requirements[] = {
	{ "ports", "nr_ports", FACT_MDEV_NUMBER, false },
	{ 0 },
};

const struct format format_mtty = {
	.name = "mtty",
	.driver = "mtty",
	.first = &ports,
	.final = "ports",
	.like = like,
	.requirements = requirements,
};
