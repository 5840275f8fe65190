// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images that were damaged, and files that never were images. */
#include <fcntl.h>
#include <xxhash.h>
#include <zstd.h>

#include "image/image.h"
#include "unit.h"

#define CHUNK VFIOMIG_CHUNK_SIZE_MIN

struct bytes {
	uint8_t *data;
	size_t size;
};

static int file_of(struct bytes b)
{
	return new_file(b.data, b.size);
}

static struct bytes bytes_of(int fd)
{
	struct bytes b = { .size = lseek(fd, 0, SEEK_END) };

	b.data = malloc(b.size + 1);
	assert_int_equal(pread(fd, b.data, b.size, 0), b.size);
	close(fd);
	return b;
}

/* State with zeroes, noise and text, so that every kind of block is used. */
static struct bytes make_state(size_t size)
{
	struct bytes b = { malloc(size + 1), size };

	for (size_t i = 0; i < size; i++) {
		switch (i / CHUNK % 3) {
		case 0:
			b.data[i] = 0;
			break;
		case 1:
			b.data[i] = (i * 2654435761u) >> 13;
			break;
		default:
			b.data[i] = "the device's state "[i % 19];
		}
	}
	return b;
}

static struct bytes pack(struct bytes state, int level)
{
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .level = level,
				       .chunk_size = CHUNK };
	int in = file_of(state), out = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	assert_int_equal(vfiomig_pack(ctx, in, out, &opt, &r), 0);
	assert_true(r.complete);
	close(in);
	return bytes_of(out);
}

/* These change nothing. */
static void look_at(const struct vfiomig_image *image, bool at_end)
{
	assert_non_null(vfiomig_image_get_header(image));
	assert_int_equal(!vfiomig_image_get_trailer(image), !at_end);
	assert_true(vfiomig_image_get_size(image) > 0);
}

static int look(struct bytes b, bool verify)
{
	struct vfiomig_image *image;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = file_of(b);
	int err = vfiomig_image_open(ctx, fd, &image);

	if (!err) {
		look_at(image, false);
		err = verify ? vfiomig_image_verify(image, NULL, &r) : vfiomig_image_skim(image);
		if (!err)
			look_at(image, true);
		vfiomig_image_free(image);
	}
	close(fd);
	return err;
}

static int verify(struct bytes b)
{
	return look(b, true);
}

static int skim(struct bytes b)
{
	return look(b, false);
}

static void expect(struct bytes b, int err, const char *why)
{
	assert_int_equal(verify(b), err);
	assert_says(why);
}

/*
 * Store where each frame of the image begins, with its size frame, and where the last one ends.
 * Returns the number of frames.
 */
static size_t find_frames(struct bytes b, size_t *at)
{
	size_t n = 0, pos = 0;

	while (pos < b.size) {
		at[n++] = pos;
		pos += SIZE_FRAME + get_le32(b.data + pos + 8);
	}
	at[n] = pos;
	return n;
}

/* Make an image from the frames of @b that @which lists, which ends with -1. */
static struct bytes assemble(struct bytes b, const int *which)
{
	struct bytes made = { malloc(2 * b.size), 0 };
	size_t at[64];

	find_frames(b, at);
	for (; *which >= 0; which++) {
		size_t size = at[*which + 1] - at[*which];

		memcpy(made.data + made.size, b.data + at[*which], size);
		made.size += size;
	}
	return made;
}

static void test_good(void **state)
{
	static const size_t sizes[] = { 1,	   CHUNK - 1, CHUNK,  CHUNK + 1,
					2 * CHUNK, 7 * CHUNK, 1000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (int level = 0; level <= 19; level += 19) {
			struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
						       .threads = 1 + i % 3 };
			struct bytes s = make_state(sizes[i]);
			struct bytes b = pack(s, level), got;
			int in = file_of(b);
			int out = memfd_create("state", MFD_CLOEXEC);
			struct vfiomig_result r = VFIOMIG_RESULT_INIT;

			assert_int_equal(verify(b), 0);
			assert_int_equal(skim(b), 0);
			assert_int_equal(vfiomig_unpack(ctx, in, out, &opt, &r), 0);
			got = bytes_of(out);
			assert_int_equal(got.size, s.size);
			assert_memory_equal(got.data, s.data, s.size);
			close(in);
			free(got.data);
			free(b.data);
			free(s.data);
		}
	}
}

/* Flip each bit in turn. */
static void test_flipped_bits(void **state)
{
	(void)state;
	for (int level = 0; level <= 3; level += 3) {
		struct bytes s = make_state(3 * CHUNK);
		struct bytes b = pack(s, level);
		size_t noise = 0;

		for (size_t i = 0; i < b.size; i++) {
			/* In the middle of the image one byte in a thousand is enough. */
			if (i > 500 && i < b.size - 500 && ++noise % 1000)
				continue;
			for (int bit = 0; bit < 8; bit++) {
				b.data[i] ^= 1 << bit;
				if (verify(b) != -EBADMSG)
					fail_msg("bit %d of byte %zu (level %d)", bit, i, level);
				b.data[i] ^= 1 << bit;
			}
		}
		assert_int_equal(verify(b), 0);
		free(b.data);
		free(s.data);
	}
}

static void test_truncated(void **state)
{
	struct bytes s = make_state(3 * CHUNK), b = pack(s, 3), cut;

	(void)state;
	for (cut = b; cut.size--;) {
		if (cut.size > 1000 && cut.size < b.size - 1000 && cut.size % 997)
			continue;
		assert_int_equal(verify(cut), cut.size ? -EBADMSG : -ENODATA);
		assert_int_equal(skim(cut), cut.size ? -EBADMSG : -ENODATA);
	}
	cut.size = b.size - 1;
	expect(cut, -EBADMSG, "truncated: it ends after 3 chunks");
	free(b.data);
	free(s.data);
}

static void test_rearranged(void **state)
{
	static const struct {
		int which[8];
		const char *why;
	} cases[] = {
		{ { 0, 1, 2, 3, -1 }, "truncated: it ends after 3 chunks" },
		{ { 0, 1, 3, 4, -1 }, "has 2 chunks, and 3 were written" },
		{ { 0, 1, 2, 2, 3, 4, -1 }, "has 4 chunks, and 3 were written" },
		{ { 0, 2, 1, 3, 4, -1 }, "not in their order" },
		{ { 0, 1, 1, 3, 4, -1 }, "not those that were written" },
		{ { 0, 1, 2, 3, 4, 4, -1 }, "something follows its trailer" },
		{ { 0, 0, 1, 2, 3, 4, -1 }, "a frame is of an unknown kind" },
		{ { 1, 2, 3, 4, -1 }, "not an image of vfiomig" },
		{ { 4, -1 }, "not an image of vfiomig: it has no header" },
		{ { 0, 4, -1 }, "has 0 chunks, and 3 were written" },
	};

	(void)state;
	for (int level = 0; level <= 3; level += 3) {
		struct bytes s = make_state(3 * CHUNK), b = pack(s, level);

		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			struct bytes made = assemble(b, cases[i].which);

			expect(made, -EBADMSG, cases[i].why);
			free(made.data);
		}
		free(b.data);
		free(s.data);
	}
}

/* Add a frame that is announced by its size. */
static void add_frame(struct bytes *b, const void *frame, size_t size)
{
	frame_put_size(b->data + b->size, size);
	memcpy(b->data + b->size + SIZE_FRAME, frame, size);
	b->size += SIZE_FRAME + size;
}

static void add_metadata(struct bytes *b, uint32_t magic, const char *text)
{
	uint8_t frame[70000];
	size_t size = sprintf((char *)frame + 8, "%s\nxxh64:%016llx\n", text,
			      (unsigned long long)XXH64(text, strlen(text), 0));

	put_le32(frame, magic);
	put_le32(frame + 4, size);
	add_frame(b, frame, 8 + size);
}

/* Make an image that has this header and this trailer, each of which can be NULL, and between them
 * a chunk with the state "x", or none. */
static struct bytes image_of(const char *header, bool chunk, const char *trailer)
{
	static const uint8_t x[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa4, 1,	 0,    0,   0,
				     0x0b, 0,	 0,    'x',  0x23, 0x11, 0x04, 0x83 };
	struct bytes b = { malloc(200000), 0 };

	if (header)
		add_metadata(&b, MAGIC_HEADER, header);
	if (chunk)
		add_frame(&b, x, sizeof(x));
	if (trailer)
		add_metadata(&b, MAGIC_TRAILER, trailer);
	return b;
}

static struct bytes image_with(const char *header, const char *trailer)
{
	return image_of(header, header && trailer, trailer);
}

#define HEADER	    "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"new\":[{}]}"
#define HEADER_ZSTD "{\"format\":1,\"compression\":\"zstd\",\"chunk_size\":65536}"
#define DIGEST	    "\"digest\":\"xxh128:5c7401c0ec22eeeeeaf06c6480b2cd11\"}"
#define TRAILER	    "{\"bytes\":1,\"frames\":1," DIGEST
#define ONE_FRAME   "{\"frames\":1,\"bytes\":"

static void test_metadata(void **state)
{
	static const struct {
		const char *header, *trailer, *why;
	} cases[] = {
		{ "{\"format\":3}", NULL, "has format 3, which is newer" },
		{ "{\"format\":\"1\"}", NULL, "its header makes no sense" },
		{ "{}", NULL, "its header makes no sense" },
		{ "[]", NULL, "its header is not what was written" },
		{ "{", NULL, "its header is not what was written" },
		{ "{} {}", NULL, "its header is not what was written" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":1}", NULL,
		  "its header makes no sense" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":33554433}", NULL,
		  "its header makes no sense" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":-65536}", NULL,
		  "its header makes no sense" },
		{ "{\"format\":1,\"compression\":\"lz4\",\"chunk_size\":65536}", NULL,
		  "compressed by lz4, which this vfiomig does not know" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,}", NULL,
		  "its header is not what was written" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"config\":\"f41a1011zz\"}",
		  NULL, "its header makes no sense" },
		{ "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"config\":\"f41a\"}",
		  NULL, "its header makes no sense" },
		{ HEADER, NULL, "truncated" },
		{ HEADER, "{}", "it has 1 chunks" },
		{ HEADER, "{\"frames\":1}", "its trailer makes no sense" },
		{ HEADER, "{\"frames\":1.0,\"bytes\":1," DIGEST, "it has 1 chunks" },
		{ HEADER, "{\"frames\":18446744073709551615,\"bytes\":1," DIGEST, "has 1 chunks" },
		{ HEADER, "{\"frames\":18446744073709551616,\"bytes\":1," DIGEST, "has 1 chunks" },
		{ HEADER, ONE_FRAME "1}", "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "1,\"digest\":0}", "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "1,\"digest\":\"xxh128:5c74\"}", "its trailer makes no sense" },
		{ HEADER,
		  ONE_FRAME "1,\"digest\":\"xxh128:5c7401c0ec22eeeeeaf06c6480b2cd1\\u0000\"}",
		  "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "0," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "-1," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "131073," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "9223372036854775807," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "-9223372036854775808," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "18446744073709551615," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "1e0," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "1,\"bytes\":\"1\"," DIGEST, "its trailer makes no sense" },
		{ HEADER, ONE_FRAME "5," DIGEST, "has 1 bytes of state, and 5 were written" },
		{ HEADER, ONE_FRAME "1,\"digest\":\"xxh128:5c7401c0ec22eeeeeaf06c6480b2cd12\"}",
		  "not those that were written" },
		{ "{\"format\":18446744073709551615}", NULL, "which is newer" },
		{ "{\"format\":18446744073709551616}", NULL, "its header makes no sense" },
		{ "{\"format\":1,\"format\":3}", NULL, "has format 3, which is newer" },
		{ "{\"format\":1,\"compression\":\"a\\u202eb\\u2066c\\u009bd\\n\",\"chunk_size\":65536}",
		  NULL, "compressed by a?b?c?d?, which" },
	};
	char deep[2000] = "{\"format\":1,\"a\":";
	struct bytes b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		b = image_with(cases[i].header, cases[i].trailer);
		expect(b, -EBADMSG, cases[i].why);
		free(b.data);
	}
	/* "Unknown keys are ignored." */
	b = image_with(HEADER, TRAILER);
	assert_int_equal(verify(b), 0);
	free(b.data);
	memset(deep + strlen(deep), '[', 1000);
	b = image_with(deep, NULL);
	expect(b, -EBADMSG, "its header is not what was written");
	free(b.data);
}

/* An image of no state is none. */
static void test_no_state(void **state)
{
	struct bytes b = image_of(HEADER, false,
				  "{\"bytes\":0,\"frames\":0,\"digest\":"
				  "\"xxh128:99aa06d3014798d86001c324468d497f\"}");
	int in = new_file("", 0), out = new_file("", 0);

	(void)state;
	assert_int_equal(skim(b), -ENODATA);
	expect(b, -ENODATA, "the image has no state in it");
	free(b.data);
	/* Nor is one made. */
	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, NULL), -ENODATA);
	assert_says("there is no state: the input is empty");
	assert_int_equal(lseek(out, 0, SEEK_END), 0);
	close(in);
	close(out);
}

/* What begins as an image or a zstd file is not packed, unless the caller insists. */
static void test_not_raw(void **state)
{
	struct bytes s = make_state(CHUNK), kinds[4] = { pack(s, 0), pack(s, 3) };
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;

	(void)state;
	for (int i = 2; i < 4; i++) {
		size_t at = i == 2 ? 0 : SIZE_FRAME;

		kinds[i].data = malloc(CHUNK + 1000);
		kinds[i].size = at + ZSTD_compress(kinds[i].data + at, CHUNK + 900, s.data, 100, 1);
		if (at)
			frame_put_size(kinds[i].data, kinds[i].size - at);
	}
	for (int i = 0; i < 4; i++) {
		int in = file_of(kinds[i]), out = new_file("", 0), to = new_file("", 0);
		struct bytes got;

		opt.force = false;
		assert_int_equal(vfiomig_pack(ctx, in, out, &opt, NULL), -EBADMSG);
		assert_says(i < 2 ? "this is an image of vfiomig, not raw state"
				  : "this is a zstd file, not raw state");
		assert_int_equal(lseek(out, 0, SEEK_END), 0);
		lseek(in, 0, SEEK_SET);
		opt.force = true;
		assert_int_equal(vfiomig_pack(ctx, in, out, &opt, NULL), 0);
		lseek(out, 0, SEEK_SET);
		assert_int_equal(vfiomig_unpack(ctx, out, to, NULL, NULL), 0);
		got = bytes_of(to);
		assert_int_equal(got.size, kinds[i].size);
		assert_memory_equal(got.data, kinds[i].data, got.size);
		free(got.data);
		free(kinds[i].data);
		close(in);
		close(out);
	}
	free(s.data);
}

/* A verified image changes before it is used. Each part of the new one is right. */
static void test_changed(void **state)
{
	struct bytes
		first = image_with(HEADER, TRAILER),
		header = image_with(
			"{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"new\":[[]]}",
			TRAILER),
		trailer = image_with(HEADER, ONE_FRAME "1," DIGEST);
	const struct {
		struct bytes then;
		int reopened, read;
	} cases[] = { { first, 0, 0 }, { header, -EBADMSG, 0 }, { trailer, 0, -EBADMSG } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct image image = { .fd = -1 };
		int fd = file_of(first);

		assert_int_equal(image_open(&image, ctx, fd), 0);
		assert_int_equal(image_skim(&image), 0);
		assert_int_equal(pwrite(fd, cases[i].then.data, cases[i].then.size, 0),
				 cases[i].then.size);
		assert_int_equal(image_reopen(&image, 0), cases[i].reopened);
		if (!cases[i].reopened)
			assert_int_equal(image_skim(&image), cases[i].read);
		if (i)
			assert_says("the image has changed since it was verified");
		image_free(&image);
		close(fd);
	}
	free(first.data);
	free(header.data);
	free(trailer.data);
}

static void test_not_images(void **state)
{
	uint8_t buf[70000] = { 0 };
	struct bytes b = { buf, 0 };

	(void)state;
	expect(b, -ENODATA, "empty");
	b.size = 1;
	expect(b, -EBADMSG, "not an image");
	b.size = sizeof(buf);
	expect(b, -EBADMSG, "not an image of vfiomig; \"vfiomig pack\" makes one of raw state");
	b.size = ZSTD_compress(buf, sizeof(buf), "hello", 5, 1);
	expect(b, -EBADMSG, "a plain zstd file");
	/* A file of pzstd begins with a size frame, too. */
	memmove(buf + SIZE_FRAME, buf, b.size);
	frame_put_size(buf, b.size);
	b.size += SIZE_FRAME;
	expect(b, -EBADMSG, "not an image of vfiomig");
	/* The length is absurd. */
	frame_put_size(buf, UINT32_MAX);
	expect(b, -EBADMSG, "not an image of vfiomig");
}

static void test_absurd_lengths(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 7, 8, 1u << 20, 1u << 31, UINT32_MAX };
	struct bytes s = make_state(2 * CHUNK), b = pack(s, 0);
	size_t at[64];

	(void)state;
	find_frames(b, at);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		put_le32(b.data + at[1] + 8, sizes[i]);
		assert_int_equal(verify(b), -EBADMSG);
		assert_int_equal(skim(b), -EBADMSG);
	}
	free(b.data);
	free(s.data);
}

/* Frames that are valid zstd, but not permitted in an image. */
static void test_foreign_frames(void **state)
{
	static const struct {
		int checksum, size, bytes;
		const char *why;
	} cases[] = {
		{ 0, 1, 100, "it has no checksum" },
		{ 1, 0, 100, "it does not tell its size" },
		{ 1, 1, CHUNK + 1, "its size is out of bounds" },
		{ 1, 1, 0, "its size is out of bounds" },
	};
	struct bytes h = image_with(HEADER_ZSTD, NULL), t;
	char trailer[200];
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	char *content = calloc(1, CHUNK + 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes b = { malloc(400000), h.size };
		size_t size;

		ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, cases[i].checksum);
		ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, cases[i].size);
		memcpy(b.data, h.data, h.size);
		size = ZSTD_compress2(cctx, b.data + b.size + SIZE_FRAME, 150000, content,
				      cases[i].bytes);
		assert_false(ZSTD_isError(size));
		frame_put_size(b.data + b.size, size);
		sprintf(trailer, ONE_FRAME "1,\"frames_digest\":\"xxh64:%016llx\"," DIGEST,
			(unsigned long long)XXH64(b.data + b.size + SIZE_FRAME, size, 0));
		t = image_with(NULL, trailer);
		b.size += SIZE_FRAME + size;
		memcpy(b.data + b.size, t.data, t.size);
		b.size += t.size;
		free(t.data);
		expect(b, -EBADMSG, cases[i].why);
		free(b.data);
	}
	ZSTD_freeCCtx(cctx);
	free(content);
	free(h.data);
}

/* Chunks with the same checksum field must not be confused. */
static void test_checksums(void **state)
{
	struct bytes s = { calloc(1, 4 * CHUNK), 4 * CHUNK }, b;

	(void)state;
	/*
	 * The first chunk is constant, the second one is not, and the last one is constant with
	 * another byte. The second time the first chunk is not constant either.
	 */
	s.data[CHUNK + 100] = 1;
	memset(s.data + 3 * CHUNK, 1, CHUNK);
	for (int i = 0; i < 2; i++) {
		b = pack(s, 0);
		assert_int_equal(verify(b), 0);
		free(b.data);
		s.data[100] = 1;
	}
	free(s.data);
}

/* A bit in the frame's header claims that the frame has a dictionary's id. */
static void test_dictionary_bits(void **state)
{
	struct bytes s = make_state(CHUNK), b = pack(s, 0);
	size_t at[64];

	(void)state;
	find_frames(b, at);
	b.data[at[1] + SIZE_FRAME + 4] |= 1;
	expect(b, -EBADMSG, "its header is not ours");
	free(b.data);
	free(s.data);
}

static void test_write_fails(void **state)
{
	struct bytes s = make_state(20 * CHUNK);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .chunk_size = CHUNK,
				       .threads = 4 };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int in = file_of(s), wrong = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(vfiomig_pack(ctx, in, full, &opt, &r), -ENOSPC);
	assert_false(r.complete);
	assert_int_equal(vfiomig_pack(ctx, wrong, wrong, &opt, &r), -EBADF);
	/* The context still works after the failures. */
	lseek(in, 0, SEEK_SET);
	assert_int_equal(vfiomig_pack(ctx, in, wrong, &opt, &r), 0);
	close(in);
	close(full);
	close(wrong);
	free(s.data);
}

/* A pipe is written to at its writing end and read from at its reading end, and only there. */
static void test_wrong_end(void **state)
{
	struct vfiomig_image *image;
	int in = new_file("state", 5), fds[2];
	char byte;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	alarm(5);
	assert_int_equal(vfiomig_pack(ctx, in, fds[0], NULL, NULL), -EBADF);
	assert_says("writing the image: Bad file descriptor");
	assert_int_equal(vfiomig_unpack(ctx, fds[1], in, NULL, NULL), -EBADF);
	assert_says("reading the image: Bad file descriptor");
	assert_int_equal(vfiomig_image_open(ctx, fds[1], &image), -EBADF);
	/* Nothing has come through. */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(fds[0], &byte, 1), -1);
	alarm(0);
	close(fds[0]);
	close(fds[1]);
	close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_state),	cmocka_unit_test(test_not_raw),
		cmocka_unit_test(test_changed),		cmocka_unit_test(test_good),
		cmocka_unit_test(test_flipped_bits),	cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_rearranged),	cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_not_images),	cmocka_unit_test(test_absurd_lengths),
		cmocka_unit_test(test_foreign_frames),	cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_dictionary_bits), cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_wrong_end),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("image", tests, make_ctx, free_ctx);
}
