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
	if (opt->verify && opt->records)
		return usage_error(state, "--records checks all of an image; leave out --verify");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[2] = opt->t.cli;
		return share_input(state, 2, &opt->t);
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

static void print_device(struct json_object *device)
{
	const char *vendor = string_of(device, "vendor");
	const char *id = string_of(device, "device");

	print_field("device:", device ? string_of(device, "name") : "unknown (made by pack)");
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

static void print_flags(struct json_object *header)
{
	struct json_object *array;

	if (!json_object_object_get_ex(header, "migration", &array) ||
	    !json_object_is_type(array, json_type_array))
		return;
	printf("%-12s", "migration:");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		putchar(' ');
		print_escaped(json_object_get_string(json_object_array_get_idx(array, i))
				      ?: "null");
	}
	putchar('\n');
}

static void print_sizes(struct json_object *header, struct json_object *trailer, uint64_t size)
{
	uint64_t bytes = number_of(trailer, "bytes");
	char text[32];

	printf("%-13s%llu bytes (%s)\n", "state:", (unsigned long long)bytes,
	       format_bytes(bytes, text));
	printf("%-13s%llu bytes (%s", "image:", (unsigned long long)size, format_bytes(size, text));
	if (bytes)
		printf(", %.1f%%", size * 100.0 / bytes);
	printf(")\n%-13s", "compression:");
	print_escaped(string_of(header, "compression") ?: "?");
	printf("\n%-13s%llu of up to %s\n",
	       "chunks:", (unsigned long long)number_of(trailer, "frames"),
	       format_bytes(number_of(header, "chunk_size"), text));
	print_field("digest:", string_of(trailer, "digest"));
}

static void print_text(struct json_object *header, struct json_object *trailer, uint64_t size,
		       bool verified)
{
	struct json_object *device = NULL;

	json_object_object_get_ex(header, "device", &device);
	print_device(device);
	print_field("created:", string_of(header, "created"));
	print_field("kernel:", string_of(header, "kernel"));
	print_field("tool:", string_of(header, "tool"));
	print_flags(header);
	print_sizes(header, trailer, size);
	printf("%-13s%s\n", "verified:",
	       verified ? "yes, all of it is as it was written" : "no (--verify checks all of it)");
}

static void print_object(const char *header, const char *trailer, uint64_t size, bool verified)
{
	printf("{\n  \"header\": ");
	copy_json(header, 1, stdout);
	printf(",\n  \"trailer\": ");
	copy_json(trailer, 1, stdout);
	printf(",\n  \"image_bytes\": %llu,\n  \"verified\": %s\n}\n", (unsigned long long)size,
	       verified ? "true" : "false");
}

/* Returns the exit status. */
static int parse_and_print(const struct cli *cli, const char *header_text, const char *trailer_text,
			   uint64_t size, bool verified)
{
	struct json_object *header = parse_header(header_text);
	struct json_object *trailer = parse_header(trailer_text);
	int status = STATUS_OK;

	if (header && trailer)
		print_text(header, trailer, size, verified);
	else
		status = fail(cli, STATUS_FAILED, "out of memory");
	json_object_put(header);
	json_object_put(trailer);
	return status;
}

/* Returns the exit status. */
static int print(const struct options *opt, struct vfiomig_image *image)
{
	const char *header = vfiomig_image_get_header(image);
	const char *trailer = vfiomig_image_get_trailer(image);
	uint64_t size = vfiomig_image_get_size(image);

	if (!header || !trailer)
		return fail(opt->t.cli, STATUS_FAILED, "out of memory");
	if (!opt->t.cli->json)
		return parse_and_print(opt->t.cli, header, trailer, size, opt->verify);
	print_object(header, trailer, size, opt->verify);
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
