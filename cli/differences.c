// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where two states differ. The differences are printed while the states go by, because there may be
 * any number of them. Paths and names come from the library's tables, and are ASCII.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "differences.h"
#include "json.h"
#include "message.h"
#include "progress.h"
#include "stream.h"

/* So many of the differences in bytes without a name are dumped. */
#define DUMPS	 16
#define DUMP_ROW 16

/* What the callback returns when there is nothing more to know. */
#define ENOUGH	 1

struct printer {
	struct cli *cli;
	const char *const *names; /* of the files */
	bool begun;		  /* the library has told something */
	bool listed;		  /* a difference was printed */
	unsigned int dumped;
	bool summed; /* a type was printed */
	char format[2][32];
	bool by_bytes; /* the formats are not the same */
	bool equal;
};

/* ---- Text: the headers of images ------------------------------------------------------------- */

static void print_value(struct json_object *value)
{
	print_escaped(value ? json_object_get_string(value) ?: "null" : "-");
}

static bool is_same(struct json_object *a, struct json_object *b)
{
	const char *text = a ? json_object_to_json_string(a) : NULL;
	const char *other = b ? json_object_to_json_string(b) : NULL;

	return text && other && strcmp(text, other) == 0;
}

static bool is_object(struct json_object *value)
{
	return json_object_is_type(value, json_type_object);
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (is_object(object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

static void print_members(struct json_object *from, struct json_object *a, struct json_object *b,
			  const char *outer);

static void print_member(const char *outer, const char *key, struct json_object *a,
			 struct json_object *b)
{
	/* The device is an object, and has no objects in it. */
	if ((is_object(a) || is_object(b)) && !outer) {
		print_members(a, a, b, key);
		print_members(b, a, b, key);
		return;
	}
	if (is_same(a, b))
		return;
	printf("header: ");
	if (outer) {
		print_escaped(outer);
		putchar('.');
	}
	print_escaped(key);
	printf(" = ");
	print_value(a);
	printf(" | ");
	print_value(b);
	putchar('\n');
}

/* The members of @from, which is @a or @b. What both have is of @a. */
static void print_members(struct json_object *from, struct json_object *a, struct json_object *b,
			  const char *outer)
{
	if (!is_object(from))
		return;
	json_object_object_foreach(from, key, value)
	{
		(void)value;
		if (from == a || !is_object(a) || !json_object_object_get_ex(a, key, NULL))
			print_member(outer, key, member(a, key), member(b, key));
	}
}

static int print_headers(const char *const header[2])
{
	struct json_object *a, *b;
	int err;

	if (!header[0] || !header[1])
		return 0;
	a = parse_header(header[0]);
	b = parse_header(header[1]);
	err = a && b ? 0 : -ENOMEM;
	print_members(a, a, b, NULL);
	print_members(b, a, b, NULL);
	json_object_put(a);
	json_object_put(b);
	return err;
}

/* ---- Text: the differences ------------------------------------------------------------------- */

static void print_offset(const struct vfiomig_record *r)
{
	if (r)
		printf("%14" PRIu64 " ", r->offset);
	else
		printf("%14s ", "-");
}

static void print_field_value(const struct vfiomig_record *r)
{
	if (strcmp(r->type, "bytes") != 0) {
		printf(r->hex ? "%#" PRIx64 : "%" PRIu64, r->value);
		return;
	}
	for (uint64_t i = 0; i < r->size; i++)
		printf("%02x", r->bytes[i]);
}

/* As "hexdump -C" does */
static void dump_row(char mark, uint64_t offset, const uint8_t *bytes, size_t size)
{
	printf("%c%10" PRIu64 " ", mark, offset);
	for (size_t i = 0; i < DUMP_ROW; i++)
		if (i < size)
			printf(" %02x", bytes[i]);
		else
			printf("   ");
	printf("  |");
	for (size_t i = 0; i < size; i++)
		putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
	printf("|\n");
}

static void dump(char mark, const struct vfiomig_record *r)
{
	size_t size =
		r->size < VFIOMIG_DIFFERENCE_BYTES_MAX ? r->size : VFIOMIG_DIFFERENCE_BYTES_MAX;

	for (size_t i = 0; i < size; i += DUMP_ROW)
		dump_row(mark, r->offset + i, r->bytes + i,
			 size - i < DUMP_ROW ? size - i : DUMP_ROW);
}

static const char *bytes_word(uint64_t size)
{
	return size == 1 ? "byte" : "bytes";
}

static void print_bytes(struct printer *p, const struct vfiomig_difference *d)
{
	uint64_t size = d->a->size ? d->a->size : d->b->size;

	printf("%" PRIu64 " %s%s\n", size, bytes_word(size),
	       !d->a->size   ? " only in B"
	       : !d->b->size ? " only in A"
			     : "");
	if (p->dumped++ >= DUMPS)
		return;
	dump('<', d->a);
	dump('>', d->b);
}

static void print_record(const struct vfiomig_difference *d)
{
	const struct vfiomig_record *r = d->a ? d->a : d->b;

	printf("only in %c, %" PRIu64 " %s\n", d->a ? 'A' : 'B', r->size, bytes_word(r->size));
}

static void print_as_text(struct printer *p, const struct vfiomig_difference *d)
{
	if (!p->listed)
		printf("%14s %14s  %s\n", "A", "B", "DIFFERENCE");
	print_offset(d->a);
	print_offset(d->b);
	printf(" %s: ", d->path);
	switch (d->kind) {
	case VFIOMIG_DIFFERENCE_FIELD:
		printf("%s = ", d->a->name);
		print_field_value(d->a);
		printf(" | ");
		print_field_value(d->b);
		putchar('\n');
		break;
	case VFIOMIG_DIFFERENCE_BYTES:
		print_bytes(p, d);
		break;
	default:
		print_record(d);
		break;
	}
}

/* ---- Text: the summary ----------------------------------------------------------------------- */

static void print_count(uint64_t count, const char *what, bool *comma)
{
	if (count)
		printf("%s %" PRIu64 " %s", *comma ? "," : "", count, what);
	*comma |= count != 0;
}

static void print_type(struct printer *p, const struct vfiomig_difference *d)
{
	bool comma = false;

	if (d->depth && !d->different && !d->only[0] && !d->only[1])
		return;
	if (!p->summed && p->listed)
		putchar('\n');
	p->summed = true;
	printf("%-28s %" PRIu64 " in A, %" PRIu64 " in B:", d->path, d->records[0], d->records[1]);
	print_count(d->equal, "equal", &comma);
	print_count(d->different, "different", &comma);
	print_count(d->only[0], "only in A", &comma);
	print_count(d->only[1], "only in B", &comma);
	putchar('\n');
}

static void print_side(const struct printer *p, int side, const struct vfiomig_record *end)
{
	char size[32];

	print_line("%-28c %s: %" PRIu64 " bytes (%s), %s%s%s", 'A' + side, p->names[side],
		   end->offset, format_bytes(end->offset, size), p->format[side],
		   p->by_bytes	      ? ""
		   : *p->format[side] ? ", "
				      : "",
		   p->by_bytes ? "" : end->name);
}

static void end_text(const struct printer *p, const struct vfiomig_difference *d)
{
	print_side(p, 0, d->a);
	print_side(p, 1, d->b);
	if (p->by_bytes)
		printf("their formats are not the same: they were compared byte by byte\n");
	if (d->different)
		printf("the states differ in %" PRIu64 " %s\n", d->different,
		       d->different == 1 ? "place" : "places");
	else
		printf("the states are equal\n");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void print_string_or_null(const char *key, const char *value)
{
	printf("\"%s\": ", key);
	printf(value ? "\"%s\"" : "null", value);
}

static void begin_json(const struct vfiomig_difference *d)
{
	const struct vfiomig_record *r[2] = { d->a, d->b };

	printf("{");
	for (int i = 0; i < 2; i++) {
		printf("\n  \"%c\": {\n    ", 'a' + i);
		print_string_or_null("format", r[i]->type);
		printf(",\n    ");
		print_string_or_null("driver", r[i]->name);
		printf(",\n    \"header\": ");
		if (d->header[i])
			copy_json(d->header[i], 2, stdout);
		else
			printf("null");
		printf("\n  },");
	}
	printf("\n  \"differences\": [");
}

static void print_json_bytes(const struct vfiomig_record *r)
{
	putchar('"');
	for (uint64_t i = 0; i < r->size && i < VFIOMIG_DIFFERENCE_BYTES_MAX; i++)
		printf("%02x", r->bytes[i]);
	putchar('"');
}

static void print_json_value(const struct vfiomig_record *r)
{
	if (r->kind == VFIOMIG_RECORD_FIELD && strcmp(r->type, "bytes") != 0)
		printf("%" PRIu64, r->value);
	else
		print_json_bytes(r);
}

static void print_as_json(const struct printer *p, const struct vfiomig_difference *d)
{
	static const char *const kinds[] = {
		[VFIOMIG_DIFFERENCE_FIELD] = "field",
		[VFIOMIG_DIFFERENCE_BYTES] = "bytes",
		[VFIOMIG_DIFFERENCE_RECORD] = "record",
	};
	const struct vfiomig_record *r[2] = { d->a, d->b };

	printf("%s\n    { \"kind\": \"%s\", \"path\": \"%s\"", p->listed ? "," : "", kinds[d->kind],
	       d->path);
	if (d->kind == VFIOMIG_DIFFERENCE_FIELD)
		printf(", \"name\": \"%s\", \"type\": \"%s\"", d->a->name, d->a->type);
	for (int i = 0; i < 2; i++) {
		if (!r[i])
			continue;
		printf(", \"%c_offset\": %" PRIu64 ", \"%c_size\": %" PRIu64, 'a' + i, r[i]->offset,
		       'a' + i, r[i]->size);
		if (d->kind == VFIOMIG_DIFFERENCE_RECORD)
			continue;
		printf(", \"%c\": ", 'a' + i);
		print_json_value(r[i]);
	}
	printf(" }");
}

static void print_type_as_json(struct printer *p, const struct vfiomig_difference *d)
{
	printf("%s\n    { \"name\": \"%s\", \"depth\": %u, \"equal\": %" PRIu64
	       ", \"different\": %" PRIu64,
	       p->summed ? "," : "\n  ],\n  \"types\": [", d->path, d->depth, d->equal,
	       d->different);
	for (int i = 0; i < 2; i++)
		printf(", \"%c_only\": %" PRIu64 ", \"%c_records\": %" PRIu64
		       ", \"%c_bytes\": %" PRIu64,
		       'a' + i, d->only[i], 'a' + i, d->records[i], 'a' + i, d->bytes[i]);
	printf(" }");
	p->summed = true;
}

static void end_json(const struct vfiomig_difference *d)
{
	const struct vfiomig_record *r[2] = { d->a, d->b };

	printf("\n  ],\n");
	for (int i = 0; i < 2; i++)
		printf("  \"%c_bytes\": %" PRIu64 ",\n  \"%c_end\": \"%s\",\n"
		       "  \"%c_sentence\": \"the stream %s\",\n",
		       'a' + i, r[i]->offset, 'a' + i, r[i]->type, 'a' + i, r[i]->name);
	printf("  \"equal\": %s\n}\n", d->different ? "false" : "true");
}

/* The last member of an object */
static void print_error(const char *why)
{
	struct json_object *error = json_object_new_string(why);

	printf("\"error\": %s\n}\n",
	       error ? json_object_to_json_string(error) : "\"out of memory\"");
	json_object_put(error);
}

/* Make what was printed, if anything, an object, which says why there is no more of it. */
static void fail_json(const struct printer *p, const char *why)
{
	if (!p->cli->json)
		return;
	printf("%s  ", p->begun ? "\n  ],\n" : "{\n");
	print_error(why);
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static int begin(struct printer *p, const struct vfiomig_difference *d)
{
	const struct vfiomig_record *r[2] = { d->a, d->b };

	p->begun = true;
	p->by_bytes = strcmp(d->a->type ?: "", d->b->type ?: "") != 0;
	for (int i = 0; i < 2; i++)
		snprintf(p->format[i], sizeof(p->format[i]), "%s",
			 r[i]->type
				 ?: p->by_bytes ? "of an unknown format"
						: "");
	if (p->cli->json)
		begin_json(d);
	return p->cli->json || p->cli->quiet ? 0 : print_headers(d->header);
}

static void print_difference(struct printer *p, const struct vfiomig_difference *d)
{
	if (p->cli->json)
		print_as_json(p, d);
	else
		print_as_text(p, d);
	p->listed = true;
}

static void end(struct printer *p, const struct vfiomig_difference *d)
{
	p->equal = !d->different;
	if (p->cli->json)
		end_json(d);
	else if (!p->cli->quiet)
		end_text(p, d);
}

static int on_difference(void *data, const struct vfiomig_difference *d)
{
	struct printer *p = data;

	switch (d->kind) {
	case VFIOMIG_DIFFERENCE_STREAM:
		return begin(p, d);
	case VFIOMIG_DIFFERENCE_TYPE:
		if (p->cli->json)
			print_type_as_json(p, d);
		else if (!p->cli->quiet)
			print_type(p, d);
		return 0;
	case VFIOMIG_DIFFERENCE_END:
		end(p, d);
		return 0;
	default:
		break;
	}
	if (p->cli->quiet && !p->cli->json)
		return ENOUGH;
	print_difference(p, d);
	/* Nobody reads it any more, or there is no room: why go through the rest? */
	return ferror(stdout) ? -EPIPE : 0;
}

int print_differences(struct transfer *t, const int fds[2], const char *const names[2],
		      const char *driver)
{
	struct printer p = { .cli = t->cli, .names = names };
	int err, status;

	progress_start(t);
	err = vfiomig_diff(t->cli->ctx, fds, driver, &t->opt, on_difference, &p);
	progress_end();
	if (err == ENOUGH)
		return STATUS_FAILED;
	/* streams_finish() has the message about standard output. */
	if (ferror(stdout))
		return STATUS_TROUBLE;
	if (err) {
		/* The message comes after what it is about. */
		fflush(stdout);
		status = fail_at(t->cli, MOVE_STATE, err);
		fail_json(&p, vfiomig_get_error(t->cli->ctx));
		return status == STATUS_FAILED ? STATUS_TROUBLE : status;
	}
	return p.equal ? STATUS_OK : STATUS_FAILED;
}

/* ---- Sets ------------------------------------------------------------------------------------ */

/* Two sets that are compared device by device. */
struct sets {
	struct transfer *t;
	const int *fds;
	const char *const *names; /* of the files */
	const char *driver;
	struct json_object *devices[2];
	off_t start[2];
	int status;
	bool listed; /* a device was printed */
};

static const char *device_name(const struct sets *s, int side, size_t i)
{
	struct json_object *device = json_object_array_get_idx(s->devices[side], i);

	return json_object_get_string(member(device, "name"));
}

static bool has_device(const struct sets *s, int side, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(s->devices[side]); i++)
		if (strcmp(device_name(s, side, i), name) == 0)
			return true;
	return false;
}

/* What begins the part of a device. @side: the only one that has it, or -1. */
static void begin_device(struct sets *s, const char *name, int side)
{
	struct json_object *text;

	if (s->t->cli->json) {
		text = json_object_new_string(name);
		printf("%s\n{ \"name\": %s, \"only\": %s, \"states\": ", s->listed ? "," : "",
		       json_object_to_json_string(text),
		       side < 0 ? "null"
		       : side	? "\"b\""
				: "\"a\"");
		json_object_put(text);
		if (side >= 0)
			printf("null");
	} else if (!s->t->cli->quiet) {
		printf("%s", s->listed ? "\n" : "");
		print_line(side < 0 ? "device %s:" : "device %s: only in %c", name, 'A' + side);
	}
	s->listed = true;
}

static void end_device(const struct sets *s)
{
	if (s->t->cli->json)
		printf("}");
}

static void compare_device(struct sets *s, const char *name)
{
	int status;

	begin_device(s, name, -1);
	for (int i = 0; i < 2; i++)
		lseek(s->fds[i], s->start[i], SEEK_SET);
	s->t->opt.device = name;
	status = print_differences(s->t, s->fds, s->names, s->driver);
	end_device(s);
	if (status > s->status)
		s->status = status;
}

static void only_device(struct sets *s, const char *name, int side)
{
	begin_device(s, name, side);
	end_device(s);
	if (!s->status)
		s->status = STATUS_FAILED;
}

static void compare_devices(struct sets *s)
{
	for (int side = 0; side < 2; side++)
		for (size_t i = 0; i < json_object_array_length(s->devices[side]); i++) {
			const char *name = device_name(s, side, i);

			/* The first trouble is the end, and with -q the first difference. */
			if (s->status > STATUS_FAILED || (s->status && s->t->cli->quiet))
				return;
			if (!has_device(s, !side, name))
				only_device(s, name, side);
			else if (!side)
				compare_device(s, name);
		}
}

static void end_sets(const struct sets *s)
{
	printf("],\n");
	if (s->status > STATUS_FAILED)
		print_error(vfiomig_get_error(s->t->cli->ctx));
	else
		printf("\"equal\": %s\n}\n", s->status ? "false" : "true");
}

int print_set_differences(struct transfer *t, const int fds[2], const char *const names[2],
			  const char *driver, char *const headers[2])
{
	struct json_object *h[2] = { parse_header(headers[0]), parse_header(headers[1]) };
	struct sets s = { .t = t, .fds = fds, .names = names, .driver = driver };

	for (int i = 0; i < 2; i++) {
		s.devices[i] = member(h[i], "devices");
		s.start[i] = lseek(fds[i], 0, SEEK_CUR);
	}
	if (s.devices[0] && s.devices[1]) {
		if (t->cli->json)
			printf("{ \"devices\": [");
		compare_devices(&s);
		if (t->cli->json)
			end_sets(&s);
	} else {
		s.status = fail(t->cli, STATUS_TROUBLE, "out of memory");
	}
	json_object_put(h[0]);
	json_object_put(h[1]);
	return s.status;
}
