// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The walker of records: each format, streams that end too early, and hostile ones. However a
 * stream is cut into pieces, the calls are the same.
 */
#include "records/records.h"
#include "records/format.h"
#include "unit.h"

/* A stream that is being made. */
static uint8_t stream[16384];
static size_t size;

static void put(uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		stream[size++] = i < 8 ? value >> 8 * i : 0;
}

static void put_bytes(size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		stream[size++] = 'a' + i % 26;
}

static void new_stream(void)
{
	memset(stream, 0, sizeof(stream));
	size = 0;
}

/* ---- The streams --------------------------------------------------------- */

/* The header of mlx5 and virtio */
static void put_record(uint64_t length, uint32_t flags, uint32_t tag)
{
	put(length, 8);
	put(flags, 4);
	put(tag, 4);
}

static void make_mlx5(void)
{
	new_stream();
	put_record(8, 1, 1);
	put(8 << 20, 8);
	put_record(100, 0, 0);
	put_bytes(100);
	put_record(4, 1, 77);
	put_bytes(4);
	put_record(33, 0, 0);
	put_bytes(33);
}

static void put_part(uint16_t type, uint64_t selector, uint32_t length)
{
	put(type, 2);
	put(0, 2);
	put(selector, 8);
	put(length, 4);
}

static void make_virtio(void)
{
	new_stream();
	put_record(16 + 16 + 16 + 1 + 16 + 56 + 16 + 32 + 16 + 3, 0, 0);
	put_part(0x100, 0, 16);
	put(0x123456789, 8);
	put(7, 8);
	put_part(0x103, 0, 1);
	put(15, 1);
	put_part(0x102, 0, 56);
	put_bytes(56);
	put_part(0x104, 2, 32);
	put_bytes(32);
	put_part(0x999, 0, 3);
	put_bytes(3);
}

static void put_packet(uint8_t type, uint64_t offset, uint64_t length)
{
	put(1, 1);
	put(type, 1);
	put(0, 6);
	put(offset, 8);
	put(length, 8);
}

static void make_xe(void)
{
	new_stream();
	put_packet(1, 0, 24);
	put(0xf0010001, 4);
	put(0xb080, 4);
	put(0xf0020001, 4);
	put(4, 4);
	put(0xf0770001, 4);
	put(0, 4);
	put_packet(5, 0, 50);
	put_bytes(50);
	put_packet(6, 4096, 64);
	put_bytes(64);
	put_packet(2, 0, 0);
}

static size_t put_section(const char *id, uint32_t length, uint32_t sections)
{
	memcpy(stream + size, id, strlen(id) + 1);
	size += 8;
	put(length, 4);
	put(sections, 4);
	return size - 8;
}

/* A section's length is that of what was put since. */
static void end_section(size_t at)
{
	size_t end = size;

	size = at;
	put(end - at - 8, 4);
	size = end;
}

static size_t put_preamble(uint16_t sections)
{
	put(0xadf5caea, 4);
	put(1, 4);
	put(16, 2);
	put(sections, 2);
	put(0, 4);
	return size - 8;
}

static void end_preamble(size_t at)
{
	size_t end = size;

	size = at + 4;
	put(end - at - 8, 4);
	size = end;
}

static void make_qat(void)
{
	size_t block, section, bank, sub;

	new_stream();
	block = put_preamble(1);
	section = put_section("CONFIG", 0, 3);
	put_section("gencap", 4, 0);
	put(0x1234, 4);
	put_section("svcmap", 2, 0);
	put(5, 2);
	put_section("extdc", 4, 0);
	put(6, 4);
	end_section(section);
	end_preamble(block);
	block = put_preamble(3);
	section = put_section("GENER", 0, 3);
	put_section("iovinit", 1, 0);
	put(1, 1);
	put_section("sla", 24, 0);
	put(1, 8);
	put(3, 8);
	put(100, 4);
	put(200, 4);
	put_section("novel", 5, 0);
	put_bytes(5);
	end_section(section);
	section = put_section("ETRBAR", 0, 1);
	bank = put_section("bnk0", 0, 1);
	sub = put_section("mregs", 0, 0);
	put_bytes(472);
	end_section(sub);
	end_section(bank);
	end_section(section);
	end_preamble(block);
	size = 4096;
}

static void make_hisi_acc(void)
{
	new_stream();
	put(0xaaccfeeddecadedeULL, 8);
	put(64, 4);
	put(0xa251, 4);
	put(0, 4);
	put(0, 4);
	put(0, 4);
	put(1, 2);
	put(0, 10);
	put_bytes(136);
}

static void make_mtty(void)
{
	new_stream();
	put(0x7e9d09898c3e2c4eULL, 8);
	put(1, 4);
	put(0, 4);
	put(2, 4);
	put(0, 4);
	put_bytes(72);
}

static void make_ivshmem(void)
{
	new_stream();
	memcpy(stream, "ivshmem", 8);
	size = 8;
	put(2, 4);
	put(4096, 4);
	put(4096, 8);
	put(1, 4);
	put(1, 4);
	put(1, 4);
	put(0, 12);
	put(4096, 8);
	put_bytes(4096);
	put(2, 4);
	put(0, 12);
	put(8, 8);
	put(3, 8);
	put(3, 4);
	put(0, 12);
	put(16, 8);
	put(1, 8);
	put(2, 8);
}

static const struct {
	const char *name;
	void (*make)(void);
} formats[] = {
	{ "mlx5", make_mlx5 },	     { "virtio", make_virtio },	    { "xe", make_xe },
	{ "qat", make_qat },	     { "hisi_acc", make_hisi_acc }, { "mtty", make_mtty },
	{ "ivshmem", make_ivshmem },
};

/* ---- What the walker tells ----------------------------------------------- */

/* Each call in a line. */
static char told[1 << 20];
static size_t told_size;

static int note(void *data, const struct vfiomig_record *r)
{
	(void)data;
	assert_in_range(told_size, 0, sizeof(told) - 1024);
	told_size += sprintf(told + told_size, "%d %u %llu+%llu %s %s", r->kind, r->depth,
			     (unsigned long long)r->offset, (unsigned long long)r->size,
			     r->type ?: "-", r->name ?: "-");
	if (r->kind == VFIOMIG_RECORD_FIELD) {
		told_size += sprintf(told + told_size, " = %llu", (unsigned long long)r->value);
		assert_memory_equal(r->bytes, stream + r->offset, r->size);
	}
	told_size += sprintf(told + told_size, "\n");
	return 0;
}

/* Walk over the first @n bytes, in pieces of @piece bytes after a first one of @first. */
static enum records_end walk(const char *driver, size_t n, size_t first, size_t piece)
{
	struct records *w = records_new(driver, note, NULL);
	enum records_end end;

	assert_non_null(w);
	told_size = 0;
	for (size_t at = 0; at < n;) {
		size_t now = at ? piece : first;
		uint8_t *copy;

		if (!now || now > n - at)
			now = n - at;
		/* So that the sanitizer sees a read beyond the piece. */
		copy = malloc(now);
		memcpy(copy, stream + at, now);
		records_feed(w, copy, now);
		free(copy);
		at += now;
	}
	end = records_finish(w);
	records_free(w);
	return end;
}

static void assert_told(const char *line)
{
	if (!strstr(told, line))
		fail_msg("\"%s\" is not in:\n%s", line, told);
}

/* ---- Tests --------------------------------------------------------------- */

static void test_formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		formats[i].make();
		assert_int_equal(walk(formats[i].name, size, size, 0), RECORDS_WHOLE);
		assert_told("is whole");
		/* The stream itself says whose it is. */
		assert_int_equal(walk(NULL, size, size, 0), RECORDS_WHOLE);
		assert_told(formats[i].name);
	}
	make_mlx5();
	walk("mlx5-vfio-pci", size, size, 0);
	assert_told("1 0 0+24 record STOP_COPY_SIZE\n");
	assert_told("2 1 16+8 u64 stop_copy_size = 8388608\n");
	assert_told("1 0 24+116 record FW_DATA\n");
	assert_told("1 0 140+20 record type 77\n");
	assert_told("4 0 209+0 whole is whole\n");
	make_virtio();
	walk("virtio_vfio_pci", size, size, 0);
	assert_told("1 1 16+32 record DEV_FEATURES\n");
	assert_told("2 2 32+8 u64 features[0] = 4886718345\n");
	assert_told("2 2 40+8 u64 features[1] = 7\n");
	assert_told("1 1 48+17 record DEVICE_STATUS\n");
	assert_told("record type 2457\n");
	make_xe();
	walk("xe_vfio_pci", size, size, 0);
	assert_told("2 2 28+4 u32 device = 45184\n");
	assert_told("2 2 36+4 u32 revision = 4\n");
	make_qat();
	walk("qat", size, size, 0);
	assert_told("1 0 0+90 record setup\n");
	assert_told("1 2 32+20 record gencap\n");
	assert_told("2 3 48+4 u32 value = 4660\n");
	assert_told("rings[15].tail");
	assert_told("opaque unused\n");
	make_hisi_acc();
	walk("hisi_acc", size, size, 0);
	assert_told("2 1 12+4 u32 dev_id = 41553\n");
	assert_told("qm_eqc_dw[6]");
	make_mtty();
	walk("mtty", size, size, 0);
	assert_told("1 1 60+36 record port\n");
	make_ivshmem();
	walk("ivshmem_vfio_pci", size, size, 0);
	assert_told("2 1 16+8 u64 memory_size = 4096\n");
	assert_told("record END\n");
}

/* However the stream is cut, the calls are the same. */
static void test_pieces(void **state)
{
	static char whole[sizeof(told)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		formats[i].make();
		walk(formats[i].name, size, size, 0);
		memcpy(whole, told, told_size + 1);
		for (size_t at = 1; at < size; at += at < 700 ? 1 : 97) {
			walk(formats[i].name, size, at, size);
			assert_string_equal(told, whole);
		}
		for (size_t piece = 1; piece < 40; piece++) {
			walk(formats[i].name, size, piece, piece);
			assert_string_equal(told, whole);
		}
	}
}

/* Nothing marks the last record of mlx5: a stream may end after each but the first. That of
 * hisi_acc may end after what it fits. */
static bool may_end(size_t i, size_t at)
{
	if (strcmp(formats[i].name, "hisi_acc") == 0)
		return at == 40;
	return strcmp(formats[i].name, "mlx5") == 0 && (at == 140 || at == 160);
}

static void test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		formats[i].make();
		for (size_t at = 1; at < size; at += at < 700 ? 1 : 97) {
			enum records_end end = walk(formats[i].name, at, at, 0);

			assert_int_equal(end, may_end(i, at) ? RECORDS_WHOLE : RECORDS_CUT);
		}
	}
	make_mlx5();
	walk("mlx5", 100, 100, 0);
	assert_told("ends in the middle of record 2 (FW_DATA, 76 of 116 bytes)");
	walk("mlx5", 30, 30, 0);
	assert_told("ends in the middle of record 2 (its header, 6 of 16 bytes)");
	walk("mlx5", 24, 24, 0);
	assert_told("ends after record 1 (STOP_COPY_SIZE), without FW_DATA");
	make_qat();
	walk("qat", 4000, 4000, 0);
	assert_told("ends after 4000 of 4096 bytes");
}

/* hisi_acc's stream is short if the driver in the virtual machine was not ready. */
static void test_hisi_acc(void **state)
{
	(void)state;
	make_hisi_acc();
	assert_int_equal(walk("hisi_acc", 41, 41, 0), RECORDS_CUT);
	/* In PRE_COPY the driver says "ready" in any case. */
	assert_int_equal(walk("hisi_acc", 40, 40, 0), RECORDS_WHOLE);
	stream[24] = 1;
	assert_int_equal(walk("hisi_acc", 40, 40, 0), RECORDS_WHOLE);
	size = 0;
	put(0xcdcdcdcdfeedaaccULL, 8);
	assert_int_equal(walk("hisi_acc", 40, 40, 0), RECORDS_WHOLE);
	assert_told("qm_rsv_state[2]");
}

/* No header goes beyond the end of a stream that has a fixed size. */
static void test_header_at_end(void **state)
{
	size_t block, section;

	(void)state;
	new_stream();
	block = put_preamble(1);
	section = put_section("CONFIG", 0, 1);
	put_section("gencap", 4090 - size - 16, 0);
	put_bytes(4090 - size);
	end_section(section);
	end_preamble(block);
	assert_int_equal(size, 4090);
	put_bytes(6 + 20);
	assert_int_equal(walk("qat", 4096, 4096, 0), RECORDS_UNKNOWN);
	assert_told("has no state that can be read");
	walk("qat", size, size, 0);
	assert_told("+6 opaque unknown\n");
	assert_told("+20 opaque beyond the end\n");
}

static void test_beyond(void **state)
{
	(void)state;
	for (size_t i = 2; i < ARRAY_SIZE(formats); i++) {
		formats[i].make();
		put_bytes(50);
		assert_int_equal(walk(formats[i].name, size, size, 0), RECORDS_BEYOND);
		assert_told("goes on for 50 bytes after its end");
		assert_told("+50 opaque beyond the end\n");
	}
}

/* What is unknown is opaque: for the walker nothing is wrong with it. */
static void test_unknown(void **state)
{
	(void)state;
	new_stream();
	put_bytes(5000);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		assert_int_equal(walk(formats[i].name, size, 100, 100), RECORDS_UNKNOWN);
	assert_int_equal(walk(NULL, size, 100, 100), RECORDS_UNKNOWN);
	assert_told("3 0 0+5000 opaque unknown\n4 0 5000+0 unknown is of an unknown format\n");
	assert_int_equal(walk("pds", size, 100, 100), RECORDS_UNKNOWN);
	make_mlx5();
	stream[24 + 8] = 2;
	assert_int_equal(walk("mlx5", size, size, 0), RECORDS_UNKNOWN);
	assert_told("has something that is no record, after record 1");
	/* A newer version of xe's packets */
	make_xe();
	stream[0] = 2;
	assert_int_equal(walk("xe", size, size, 0), RECORDS_UNKNOWN);
	assert_int_equal(walk(NULL, 0, 0, 0), RECORDS_UNKNOWN);
}

/* Lengths that overflow, and lengths that lead out of the record. */
static void test_hostile(void **state)
{
	(void)state;
	new_stream();
	put_record(UINT64_MAX, 0, 0);
	put_bytes(1000);
	assert_int_equal(walk("mlx5", size, 7, 7), RECORDS_CUT);
	make_xe();
	memset(stream + 24 + 24 + 16, 0xff, 8);
	assert_int_equal(walk("xe", size, 7, 7), RECORDS_CUT);
	/* A key whose value is longer than the descriptor */
	make_xe();
	stream[24 + 8] = 200;
	assert_int_equal(walk("xe", size, 7, 7), RECORDS_WHOLE);
	assert_told("3 1 32+16 opaque unknown\n");
	make_virtio();
	memset(stream + 16 + 12, 0xff, 4);
	assert_int_equal(walk("virtio", size, 7, 7), RECORDS_WHOLE);
	make_mtty();
	memset(stream + 16, 0xff, 4);
	assert_int_equal(walk("mtty", size, 7, 7), RECORDS_CUT);
	make_qat();
	memset(stream + 12, 0xff, 4);
	assert_int_equal(walk("qat", size, 7, 7), RECORDS_UNKNOWN);
	/* Sections inside of each other, without end */
	new_stream();
	put_preamble(1);
	stream[14] = 15;
	for (int i = 0; i < 100; i++)
		put_section("bnk0", 4000 - 16 * i, 1);
	size = 4096;
	walk("qat", size, 7, 7);
	/* A record without data, again and again */
	new_stream();
	for (int i = 0; i < 500; i++)
		put_record(0, 0, 0);
	stream[0] = 0;
	assert_int_equal(walk("mlx5", size, 7, 7), RECORDS_UNKNOWN);
}

static int stop(void *data, const struct vfiomig_record *r)
{
	int *calls = data;

	(void)r;
	return ++*calls == 3 ? 42 : 0;
}

static void test_stop(void **state)
{
	struct records *w;
	int calls = 0;

	(void)state;
	make_mlx5();
	w = records_new("mlx5", stop, &calls);
	assert_int_equal(records_feed(w, stream, size), 42);
	records_finish(w);
	assert_int_equal(records_stopped(w), 42);
	assert_int_equal(calls, 3);
	records_free(w);
}

/* The fields of a structure are inside of it, do not overlap, and have bounded names. */
static void check_structure(const struct structure *s)
{
	size_t end = 0;

	assert_in_range(s->size, 1, RECORDS_STRUCTURE_MAX);
	for (const struct field *f = s->fields; f && f->name; f++) {
		size_t last = f->offset + (f->count ? f->count - 1 : 0) * f->stride + f->size;

		assert_in_range(last, 1, s->size);
		assert_in_range(strlen(f->name), 1, 40);
		if (!f->count)
			assert_true(f->offset >= end);
		if (!(f->how & FIELD_BYTES))
			assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
		if (!f->count)
			end = last;
	}
}

/* Call these for each structure and each type of a format; a type is with its header. */
static void visit(const struct record_kind *kind, unsigned int depth,
		  void (*structure)(const struct structure *),
		  void (*type)(const struct structure *, const struct record_type *))
{
	const struct record_type *t = kind->types;

	structure(&kind->header);
	for (;; t++) {
		/* The one of no type is the last. */
		bool last = !t || !t->name;
		const struct record_type *now = last ? &kind->other : t;

		if (now->name)
			type(&kind->header, now);
		if (now->data)
			structure(now->data);
		if (now->inside && depth < RECORDS_DEPTH_MAX)
			visit(now->inside, depth + 1, structure, type);
		if (now->next && depth < RECORDS_DEPTH_MAX)
			visit(now->next, depth + 1, structure, type);
		if (last)
			return;
	}
}

static void check_type(const struct structure *header, const struct record_type *t)
{
	(void)header;
	assert_in_range(strlen(t->name), 1, 31);
	assert_false(t->data && t->inside);
}

static void test_tables(void **state)
{
	(void)state;
	for (size_t i = 0; format_get(i); i++) {
		const struct format *f = format_get(i);

		visit(f->first, 2, check_structure, check_type);
		assert_true(records_knows(f->name) && records_knows(f->driver));
		assert_in_range(f->first->header.size, 16, RECORDS_STRUCTURE_MAX);
	}
	assert_false(records_knows("vfio-pci"));
	assert_false(records_knows(NULL));
	assert_true(vfiomig_format_is_known("mlx5-vfio-pci"));
	assert_false(vfiomig_format_is_known("mlx5_foo"));
	assert_false(vfiomig_format_is_known("mlx5_"));
	assert_string_equal(vfiomig_format_name(0), "qat");
	assert_null(vfiomig_format_name(ARRAY_SIZE(formats)));
}

/* For tests/host/formats.sh: the tables, a structure or a field or a type in each line. */
static void print_structure(const struct structure *s)
{
	if (!s->name)
		return;
	printf("structure %s %zu %zu\n", s->name, s->base, s->size);
	for (const struct field *f = s->fields; f && f->name; f++)
		printf("field %s %s %zu %u %u %u\n", s->name, f->name, s->base + f->offset, f->size,
		       f->count, f->stride);
}

static void print_type(const struct structure *header, const struct record_type *t)
{
	printf("type %s %s %llu\n", header->name ?: "-", t->name, (unsigned long long)t->id);
}

static int print_tables(void)
{
	for (size_t i = 0; format_get(i); i++)
		visit(format_get(i)->first, 2, print_structure, print_type);
	return 0;
}

/* ---- Images and raw state ------------------------------------------------ */

static void test_walk(void **state)
{
	static char raw[sizeof(told)];
	int in, out, calls = 0;

	(void)state;
	make_ivshmem();
	in = new_file(stream, size);
	told_size = 0;
	assert_int_equal(vfiomig_walk(ctx, in, NULL, NULL, note, NULL), 0);
	memcpy(raw, told, told_size + 1);
	assert_told("4 0 4224+0 whole is whole\n");
	lseek(in, 0, SEEK_SET);
	assert_int_equal(vfiomig_walk(ctx, in, NULL, NULL, stop, &calls), 42);
	assert_says("the caller has ended it");
	lseek(in, 0, SEEK_SET);
	out = memfd_create("image", MFD_CLOEXEC);
	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, NULL), 0);
	lseek(out, 0, SEEK_SET);
	told_size = 0;
	assert_int_equal(vfiomig_walk(ctx, out, NULL, NULL, note, NULL), 0);
	assert_string_equal(told, raw);
	/* A damaged image */
	pwrite(out, "x", 1, 1000);
	lseek(out, 0, SEEK_SET);
	assert_int_equal(vfiomig_walk(ctx, out, NULL, NULL, note, NULL), -EBADMSG);
	assert_says("chunk 0");
	close(in);
	close(out);
}

/* ---- Comparing ----------------------------------------------------------- */

/* What was told of the differences. */
static struct {
	uint64_t told;	    /* of fields, bytes and records */
	uint64_t different; /* as the last call has it */
	uint64_t bytes[2];  /* in all outermost records */
	uint64_t size[2];
	bool ended;
} differences;

static void check_type_sums(const struct vfiomig_difference *d)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(d->records[i], d->equal + d->different + d->only[i]);
		differences.bytes[i] += d->depth ? 0 : d->bytes[i];
	}
}

static int note_difference(void *data, const struct vfiomig_difference *d)
{
	(void)data;
	assert_false(differences.ended);
	switch (d->kind) {
	case VFIOMIG_DIFFERENCE_STREAM:
		return 0;
	case VFIOMIG_DIFFERENCE_TYPE:
		check_type_sums(d);
		return 0;
	case VFIOMIG_DIFFERENCE_END:
		differences.ended = true;
		differences.different = d->different;
		differences.size[0] = d->a->offset;
		differences.size[1] = d->b->offset;
		return 0;
	case VFIOMIG_DIFFERENCE_RECORD:
		assert_true(!d->a != !d->b);
		break;
	case VFIOMIG_DIFFERENCE_FIELD:
		assert_memory_not_equal(d->a->bytes, d->b->bytes, d->a->size);
		break;
	case VFIOMIG_DIFFERENCE_BYTES:
		assert_true(d->a->size == d->b->size || !d->a->size || !d->b->size);
		if (d->a->size && d->b->size)
			assert_int_not_equal(d->a->bytes[0], d->b->bytes[0]);
		break;
	}
	differences.told++;
	return 0;
}

static void compare(const char *driver, const void *a, size_t a_size, const void *b, size_t b_size)
{
	int fds[2] = { new_file(a, a_size), new_file(b, b_size) };

	memset(&differences, 0, sizeof(differences));
	assert_int_equal(vfiomig_diff(ctx, fds, driver, NULL, note_difference, NULL), 0);
	assert_true(differences.ended);
	assert_int_equal(differences.size[0], a_size);
	assert_int_equal(differences.size[1], b_size);
	assert_int_equal(differences.different != 0, a_size != b_size || memcmp(a, b, a_size) != 0);
	assert_int_equal(differences.told != 0, differences.different != 0);
	close(fds[0]);
	close(fds[1]);
}

/* Two states are equal only if all of their bytes are, whatever is wrong with their records. */
static void test_diff(void **state)
{
	static uint8_t other[sizeof(stream)];
	unsigned int seed = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		formats[i].make();
		compare(formats[i].name, stream, size, stream, size);
		assert_int_equal(differences.bytes[0], size);
		for (int n = 0; n < 300; n++) {
			size_t at = rand_r(&seed) % size, hole = rand_r(&seed) % 64;

			if (hole > size - at)
				hole = size - at;
			/* Another byte */
			memcpy(other, stream, size);
			other[at] ^= 1 + rand_r(&seed) % 255;
			compare(formats[i].name, stream, size, other, size);
			/* Bytes left out, or inserted */
			memmove(other, stream, size);
			memmove(other + at, stream + at + hole, size - at - hole);
			compare(formats[i].name, stream, size, other, size - hole);
			compare(formats[i].name, other, size - hole, stream, size);
			/* Less of it */
			compare(formats[i].name, stream, size, stream, at + 1);
		}
	}
}

static int stop_difference(void *data, const struct vfiomig_difference *d)
{
	(void)data;
	return d->kind == VFIOMIG_DIFFERENCE_BYTES ? 42 : 0;
}

static int end_progress(void *data, uint64_t bytes, uint64_t expected)
{
	(void)data;
	assert_in_range(bytes, 0, expected);
	return 43;
}

static void test_diff_ends(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int fds[2];

	(void)state;
	make_mlx5();
	fds[0] = new_file(stream, size);
	stream[100]++;
	fds[1] = new_file(stream, size);
	assert_int_equal(vfiomig_diff(ctx, fds, "mlx5", NULL, stop_difference, NULL), 42);
	assert_says("the caller has ended it");
	lseek(fds[0], 0, SEEK_SET);
	lseek(fds[1], 0, SEEK_SET);
	opt.progress = end_progress;
	assert_int_equal(vfiomig_diff(ctx, fds, "mlx5", &opt, stop_difference, NULL), 43);
	close(fds[1]);
	lseek(fds[0], 0, SEEK_SET);
	assert_int_equal(vfiomig_diff(ctx, fds, "mlx5", NULL, stop_difference, NULL), -EBADF);
	assert_says("B: reading the state: Bad file descriptor");
	close(fds[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),	      cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_cut),	      cmocka_unit_test(test_hisi_acc),
		cmocka_unit_test(test_beyond),	      cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_header_at_end), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_stop),	      cmocka_unit_test(test_tables),
		cmocka_unit_test(test_walk),	      cmocka_unit_test(test_diff),
		cmocka_unit_test(test_diff_ends),
	};

	if (argc > 1 && strcmp(argv[1], "print") == 0)
		return print_tables();
	return cmocka_run_group_tests_name("records", tests, make_ctx, free_ctx);
}
