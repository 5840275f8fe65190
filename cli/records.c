// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The records that a state consists of. They are printed while the state goes by, because there may
 * be any number of them. What is printed comes from the library's tables, and is ASCII.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "json.h"
#include "message.h"
#include "progress.h"
#include "records.h"

#define TYPES_MAX 16

error_t parse_driver(struct argp_state *state, const char *arg, const char **driver)
{
	char names[128] = "";

	*driver = arg;
	if (vfiomig_format_is_known(arg))
		return 0;
	for (size_t i = 0; vfiomig_format_name(i); i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), " %s",
			 vfiomig_format_name(i));
	return usage_error(state, "the format of '%s' is not known, only those of%s", arg, names);
}

/* All outermost records of a type. */
struct type {
	char name[32];
	uint64_t records, bytes;
};

struct printer {
	bool json;
	bool comma; /* a record was printed */
	struct type types[TYPES_MAX];
	size_t nr_types;
	char format[32];
	char end[16], sentence[256];
};

/* Of types that nobody knows there can be any number. The last entry is for what has no room. */
static void count(struct printer *p, const char *name, uint64_t size)
{
	size_t i = 0;

	while (i < p->nr_types && strcmp(p->types[i].name, name) != 0)
		i++;
	if (i >= TYPES_MAX - 1) {
		i = TYPES_MAX - 1;
		name = "others";
	}
	if (i >= p->nr_types)
		p->nr_types = i + 1;
	snprintf(p->types[i].name, sizeof(p->types[i].name), "%s", name);
	p->types[i].records++;
	p->types[i].bytes += size;
}

static void print_bytes(const struct vfiomig_record *r)
{
	for (uint64_t i = 0; i < r->size; i++)
		printf("%02x", r->bytes[i]);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void print_value_as_json(const struct vfiomig_record *r)
{
	if (strcmp(r->type, "bytes") == 0) {
		printf(", \"value\": \"");
		print_bytes(r);
		putchar('"');
	} else {
		printf(", \"value\": %" PRIu64, r->value);
	}
}

static void begin_json(const struct vfiomig_record *r)
{
	printf("{\n  \"format\": ");
	printf(r->type ? "\"%s\"" : "null", r->type);
	printf(",\n  \"driver\": ");
	printf(r->name ? "\"%s\"" : "null", r->name);
	printf(",\n  \"records\": [");
}

static void print_as_json(struct printer *p, const struct vfiomig_record *r)
{
	printf("%s\n    { \"offset\": %" PRIu64 ", \"size\": %" PRIu64
	       ", \"depth\": %u, \"type\": \"%s\", \"name\": \"%s\"",
	       p->comma ? "," : "", r->offset, r->size, r->depth, r->type, r->name);
	p->comma = true;
	if (r->kind == VFIOMIG_RECORD_FIELD)
		print_value_as_json(r);
	printf(" }");
}

static void end_json(const struct printer *p, uint64_t bytes)
{
	printf("\n  ],\n  \"types\": [");
	for (size_t i = 0; i < p->nr_types; i++)
		printf("%s\n    { \"name\": \"%s\", \"records\": %" PRIu64 ", \"bytes\": %" PRIu64
		       " }",
		       i ? "," : "", p->types[i].name, p->types[i].records, p->types[i].bytes);
	printf("\n  ],\n  \"bytes\": %" PRIu64 ",\n  \"end\": \"%s\",\n  \"sentence\": \"%s\"\n}\n",
	       bytes, p->end, p->sentence);
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void print_as_text(const struct vfiomig_record *r)
{
	printf("%14" PRIu64 " %14" PRIu64 "  %-6s  %*s%s", r->offset, r->size, r->type,
	       2 * (int)r->depth, "", r->name);
	if (r->kind == VFIOMIG_RECORD_FIELD && strcmp(r->type, "bytes") == 0) {
		printf(" = ");
		print_bytes(r);
	} else if (r->kind == VFIOMIG_RECORD_FIELD) {
		printf(r->hex ? " = %#" PRIx64 : " = %" PRIu64, r->value);
	}
	putchar('\n');
}

static void end_text(const struct printer *p, uint64_t bytes)
{
	char size[32];

	putchar('\n');
	for (size_t i = 0; i < p->nr_types; i++)
		printf("%-20s %" PRIu64 " records, %" PRIu64 " bytes (%s)\n", p->types[i].name,
		       p->types[i].records, p->types[i].bytes,
		       format_bytes(p->types[i].bytes, size));
	printf("%-20s %" PRIu64 " bytes (%s)\n", "stream", bytes, format_bytes(bytes, size));
	printf("%-20s %s\n", "format", p->format);
	if (strcmp(p->end, "unknown") == 0)
		printf("%-20s %s: %s\n", "end", p->end, p->sentence);
	else
		printf("%-20s %s\n", "end", p->end);
}

/* ---- Walking --------------------------------------------------------------------------------- */

static void begin(struct printer *p, const struct vfiomig_record *r)
{
	snprintf(p->format, sizeof(p->format), "%s", r->type ? r->type : "unknown");
	if (p->json)
		begin_json(r);
	else
		printf("%14s %14s  %-6s  %s\n", "OFFSET", "SIZE", "TYPE", "NAME");
}

static void end(struct printer *p, const struct vfiomig_record *r)
{
	snprintf(p->end, sizeof(p->end), "%s", r->type);
	snprintf(p->sentence, sizeof(p->sentence), "the stream %s", r->name);
	if (p->json)
		end_json(p, r->offset);
	else
		end_text(p, r->offset);
}

static int print_piece(void *data, const struct vfiomig_record *r)
{
	struct printer *p = data;

	switch (r->kind) {
	case VFIOMIG_RECORD_STREAM:
		begin(p, r);
		return 0;
	case VFIOMIG_RECORD_END:
		end(p, r);
		return 0;
	default:
		break;
	}
	if (!r->depth)
		count(p, r->name, r->size);
	if (p->json)
		print_as_json(p, r);
	else
		print_as_text(r);
	/* Nobody reads it any more, or there is no room: why go through the rest? */
	return ferror(stdout) ? -EPIPE : 0;
}

/* Make what was printed, if anything, an object, which says why there is no more of it. */
static void end_failed(const struct printer *p, const char *why)
{
	struct json_object *error;

	if (!p->json)
		return;
	error = json_object_new_string(why);
	printf("%s  \"error\": %s\n}\n", *p->format ? "\n  ],\n" : "{\n",
	       error ? json_object_to_json_string(error) : "\"out of memory\"");
	json_object_put(error);
}

int print_records(struct transfer *t, int fd, const char *driver)
{
	struct printer p = { .json = t->cli->json };
	int err;

	progress_start(t);
	err = vfiomig_walk(t->cli->ctx, fd, driver, &t->opt, print_piece, &p);
	progress_end();
	/* streams_finish() has the message about standard output. */
	if (ferror(stdout))
		return STATUS_FAILED;
	if (err) {
		end_failed(&p, vfiomig_get_error(t->cli->ctx));
		return fail_at(t->cli, MOVE_STATE, err);
	}
	if (strcmp(p.end, "cut") == 0 || strcmp(p.end, "beyond") == 0)
		return fail(t->cli, STATUS_IMAGE, "%s", p.sentence);
	return STATUS_OK;
}
