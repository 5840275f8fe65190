// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pipelines: which stages stand between the state and the image.
 *
 *	save, pack:      raw_read -> frame_encode -> digest_out -> image_write
 *	restore, unpack: image_read -> frame_decode -> digest_in -> raw_write
 *
 * Without a container, raw_read and raw_write stand at both ends, and nobody asks for a digest.
 */
#include <sched.h>
#include <string.h>

#include "transfer.h"

/* Two digests go over each state that is transferred with an image: one over the state, and one
 * over its frames. */
struct digests {
	struct raw *const *states; /* of each lane */
	struct image *image;
};

static void digest_out(void *data, const struct chunk *c)
{
	const struct digests *d = data;
	struct raw *state = d->states[c->lane];

	if (c->zero)
		raw_add_zeros(state, c->in_size);
	else
		raw_add(state, c->in, c->in_size);
	for (int i = 0; i < c->iov_count; i++) {
		size_t skip = i ? 0 : SIZE_FRAME;

		image_add(d->image, c->lane, (char *)c->iov[i].iov_base + skip,
			  c->iov[i].iov_len - skip);
	}
}

static void digest_in(void *data, const struct chunk *c)
{
	const struct digests *d = data;

	image_add(d->image, c->lane, c->in, c->in_size);
	for (int i = 0; i < c->iov_count; i++)
		raw_add(d->states[c->lane], c->iov[i].iov_base, c->iov[i].iov_len);
}

/* ---- Running a pipeline -------------------------------------------------- */

/* How many processors this process may run on, up to the limit of threads. A very large machine has
 * more of them than the set has room for. */
static int nr_processors(void)
{
	cpu_set_t set;
	long cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
								 : sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus > VFIOMIG_THREADS_MAX)
		return VFIOMIG_THREADS_MAX;
	return cpus < 1 ? 1 : cpus;
}

static int threads_of(const struct vfiomig_options *opt)
{
	return opt->threads ? opt->threads : nr_processors();
}

/* What was written of a state that is read. */
struct moved {
	_Atomic uint64_t bytes; /* as they were read */
	uint64_t at_ns;		/* CLOCK_MONOTONIC, when the last of them were written; or 0 */
};

/* For how long a state was moved that is read, by a transfer that began at @start. */
static uint64_t moved_ns(const struct raw *state, const struct moved *moved, uint64_t start)
{
	return (moved->at_ns ?: now_ns()) - (state->since_ns ?: start);
}

static void add_moved(struct moved *moved, const struct chunk *c)
{
	moved->bytes += c->in_size;
	moved->at_ns = now_ns();
}

/* Run the pipeline, and tell the caller how far it is. */
static int run(const struct pipeline *p, const _Atomic uint64_t *bytes, uint64_t expected)
{
	struct progress *progress = &p->ctx->progress;
	int err;

	progress->expected = expected;
	progress->bytes = bytes;
	err = pipeline_run(p);
	progress->bytes = NULL;
	progress->moved = *bytes;
	return err;
}

/* How a state goes into an image, and comes out of it. */
static void encode(struct pipeline *p, const struct frame_how *how)
{
	p->in_room = how->chunk_size;
	p->out_room = frame_room(how->chunk_size, how->level);
	p->worker_room = frame_encoder_room(how->chunk_size, how->level);
	/* And the label */
	p->iov_room = frame_pieces(how->chunk_size) + 1;
	p->work = frame_encode;
	p->worker_new = frame_encoder_new;
	p->worker_free = frame_encoder_free;
	p->how = how;
	p->digest = digest_out;
}

static void decode(struct pipeline *p, const struct frame_how *how)
{
	p->in_room = frame_size_max(how->chunk_size);
	p->out_room = how->chunk_size;
	p->worker_room = frame_decoder_room();
	p->iov_room = frame_pieces(how->chunk_size);
	p->work = frame_decode;
	p->worker_new = frame_decoder_new;
	p->worker_free = frame_decoder_free;
	p->how = how;
	p->digest = digest_in;
}

static struct frame_how how_in(const struct image *image)
{
	return (struct frame_how){
		.ctx = image->ctx,
		.chunk_size = image->chunk_size,
		.stored = !image->compressed,
		.names = image->names,
	};
}

/* ---- One state ----------------------------------------------------------- */

/* A writer, and what it has written. */
struct counted {
	struct writer writer;
	struct moved moved;
};

static int write_counted(void *data, struct chunk *c)
{
	struct counted *counted = data;
	int err = counted->writer.write(counted->writer.to, c);

	if (!err)
		add_moved(&counted->moved, c);
	return err;
}

int transfer_out(const struct vfiomig_options *opt, struct raw *from, const struct reader *reader,
		 struct raw *to, struct image *image, struct vfiomig_result *result)
{
	const struct reader plain = { .read = raw_read, .from = from };
	const struct frame_how how = { .ctx = from->ctx,
				       .level = opt->level,
				       .chunk_size = opt->chunk_size };
	struct digests digests = { &from, image };
	struct counted counted = { .writer = { .write = raw_write, .to = to } };
	const struct writer writer = { .write = write_counted, .to = &counted };
	struct pipeline p = {
		.ctx = from->ctx,
		.processors = nr_processors(),
		.threads = threads_of(opt),
		.in_room = opt->chunk_size,
		.iov_room = 1,
		.readers = reader ? reader : &plain,
		.nr_readers = 1,
		.writers = &writer,
		.nr_writers = 1,
		.digests = &digests,
	};
	uint64_t start = now_ns();
	int err;

	from->chunk_size = opt->chunk_size;
	/* A device's reader does: it stops the device, and takes it home. */
	p.takes_arcs = p.readers->end;
	if (image) {
		encode(&p, &how);
		counted.writer = (struct writer){ .write = image_write, .to = image };
	}
	/* What was read ahead is not moved yet. */
	err = run(&p, &counted.moved.bytes, result->expected);
	result->bytes = counted.moved.bytes;
	/* Without what came before it and after it, the arcs of a device. */
	result->ns = moved_ns(from, &counted.moved, start);
	return err;
}

int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result)
{
	const struct reader reader = {
		.read = image ? image_read : raw_read,
		.fetch = image_fetch,
		.from = image ? (void *)image : from,
	};
	const struct writer writer = { .write = raw_write, .to = to };
	struct digests digests = { &to, image };
	struct frame_how how;
	struct pipeline p = {
		.ctx = to->ctx,
		.threads = threads_of(opt),
		.in_room = opt->chunk_size,
		.iov_room = 1,
		.readers = &reader,
		.nr_readers = 1,
		.writers = &writer,
		.nr_writers = 1,
		.digests = &digests,
	};
	uint64_t start = now_ns();
	int err;

	if (from)
		from->chunk_size = opt->chunk_size;
	if (image) {
		how = how_in(image);
		decode(&p, &how);
	}
	err = run(&p, &to->bytes, result->expected);
	result->bytes = to->bytes;
	result->ns = now_ns() - start;
	if (!err && image)
		err = image_check(image, 0, to);
	result->complete = !err;
	return err;
}

/* ---- Several states in one image ----------------------------------------- */

struct set {
	struct image *image;
	struct member *members;
	struct lane {
		struct set *set;
		struct member *member;
		struct raw nowhere; /* the state of a member that has none */
		struct moved moved;
	} lanes[VFIOMIG_SET_MAX];
	/* Of each member. */
	struct reader readers[VFIOMIG_SET_MAX];
	struct writer writers[VFIOMIG_SET_MAX];
	struct raw *states[VFIOMIG_SET_MAX];
	_Atomic uint64_t bytes; /* of all members */
	uint64_t start;
};

static struct set *new_set(struct member *members, int count, struct image *image)
{
	struct set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->image = image;
	set->members = members;
	set->start = now_ns();
	for (int i = 0; i < count; i++) {
		set->lanes[i].set = set;
		set->lanes[i].member = &members[i];
		set->states[i] = members[i].raw ?: &set->lanes[i].nowhere;
	}
	return set;
}

/* How many bytes are expected of all, or 0 if that is not known of one. */
static uint64_t all_expected(const struct member *members, int count)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++) {
		if (!members[i].result->expected)
			return 0;
		sum += members[i].result->expected;
	}
	return sum;
}

static int write_out(void *data, struct chunk *c)
{
	struct set *set = data;
	int err = image_write(set->image, c);

	if (err)
		return err;
	add_moved(&set->lanes[c->lane].moved, c);
	set->bytes += c->in_size;
	return 0;
}

static int end_out(void *data, int lane)
{
	const struct set *set = data;

	return image_end_device(set->image, lane, set->states[lane]);
}

static bool any_reader_ends(const struct member *members, int count)
{
	for (int i = 0; i < count; i++)
		if (members[i].reader.end)
			return true;
	return false;
}

/* The result of all members. */
static void sum_up(const struct set *set, int count, struct vfiomig_result *whole)
{
	uint64_t last = 0;

	if (!whole)
		return;
	for (int i = 0; i < count; i++)
		if (set->lanes[i].moved.at_ns > last)
			last = set->lanes[i].moved.at_ns;
	whole->bytes = set->bytes;
	whole->expected = all_expected(set->members, count);
	whole->ns = (last ?: now_ns()) - set->start;
}

int transfer_set_out(const struct vfiomig_options *opt, struct member *members, int count,
		     struct image *image, struct vfiomig_result *whole)
{
	const struct frame_how how = { .ctx = image->ctx,
				       .level = opt->level,
				       .chunk_size = image->chunk_size };
	struct set *set = new_set(members, count, image);
	const struct writer writer = { .write = write_out, .end = end_out, .to = set };
	struct digests digests;
	struct pipeline p = {
		.ctx = image->ctx,
		.processors = nr_processors(),
		.threads = threads_of(opt),
		.nr_readers = count,
		.writers = &writer,
		.nr_writers = 1,
		.takes_arcs = any_reader_ends(members, count),
		.digests = &digests,
	};
	int err;

	if (!set)
		return ctx_fail_memory(image->ctx);
	digests = (struct digests){ set->states, image };
	p.readers = set->readers;
	encode(&p, &how);
	for (int i = 0; i < count; i++) {
		members[i].raw->chunk_size = image->chunk_size;
		set->readers[i] = members[i].reader;
		if (!set->readers[i].read)
			set->readers[i] =
				(struct reader){ .read = raw_read, .from = members[i].raw };
	}
	err = run(&p, &set->bytes, all_expected(members, count));
	for (int i = 0; i < count; i++) {
		struct moved *moved = &set->lanes[i].moved;

		members[i].result->bytes = moved->bytes;
		members[i].result->ns = moved_ns(members[i].raw, moved, set->start);
	}
	sum_up(set, count, whole);
	free(set);
	return err;
}

/* One device that is slow must not hold up the others while there is memory. */
static bool read_ahead(const void *image)
{
	(void)image;
	return true;
}

static int write_in(void *data, struct chunk *c)
{
	struct lane *lane = data;
	struct raw *raw = lane->set->states[c->lane];
	const struct member *m = lane->member;
	uint64_t before = raw->bytes;
	int err = m->write ? m->write(m->to, c) : raw_write(raw, c);

	lane->set->bytes += raw->bytes - before;
	lane->moved.at_ns = now_ns();
	return err;
}

/* All of one state was written. */
static int end_in(void *data, int number)
{
	struct lane *lane = data;
	const struct member *m = lane->member;
	int err = image_check(lane->set->image, number, lane->set->states[number]);

	return !err && m->written ? m->written(m->to) : err;
}

static bool any_is_told(const struct member *members, int count)
{
	for (int i = 0; i < count; i++)
		if (members[i].written)
			return true;
	return false;
}

static int begin_in(struct set *set, int count)
{
	for (int i = 0; i < count; i++) {
		struct lane *lane = &set->lanes[i];
		int err = raw_init(&lane->nowhere, set->image->ctx, -1, "");

		if (err)
			return err;
		set->writers[i] = (struct writer){ .write = write_in, .end = end_in, .to = lane };
	}
	return 0;
}

static void end_set_in(struct set *set, int count, int err)
{
	for (int i = 0; i < count; i++) {
		struct lane *lane = &set->lanes[i];
		struct vfiomig_result *result = lane->member->result;

		result->bytes = set->states[i]->bytes;
		result->ns = (lane->moved.at_ns ?: now_ns()) - set->start;
		result->complete = !err;
		raw_free(&lane->nowhere);
	}
	free(set);
}

int transfer_set_in(const struct vfiomig_options *opt, struct member *members, int count,
		    struct image *image, struct vfiomig_result *whole)
{
	const struct reader reader = {
		.read = image_read,
		.fetch = image_fetch,
		.ahead = read_ahead,
		.from = image,
	};
	const struct frame_how how = how_in(image);
	struct set *set = new_set(members, count, image);
	struct digests digests;
	struct pipeline p = {
		.ctx = image->ctx,
		.threads = threads_of(opt),
		.readers = &reader,
		.nr_readers = 1,
		.nr_writers = count,
		.takes_arcs = any_is_told(members, count),
		.digests = &digests,
	};
	int err;

	if (!set)
		return ctx_fail_memory(image->ctx);
	digests = (struct digests){ set->states, image };
	p.writers = set->writers;
	decode(&p, &how);
	err = begin_in(set, count);
	if (!err)
		err = run(&p, &set->bytes, all_expected(members, count));
	sum_up(set, count, whole);
	if (whole)
		whole->complete = !err;
	end_set_in(set, count, err);
	return err;
}

int transfer_one_in(const struct vfiomig_options *opt, struct image *image, int device,
		    struct raw *to, struct vfiomig_result *result)
{
	struct vfiomig_result others[VFIOMIG_SET_MAX] = { 0 };
	struct member members[VFIOMIG_SET_MAX] = { 0 };

	if (!image->nr_devices)
		return transfer_in(opt, NULL, image, to, result);
	for (int i = 0; i < image->nr_devices; i++) {
		members[i].result = i == device ? result : &others[i];
		members[i].result->expected =
			meta_number(image->devices[i].header, "expected_bytes", 0);
	}
	if (device >= 0)
		members[device].raw = to;
	return transfer_set_in(opt, members, image->nr_devices, image, device < 0 ? result : NULL);
}
