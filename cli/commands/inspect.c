// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig inspect: print what an image is. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "input.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "progress.h"
#include "records.h"
#include "signals.h"
#include "transfer.h"

struct options {
	struct transfer t;
	bool verify, records;
	const char *driver;
};

enum {
	OPT_DRIVER = 256,
	OPT_RECORDS,
	OPT_VERIFY
};

static error_t check_options(struct argp_state *state, const struct options *opt)
{
	if (opt->driver && !opt->records)
		return usage_error(state, "--driver goes with --records");
	if (opt->t.opt.device && !opt->records)
		return usage_error(state, "--device goes with --records");
	if (opt->verify && opt->records)
		return usage_error(state, "--records checks all of an image; leave out --verify");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[3] = opt->t.cli;
		return share_input(state, 3, &opt->t);
	case OPT_DRIVER:
		return parse_driver(state, arg, &opt->driver);
	case OPT_RECORDS:
		opt->records = true;
		return 0;
	case OPT_VERIFY:
		opt->verify = true;
		return 0;
	case ARGP_KEY_END:
		return check_options(state, opt);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "driver", OPT_DRIVER, "NAME", 0, "With --records: the driver whose state it is", 0 },
	{ "records", OPT_RECORDS, NULL, 0,
	  "Tell what the state in an image, or raw state, consists of", 0 },
	{ "verify", OPT_VERIFY, NULL, 0, "Decode and check all of the image", 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ .argp = &argp_transfer },
	{ .argp = &argp_file },
	{ .argp = &argp_one },
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Tell what an image is, from FILE or standard input.\vWithout --verify, the chunks are not checked.",
	.children = children,
};

static const char *string_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return object && json_object_object_get_ex(object, key, &value) &&
			       json_object_is_type(value, json_type_string)
		       ? json_object_get_string(value)
		       : NULL;
}

static uint64_t number_of(struct json_object *object, const char *key)
{
	struct json_object *value;

	return object && json_object_object_get_ex(object, key, &value)
		       ? json_object_get_uint64(value)
		       : 0;
}

static void print_field(const char *label, const char *value)
{
	if (!value)
		return;
	printf("%-13s", label);
	print_escaped(value);
	putchar('\n');
}

static struct json_object *member_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object)
		json_object_object_get_ex(object, key, &value);
	return value;
}

/* @header: of an image of one device, or what a set's header says of one. */
static void print_device(struct json_object *header, const char *name)
{
	struct json_object *device = member_of(header, "device");
	const char *vendor = string_of(device, "vendor");
	const char *id = string_of(device, "device");

	print_field("device:", name);
	if (vendor && id) {
		printf("%-13s", "PCI id:");
		print_escaped(vendor);
		putchar(':');
		print_escaped(id);
		printf(" (rev ");
		print_escaped(string_of(device, "revision") ?: "?");
		printf(")\n");
	}
	print_field("mdev type:", string_of(device, "mdev_type"));
	print_field("driver:", string_of(device, "driver"));
	print_field("version:", string_of(device, "driver_version"));
}

static void print_origin(struct json_object *header)
{
	print_field("created:", string_of(header, "created"));
	print_field("kernel:", string_of(header, "kernel"));
	print_field("tool:", string_of(header, "tool"));
}

static void print_flags(struct json_object *header)
{
	struct json_object *array = member_of(header, "migration");

	if (!json_object_is_type(array, json_type_array))
		return;
	printf("%-12s", "migration:");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		putchar(' ');
		print_escaped(json_object_get_string(json_object_array_get_idx(array, i))
				      ?: "null");
	}
	putchar('\n');
}

static void print_bytes(const char *label, uint64_t bytes)
{
	char text[32];

	printf("%-13s%llu bytes (%s)\n", label, (unsigned long long)bytes,
	       format_bytes(bytes, text));
}

static void print_image(struct json_object *header, struct json_object *trailer, uint64_t size)
{
	uint64_t bytes = number_of(trailer, "bytes");
	char text[32];

	printf("%-13s%llu bytes (%s", "image:", (unsigned long long)size, format_bytes(size, text));
	if (bytes)
		printf(", %.1f%%", size * 100.0 / bytes);
	printf(")\n%-13s", "compression:");
	print_escaped(string_of(header, "compression") ?: "?");
	putchar('\n');
}

static void print_chunks(struct json_object *header, struct json_object *trailer)
{
	char text[32];

	printf("%-13s%llu of up to %s\n",
	       "chunks:", (unsigned long long)number_of(trailer, "frames"),
	       format_bytes(number_of(header, "chunk_size"), text));
	print_field("digest:", string_of(trailer, "digest"));
}

/* What was read of an image. */
struct metadata {
	struct json_object *header, *trailer, *trailers[VFIOMIG_SET_MAX];
	unsigned int devices;
	uint64_t size;
};

static void print_one(const struct metadata *m)
{
	struct json_object *device = member_of(m->header, "device");

	print_device(m->header, device ? string_of(device, "name") : "unknown (made by pack)");
	print_origin(m->header);
	print_flags(m->header);
	print_bytes("state:", number_of(m->trailer, "bytes"));
	print_image(m->header, m->trailer, m->size);
	print_chunks(m->header, m->trailer);
}

static void print_set(const struct metadata *m)
{
	struct json_object *devices = member_of(m->header, "devices");

	printf("%-13s%u devices\n", "set:", m->devices);
	print_origin(m->header);
	print_bytes("states:", number_of(m->trailer, "bytes"));
	print_image(m->header, m->trailer, m->size);
	for (unsigned int i = 0; i < m->devices; i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);

		putchar('\n');
		print_device(device, string_of(device, "name"));
		print_flags(device);
		print_bytes("state:", number_of(m->trailers[i], "bytes"));
		print_chunks(m->header, m->trailers[i]);
	}
	putchar('\n');
}

static void print_text(const struct metadata *m, bool verified)
{
	if (m->devices)
		print_set(m);
	else
		print_one(m);
	printf("%-13s%s\n", "verified:",
	       verified ? "yes, all of it is as it was written" : "no (--verify checks all of it)");
}

/* Returns whether there was memory for it. */
static bool read_metadata(const struct vfiomig_image *image, struct metadata *m)
{
	bool all;

	*m = (struct metadata){
		.header = parse_header(vfiomig_image_get_header(image)),
		.trailer = parse_header(vfiomig_image_get_trailer(image)),
		.devices = vfiomig_image_get_devices(image),
		.size = vfiomig_image_get_size(image),
	};
	all = m->header && m->trailer;
	for (unsigned int i = 0; i < m->devices; i++) {
		m->trailers[i] = parse_header(vfiomig_image_get_device_trailer(image, i));
		all = all && m->trailers[i];
	}
	return all;
}

/* Returns the exit status. */
static int parse_and_print(const struct options *opt, const struct vfiomig_image *image)
{
	struct metadata m;
	int status = STATUS_OK;

	if (read_metadata(image, &m))
		print_text(&m, opt->verify);
	else
		status = fail(opt->t.cli, STATUS_FAILED, "out of memory");
	json_object_put(m.header);
	json_object_put(m.trailer);
	for (unsigned int i = 0; i < m.devices; i++)
		json_object_put(m.trailers[i]);
	return status;
}

static void print_trailers(const struct vfiomig_image *image)
{
	unsigned int devices = vfiomig_image_get_devices(image);

	if (!devices)
		return;
	printf(",\n  \"device_trailers\": [");
	for (unsigned int i = 0; i < devices; i++) {
		printf("%s\n    ", i ? "," : "");
		copy_json(vfiomig_image_get_device_trailer(image, i), 2, stdout);
	}
	printf("\n  ]");
}

static void print_object(const struct vfiomig_image *image, bool verified)
{
	printf("{\n  \"header\": ");
	copy_json(vfiomig_image_get_header(image), 1, stdout);
	printf(",\n  \"trailer\": ");
	copy_json(vfiomig_image_get_trailer(image), 1, stdout);
	print_trailers(image);
	printf(",\n  \"image_bytes\": %llu,\n  \"verified\": %s\n}\n",
	       (unsigned long long)vfiomig_image_get_size(image), verified ? "true" : "false");
}

/* Returns the exit status. */
static int print(const struct options *opt, const struct vfiomig_image *image)
{
	if (!vfiomig_image_get_header(image) || !vfiomig_image_get_trailer(image))
		return fail(opt->t.cli, STATUS_FAILED, "out of memory");
	if (!opt->t.cli->json)
		return parse_and_print(opt, image);
	print_object(image, opt->verify);
	return STATUS_OK;
}

static int look(struct options *opt, struct vfiomig_image *image)
{
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	int err;

	if (!opt->verify)
		return vfiomig_image_skim(image);
	progress_start(&opt->t);
	err = vfiomig_image_verify(image, &opt->t.opt, &result);
	progress_end();
	return err;
}

static int inspect_image(struct options *opt, int fd)
{
	struct vfiomig_image *image = NULL;
	int err = vfiomig_image_open(opt->t.cli->ctx, fd, &image);
	int status;

	if (!err)
		err = look(opt, image);
	if (err)
		status = fail_at(opt->t.cli, MOVE_STATE, err);
	else
		status = print(opt, image);
	vfiomig_image_free(image);
	return status;
}

static int inspect(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .t = TRANSFER_INIT(cli) };
	int status = cli_parse(cli, &argp, argc, argv, &opt);
	int fd;

	if (status)
		return status;
	fd = open_input(cli, opt.t.input, false, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = opt.records ? print_records(&opt.t, fd, opt.driver) : inspect_image(&opt, fd);
	close(fd);
	return status;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.help = "Tell what an image is, and check it",
	.main = inspect,
};
