// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Two units of the same key. Fields that both have are compared one by one, and all other bytes in
 * ranges. The bytes of a long unit are compared while they come in.
 */
#include <stdio.h>

#include "compare.h"

/* So many equal bytes end a range of different ones. */
#define GAP   16
/* So many bytes of a range are told. */
#define SHOWN 32

int compare_tell(struct comparison *c, const struct vfiomig_difference *d)
{
	if (!c->stopped)
		c->stopped = c->fn(c->data, d);
	return c->stopped ? ctx_fail(c->ctx, c->stopped, "the caller has ended it") : 0;
}

static int tell_difference(struct comparison *c, enum vfiomig_difference_kind kind,
			   const char *path, const struct vfiomig_record *a,
			   const struct vfiomig_record *b)
{
	const struct vfiomig_difference d = {
		.kind = kind,
		.path = path,
		.a = a,
		.b = b,
	};

	c->differences++;
	return compare_tell(c, &d);
}

/* ---- Types --------------------------------------------------------------- */

/* The path without what tells records of the type apart. */
static void name_type(const struct unit *u, char *name, size_t size)
{
	size_t n = 0;

	for (const char *p = u->path; *p && n < size - 1; p++) {
		p += *p == ' ' ? strcspn(p, "/") : 0;
		if (!*p)
			break;
		name[n++] = *p;
	}
	name[n] = '\0';
}

/* Of types that nobody knows there can be any number. The last entry is for what has no room. */
static struct type *type_of(struct comparison *c, const struct unit *u)
{
	struct type *t = c->types;
	char name[sizeof(t->name)];

	name_type(u, name, sizeof(name));
	while (t < c->types + c->nr_types && strcmp(t->name, name) != 0)
		t++;
	if (t >= c->types + TYPES_MAX - 1) {
		t = c->types + TYPES_MAX - 1;
		snprintf(name, sizeof(name), "others");
	}
	if (t == c->types + c->nr_types) {
		c->nr_types++;
		memcpy(t->name, name, sizeof(name));
		t->depth = u->depth;
	}
	return t;
}

/* No more of this level's record is to come, nor of those inside of it. */
static void close_levels(struct comparison *c, unsigned int depth)
{
	for (unsigned int i = ARRAY_SIZE(c->levels); i-- > depth;) {
		struct level *l = &c->levels[i];

		if (!l->type)
			continue;
		if (l->only >= 0)
			l->type->only[l->only]++;
		else if (l->differs)
			l->type->different++;
		else
			l->type->equal++;
		if (i && (l->only >= 0 || l->differs))
			c->levels[i - 1].differs = true;
		l->type = NULL;
	}
}

static unsigned int depth_of(const struct unit *u)
{
	return u->depth < RECORDS_DEPTH_MAX ? u->depth : RECORDS_DEPTH_MAX;
}

static void count(struct comparison *c, int side, const struct unit *u)
{
	struct type *t = c->levels[depth_of(u)].type;
	uint64_t size = u->opaque ? u->length : u->size;

	t->records[side]++;
	t->bytes[side] += size;
	c->counted[side][depth_of(u)] = (struct counted){ t, u->offset + size };
}

/* Where a stream is cut off, the last records are shorter than their headers tell. */
static void count_cut(struct comparison *c, int side)
{
	uint64_t end = c->w[side].offset;

	for (unsigned int i = 0; i < ARRAY_SIZE(c->counted[side]); i++) {
		const struct counted *last = &c->counted[side][i];

		if (last->type && last->end > end)
			last->type->bytes[side] -= last->end - end;
	}
}

/* Returns whether the record is inside of another one that @only has. */
static bool open_level(struct comparison *c, const struct unit *u, int only)
{
	unsigned int depth = depth_of(u);
	const struct level *outer = depth ? &c->levels[depth - 1] : NULL;

	close_levels(c, depth);
	c->levels[depth] = (struct level){ .type = type_of(c, u), .only = only };
	return outer && outer->type && only >= 0 && outer->only == only;
}

static struct level *level_of(struct comparison *c, const struct unit *u)
{
	return &c->levels[depth_of(u)];
}

int compare_end(struct comparison *c)
{
	int err = 0;

	close_levels(c, 0);
	count_cut(c, 0);
	count_cut(c, 1);
	for (size_t i = 0; !err && i < c->nr_types; i++) {
		const struct type *t = &c->types[i];
		const struct vfiomig_difference d = {
			.kind = VFIOMIG_DIFFERENCE_TYPE,
			.path = t->name,
			.depth = t->depth,
			.equal = t->equal,
			.different = t->different,
			.records = { t->records[0], t->records[1] },
			.bytes = { t->bytes[0], t->bytes[1] },
			.only = { t->only[0], t->only[1] },
		};

		err = compare_tell(c, &d);
	}
	return err;
}

/* ---- Fields -------------------------------------------------------------- */

/* The bytes of a unit's structures that fields have named. */
struct named {
	bool byte[2 * RECORDS_STRUCTURE_MAX];
};

static bool is_named(const struct named *named, uint64_t at)
{
	return at < sizeof(named->byte) && named->byte[at];
}

/* A structure in both units */
struct place {
	const struct structure *structure;
	size_t at;   /* in the unit */
	size_t size; /* as many bytes as both have */
};

static int compare_field(struct comparison *c, const char *path, const struct place *p,
			 const struct field *f, unsigned int index)
{
	struct vfiomig_record records[2];
	size_t at = p->at + f->offset + (size_t)index * f->stride;
	char name[FIELD_NAME];

	format_name_element(f, index, name);
	for (int i = 0; i < 2; i++) {
		const struct unit *u = window_unit(&c->w[i], c->w[i].first);
		const uint8_t *bytes = u->bytes + u->start + at;

		records[i] = (struct vfiomig_record){
			.kind = VFIOMIG_RECORD_FIELD,
			.offset = u->offset + at,
			.size = f->size,
			.depth = u->depth + 1,
			.type = format_type_name(f),
			.name = name,
			.bytes = bytes,
			.value = f->how & FIELD_BYTES ? 0 : format_number(bytes, f->size),
			.hex = f->how & FIELD_HEX,
		};
	}
	if (memcmp(records[0].bytes, records[1].bytes, f->size) == 0)
		return 0;
	return tell_difference(c, VFIOMIG_DIFFERENCE_FIELD, path, &records[0], &records[1]);
}

static int compare_fields(struct comparison *c, const char *path, const struct place *p,
			  struct named *named)
{
	int err = 0;

	for (const struct field *f = p->structure ? p->structure->fields : NULL; f && f->name; f++)
		for (unsigned int i = 0; !err && i < (f->count ? f->count : 1); i++) {
			size_t at = f->offset + (size_t)i * f->stride;

			if (at + f->size > p->size)
				continue;
			memset(named->byte + p->at + at, true, f->size);
			err = compare_field(c, path, p, f, i);
		}
	return err;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Another version of a format may have another structure. Its bytes have no common names. */
static int compare_structures(struct comparison *c, const struct unit *a, const struct unit *b,
			      struct named *named)
{
	struct place place = { 0 };
	int err = 0;

	if (a->header && a->header == b->header) {
		place = (struct place){ a->header, 0, a->header_size };
		err = compare_fields(c, a->path, &place, named);
	}
	if (!err && a->fields && a->fields == b->fields && a->header_size == b->header_size) {
		place = (struct place){ a->fields, a->header_size,
					smaller(a->fields_size, b->fields_size) };
		err = compare_fields(c, a->path, &place, named);
	}
	return err;
}

/* ---- Ranges -------------------------------------------------------------- */

/* A range of different bytes, which goes on as long as there are not GAP equal bytes. */
struct range {
	struct comparison *c;
	char path[UNIT_PATH];
	uint64_t offset[2];  /* of the units */
	uint64_t start, end; /* in the units, after the last different byte; the same: no range */
	uint8_t shown[2][SHOWN];
	size_t nr_shown;
};

static int tell_range(struct range *r, const uint64_t size[2])
{
	struct vfiomig_record records[2];

	for (int i = 0; i < 2; i++)
		records[i] = (struct vfiomig_record){
			.kind = VFIOMIG_RECORD_OPAQUE,
			.offset = r->offset[i] + r->start,
			.size = size[i],
			.type = "opaque",
			.name = "bytes",
			.bytes = r->shown[i],
		};
	return tell_difference(r->c, VFIOMIG_DIFFERENCE_BYTES, r->path, &records[0], &records[1]);
}

static int end_range(struct range *r)
{
	uint64_t size = r->end - r->start;
	int err = size ? tell_range(r, (uint64_t[]){ size, size }) : 0;

	r->start = r->end = 0;
	return err;
}

static int add_byte(struct range *r, uint64_t at, uint8_t a, uint8_t b)
{
	int err = 0;

	if (r->end > r->start && at - r->end >= GAP)
		err = end_range(r);
	if (r->end == r->start && a != b) {
		r->start = at;
		r->nr_shown = 0;
	}
	if (r->end == r->start && a == b)
		return err;
	if (r->nr_shown < SHOWN) {
		r->shown[0][r->nr_shown] = a;
		r->shown[1][r->nr_shown++] = b;
	}
	if (a != b)
		r->end = at + 1;
	return err;
}

/* How many bytes are equal, before the first ones that differ. */
static size_t equal_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
	size_t i = 0;

	while (size - i >= 4096 && memcmp(a + i, b + i, 4096) == 0)
		i += 4096;
	while (size - i >= 64 && memcmp(a + i, b + i, 64) == 0)
		i += 64;
	while (i < size && a[i] == b[i])
		i++;
	return i;
}

/* The bytes from @at on in both units, without those that fields have named. */
static int compare_bytes(struct range *r, const struct named *named, uint64_t at, const uint8_t *a,
			 const uint8_t *b, size_t size)
{
	int err = 0;

	for (size_t i = 0; !err && i < size; i++) {
		if (r->end == r->start)
			i += equal_bytes(a + i, b + i, size - i);
		if (i < size)
			err = add_byte(r, at + i, a[i], is_named(named, at + i) ? a[i] : b[i]);
	}
	return err;
}

/* ---- Units --------------------------------------------------------------- */

static struct unit *head(const struct comparison *c, int side)
{
	return window_unit(&c->w[side], c->w[side].first);
}

/* Have a byte of the first unit there, if one is to come. */
static int await(struct window *w, const struct unit *u)
{
	int err = 0;

	while (!err && !unit_have(u) && !u->complete)
		err = window_feed(w);
	return err;
}

/* Drop all bytes that are still to come, and add what is shown of them to the range. */
static int drain(struct window *w, struct unit *u, struct range *r, int side)
{
	int err = await(w, u);

	while (!err && unit_have(u)) {
		size_t have = unit_have(u), n = r ? smaller(SHOWN - r->nr_shown, have) : 0;

		if (n)
			memcpy(r->shown[side] + r->nr_shown, u->bytes + u->start, n);
		if (r)
			r->nr_shown += n;
		window_drop_bytes(w, have);
		err = await(w, u);
	}
	return err;
}

/* One of the units is over. Tell of what the other one has more. */
static int compare_tails(struct comparison *c, struct range *r, uint64_t at)
{
	int err = end_range(r);

	/* What comes where one of them could not be read is not known. */
	if (window_is_cut(&c->w[0]) || window_is_cut(&c->w[1]))
		return err;
	for (int i = 0; !err && i < 2; i++) {
		struct unit *u = head(c, i);
		uint64_t size[2] = { 0 };

		r->start = r->end = at;
		r->nr_shown = 0;
		err = drain(&c->w[i], u, r, i);
		size[i] = u->length - at;
		if (!err && size[i])
			err = tell_range(r, size);
	}
	return err;
}

static int compare_contents(struct comparison *c, struct range *r, const struct named *named)
{
	struct unit *a = head(c, 0), *b = head(c, 1);
	uint64_t at = 0;
	int err = 0;

	for (;;) {
		size_t n;

		err = await(&c->w[0], a);
		if (!err)
			err = await(&c->w[1], b);
		n = smaller(unit_have(a), unit_have(b));
		if (err || !n)
			break;
		err = compare_bytes(r, named, at, a->bytes + a->start, b->bytes + b->start, n);
		if (err)
			break;
		at += n;
		window_drop_bytes(&c->w[0], n);
		window_drop_bytes(&c->w[1], n);
	}
	return err ? err : compare_tails(c, r, at);
}

int compare_pair(struct comparison *c)
{
	struct unit *a = head(c, 0), *b = head(c, 1);
	struct range range = { .c = c, .offset = { a->offset, b->offset } };
	uint64_t before = c->differences;
	struct named named = { 0 };
	int err;

	memcpy(range.path, a->path, sizeof(range.path));
	open_level(c, a, -1);
	err = compare_structures(c, a, b, &named);
	if (!err)
		err = compare_contents(c, &range, &named);
	if (err)
		return err;
	count(c, 0, a);
	count(c, 1, b);
	level_of(c, a)->differs |= c->differences > before;
	window_drop(&c->w[0]);
	window_drop(&c->w[1]);
	return 0;
}

/* What is in a record that only one state has is not told of. */
int compare_only(struct comparison *c, int side)
{
	struct unit *u = head(c, side);
	bool told = open_level(c, u, side);
	struct vfiomig_record record = {
		.kind = u->opaque ? VFIOMIG_RECORD_OPAQUE : VFIOMIG_RECORD_RECORD,
		.offset = u->offset,
		.depth = u->depth,
		.type = u->opaque ? "opaque" : "record",
		.name = u->name,
	};
	int err = drain(&c->w[side], u, NULL, side);

	record.size = unit_size(&c->w[side], u);
	c->differences += told;
	if (!err && !told)
		err = tell_difference(c, VFIOMIG_DIFFERENCE_RECORD, u->path, side ? NULL : &record,
				      side ? &record : NULL);
	if (err)
		return err;
	count(c, side, u);
	window_drop(&c->w[side]);
	return 0;
}
