// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The walker. At each moment it is in one of these:
 *
 *	PEEK	collects the first bytes, which tell the format
 *	HEADER	collects the header of the next record
 *	FIELDS	collects the structure that is a record's data
 *	PASS	lets bytes go by, up to an offset
 *
 * Sequences of records inside of each other are a stack. What is collected has at most
 * RECORDS_STRUCTURE_MAX bytes, and the stack is as deep as the tables are.
 */
#include <inttypes.h>
#include <stdio.h>

#include "format.h"
#include "records.h"

#define NOWHERE UINT64_MAX

enum doing {
	PEEK,
	HEADER,
	FIELDS,
	PASS,
};

/* A sequence of records */
struct sequence {
	const struct record_kind *next; /* the kind of the next record; NULL: none follows */
	uint64_t end;			/* its offset in the stream, or NOWHERE */
};

struct records {
	char *driver; /* or NULL */
	vfiomig_record_fn fn;
	const struct records_raw *raw; /* or NULL */
	void *data;
	int stopped;

	const struct format *format;
	enum doing doing;
	uint64_t offset; /* bytes of the stream so far */

	/* HEADER, FIELDS and PEEK collect @want bytes, of which the first is at @start. */
	uint8_t buf[RECORDS_STRUCTURE_MAX];
	size_t have, want;
	uint64_t start;

	const struct structure *fields; /* FIELDS */
	uint64_t data_end;		/* FIELDS and PASS: the offset after that */
	const char *passing;		/* PASS: how to tell of the bytes; NULL: not at all */

	struct sequence stack[RECORDS_DEPTH_MAX];
	unsigned int depth; /* of the sequence that is being read */

	/* The record of the outermost sequence that is being read, or was the last one. */
	uint64_t count, record_start, record_end;
	char record_name[32];
	uint8_t record_flags;
	bool lost; /* something in the outermost sequence is no record */

	char sentence[256];
};

struct records *records_new(const char *driver, vfiomig_record_fn fn, void *data)
{
	struct records *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->driver = driver ? strdup(driver) : NULL;
	if (driver && !w->driver) {
		free(w);
		return NULL;
	}
	w->fn = fn;
	w->data = data;
	w->want = RECORDS_PEEK;
	return w;
}

void records_set_raw(struct records *w, const struct records_raw *raw)
{
	w->raw = raw;
}

void records_free(struct records *w)
{
	if (!w)
		return;
	free(w->driver);
	free(w);
}

/* ---- Telling of what was found ------------------------------------------- */

static void tell(struct records *w, const struct vfiomig_record *piece)
{
	if (w->fn && !w->stopped)
		w->stopped = w->fn(w->data, piece);
}

static void tell_opaque(struct records *w, const char *name, uint64_t start, uint64_t size)
{
	const struct vfiomig_record piece = {
		.kind = VFIOMIG_RECORD_OPAQUE,
		.offset = start,
		.size = size,
		.depth = w->depth,
		.type = "opaque",
		.name = name,
	};

	if (size)
		tell(w, &piece);
}

static void tell_field(struct records *w, const struct field *f, unsigned int index)
{
	size_t at = f->offset + (size_t)index * f->stride;
	struct vfiomig_record piece = {
		.kind = VFIOMIG_RECORD_FIELD,
		.offset = w->start + at,
		.size = f->size,
		.depth = w->depth + 1,
		.type = format_type_name(f),
		.bytes = w->buf + at,
		.hex = f->how & FIELD_HEX,
	};
	char name[48];

	if (at + f->size > w->have)
		return;
	format_name_element(f, index, name);
	piece.name = name;
	if (!(f->how & FIELD_BYTES))
		piece.value = format_number(piece.bytes, f->size);
	tell(w, &piece);
}

/* The fields of the structure that was collected, as far as it goes. */
static void tell_fields(struct records *w, const struct structure *s)
{
	if (w->raw)
		w->raw->structure(w->data, s, w->buf, w->have);
	if (!w->fn || w->raw)
		return;
	for (const struct field *f = s->fields; f && f->name; f++) {
		if (f->how & FIELD_TOLD)
			continue;
		for (unsigned int i = 0; i < (f->count ? f->count : 1); i++)
			tell_field(w, f, i);
	}
}

/* Bytes that go by, or were collected for nothing. */
static void tell_bytes(struct records *w, const char *name, const uint8_t *bytes, size_t size)
{
	if (w->raw && size)
		w->raw->bytes(w->data, name, w->depth, bytes, size);
}

/* ---- What comes next ----------------------------------------------------- */

static void pass(struct records *w, uint64_t end, const char *name)
{
	tell_bytes(w, name, w->buf, w->have);
	w->doing = PASS;
	w->start = w->offset - w->have;
	w->data_end = end;
	w->passing = name;
	w->have = 0;
}

static void collect(struct records *w, enum doing doing, size_t want)
{
	w->doing = doing;
	w->start = w->offset;
	w->have = 0;
	w->want = want;
}

/* How what follows the last record of a sequence is called. */
static const char *name_rest(const struct records *w)
{
	if (w->depth)
		return "unknown";
	return w->format->total && w->offset < w->format->total ? "unused" : "beyond the end";
}

/* Go on after a record: the next one, or out of the sequences that end here. */
static void next_record(struct records *w)
{
	struct sequence *s = &w->stack[w->depth];

	while (w->depth && w->offset >= s->end)
		s = &w->stack[--w->depth];
	if (!s->next)
		pass(w, s->end, name_rest(w));
	else
		collect(w, HEADER, s->next->header.size);
	/* No header fits into what is left of the sequence. */
	if (w->doing == HEADER && s->end - w->offset < w->want)
		pass(w, s->end, "unknown");
}

/* What was collected is no header. So nobody knows where the next one is. */
static void lose(struct records *w)
{
	w->lost |= !w->depth;
	pass(w, w->stack[w->depth].end, "unknown");
}

static const struct record_type *choose(const struct record_kind *kind, const uint8_t *header,
					char name[32])
{
	uint64_t id = format_number(header + kind->type.offset, kind->type.size);
	const struct record_type *type;

	*name = '\0';
	if (kind->choose) {
		type = kind->choose(header, name);
	} else {
		for (type = kind->types; type && type->name && type->id != id; type++)
			;
		if (!type || !type->name)
			type = &kind->other;
	}
	if (type && !*name && type->name)
		snprintf(name, 32, "%s", type->name);
	else if (type && !*name)
		snprintf(name, 32, "type %" PRIu64, id);
	return type;
}

/* Returns the offset after the data of the record whose header was collected. */
static uint64_t end_of(const struct records *w, const struct record_kind *kind)
{
	uint64_t units = format_number(w->buf + kind->length.offset, kind->length.size), length;

	if (!kind->length.size)
		return w->offset;
	if (__builtin_mul_overflow(units, kind->length.unit, &length) ||
	    length > NOWHERE - 1 - w->offset)
		return NOWHERE - 1;
	return w->offset + length;
}

static void tell_record(struct records *w, const struct record_kind *kind, uint64_t end,
			const char *name)
{
	const struct vfiomig_record piece = {
		.kind = VFIOMIG_RECORD_RECORD,
		.offset = w->start,
		.size = end - w->start,
		.depth = w->depth,
		.type = "record",
		.name = name,
	};

	tell(w, &piece);
	tell_fields(w, &kind->header);
}

static void begin_outermost(struct records *w, const struct record_type *type, uint64_t end,
			    const char *name)
{
	w->count++;
	w->record_start = w->start;
	w->record_end = end;
	w->record_flags = type->flags;
	snprintf(w->record_name, sizeof(w->record_name), "%s", name);
}

static void header_complete(struct records *w)
{
	struct sequence *s = &w->stack[w->depth];
	const struct record_kind *kind = s->next;
	const struct record_type *type;
	char name[32];
	uint64_t end = end_of(w, kind);

	type = choose(kind, w->buf, name);
	/* Inside of a record no length leads out of it. */
	if (!type || ((w->depth || w->format->total) && end > s->end)) {
		lose(w);
		return;
	}
	tell_record(w, kind, end, name);
	w->have = 0;
	if (!w->depth)
		begin_outermost(w, type, end, name);
	if (type->next)
		s->next = type->next;
	if (type->flags & TYPE_LAST)
		s->next = NULL;
	if (end == w->offset) {
		next_record(w);
	} else if (type->inside && w->depth + 1 < RECORDS_DEPTH_MAX) {
		w->stack[++w->depth] = (struct sequence){ type->inside, end };
		next_record(w);
	} else if (type->data) {
		uint64_t left = end - w->offset;

		collect(w, FIELDS, left < type->data->size ? left : type->data->size);
		w->fields = type->data;
		w->data_end = end;
	} else {
		pass(w, end, NULL);
	}
}

static void fields_complete(struct records *w)
{
	tell_fields(w, w->fields);
	w->have = 0;
	if (w->offset < w->data_end)
		pass(w, w->data_end, "unknown");
	else
		next_record(w);
}

/* ---- The format ---------------------------------------------------------- */

/* The first bytes are there, or all that the stream has. They are walked over only now. */
static void begin(struct records *w)
{
	struct vfiomig_record piece = { .kind = VFIOMIG_RECORD_STREAM };
	uint8_t first[RECORDS_PEEK] = { 0 };
	size_t have = w->have;

	memcpy(first, w->buf, have);
	w->format = format_find(w->driver, first, have);
	piece.type = w->format ? w->format->name : NULL;
	piece.name = w->format ? w->format->driver : NULL;
	tell(w, &piece);
	w->offset = 0;
	w->have = 0;
	if (w->format) {
		w->stack[0] = (struct sequence){ w->format->first, w->format->total ?: NOWHERE };
		next_record(w);
	} else {
		w->stack[0] = (struct sequence){ NULL, NOWHERE };
		pass(w, NOWHERE, "unknown");
	}
	records_feed(w, first, have);
}

/* ---- Feeding ------------------------------------------------------------- */

static void pass_complete(struct records *w)
{
	if (w->passing)
		tell_opaque(w, w->passing, w->start, w->offset - w->start);
	/* After the end of a stream that has a fixed size, more may follow. */
	if (!w->depth && w->data_end == w->stack[0].end) {
		w->stack[0] = (struct sequence){ NULL, NOWHERE };
		w->lost = w->lost || !w->count;
	}
	next_record(w);
}

/* Returns how many of the bytes were taken. */
static size_t step(struct records *w, const uint8_t *p, size_t size)
{
	uint64_t left = w->doing == PASS ? w->data_end - w->offset : w->want - w->have;
	size_t n = size < left ? size : left;

	if (w->doing != PASS) {
		memcpy(w->buf + w->have, p, n);
		w->have += n;
	} else {
		tell_bytes(w, w->passing, p, n);
	}
	w->offset += n;
	if (n < left)
		return n;
	switch (w->doing) {
	case PEEK:
		begin(w);
		break;
	case HEADER:
		header_complete(w);
		break;
	case FIELDS:
		fields_complete(w);
		break;
	case PASS:
		pass_complete(w);
		break;
	}
	return n;
}

uint64_t records_passing(const struct records *w)
{
	return w->doing == PASS ? w->data_end - w->offset : 0;
}

int records_feed(void *records, const void *data, size_t size)
{
	struct records *w = records;
	const uint8_t *p = data;

	while (size) {
		size_t n = step(w, p, size);

		p += n;
		size -= n;
	}
	return w->stopped;
}

/* ---- The end ------------------------------------------------------------- */

/* What is collected of a piece that has no end, and where the bytes that go by have begun. */
static void tell_rest(struct records *w)
{
	static const char part[] = "part of a header";

	if (w->doing == PASS && w->passing)
		tell_opaque(w, w->passing, w->start, w->offset - w->start);
	else if (w->doing == FIELDS)
		tell_fields(w, w->fields);
	else if (w->doing == HEADER) {
		tell_bytes(w, part, w->buf, w->have);
		tell_opaque(w, part, w->start, w->have);
	}
}

static enum records_end judge_total(struct records *w)
{
	uint64_t total = w->format->total;

	if (w->offset < total) {
		snprintf(w->sentence, sizeof(w->sentence),
			 "ends after %" PRIu64 " of %" PRIu64 " bytes", w->offset, total);
		return RECORDS_CUT;
	}
	if (!(w->record_flags & TYPE_ENDS)) {
		snprintf(w->sentence, sizeof(w->sentence), "has no %s that can be read",
			 w->format->final);
		return RECORDS_UNKNOWN;
	}
	if (w->offset == total)
		return RECORDS_WHOLE;
	snprintf(w->sentence, sizeof(w->sentence), "goes on for %" PRIu64 " bytes after its end",
		 w->offset - total);
	return RECORDS_BEYOND;
}

static enum records_end judge(struct records *w)
{
	if (!w->format) {
		snprintf(w->sentence, sizeof(w->sentence), "is of an unknown format");
		return RECORDS_UNKNOWN;
	}
	if (w->lost) {
		snprintf(w->sentence, sizeof(w->sentence),
			 "has something that is no record, after record %" PRIu64, w->count);
		return RECORDS_UNKNOWN;
	}
	if (w->format->total)
		return judge_total(w);
	if (w->count && w->offset < w->record_end) {
		snprintf(w->sentence, sizeof(w->sentence),
			 "ends in the middle of record %" PRIu64 " (%s, %" PRIu64 " of %" PRIu64
			 " bytes)",
			 w->count, w->record_name, w->offset - w->record_start,
			 w->record_end - w->record_start);
		return RECORDS_CUT;
	}
	if (w->doing == HEADER && w->have) {
		snprintf(w->sentence, sizeof(w->sentence),
			 "ends in the middle of record %" PRIu64 " (its header, %zu of %zu bytes)",
			 w->count + 1, w->have, w->want);
		return RECORDS_CUT;
	}
	if (w->offset > w->record_end) {
		snprintf(w->sentence, sizeof(w->sentence),
			 "goes on for %" PRIu64 " bytes after its end", w->offset - w->record_end);
		return RECORDS_BEYOND;
	}
	if (w->record_flags & TYPE_ENDS)
		return RECORDS_WHOLE;
	snprintf(w->sentence, sizeof(w->sentence), "ends after record %" PRIu64 " (%s), without %s",
		 w->count, w->record_name, w->format->final);
	return RECORDS_CUT;
}

enum records_end records_finish(struct records *w)
{
	static const char *const words[] = {
		[RECORDS_UNKNOWN] = "unknown",
		[RECORDS_WHOLE] = "whole",
		[RECORDS_CUT] = "cut",
		[RECORDS_BEYOND] = "beyond",
	};
	struct vfiomig_record piece = { .kind = VFIOMIG_RECORD_END };
	enum records_end end;

	if (w->doing == PEEK)
		begin(w);
	tell_rest(w);
	end = judge(w);
	if (end == RECORDS_WHOLE)
		snprintf(w->sentence, sizeof(w->sentence), "is whole");
	piece.offset = w->offset;
	piece.type = words[end];
	piece.name = w->sentence;
	tell(w, &piece);
	return end;
}

int records_stopped(const struct records *w)
{
	return w->stopped;
}

const char *records_sentence(const struct records *w)
{
	return w->sentence;
}

const char *records_format(const struct records *w)
{
	return w->format ? w->format->name : NULL;
}
