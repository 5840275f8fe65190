// SPDX-License-Identifier: LGPL-2.1-or-later
/* The units of a stream, as the walker tells of them. */
#include <inttypes.h>
#include <stdio.h>

#include "records.h"
#include "window.h"

/* What is walked over at once. No more units are in so many bytes than RING has room for beyond
 * WINDOW_UNITS: a header has four bytes at least. */
#define SLICE	     4096
#define SLICE_OPAQUE (64u << 10)
#define RING	     (2 * WINDOW_UNITS)
#define BUCKETS	     WINDOW_UNITS

_Static_assert(RING - WINDOW_UNITS > SLICE / 4 * 2, "a slice may overflow the window");

struct unit *window_unit(const struct window *w, uint64_t seq)
{
	return w->ring[seq % RING];
}

/* ---- Adding units -------------------------------------------------------- */

static struct unit *last_unit(const struct window *w)
{
	return window_count(w) ? window_unit(w, w->last - 1) : NULL;
}

static struct unit *add_unit(struct window *w, const char *name, unsigned int depth)
{
	struct unit *last = last_unit(w), *u = calloc(1, sizeof(*u));

	if (last)
		last->complete = true;
	if (!u) {
		w->no_memory = true;
		return NULL;
	}
	u->seq = w->last;
	u->depth = depth;
	u->offset = w->offset;
	snprintf(u->name, sizeof(u->name), "%s", name);
	w->ring[w->last++ % RING] = u;
	return u;
}

/* Bytes that were dropped leave room at the front. */
static bool make_room(struct unit *u, size_t size)
{
	size_t room = u->room ? u->room : 64;
	uint8_t *bytes;

	if (u->room - u->end >= size)
		return true;
	/* After the header, the data come. */
	if (u->end && room < u->size && u->size < UNIT_PREFIX)
		room = u->size;
	if (u->start) {
		memmove(u->bytes, u->bytes + u->start, unit_have(u));
		u->end -= u->start;
		u->start = 0;
	}
	while (room - u->end < size)
		room *= 2;
	bytes = room > u->room ? realloc(u->bytes, room) : u->bytes;
	if (!bytes)
		return false;
	u->bytes = bytes;
	u->room = room;
	return true;
}

static void add_bytes(struct window *w, struct unit *u, const uint8_t *bytes, size_t size)
{
	if (!u || !make_room(u, size)) {
		w->no_memory = true;
		return;
	}
	memcpy(u->bytes + u->end, bytes, size);
	u->end += size;
	u->length += size;
	w->retained += size;
	w->offset += size;
}

/* What tells the record apart from others of its type: " selector=1" */
static void add_keys(const struct unit *u, char path[UNIT_PATH])
{
	size_t length = strlen(path);

	for (const struct field *f = u->header ? u->header->fields : NULL; f && f->name; f++)
		if (f->how & FIELD_KEY && length < UNIT_PATH)
			length += snprintf(path + length, UNIT_PATH - length,
					   f->how & FIELD_HEX ? " %s=%#" PRIx64 : " %s=%" PRIu64,
					   f->name, format_number(u->bytes + f->offset, f->size));
}

/* The header is there: which record is it? */
static void identify(struct window *w, struct unit *u)
{
	unsigned int depth = u->depth < RECORDS_DEPTH_MAX ? u->depth : RECORDS_DEPTH_MAX;
	uint64_t parent = depth ? w->keys[depth - 1] : 0;

	snprintf(u->path, sizeof(u->path), "%s%s%s", depth ? w->paths[depth - 1] : "",
		 depth ? "/" : "", u->name);
	u->hash[BY_KEY] = XXH64(u->name, strlen(u->name), parent + u->opaque);
	for (const struct field *f = u->header ? u->header->fields : NULL; f && f->name; f++)
		if (f->how & FIELD_KEY)
			u->hash[BY_KEY] = XXH64(u->bytes + f->offset, f->size, u->hash[BY_KEY]);
	add_keys(u, u->path);
	if (u->opaque)
		return;
	w->keys[depth] = u->hash[BY_KEY];
	memcpy(w->paths[depth], u->path, sizeof(u->path));
}

/* ---- What the walker tells ----------------------------------------------- */

static int on_piece(void *data, const struct vfiomig_record *r)
{
	struct window *w = data;
	struct unit *u = last_unit(w);

	switch (r->kind) {
	case VFIOMIG_RECORD_RECORD:
		u = add_unit(w, r->name, r->depth);
		if (u)
			u->size = r->size;
		break;
	case VFIOMIG_RECORD_OPAQUE:
		if (u)
			u->complete = true;
		break;
	case VFIOMIG_RECORD_END:
		w->end = *r;
		break;
	default:
		break;
	}
	return w->no_memory ? -ENOMEM : 0;
}

static void on_structure(void *data, const struct structure *s, const uint8_t *bytes, size_t size)
{
	struct window *w = data;
	struct unit *u = last_unit(w);

	add_bytes(w, u, bytes, size);
	if (w->no_memory)
		return;
	if (u->header) {
		u->fields = s;
		u->fields_size = size;
		return;
	}
	u->header = s;
	u->header_size = size;
	identify(w, u);
}

static void on_bytes(void *data, const char *name, unsigned int depth, const uint8_t *bytes,
		     size_t size)
{
	struct window *w = data;
	struct unit *u = last_unit(w);

	if (name && (!u || u->complete || !u->opaque || u->depth != depth)) {
		u = add_unit(w, name, depth);
		if (u) {
			u->opaque = true;
			identify(w, u);
		}
	}
	add_bytes(w, u, bytes, size);
}

static const struct records_raw raw_calls = {
	.structure = on_structure,
	.bytes = on_bytes,
};

/* ---- Reading ------------------------------------------------------------- */

int window_begin(struct window *w, const char *driver)
{
	w->records = records_new(driver, on_piece, w);
	w->ring = calloc(RING, sizeof(struct unit *));
	for (int i = 0; i < NR_LOOKS; i++)
		w->buckets[i] = calloc(BUCKETS, sizeof(struct bucket));
	if (!w->records || !w->ring || !w->buckets[BY_KEY] || !w->buckets[BY_CONTENT])
		return ctx_fail_memory(w->source.ctx);
	records_set_raw(w->records, &raw_calls);
	return 0;
}

void window_free(struct window *w)
{
	while (w->ring && window_count(w))
		window_drop(w);
	for (int i = 0; i < NR_LOOKS; i++)
		free(w->buckets[i]);
	free(w->ring);
	records_free(w->records);
	source_free(&w->source);
}

static int end(struct window *w)
{
	struct unit *last;

	w->ended = true;
	records_finish(w->records);
	last = last_unit(w);
	if (last)
		last->complete = true;
	return w->no_memory ? ctx_fail_memory(w->source.ctx) : 0;
}

/* The failures of the program itself are no end of the stream. */
static int end_early(struct window *w, int err)
{
	if (err == -EINTR || err == -ENOMEM)
		return err;
	w->failed = true;
	w->failure = ctx_get_failure(w->source.ctx);
	return end(w);
}

int window_feed(struct window *w)
{
	uint64_t passing = records_passing(w->records);
	size_t size = passing < SLICE ? SLICE : passing > SLICE_OPAQUE ? SLICE_OPAQUE : passing;
	int err;

	if (w->ended)
		return 0;
	if (!w->piece_size) {
		err = source_next(&w->source, &w->piece, &w->piece_size);
		if (err)
			return end_early(w, err);
		err = ctx_progress(w->source.ctx);
		if (err)
			return err;
		if (!w->piece_size)
			return end(w);
		w->source.ctx->progress.moved += w->piece_size;
	}
	if (size > w->piece_size)
		size = w->piece_size;
	records_feed(w->records, w->piece, size);
	w->piece += size;
	w->piece_size -= size;
	return w->no_memory ? ctx_fail_memory(w->source.ctx) : 0;
}

int window_fill(struct window *w)
{
	int err = 0;

	while (!err && !w->ended && window_count(w) < WINDOW_UNITS && w->retained < WINDOW_BYTES)
		err = window_feed(w);
	return err;
}

static bool is_ready(const struct unit *u)
{
	return u->complete || u->length >= UNIT_PREFIX;
}

int window_head(struct window *w, struct unit **unit)
{
	int err = 0;

	while (!err && !w->ended && (!window_count(w) || !is_ready(window_unit(w, w->first))))
		err = window_feed(w);
	*unit = !err && window_count(w) ? window_unit(w, w->first) : NULL;
	return err;
}

/* ---- Looking for units --------------------------------------------------- */

/* The header without what says how long the record is: that depends on the records in it. */
static uint64_t hash_header(const struct unit *u)
{
	uint8_t header[RECORDS_STRUCTURE_MAX];

	if (!u->header)
		return u->hash[BY_KEY];
	memcpy(header, u->bytes + u->start, u->header_size);
	for (const struct field *f = u->header->fields; f && f->name; f++)
		if (f->how & FIELD_TOLD)
			memset(header + f->offset, 0, f->size);
	return XXH64(header, u->header_size, u->hash[BY_KEY]);
}

/* Of the first bytes, before any are dropped. They tell more than the length of a record that is
 * longer than they are. */
static void hash_content(struct unit *u)
{
	size_t size = u->length < UNIT_PREFIX ? u->length : UNIT_PREFIX;
	uint64_t hash;

	if (u->hashed)
		return;
	hash = XXH64(u->bytes + u->start + u->header_size, size - u->header_size, hash_header(u));
	if (u->length >= UNIT_PREFIX)
		hash = XXH64(&u->size, sizeof(u->size), hash);
	u->hash[BY_CONTENT] = hash;
	u->hashed = true;
}

bool unit_is_like(struct unit *a, struct unit *b)
{
	hash_content(a);
	hash_content(b);
	return a->hash[BY_CONTENT] == b->hash[BY_CONTENT];
}

static struct bucket *bucket_of(const struct window *w, enum look look, uint64_t hash)
{
	return &w->buckets[look][hash % BUCKETS];
}

static void add_to_bucket(struct window *w, enum look look, struct unit *u)
{
	struct bucket *b = bucket_of(w, look, u->hash[look]);

	if (b->first)
		b->last->next[look] = u;
	else
		b->first = u;
	b->last = u;
}

void window_index(struct window *w)
{
	if (w->indexed < w->first)
		w->indexed = w->first;
	for (; w->indexed < w->last; w->indexed++) {
		struct unit *u = window_unit(w, w->indexed);

		if (!is_ready(u))
			return;
		hash_content(u);
		add_to_bucket(w, BY_KEY, u);
		add_to_bucket(w, BY_CONTENT, u);
	}
}

struct unit *window_find(const struct window *w, enum look look, uint64_t hash)
{
	struct unit *u = bucket_of(w, look, hash)->first;

	while (u && u->hash[look] != hash)
		u = u->next[look];
	return u;
}

/* ---- Dropping ------------------------------------------------------------ */

void window_drop_bytes(struct window *w, size_t size)
{
	struct unit *u = window_unit(w, w->first);

	u->start += size;
	w->retained -= size;
	if (u->start == u->end)
		u->start = u->end = 0;
}

/* Units leave in the order in which they came: in each bucket, it is the first one that leaves. */
void window_drop(struct window *w)
{
	struct unit *u = window_unit(w, w->first);

	for (int i = 0; i < NR_LOOKS && w->first < w->indexed; i++) {
		struct bucket *b = bucket_of(w, i, u->hash[i]);

		b->first = u->next[i];
	}
	w->retained -= unit_have(u);
	w->first++;
	free(u->bytes);
	free(u);
}

void window_give_up(struct window *w)
{
	w->offset = window_unit(w, w->first)->offset;
	while (window_count(w))
		window_drop(w);
}
