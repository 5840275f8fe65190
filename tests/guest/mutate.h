/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Malformed streams for the C programs that test in the guest. The same seed gives the same stream.
 */
#ifndef MUTATE_H
#define MUTATE_H

#include "model.h"

struct mutant {
	uint64_t seed;
	unsigned char *data;
	size_t size, room;
};

struct mutant_record {
	uint32_t type, reserved;
	uint64_t offset, length;
	size_t bytes; /* the bytes of data that follow the record, whatever its length says */
};

#define MUTANT_RECORDS 64

static inline uint64_t mutant_random(struct mutant *m)
{
	uint64_t z = m->seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Returns a random number below @n, or 0. */
static inline uint64_t mutant_below(struct mutant *m, uint64_t n)
{
	return n ? mutant_random(m) % n : 0;
}

/* Returns true once in @n times. */
static inline bool mutant_at_times(struct mutant *m, unsigned int n)
{
	return mutant_below(m, n) == 0;
}

/* Returns a value near a boundary of some kind, or one with a flipped bit. */
static inline uint64_t mutant_value(struct mutant *m, uint64_t old, uint64_t memory)
{
	const uint64_t around[] = {
		0,	    old,	memory,	    MODEL_GRANULE, MODEL_MEM_MAX,     1 << 16,
		1ULL << 31, 1ULL << 32, 1ULL << 63, -memory,	   MODEL_RECORD_SIZE,
	};
	uint64_t value = around[mutant_below(m, sizeof(around) / 8)];

	switch (mutant_below(m, 6)) {
	case 0:
		return value;
	case 1:
		return value + 1;
	case 2:
		return value - 1;
	case 3:
		return value + MODEL_GRANULE;
	case 4:
		return value - MODEL_GRANULE;
	}
	return old ^ 1ULL << mutant_below(m, 64);
}

/*
 * Make records for all of the memory, in runs of any length and order, and with a run that comes
 * twice at times. Returns how many records there are.
 */
static inline unsigned int mutant_whole(struct mutant *m, uint64_t memory, struct mutant_record *r)
{
	uint64_t longest = MODEL_MEM_MAX / MODEL_GRANULE, at = 0, n;
	uint64_t granules = memory / MODEL_GRANULE;
	unsigned int records = 0;

	if (mutant_at_times(m, 2) && granules < MUTANT_RECORDS / 2)
		longest = 3;
	for (; at < granules; at += n) {
		n = 1 + mutant_below(m, longest);
		/* There is no room for more short runs. */
		if (records > MUTANT_RECORDS / 2)
			n = longest = MODEL_MEM_MAX / MODEL_GRANULE;
		if (n > granules - at)
			n = granules - at;
		r[records++] = (struct mutant_record){ MODEL_MEM, 0, at * MODEL_GRANULE,
						       n * MODEL_GRANULE, n * MODEL_GRANULE };
	}
	for (unsigned int i = 0; i < records; i++) {
		unsigned int other = mutant_below(m, records);
		struct mutant_record kept = r[i];

		r[i] = r[other];
		r[other] = kept;
	}
	if (mutant_at_times(m, 3)) {
		r[records] = r[mutant_below(m, records)];
		records++;
	}
	r[records++] = (struct mutant_record){ MODEL_REGS, 0, 0, MODEL_REGS_SIZE, MODEL_REGS_SIZE };
	r[records++] = (struct mutant_record){ MODEL_END, 0, 0, MODEL_END_SIZE, MODEL_END_SIZE };
	return records;
}

static inline void mutant_field(struct mutant *m, struct mutant_record *r, uint64_t memory)
{
	switch (mutant_below(m, 6)) {
	case 0:
		r->type = mutant_below(m, 6);
		break;
	case 1:
		r->reserved = mutant_value(m, r->reserved, memory);
		break;
	case 2:
		r->offset = mutant_value(m, r->offset, memory);
		break;
	case 3:
		r->length = mutant_value(m, r->length, memory);
		break;
	case 4:
		/* Length and data agree, so that the next record is found. */
		r->length = mutant_below(m, 2 * memory / 8) * 8;
		r->bytes = r->length;
		break;
	case 5:
		r->bytes = mutant_below(m, 2 * r->bytes + 2);
		break;
	}
}

/* Change the order or the contents of the records once. Returns how many records there are. */
static inline unsigned int mutant_records(struct mutant *m, uint64_t memory,
					  struct mutant_record *r, unsigned int n)
{
	unsigned int i = mutant_below(m, n), j = mutant_below(m, n);
	struct mutant_record kept = r[i];

	switch (mutant_below(m, 6)) {
	case 0: /* gone */
		memmove(r + i, r + i + 1, (n - i - 1) * sizeof(*r));
		return n - 1;
	case 1: /* twice */
		if (n < MUTANT_RECORDS)
			r[n++] = kept;
		return n;
	case 2: /* elsewhere */
		r[i] = r[j];
		r[j] = kept;
		return n;
	}
	mutant_field(m, r + i, memory);
	return n;
}

/* ---- Bytes --------------------------------------------------------------- */

static inline void mutant_put(struct mutant *m, const void *data, size_t n)
{
	if (m->size + n > m->room) {
		m->room = 2 * m->room + n;
		m->data = realloc(m->data, m->room);
		if (!m->data)
			abort();
	}
	if (data)
		memcpy(m->data + m->size, data, n);
	m->size += n;
}

static inline void mutant_put64(struct mutant *m, uint64_t value)
{
	value = htole64(value);
	mutant_put(m, &value, sizeof(value));
}

static inline void mutant_put_random(struct mutant *m, size_t n)
{
	uint64_t word = mutant_random(m);

	mutant_put(m, NULL, n);
	/* The data is different in each record and cheap to make. */
	for (size_t i = 0; i < n; i++)
		m->data[m->size - n + i] = (word += 0x0101010101010107) >> 56;
}

static inline void mutant_put_header(struct mutant *m, uint64_t memory)
{
	uint64_t words[] = { MODEL_MAGIC, MODEL_VERSION | (uint64_t)MODEL_GRANULE << 32, memory,
			     (uint64_t)MODEL_REVISION << 32 };

	if (mutant_at_times(m, 16)) {
		uint64_t *word = &words[mutant_below(m, 4)];

		*word = mutant_value(m, *word, memory);
	}
	for (int i = 0; i < 4; i++)
		mutant_put64(m, words[i]);
}

static inline void mutant_put_record(struct mutant *m, const struct mutant_record *r, bool last)
{
	uint64_t length, digest;

	mutant_put64(m, r->type | (uint64_t)r->reserved << 32);
	mutant_put64(m, r->offset);
	mutant_put64(m, r->length);
	if (r->type != MODEL_END || !last) {
		mutant_put_random(m, r->bytes);
		return;
	}
	length = m->size;
	digest = XXH64(m->data, m->size, 0);
	mutant_put64(m, length);
	mutant_put64(m, digest);
}

/* Copy some bytes of the stream to another place in the stream. */
static inline void mutant_copy(struct mutant *m)
{
	size_t n = mutant_below(m, m->size / 2 < 256 ? m->size / 2 : 256);
	size_t from = mutant_below(m, m->size - n);
	size_t to = mutant_below(m, m->size - n);

	memmove(m->data + to, m->data + from, n);
}

/* Change the bytes of the stream once. The stream must have eight bytes at least. */
static inline void mutant_bytes(struct mutant *m, uint64_t memory)
{
	size_t words = m->size / 8, ends = words < 12 ? words : 12;
	size_t at = mutant_below(m, words) * 8;
	uint64_t value;

	if (!words)
		return;
	/* Prefer both ends of the stream, where its structure is, to the memory. */
	if (mutant_at_times(m, 2))
		at = mutant_below(m, ends) * 8;
	else if (mutant_at_times(m, 2))
		at = (words - 1 - mutant_below(m, ends)) * 8;
	switch (mutant_below(m, 5)) {
	case 0:
		m->data[at + mutant_below(m, 8)] ^= 1 << mutant_below(m, 8);
		break;
	case 1:
		memcpy(&value, m->data + at, 8);
		value = mutant_value(m, value, memory);
		memcpy(m->data + at, &value, 8);
		break;
	case 2:
		m->size = mutant_below(m, m->size);
		break;
	case 3:
		mutant_put_random(m, 1 + mutant_below(m, 100));
		break;
	case 4:
		mutant_copy(m);
		break;
	}
}

/* Make a stream for a device with this much memory. About one in three is well-formed. */
static inline void mutant_make(struct mutant *m, uint64_t seed, uint64_t memory)
{
	struct mutant_record records[MUTANT_RECORDS + 1];
	unsigned int n, changes;

	m->seed = seed;
	m->size = 0;
	n = mutant_whole(m, memory, records);
	for (changes = mutant_below(m, 3); changes && n; changes--)
		n = mutant_records(m, memory, records, n);
	mutant_put_header(m, memory);
	for (unsigned int i = 0; i < n; i++)
		mutant_put_record(m, &records[i], i == n - 1);
	if (mutant_at_times(m, 4))
		for (changes = 1 + mutant_below(m, 3); changes; changes--)
			mutant_bytes(m, memory);
}

#endif
