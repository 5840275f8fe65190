// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Two states, unit by unit. As long as the first units of both windows are alike, each is compared
 * with the other. Where they are not, the windows are filled, and the nearest two units that are
 * alike are looked for: before them, something was inserted, left out, or changed. There, those of
 * the same key belong together, and only one state has the others.
 *
 * Without two units that are alike, the nearest two of the same key belong together. Pairs of units
 * that were found not to match are not looked at again, so that the time for each unit has a bound.
 */
#include <inttypes.h>

#include "compare.h"
#include "diff.h"
#include "image/watch.h"
#include "records.h"

struct diff {
	struct comparison c;
	/* Units to be compared by their keys, before two that are alike. */
	uint64_t gap[2];
	/* Of units before these, no two have the same hash. */
	uint64_t searched[NR_LOOKS][2];
};

/* ---- Looking for the nearest pair ---------------------------------------- */

struct pair {
	bool found;
	uint64_t n[2]; /* units before it in the windows */
};

static void consider(const struct diff *d, const uint64_t most[2], struct pair *best,
		     const struct unit *a, const struct unit *b)
{
	uint64_t n[2] = { a->seq - d->c.w[0].first, b->seq - d->c.w[1].first };

	if (n[0] >= most[0] || n[1] >= most[1] ||
	    (best->found && n[0] + n[1] >= best->n[0] + best->n[1]))
		return;
	best->found = true;
	best->n[0] = n[0];
	best->n[1] = n[1];
}

/* Compare the units of @side from @from on with all of the other side, but on both sides only the
 * @most first ones of the window. */
static void search_from(const struct diff *d, enum look look, int side, uint64_t from,
			const uint64_t most[2], struct pair *best)
{
	const struct window *w = &d->c.w[side];

	for (uint64_t seq = from < w->first ? w->first : from; seq < w->indexed; seq++) {
		struct unit *u = window_unit(w, seq), *other;
		uint64_t n = seq - w->first;

		if (n >= most[side] || (best->found && n >= best->n[0] + best->n[1]))
			return;
		other = window_find(&d->c.w[!side], look, u->hash[look]);
		if (other)
			consider(d, most, best, side ? other : u, side ? u : other);
	}
}

/* The nearest two units with the same hash. */
static struct pair search(struct diff *d, enum look look)
{
	static const uint64_t all[2] = { UINT64_MAX, UINT64_MAX };
	uint64_t *searched = d->searched[look];
	struct pair best = { false };

	for (int side = 0; side < 2; side++)
		search_from(d, look, side, searched[side], all, &best);
	for (int side = 0; side < 2 && !best.found; side++)
		searched[side] = d->c.w[side].indexed;
	return best;
}

/* The nearest two of the same key in the gap. */
static struct pair search_gap(const struct diff *d)
{
	struct pair best = { false };

	search_from(d, BY_KEY, 0, 0, d->gap, &best);
	return best;
}

/* ---- Going on ------------------------------------------------------------ */

static int only(struct diff *d, int side, uint64_t n)
{
	int err = 0;

	for (; !err && n; n--)
		err = compare_only(&d->c, side);
	return err;
}

/* Up to this pair, which belongs together although it is not alike. */
static int go_to(struct diff *d, const struct pair *pair)
{
	int err = only(d, 0, pair->n[0]);

	if (!err)
		err = only(d, 1, pair->n[1]);
	return err ? err : compare_pair(&d->c);
}

static int cross_gap(struct diff *d)
{
	struct pair pair = search_gap(d);
	int err;

	if (!pair.found) {
		err = only(d, 0, d->gap[0]);
		if (!err)
			err = only(d, 1, d->gap[1]);
		d->gap[0] = d->gap[1] = 0;
		return err;
	}
	for (int i = 0; i < 2; i++)
		d->gap[i] -= pair.n[i] + 1;
	return go_to(d, &pair);
}

/* Whether nothing of the other state can match the head of this one. */
static bool has_no_match(const struct window *w, const struct window *other)
{
	/* What could not be read of the other one might. */
	if (w->failed != other->failed)
		return w->failed;
	return !w->ended || other->ended;
}

/* One state could not be read to its end. What is left of it may come in the other one behind its
 * window, and what that one has there may come where the first one could not be read. */
static bool is_unknown(const struct window *w, const struct window *other)
{
	return w->failed && !other->ended;
}

/* Nothing in the windows matches. If all that is left of one state is there, the other one has
 * something more. */
static int give_up_head(struct diff *d)
{
	struct window *w = d->c.w;
	bool only[2] = { has_no_match(&w[0], &w[1]), has_no_match(&w[1], &w[0]) };
	int err = 0;

	for (int side = 0; side < 2; side++)
		if (is_unknown(&w[side], &w[!side])) {
			window_give_up(&w[side]);
			return 0;
		}
	for (int side = 0; !err && side < 2; side++)
		if (only[side])
			err = compare_only(&d->c, side);
	return err;
}

static int resynchronise(struct diff *d)
{
	struct pair pair;
	int err = window_fill(&d->c.w[0]);

	if (!err)
		err = window_fill(&d->c.w[1]);
	if (err)
		return err;
	window_index(&d->c.w[0]);
	window_index(&d->c.w[1]);
	pair = search(d, BY_CONTENT);
	if (pair.found) {
		memcpy(d->gap, pair.n, sizeof(d->gap));
		return cross_gap(d);
	}
	pair = search(d, BY_KEY);
	return pair.found ? go_to(d, &pair) : give_up_head(d);
}

/* The next units of both. *@more becomes false when there are none. */
static int step(struct diff *d, bool *more)
{
	struct unit *a = NULL, *b = NULL;
	int err;

	if (d->gap[0] || d->gap[1])
		return cross_gap(d);
	err = window_head(&d->c.w[0], &a);
	if (!err)
		err = window_head(&d->c.w[1], &b);
	*more = (a || b) && !window_is_lost(&d->c.w[0]) && !window_is_lost(&d->c.w[1]);
	if (err || !*more)
		return err;
	if (!a || !b)
		return compare_only(&d->c, a ? 0 : 1);
	return unit_is_like(a, b) ? compare_pair(&d->c) : resynchronise(d);
}

/* ---- The whole ----------------------------------------------------------- */

static const struct format *format_of(struct source *s, const char *driver)
{
	char name[64];

	if (!driver && source_header(s) && meta_driver(source_header(s), name, sizeof(name)))
		driver = name;
	return format_find(driver, s->first, s->first_size);
}

/* Only what has the same format can be compared record by record. */
static int begin(struct diff *d, const char *driver)
{
	struct window *w = d->c.w;
	const struct format *f[2];
	struct vfiomig_record records[2];
	struct vfiomig_difference begin = { .kind = VFIOMIG_DIFFERENCE_STREAM };
	bool same;
	int err = 0;

	for (int i = 0; i < 2; i++) {
		f[i] = format_of(&w[i].source, driver);
		records[i] = (struct vfiomig_record){
			.kind = VFIOMIG_RECORD_STREAM,
			.type = f[i] ? f[i]->name : NULL,
			.name = f[i] ? f[i]->driver : NULL,
		};
		begin.header[i] = source_header(&w[i].source);
	}
	begin.a = &records[0];
	begin.b = &records[1];
	same = f[0] && f[1] && strcmp(f[0]->name, f[1]->name) == 0;
	for (int i = 0; !err && i < 2; i++)
		err = window_begin(&w[i], same ? f[i]->name : "");
	return err ? err : compare_tell(&d->c, &begin);
}

static int open_sides(struct diff *d, const int fds[2], const struct vfiomig_options *opt)
{
	struct progress *progress = &d->c.ctx->progress;
	struct failure choice = { 0 };

	for (int i = 0; i < 2; i++) {
		struct source *s = &d->c.w[i].source;
		int err = source_open(s, d->c.ctx, fds[i], i ? "B" : "A", opt);

		/* What is wrong with the other one weighs more than which device is meant. */
		if (err && err != -EDESTADDRREQ)
			return err;
		if (err && !choice.err)
			choice = ctx_get_failure(d->c.ctx);
		if (choice.err)
			continue;
		progress->expected += source_expected(s);
		/* The sum is not known if one of them is not. */
		if (i && (!source_expected(s) || !source_expected(&d->c.w[0].source)))
			progress->expected = 0;
	}
	if (choice.err)
		ctx_set_failure(d->c.ctx, &choice);
	return choice.err;
}

static int peek(struct diff *d)
{
	int err = source_peek(&d->c.w[0].source);

	return err ? err : source_peek(&d->c.w[1].source);
}

/* One of the states could not be read to its end. Say how far they were compared. */
static int fail_damaged(struct diff *d, const struct window *w)
{
	const struct failure *why = &w->failure;

	if (!w->offset)
		return ctx_fail(d->c.ctx, why->err, "%s", why->sentence);
	if (!d->c.differences)
		return ctx_fail(d->c.ctx, why->err,
				"%s; the %" PRIu64 " bytes before that are equal", why->sentence,
				w->offset);
	return ctx_fail(d->c.ctx, why->err,
			"%s; the %" PRIu64 " bytes before that differ in %" PRIu64 " place%s",
			why->sentence, w->offset, d->c.differences,
			d->c.differences == 1 ? "" : "s");
}

static int run(struct diff *d)
{
	const struct window *w = d->c.w;
	bool more = true;
	int err = 0;

	while (!err && more)
		err = step(d, &more);
	if (!err)
		err = compare_end(&d->c);
	if (err)
		return err;
	for (int i = 0; i < 2; i++)
		if (window_is_lost(&w[i]))
			return fail_damaged(d, &w[i]);
	return compare_tell(&d->c, &(struct vfiomig_difference){
					   .kind = VFIOMIG_DIFFERENCE_END,
					   .a = &w[0].end,
					   .b = &w[1].end,
					   .different = d->c.differences,
				   });
}

int diff_states(struct vfiomig_ctx *ctx, const int fds[2], const char *driver,
		const struct vfiomig_options *opt, vfiomig_difference_fn fn, void *data)
{
	struct diff *d = calloc(1, sizeof(*d));
	struct watch watch;
	int err;

	if (!d)
		return ctx_fail_memory(ctx);
	d->c = (struct comparison){ .ctx = ctx, .fn = fn, .data = data };
	d->c.w[0].source = d->c.w[1].source = (struct source)SOURCE_NONE;
	err = open_sides(d, fds, opt);
	if (!err) {
		watch_begin(&watch, ctx);
		err = peek(d);
		if (!err)
			err = begin(d, driver);
		if (!err)
			err = run(d);
		watch_end(&watch);
	}
	window_free(&d->c.w[0]);
	window_free(&d->c.w[1]);
	free(d);
	return err;
}
