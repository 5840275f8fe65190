// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images of several devices: whole ones, damaged ones, and their transfers. */
#include <fcntl.h>
#include <pthread.h>
#include <xxhash.h>

#include "image/transfer.h"
#include "unit.h"

#define CHUNK VFIOMIG_CHUNK_SIZE_MIN
#define MIB   (1u << 20)

struct bytes {
	uint8_t *data;
	size_t size;
};

static const char *const names[VFIOMIG_SET_MAX] = { "0000:3b:00.1", "b", "c", "d" };

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

/* The state of a device, which is not that of another one. */
static struct bytes make_state(int device, size_t size)
{
	struct bytes b = { malloc(size + 1), size };

	for (size_t i = 0; i < size; i++)
		b.data[i] = i / CHUNK % 3 ? (i * 2654435761u + device) >> 13 : (size_t)device;
	return b;
}

static struct vfiomig_options options(int level)
{
	return (struct vfiomig_options){ .size = sizeof(struct vfiomig_options),
					 .level = level,
					 .threads = 2,
					 .chunk_size = CHUNK };
}

static struct bytes pack(const struct bytes *states, int count, int level)
{
	struct vfiomig_options opt = options(level);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int ins[VFIOMIG_SET_MAX], out = memfd_create("image", MFD_CLOEXEC);
	uint64_t bytes = 0;

	for (int i = 0; i < count; i++) {
		ins[i] = file_of(states[i]);
		bytes += states[i].size;
	}
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, count, out, &opt, &r), 0);
	assert_true(r.complete && r.ns);
	assert_int_equal(r.bytes, bytes);
	assert_int_equal(r.expected, bytes);
	for (int i = 0; i < count; i++)
		close(ins[i]);
	return bytes_of(out);
}

static int unpack(struct bytes image, const char *device, struct bytes *state)
{
	struct vfiomig_options opt = options(0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int in = file_of(image), out = memfd_create("state", MFD_CLOEXEC), err;

	opt.device = device;
	err = vfiomig_unpack(ctx, in, out, &opt, &r);
	assert_int_equal(r.complete, !err);
	*state = bytes_of(out);
	assert_true(err || r.bytes == state->size);
	close(in);
	return err;
}

static int look(struct bytes b, bool verify)
{
	struct vfiomig_image *image;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = file_of(b);
	int err = vfiomig_image_open(ctx, fd, &image);

	if (!err) {
		err = verify ? vfiomig_image_verify(image, NULL, &r) : vfiomig_image_skim(image);
		assert_int_equal(r.complete, verify && !err);
		vfiomig_image_free(image);
	}
	close(fd);
	return err;
}

/* Both ways of looking at an image find it, unless it needs the chunks. */
static void expect(struct bytes b, int err, const char *why)
{
	assert_int_equal(look(b, true), err);
	assert_says(why);
	assert_int_equal(look(b, false), err);
	assert_says(why);
}

/* A set of small states, of 1, 2 and 3 chunks. */
static struct bytes small_set(int level)
{
	struct bytes states[3] = { { 0 } }, b;

	for (int i = 0; i < 3; i++)
		states[i] = make_state(i, i * CHUNK + 10);
	b = pack(states, 3, level);
	for (int i = 0; i < 3; i++)
		free(states[i].data);
	return b;
}

/* What it says of the whole, also of a set that fails. */
static void test_results(void **state)
{
	struct bytes b = small_set(0);
	struct vfiomig_options opt = options(0);

	(void)state;
	opt.threads = 1;
	for (int damaged = 0; damaged <= 1; damaged++) {
		struct vfiomig_result r = VFIOMIG_RESULT_INIT;
		struct vfiomig_image *image;
		int fd;

		/* The set's trailer, which comes when all was read. */
		b.data[b.size - 2] ^= damaged;
		fd = file_of(b);
		assert_int_equal(vfiomig_image_open(ctx, fd, &image), 0);
		assert_int_equal(vfiomig_image_verify(image, &opt, &r), damaged ? -EBADMSG : 0);
		assert_int_equal(r.complete, !damaged);
		assert_int_equal(r.expected, 3 * CHUNK + 30);
		assert_true(r.ns && r.bytes <= r.expected);
		assert_true(damaged || r.bytes == r.expected);
		vfiomig_image_free(image);
		close(fd);
	}
	free(b.data);
}

/* ---- Whole images -------------------------------------------------------- */

static void check_devices(struct bytes image, const struct bytes *states, int count)
{
	for (int i = 0; i < count; i++) {
		struct bytes got;

		assert_int_equal(unpack(image, names[i], &got), 0);
		assert_int_equal(got.size, states[i].size);
		assert_memory_equal(got.data, states[i].data, got.size);
		free(got.data);
	}
}

static void test_good(void **state)
{
	static const size_t sizes[] = { 1, CHUNK, 3 * CHUNK + 1, 700000 };

	(void)state;
	for (int level = 0; level <= 3; level += 3)
		for (int count = 2; count <= 4; count += 2) {
			struct bytes states[4] = { { 0 } }, image;

			for (int i = 0; i < count; i++)
				states[i] = make_state(i, sizes[(i + count) % 4]);
			image = pack(states, count, level);
			assert_int_equal(look(image, true), 0);
			assert_int_equal(look(image, false), 0);
			check_devices(image, states, count);
			for (int i = 0; i < count; i++)
				free(states[i].data);
			free(image.data);
		}
}

/* As many devices as there may be. The size of their chunks is such that there is room for all. */
static void test_most(void **state)
{
	static char made[VFIOMIG_SET_MAX][8];
	const char *most[VFIOMIG_SET_MAX];
	struct vfiomig_image *image;
	int ins[VFIOMIG_SET_MAX], out = memfd_create("image", MFD_CLOEXEC);

	(void)state;
	for (int i = 0; i < VFIOMIG_SET_MAX; i++) {
		snprintf(made[i], sizeof(made[i]), "d%d", i);
		most[i] = made[i];
		ins[i] = new_file(made[i], 3);
	}
	assert_int_equal(vfiomig_pack_set(ctx, ins, most, VFIOMIG_SET_MAX, out, NULL, NULL), 0);
	lseek(out, 0, SEEK_SET);
	assert_int_equal(vfiomig_image_open(ctx, out, &image), 0);
	assert_int_equal(vfiomig_image_get_devices(image), VFIOMIG_SET_MAX);
	assert_non_null(strstr(vfiomig_image_get_header(image), "\"chunk_size\":524288,"));
	assert_null(vfiomig_image_get_device_trailer(image, 0));
	assert_int_equal(vfiomig_image_verify(image, NULL, NULL), 0);
	assert_non_null(strstr(vfiomig_image_get_device_trailer(image, 63), "\"device\":63,"));
	assert_null(vfiomig_image_get_device_trailer(image, 64));
	vfiomig_image_free(image);
	for (int i = 0; i < VFIOMIG_SET_MAX; i++)
		close(ins[i]);
	close(out);
}

static void refuse_names(const char *a, const char *b, size_t count, const char *why)
{
	const char *given[VFIOMIG_SET_MAX + 1] = { a, b };
	int ins[VFIOMIG_SET_MAX + 1] = { -1, -1 };

	assert_int_equal(vfiomig_pack_set(ctx, ins, given, count, -1, NULL, NULL), -EINVAL);
	assert_says(why);
}

static void test_names(void **state)
{
	char longest[257];

	(void)state;
	memset(longest, 'x', 256);
	longest[256] = '\0';
	refuse_names("a", "a", 2, "two devices have the name a");
	refuse_names("a", "", 2, "has from 1 to 255 printable bytes, unlike '");
	refuse_names("a", "b\n", 2, "has from 1 to 255 printable bytes, unlike '");
	refuse_names("a", "\xff", 2, "has from 1 to 255 printable bytes, unlike '");
	refuse_names("a", "\xe2\x80\xae", 2, "has from 1 to 255 printable bytes, unlike '");
	refuse_names(longest, "b", 2, "has from 1 to 255 printable bytes, unlike '");
	refuse_names("a", "b", 1, "a set is of 2 to 64 devices, not of 1");
	refuse_names("a", "b", 65, "a set is of 2 to 64 devices, not of 65");
}

/* Who wants one state is told which there are. */
static void test_choice(void **state)
{
	struct bytes image = small_set(0), got;

	(void)state;
	assert_int_equal(unpack(image, NULL, &got), -EDESTADDRREQ);
	assert_says("is of 3 devices; choose one by --device=NAME: 0000:3b:00.1, b and c");
	assert_int_equal(got.size, 0);
	free(got.data);
	assert_int_equal(unpack(image, "d", &got), -EDESTADDRREQ);
	assert_says("has no device d: it is of 0000:3b:00.1, b and c");
	free(got.data);
	free(image.data);
}

/* ---- Damaged images ------------------------------------------------------ */

/* Each byte counts. */
static void test_flipped(void **state)
{
	(void)state;
	for (int level = 0; level <= 3; level += 3) {
		struct bytes b = small_set(level);
		size_t noise = 0;

		for (size_t i = 0; i < b.size; i++) {
			/* Inside of the chunks one byte in a thousand is enough, and of what is the
			 * same at both levels some. */
			if ((i > 800 && i < b.size - 1200 && ++noise % 1000) || (level && i % 7))
				continue;
			b.data[i] ^= 1 << i % 8;
			/* What is found without the chunks is found with them. */
			if (look(b, false) != -EBADMSG && look(b, true) != -EBADMSG)
				fail_msg("byte %zu (level %d)", i, level);
			b.data[i] ^= 1 << i % 8;
		}
		assert_int_equal(look(b, true), 0);
		free(b.data);
	}
}

static void test_truncated(void **state)
{
	struct bytes b = small_set(3), cut = b;
	size_t noise = 0;

	(void)state;
	for (cut.size = 1; cut.size < b.size; cut.size++) {
		if (cut.size > 1000 && cut.size < b.size - 1200 && ++noise % 1000)
			continue;
		if (look(cut, false) != -EBADMSG ||
		    (cut.size % 64 == 0 && look(cut, true) != -EBADMSG))
			fail_msg("cut at %zu", cut.size);
	}
	free(b.data);
}

#define FRAMES_MAX 64

/* Where each frame begins, with its size frame, and where the last one ends. */
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

static const uint8_t *frame_at(struct bytes b, size_t at)
{
	return b.data + at + SIZE_FRAME;
}

/* The n-th frame of a kind, of a device unless that is -1. Trailers: the set's is the last. */
static size_t nth(struct bytes b, uint32_t magic, size_t n)
{
	size_t at[FRAMES_MAX], count = find_frames(b, at);

	for (size_t i = 0; i < count; i++)
		if (get_le32(frame_at(b, at[i])) == magic && !n--)
			return i;
	fail_msg("there is no such frame");
	return 0;
}

/* Make an image of frames: all of @b, but frame @skip left out, and frame @again before frame
 * @before. -1 is for none. */
static struct bytes rearrange(struct bytes b, int skip, int again, int before)
{
	struct bytes made = { malloc(2 * b.size), 0 };
	size_t at[FRAMES_MAX], count = find_frames(b, at);

	for (int i = 0; i <= (int)count; i++) {
		int list[] = { i == before ? again : -1, i == skip || i == (int)count ? -1 : i };

		for (int j = 0; j < 2; j++) {
			size_t size;

			if (list[j] < 0)
				continue;
			size = at[list[j] + 1] - at[list[j]];
			memcpy(made.data + made.size, b.data + at[list[j]], size);
			made.size += size;
		}
	}
	return made;
}

static void expect_rearranged(struct bytes b, int skip, int again, int before, const char *why)
{
	struct bytes made = rearrange(b, skip, again, before);

	expect(made, -EBADMSG, why);
	free(made.data);
}

static void test_rearranged(void **state)
{
	(void)state;
	for (int level = 0; level <= 3; level += 3) {
		struct bytes b = small_set(level);
		int label = nth(b, MAGIC_LABEL, 0), chunk = nth(b, MAGIC_ZSTD, 0);
		int trailer = nth(b, MAGIC_TRAILER, 0), last = nth(b, MAGIC_TRAILER, 3);

		expect_rearranged(b, label, -1, -1, "a chunk has no label");
		expect_rearranged(b, chunk, -1, -1, "no chunk follows a label");
		expect_rearranged(b, -1, label, label, "no chunk follows a label");
		expect_rearranged(b, trailer, -1, -1, "it has no trailer of ");
		expect_rearranged(b, -1, trailer, last,
				  "a trailer is of no device, or a second one");
		expect_rearranged(b, last, -1, -1, "without the set's trailer");
		expect_rearranged(b, -1, last, last, "something follows its trailer");
		expect_rearranged(b, -1, last, trailer, "it has no trailer of ");
		expect_rearranged(b, -1, 0, last, "a frame is of an unknown kind");
		expect_rearranged(b, -1, label, last, " follows its trailer");
		/* Two trailers have changed places. */
		expect_rearranged(b, trailer, trailer, last, "its set's trailer is not of these");
		free(b.data);
	}
}

/* ---- Images that were made to mislead ------------------------------------ */

static void add_frame(struct bytes *b, const void *frame, size_t size)
{
	frame_put_size(b->data + b->size, size);
	memcpy(b->data + b->size + SIZE_FRAME, frame, size);
	b->size += SIZE_FRAME + size;
}

static void add_metadata(struct bytes *b, uint32_t magic, const char *text)
{
	size_t room = strlen(text) + 64, size;
	uint8_t *frame = malloc(room);

	size = sprintf((char *)frame + 8, "%s\nxxh64:%016llx\n", text,
		       (unsigned long long)XXH64(text, strlen(text), 0));
	put_le32(frame, magic);
	put_le32(frame + 4, size);
	add_frame(b, frame, 8 + size);
	free(frame);
}

static void add_label(struct bytes *b, uint32_t device, uint64_t number)
{
	uint8_t label[LABEL_FRAME];

	frame_put_label(label, device, number);
	add_frame(b, label, sizeof(label));
}

/* A chunk with the state "x" */
static void add_x(struct bytes *b)
{
	static const uint8_t x[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa4, 1,	 0,    0,   0,
				     0x0b, 0,	 0,    'x',  0x23, 0x11, 0x04, 0x83 };

	add_frame(b, x, sizeof(x));
}

#define HEADER(devices, size) \
	"{\"format\":2,\"compression\":\"none\",\"chunk_size\":" size ",\"devices\":" devices "}"
#define TWO	  "[{\"name\":\"a\",\"new\":[{}]},{\"name\":\"b\"}]"
#define X_TRAILER "\"bytes\":1,\"frames\":1,\"digest\":\"xxh128:5c7401c0ec22eeeeeaf06c6480b2cd11\"}"

static void expect_header(const char *header, const char *why)
{
	struct bytes b = { malloc(strlen(header) + 200), 0 };

	add_metadata(&b, MAGIC_HEADER, header);
	expect(b, -EBADMSG, why);
	free(b.data);
}

static void test_headers(void **state)
{
	static const char *const bad[] = {
		HEADER("[]", "65536"),
		HEADER("{}", "65536"),
		HEADER("null", "65536"),
		HEADER("[{\"name\":\"a\"}]", "65536"),
		HEADER("[1,2]", "65536"),
		HEADER("[{\"name\":\"a\"},{}]", "65536"),
		HEADER("[{\"name\":\"a\"},{\"name\":1}]", "65536"),
		HEADER("[{\"name\":\"a\"},{\"name\":\"\"}]", "65536"),
		HEADER("[{\"name\":\"a\"},{\"name\":\"\\u0061\"}]", "65536"),
		HEADER("[{\"name\":\"a\"},{\"name\":\"\\u001b[2J\"}]", "65536"),
		HEADER("[{\"name\":\"a\"},{\"name\":\"b\",\"config\":\"zz\"}]", "65536"),
		/* A chunk of each would not fit. */
		HEADER(TWO, "16777217"),
		"{\"format\":2,\"compression\":\"none\",\"chunk_size\":65536}",
	};
	char header[4096] =
		"{\"format\":2,\"compression\":\"none\",\"chunk_size\":65536,\"devices\":[";
	char *text = malloc(2 * MIB);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		expect_header(bad[i], "its header makes no sense");
	for (int i = 0; i < VFIOMIG_SET_MAX + 1; i++)
		sprintf(header + strlen(header), "%s{\"name\":\"%d\"}", i ? "," : "", i);
	strcat(header, "]}");
	expect_header(header, "its header makes no sense");
	expect_header(HEADER(TWO, "65536"), "without the set's trailer");
	expect_header(HEADER(TWO, "16777216"), "without the set's trailer");
	/* A name that is too long, and a header that is. */
	sprintf(text, HEADER("[{\"name\":\"a\"},{\"name\":\"%0256d\"}]", "65536"), 0);
	expect_header(text, "its header makes no sense");
	sprintf(text, HEADER("[{\"name\":\"a\"},{\"name\":\"%0*d\"}]", "65536"), (int)MIB, 0);
	expect_header(text, "it has no header");
	/* Format 1 has a smaller one. */
	sprintf(text, "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"x\":%0*d}",
		70000, 1);
	expect_header(text, "is not what was written");
	sprintf(text, "{\"format\":1,\"compression\":\"none\",\"chunk_size\":65536,\"x\":\"%0*d\"}",
		70000, 1);
	expect_header(text, "it has no header");
	free(text);
}

static void test_labels(void **state)
{
	static const struct {
		uint32_t device;
		uint64_t number;
		const char *why;
	} cases[] = {
		{ 2, 0, "a label is of no device" },
		{ UINT32_MAX, 0, "a label is of no device" },
		{ 0, 1, "chunk 1 of a is where chunk 0 should be" },
		{ 1, UINT64_MAX, "chunk 18446744073709551615 of b is where chunk 0 should be" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes b = { malloc(4096), 0 };

		add_metadata(&b, MAGIC_HEADER, HEADER(TWO, "65536"));
		add_label(&b, cases[i].device, cases[i].number);
		add_x(&b);
		expect(b, -EBADMSG, cases[i].why);
		free(b.data);
	}
}

static void test_trailers(void **state)
{
	static const struct {
		const char *trailer, *why;
	} cases[] = {
		{ "{\"device\":0," X_TRAILER, "without the set's trailer" },
		{ "{\"device\":2," X_TRAILER, "a trailer is of no device" },
		{ "{\"device\":-1," X_TRAILER, "a trailer is of no device" },
		{ "{\"device\":1," X_TRAILER, "it has 0 chunks of b, and 1 were written" },
		{ "{\"device\":0,\"bytes\":1,\"frames\":1}", "its trailer of a makes no sense" },
		{ "{" X_TRAILER, "it has no trailer of a" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes b = { malloc(4096), 0 };

		add_metadata(&b, MAGIC_HEADER, HEADER(TWO, "65536"));
		add_label(&b, 0, 0);
		add_x(&b);
		add_metadata(&b, MAGIC_TRAILER, cases[i].trailer);
		expect(b, -EBADMSG, cases[i].why);
		free(b.data);
	}
}

/* ---- Transfers ----------------------------------------------------------- */

/* A pipe that gets its state when the image has that of the other device. */
struct late {
	int out, fd;
	off_t after;
	struct bytes state;
};

static void *feed_late(void *arg)
{
	struct late *l = arg;

	while (lseek(l->out, 0, SEEK_END) < l->after)
		usleep(1000);
	for (size_t done = 0; done < l->state.size;) {
		ssize_t n = write(l->fd, l->state.data + done, l->state.size - done);

		assert_true(n > 0);
		done += n;
	}
	close(l->fd);
	return NULL;
}

/* A device whose reader sleeps does not hold up another one, however large that is. */
static void test_slow_reader(void **state)
{
	struct bytes states[] = { make_state(0, 40 * MIB), make_state(1, 3 * CHUNK) }, image;
	struct vfiomig_options opt = options(0);
	struct late late = { .after = 20 * MIB, .state = states[1] };
	int fds[2], ins[2], out = memfd_create("image", MFD_CLOEXEC);
	pthread_t thread;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	/* The first bytes are there: the kind of the state is looked at before. */
	assert_int_equal(write(fds[1], states[1].data, RAW_PEEK), RAW_PEEK);
	late.state.data += RAW_PEEK;
	late.state.size -= RAW_PEEK;
	late.fd = fds[1];
	late.out = dup(out);
	ins[0] = file_of(states[0]);
	ins[1] = fds[0];
	assert_int_equal(pthread_create(&thread, NULL, feed_late, &late), 0);
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, out, &opt, NULL), 0);
	pthread_join(thread, NULL);
	image = bytes_of(out);
	check_devices(image, states, 2);
	for (int i = 0; i < 2; i++) {
		close(ins[i]);
		free(states[i].data);
	}
	close(late.out);
	free(image.data);
}

/* Where the states of a set go: pipes. */
struct sink {
	int number, fd;
	_Atomic int *wait; /* take nothing before this is set */
	size_t got;
	pthread_t thread;
};

static void *take(void *arg)
{
	struct sink *s = arg;
	char buf[65536];
	ssize_t n;

	while (s->wait && !*s->wait)
		usleep(1000);
	while ((n = read(s->fd, buf, sizeof(buf))) > 0)
		s->got += n;
	close(s->fd);
	return NULL;
}

static int set_flag(void *flag)
{
	*(_Atomic int *)flag = 1;
	return 0;
}

static int fail_it(void *error)
{
	return ctx_fail(ctx, *(int *)error, "it is not wanted");
}

struct restore {
	struct image image;
	struct raw raws[3];
	struct vfiomig_result results[3];
	struct member members[3];
	struct sink sinks[3];
	int fd;
};

static void begin_restore(struct restore *r, struct bytes image, int count)
{
	*r = (struct restore){ .fd = file_of(image) };
	assert_int_equal(image_open(&r->image, ctx, r->fd), 0);
	assert_int_equal(r->image.nr_devices, count);
	for (int i = 0; i < count; i++) {
		int fds[2];

		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		r->sinks[i].fd = fds[0];
		assert_int_equal(raw_init(&r->raws[i], ctx, fds[1], "writing the state"), 0);
		r->members[i] = (struct member){ .raw = &r->raws[i], .result = &r->results[i] };
	}
}

static int run_restore(struct restore *r, int count)
{
	struct vfiomig_options opt = options(0);
	int err;

	for (int i = 0; i < count; i++)
		assert_int_equal(pthread_create(&r->sinks[i].thread, NULL, take, &r->sinks[i]), 0);
	err = transfer_set_in(&opt, r->members, count, &r->image, NULL);
	for (int i = 0; i < count; i++) {
		close(r->raws[i].fd);
		pthread_join(r->sinks[i].thread, NULL);
		raw_free(&r->raws[i]);
	}
	image_free(&r->image);
	close(r->fd);
	return err;
}

/* A device that takes nothing for a while does not hold up the others, as long as there is memory
 * for what it has to take. */
static void test_slow_writer(void **state)
{
	struct bytes states[] = { make_state(0, 60 * MIB), make_state(1, 9 * CHUNK) };
	struct bytes image = pack(states, 2, 0);
	_Atomic int flag = 0;
	struct restore r;

	(void)state;
	begin_restore(&r, image, 2);
	r.members[1].written = set_flag;
	r.members[1].to = &flag;
	r.sinks[0].wait = &flag;
	assert_int_equal(run_restore(&r, 2), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(r.results[i].complete);
		assert_int_equal(r.results[i].bytes, states[i].size);
		assert_int_equal(r.sinks[i].got, states[i].size);
		free(states[i].data);
	}
	free(image.data);
}

/* When one of them fails, all end, and none is complete. */
static void test_one_fails(void **state)
{
	static int error = -ENXIO;
	struct bytes states[] = { make_state(0, 2 * MIB), make_state(1, 10) };
	struct bytes image = pack(states, 2, 0);
	struct restore r;

	(void)state;
	begin_restore(&r, image, 2);
	r.members[1].written = fail_it;
	r.members[1].to = &error;
	assert_int_equal(run_restore(&r, 2), -ENXIO);
	assert_says("it is not wanted");
	assert_true(!r.results[0].complete && !r.results[1].complete);
	free(states[0].data);
	free(states[1].data);
	free(image.data);
}

/* A damaged device of the set ends the restore of all, and none is complete. */
static void test_one_is_damaged(void **state)
{
	struct bytes b = small_set(0);
	size_t at[FRAMES_MAX];
	_Atomic int flag = 0;
	struct restore r;

	(void)state;
	find_frames(b, at);
	/* In the only chunk of the first device */
	b.data[at[nth(b, MAGIC_LABEL, 0) + 1] + SIZE_FRAME + 13] ^= 1;
	begin_restore(&r, b, 3);
	for (int i = 0; i < 3; i++) {
		r.members[i].written = set_flag;
		r.members[i].to = &flag;
	}
	assert_int_equal(run_restore(&r, 3), -EBADMSG);
	assert_says("the image is damaged: chunk 0 of ");
	for (int i = 0; i < 3; i++)
		assert_false(r.results[i].complete);
	free(b.data);
}

/* The progress function is called on the caller's thread alone, and with all bytes in the end, also
 * where other threads write. */
static int tell(void *data, uint64_t bytes, uint64_t expected)
{
	uint64_t *most = data;

	/* The header is written before they are counted. */
	assert_true(expected == 3 * CHUNK + 20 || (!expected && !bytes));
	assert_true(bytes >= *most && bytes <= expected);
	*most = bytes;
	return 0;
}

static void test_progress(void **state)
{
	struct vfiomig_options opt = options(0);
	struct bytes states[] = { make_state(0, CHUNK + 10), make_state(1, 2 * CHUNK + 10) };
	int ins[] = { file_of(states[0]), file_of(states[1]) };
	int image = memfd_create("image", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	uint64_t most = 0;

	(void)state;
	opt.progress = tell;
	opt.progress_data = &most;
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, image, &opt, NULL), 0);
	assert_int_equal(most, 3 * CHUNK + 20);
	most = 0;
	opt.device = names[1];
	assert_int_equal(lseek(image, 0, SEEK_SET), 0);
	assert_int_equal(vfiomig_unpack(ctx, image, out, &opt, NULL), 0);
	assert_int_equal(most, 3 * CHUNK + 20);
	close(out);
	for (int i = 0; i < 2; i++) {
		close(ins[i]);
		free(states[i].data);
	}
	close(image);
}

static int end_it(void *flag, uint64_t bytes, uint64_t expected)
{
	(void)bytes;
	(void)expected;
	*(_Atomic int *)flag = 1;
	return 7;
}

/* It ends the writers of all devices, also one that sleeps. */
static void test_progress_ends(void **state)
{
	struct bytes states[] = { make_state(0, 3 * MIB), make_state(1, 10) };
	struct bytes image = pack(states, 2, 0);
	_Atomic int flag = 0;
	struct restore r;

	(void)state;
	begin_restore(&r, image, 2);
	r.sinks[0].wait = &flag;
	ctx->progress = (struct progress){ .fn = end_it, .data = &flag, .caller = pthread_self() };
	assert_int_equal(run_restore(&r, 2), 7);
	assert_says("the progress function ended it by returning 7");
	assert_true(!r.results[0].complete && !r.results[1].complete);
	ctx->progress = (struct progress){ 0 };
	free(states[0].data);
	free(states[1].data);
	free(image.data);
}

static void *progress_elsewhere(void *err)
{
	*(int *)err = ctx_progress(ctx);
	return NULL;
}

/* Other threads do not see that it has ended the transfer before there is a sentence about it: the
 * value that it returned is the first failure. */
static void test_progress_elsewhere(void **state)
{
	pthread_t thread;
	int err = -1;

	(void)state;
	ctx->progress = (struct progress){ .fn = end_it, .caller = pthread_self(), .ended = 7 };
	assert_int_equal(ctx_progress(ctx), 7);
	assert_int_equal(pthread_create(&thread, NULL, progress_elsewhere, &err), 0);
	pthread_join(thread, NULL);
	assert_int_equal(err, 0);
	ctx->progress = (struct progress){ 0 };
}

static int end_early(void *data, uint64_t bytes, uint64_t expected)
{
	(void)data;
	return bytes < expected ? 7 : 0;
}

/* It is called in time, also while the worker asks for help with each chunk. */
static void test_progress_while_busy(void **state)
{
	struct vfiomig_options opt = options(0);
	int ins[] = { new_file("", 0), new_file("", 0) };
	int image = memfd_create("image", MFD_CLOEXEC), out = open("/dev/null", O_WRONLY);

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(ftruncate(ins[i], 256 * MIB), 0);
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, image, &opt, NULL), 0);
	opt.threads = 1;
	opt.device = names[1];
	opt.progress = end_early;
	lseek(image, 0, SEEK_SET);
	assert_int_equal(vfiomig_unpack(ctx, image, out, &opt, NULL), 7);
	for (int i = 0; i < 2; i++)
		close(ins[i]);
	close(image);
	close(out);
}

static int end_late(void *data, uint64_t bytes, uint64_t expected)
{
	int *calls = data;

	return bytes == expected && ++*calls == 3 ? 7 : 0;
}

/* Nor does it wait for a trailer of the set that does not come. */
static void test_progress_before_trailer(void **state)
{
	struct vfiomig_options opt = options(0);
	struct bytes b = small_set(0);
	int fds[2], out = open("/dev/null", O_WRONLY), calls = 0;
	size_t at[FRAMES_MAX], size;

	(void)state;
	find_frames(b, at);
	size = at[nth(b, MAGIC_TRAILER, 3)];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, MIB) >= (int)size);
	assert_int_equal(write(fds[1], b.data, size), size);
	opt.device = names[0];
	opt.progress = end_late;
	opt.progress_data = &calls;
	alarm(20);
	assert_int_equal(vfiomig_unpack(ctx, fds[0], out, &opt, NULL), 7);
	alarm(0);
	close(fds[0]);
	close(fds[1]);
	close(out);
	free(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_rearranged),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_trailers),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_slow_writer),
		cmocka_unit_test(test_one_fails),
		cmocka_unit_test(test_one_is_damaged),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_progress_ends),
		cmocka_unit_test(test_results),
		cmocka_unit_test(test_progress_while_busy),
		cmocka_unit_test(test_progress_elsewhere),
		cmocka_unit_test(test_progress_before_trailer),
	};

	interrupt_on_alarm();
	return cmocka_run_group_tests_name("set", tests, make_ctx, free_ctx);
}
