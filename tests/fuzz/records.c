// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libFuzzer target: the walker of records. It must end, tell only of bytes that are there, and
 * not depend on how the stream is cut into pieces.
 */
#include <string.h>
#include <xxhash.h>

#include "fuzz.h"
#include "records/records.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

struct notes {
	const uint8_t *stream;
	size_t size;
	uint64_t calls, offset, digest;
	bool ended;
};

static int note(void *data, const struct vfiomig_record *r)
{
	struct notes *n = data;

	expect(!n->ended, "a call after the last one");
	n->ended = r->kind == VFIOMIG_RECORD_END;
	/* A header or a field has at least one byte, and there are not more of them than fields. */
	expect(++n->calls <= 64 * (n->size + 1), "more calls than bytes");
	if (r->kind == VFIOMIG_RECORD_FIELD) {
		expect(r->size && r->offset + r->size <= n->size, "a field beyond the end");
		expect(memcmp(r->bytes, n->stream + r->offset, r->size) == 0, "other bytes");
	}
	if (r->kind == VFIOMIG_RECORD_OPAQUE)
		expect(r->size && r->offset + r->size <= n->size, "opaque bytes beyond the end");
	if (r->kind == VFIOMIG_RECORD_RECORD)
		expect(r->offset < n->size && r->offset + r->size > r->offset, "a record nowhere");
	if (r->kind == VFIOMIG_RECORD_END)
		expect(r->offset == n->size, "another size");
	if (r->name)
		n->digest = XXH64(r->name, strlen(r->name), n->digest);
	n->digest = XXH64(&r->offset, sizeof(r->offset), n->digest);
	n->digest = XXH64(&r->size, sizeof(r->size), n->digest);
	return 0;
}

static struct notes walk(const char *driver, const uint8_t *data, size_t size, size_t piece)
{
	struct notes n = { .stream = data, .size = size };
	struct records *w = records_new(driver, note, &n);

	expect(w, "no memory");
	for (size_t at = 0; at < size; at += piece)
		records_feed(w, data + at, size - at < piece ? size - at : piece);
	records_finish(w);
	expect(n.ended, "no last call");
	records_free(w);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *driver = NULL;

	for (size_t i = 0;; i++) {
		struct notes whole = walk(driver, data, size, size ? size : 1);
		struct notes pieces = walk(driver, data, size, 1 + size % 61);

		expect(whole.calls == pieces.calls && whole.digest == pieces.digest,
		       "the calls depend on the pieces");
		driver = vfiomig_format_name(i);
		if (!driver)
			return 0;
	}
}
