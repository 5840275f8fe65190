// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig inspect: what an image is. */
#include <argp.h>
#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

#include "arguments.h"
#include "device.h"
#include "input.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "progress.h"
#include "signals.h"
#include "transfer.h"

struct options {
	struct transfer t;
	bool verify, json;
};

enum {
	OPT_VERIFY = 256,
	OPT_JSON
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt->t;
		return 0;
	case OPT_VERIFY:
		opt->verify = true;
		return 0;
	case OPT_JSON:
		opt->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			return usage_error(state, "'%s' is one argument too many", arg);
		opt->t.input = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = { { "verify", OPT_VERIFY, NULL, 0,
						"Decode and check all of it", 0 },
					      { "json", OPT_JSON, NULL, 0, "One JSON object", 0 },
					      { 0 } };

static const struct argp_child children[] = {
	{ .argp = &argp_transfer },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "Tell what an image is, from FILE or standard input.\vWithout --verify, the chunks are not looked at.",
	.children = children,
};

/*
 * Images come from strangers, and a terminal obeys what it is sent: whatever is
 * not plain ASCII is escaped.
 */
static void print_escaped(const char *text)
{
	for (; *text; text++) {
		unsigned char c = *text;

		if (c < ' ' || c > '~' || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

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

static void print_line(const char *label, const char *value)
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

	print_line("device:", device ? string_of(device, "name") : "unknown (made by pack)");
	if (vendor && id) {
		printf("%-13s", "PCI id:");
		print_escaped(vendor);
		putchar(':');
		print_escaped(id);
		printf(" (rev ");
		print_escaped(string_of(device, "revision") ?: "?");
		printf(")\n");
	}
	print_line("mdev type:", string_of(device, "mdev_type"));
	print_line("driver:", string_of(device, "driver"));
	print_line("version:", string_of(device, "driver_version"));
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
	print_line("digest:", string_of(trailer, "digest"));
}

static void print_text(struct json_object *header, struct json_object *trailer, uint64_t size,
		       bool verified)
{
	struct json_object *device = NULL;

	json_object_object_get_ex(header, "device", &device);
	print_device(device);
	print_line("created:", string_of(header, "created"));
	print_line("kernel:", string_of(header, "kernel"));
	print_line("tool:", string_of(header, "tool"));
	print_flags(header);
	print_sizes(header, trailer, size);
	printf("%-13s%s\n", "verified:",
	       verified ? "yes, all of it is as it was written" : "no (--verify checks all of it)");
}

static void print(const struct options *opt, struct vfiomig_image *image)
{
	struct json_object *header, *trailer, *all;
	uint64_t size = vfiomig_image_get_size(image);

	header = json_tokener_parse(vfiomig_image_get_header(image));
	trailer = json_tokener_parse(vfiomig_image_get_trailer(image));
	if (!opt->json)
		print_text(header, trailer, size, opt->verify);
	all = json_object_new_object();
	json_object_object_add(all, "header", header);
	json_object_object_add(all, "trailer", trailer);
	json_object_object_add(all, "image_bytes", json_object_new_uint64(size));
	json_object_object_add(all, "verified", json_object_new_boolean(opt->verify));
	if (opt->json)
		print_json(all, stdout);
	json_object_put(all);
}

static int look(struct options *opt, struct vfiomig_image *image)
{
	struct vfiomig_result result;
	int err;

	if (!opt->verify)
		return vfiomig_image_skim(image);
	progress_start(&opt->t);
	err = vfiomig_image_verify(image, &opt->t.opt, &result);
	progress_end();
	return err;
}

static int inspect(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .t = TRANSFER_INIT(cli) };
	struct vfiomig_image *image = NULL;
	int status = cli_parse(cli, &argp, argc, argv, &opt);
	int fd, err;

	if (status)
		return status;
	fd = open_input(cli, opt.t.input, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	err = vfiomig_image_open(cli->ctx, fd, &image);
	if (!err)
		err = look(&opt, image);
	if (err)
		status = fail_at(cli, MOVE_STATE, err);
	else
		print(&opt, image);
	vfiomig_image_free(image);
	close(fd);
	return status;
}

const struct command cmd_inspect = {
	.name = "inspect",
	.help = "Tell what an image is, and check it",
	.main = inspect,
};
