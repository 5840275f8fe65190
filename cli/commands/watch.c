// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig watch: follow a migration that another process drives. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arguments.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "printable.h"
#include "progress.h"
#include "signals.h"
#include "stream.h"
#include "terminal.h"
#include "trend.h"
#include "user.h"

#define NS_PER_S 1000000000ULL
#define DRAW_NS	 200000000ULL
#define RATE_NS	 (5 * NS_PER_S)	 /* over which the rate is measured */
#define DIRTY_NS (10 * NS_PER_S) /* over which it is measured whether less is left */
#define IDLE_NS	 (2 * NS_PER_S)	 /* after which it is said that nothing moves */

struct options {
	struct cli *cli;
	int until; /* the state at which to end, or -1 */
	unsigned int interval_ms;
	int data_fd; /* or -1 */
	bool ask;
};

/* A text that grows. What does not fit is cut off. */
struct text {
	char s[400];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->s + t->n, sizeof(t->s) - t->n, fmt, ap);
	va_end(ap);
	t->n = strlen(t->s);
}

/* What is known of the migration, and what was printed about it. */
struct watching {
	const struct options *opt;
	struct cli *cli;
	struct vfiomig_device *dev;
	struct vfiomig_watch *watch;
	const struct vfiomig_look *look;
	bool begun;	    /* the state was seen once */
	int state;	    /* the last one that was seen, negative if it cannot be read */
	uint64_t since;	    /* when it was seen first */
	int before;	    /* the state before that, or -1 */
	uint64_t in_before; /* nanoseconds spent there */
	/* The state that moves */
	bool moves, has_base;
	int mover;	/* whose bytes are counted */
	uint64_t base;	/* what the owner had read or written when it was seen first */
	uint64_t moved; /* bytes */
	bool exact;	/* that is so, and not at most so */
	uint64_t info_ns;
	struct trend trend, left;
	/* What was printed */
	bool live, drawn; /* a line is renewed; it is there now */
	uint64_t drawn_ns, shown_ns, shown_moved, shown_left;
	uint64_t pause; /* until the next line about nothing that moves */
	uint64_t waits; /* the next line about a driver that does not answer */
	bool is_stopped, told_data, told_ask;
};

/* ---- What is seen -------------------------------------------------------------- */

static bool is_moving(int state)
{
	return state == VFIOMIG_STATE_PRE_COPY || state == VFIOMIG_STATE_PRE_COPY_P2P ||
	       state == VFIOMIG_STATE_STOP_COPY || state == VFIOMIG_STATE_RESUMING;
}

static bool has_info(const struct watching *w)
{
	return (w->state == VFIOMIG_STATE_PRE_COPY || w->state == VFIOMIG_STATE_PRE_COPY_P2P) &&
	       !w->look->data && !w->look->precopy;
}

/* Begin to count, or go on: from PRE_COPY to STOP_COPY it is the same state. */
static void begin_state(struct watching *w)
{
	bool moves = is_moving(w->state);

	if (moves && w->moves && w->before != VFIOMIG_STATE_RESUMING &&
	    w->state != VFIOMIG_STATE_RESUMING)
		return;
	w->moves = moves;
	w->has_base = w->exact = false;
	w->moved = w->shown_moved = w->shown_left = 0;
	w->trend.count = w->left.count = 0;
	w->pause = NS_PER_S;
}

static void count(struct watching *w)
{
	const struct vfiomig_look *l = w->look;
	uint64_t all = w->state == VFIOMIG_STATE_RESUMING ? l->written : l->bytes_read;

	if (!w->moves)
		return;
	/* Another process, or another data_fd, begins anew. */
	if (l->mover != w->mover || (l->counts && l->moved < w->moved)) {
		w->has_base = w->exact = false;
		w->moved = w->trend.count = 0;
	}
	w->mover = l->mover;
	if (l->counts) {
		w->moved = l->moved;
		w->exact = true;
	} else if (!l->io && !w->exact) {
		/* Some drivers count nothing. The process may read and write other things, too. A
		 * command that has the device from its owner does nothing else. */
		if (!w->has_base)
			w->base = l->mover == l->owner ? all : 0;
		w->has_base = true;
		w->moved = all - w->base;
	}
	trend_add(&w->trend, l->ns, w->moved, RATE_NS);
	if (!has_info(w) || l->precopy_ns == w->info_ns)
		return;
	w->info_ns = l->precopy_ns;
	if (l->initial_bytes)
		w->left.count = 0;
	else
		trend_add(&w->left, l->precopy_ns, l->dirty_bytes, DIRTY_NS);
}

/* ---- Text ------------------------------------------------------------------------ */

static const char *print_time(uint64_t ns, char text[32])
{
	double s = ns / 1e9;

	if (s < 9.995)
		snprintf(text, 32, "%.2f s", s);
	else if (s < 99.95)
		snprintf(text, 32, "%.1f s", s);
	else if (s < 3600)
		snprintf(text, 32, "%d min %d s", (int)s / 60, (int)s % 60);
	else
		snprintf(text, 32, "%d h %d min", (int)(s / 3600), (int)(s / 60) % 60);
	return text;
}

/* The time of day at which it was @ns by the other clock. */
static struct timespec time_of(uint64_t ns)
{
	struct timespec now;
	uint64_t then;

	clock_gettime(CLOCK_REALTIME, &now);
	then = now.tv_sec * NS_PER_S + now.tv_nsec - (clock_ns() - ns);
	return (struct timespec){ then / NS_PER_S, then % NS_PER_S };
}

static const char *print_clock(uint64_t ns, char text[32])
{
	struct timespec t = time_of(ns);
	struct tm tm;

	localtime_r(&t.tv_sec, &tm);
	snprintf(text, 32, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (int)(t.tv_nsec / 1000000));
	return text;
}

static void erase(struct watching *w)
{
	if (!w->drawn)
		return;
	printf("\r\033[K");
	fflush(stdout);
	w->drawn = false;
}

/* A line that stays: the time of day, the state, and @text. */
static void print_lasting(struct watching *w, uint64_t ns, const char *state, const char *text)
{
	char clock[32];

	erase(w);
	print_line("%s %s%*s%s", print_clock(ns, clock), state, *text ? 13 - (int)strlen(state) : 0,
		   "", text);
	fflush(stdout);
}

static const char *name_of(int state)
{
	return state < 0 ? "?" : vfiomig_state_name(state);
}

/* How much has moved, and how fast. */
static void put_moved(struct text *t, const struct watching *w)
{
	double rate = trend_rate(&w->trend);
	uint64_t idle = w->look->ns - w->trend.changed_ns;
	char bytes[32], time[32];

	if (!w->exact && !w->moved)
		return;
	put(t, "%s%s moved", w->exact ? "" : "at most ", format_bytes(w->moved, bytes));
	if (!trend_known(&w->trend))
		return;
	if (idle >= IDLE_NS)
		put(t, ", nothing for %s", print_time(idle, time));
	else
		put(t, ", %s/s", format_bytes(rate > 0 ? rate : 0, bytes));
}

/* " (13 s)": how long @bytes take at the rate so far */
static void put_duration(struct text *t, const struct watching *w, uint64_t bytes)
{
	double rate = trend_rate(&w->trend);
	char time[32];

	if (rate > 0 && bytes / rate < 1e6)
		put(t, " (%s)", print_time(bytes / rate * 1e9, time));
}

static void put_left(struct text *t, const struct watching *w)
{
	static const char *const directions[] = { "falling", "steady", "growing" };
	const struct vfiomig_look *l = w->look;
	const char *separator = t->n ? "; " : "";
	char bytes[32];
	int direction;

	if (!has_info(w))
		return;
	if (l->initial_bytes) {
		put(t, "%sfirst copy: %s left", separator, format_bytes(l->initial_bytes, bytes));
		put_duration(t, w, l->initial_bytes);
		return;
	}
	put(t, "%sdirty %s", separator, format_bytes(l->dirty_bytes, bytes));
	put_duration(t, w, l->dirty_bytes);
	if (trend_direction(&w->left, &direction) && l->dirty_bytes)
		put(t, ", %s", directions[direction + 1]);
}

static void put_progress(struct text *t, const struct watching *w)
{
	put_moved(t, w);
	put_left(t, w);
}

static void put_waiting(struct text *t, const struct watching *w)
{
	char time[32];

	put(t, "%s has not returned for %s",
	    *w->look->waits ? w->look->waits : "the process that looks",
	    print_time(w->look->waits_ns, time));
}

/* What is to be said of the state now, beside how long it lasts. */
static void put_news(struct text *t, const struct watching *w)
{
	char time[32];

	/* The end of the line may not fit. */
	if (w->look->waits && w->look->waits_ns >= NS_PER_S)
		put(t, "no answer for %s: %s", print_time(w->look->waits_ns, time), w->look->waits);
	else if (w->moves)
		put_progress(t, w);
	if (w->is_stopped)
		put(t, "%sprocess %d is stopped", t->n ? "; " : "", w->look->owner);
}

/* The line that is renewed. */
static void draw(struct watching *w)
{
	size_t width = line_width();
	struct text t = { .n = 0 }, news = { .n = 0 };
	uint64_t now = clock_ns();
	char time[32];

	if (!w->live || (w->drawn && now - w->drawn_ns < DRAW_NS))
		return;
	put_news(&news, w);
	put(&t, "%s %s%s%s", w->begun ? name_of(w->state) : "?", print_time(now - w->since, time),
	    news.n ? ": " : "", news.s);
	make_printable(t.s);
	/* A line that is wrapped cannot be erased. */
	if (t.n >= width)
		t.s[width - 1] = '\0';
	printf("\r%s\033[K", t.s);
	fflush(stdout);
	w->drawn = true;
	w->drawn_ns = now;
}

/* ---- JSON ------------------------------------------------------------------------ */

static void add_time(struct json_object *object, uint64_t ns)
{
	struct timespec t = time_of(ns);
	char text[40];
	struct tm tm;
	size_t n;

	gmtime_r(&t.tv_sec, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(t.tv_nsec / 1000000));
	add_string(object, "time", text);
}

static void add_known(struct json_object *object, const char *key, bool known, uint64_t value)
{
	if (known)
		add_uint(object, key, value);
	else
		add_value(object, key, NULL);
}

static struct json_object *describe_process(int pid, const char *comm)
{
	struct json_object *object;

	if (!pid)
		return NULL;
	object = new_object();
	add_int(object, "pid", pid);
	add_string(object, "command", comm);
	return object;
}

static void add_owner(struct json_object *object, const struct vfiomig_look *l)
{
	struct json_object *owner = describe_process(l->owner, l->comm);

	if (owner) {
		add_bool(owner, "holder", l->holder);
		add_bool(owner, "stopped", l->owner_state == 'T' || l->owner_state == 't');
	}
	add_value(object, "owner", owner);
}

static void add_data(struct json_object *object, const struct vfiomig_look *l)
{
	struct json_object *data = l->data ? NULL : describe_process(l->mover, l->mover_comm);

	if (data) {
		add_int(data, "fd", l->data_fd);
		add_string(data, "name", l->data_name);
	}
	add_value(object, "data_fd", data);
	if (l->data && *l->data_sentence)
		add_string(object, "data_error", l->data_sentence);
}

static void add_moved(struct json_object *object, const struct watching *w)
{
	bool known = w->moves && (w->exact || w->has_base);
	double rate = trend_rate(&w->trend);

	add_known(object, "moved_bytes", known, w->moved);
	if (known)
		add_bool(object, "exact", w->exact);
	else
		add_value(object, "exact", NULL);
	add_known(object, "bytes_per_second", known && trend_known(&w->trend), rate > 0 ? rate : 0);
}

static void add_info(struct json_object *object, const struct watching *w)
{
	const struct vfiomig_look *l = w->look;
	bool known = has_info(w);
	int direction;

	add_known(object, "initial_bytes", known, l->initial_bytes);
	add_known(object, "dirty_bytes", known, l->dirty_bytes);
	if (known && trend_direction(&w->left, &direction))
		add_bool(object, "converges", direction < 0 || !l->dirty_bytes);
	else
		add_value(object, "converges", NULL);
	if (!w->moves || l->precopy >= 0 || l->precopy == -ENODATA)
		add_value(object, "precopy_error", NULL);
	else
		add_string(object, "precopy_error",
			   l->precopy == -ECANCELED ? "not asked" : strerror(-l->precopy));
}

/* Each line has the same keys, and a few events have more. @ns: when it happened */
static struct json_object *new_event(const struct watching *w, const char *event, uint64_t ns)
{
	struct json_object *object = new_object();

	add_time(object, ns);
	add_string(object, "event", event);
	add_string(object, "device", w->cli->device);
	add_state(object, "state", w->begun ? w->state : -1);
	if (w->begun)
		add_seconds(object, "seconds", ns > w->since ? ns - w->since : 0);
	else
		add_value(object, "seconds", NULL);
	add_owner(object, w->look);
	add_data(object, w->look);
	add_moved(object, w);
	add_info(object, w);
	return object;
}

static void print_event(const struct watching *w, struct json_object *object)
{
	print_json_line(w->cli, object, stdout);
}

/* ---- Events ------------------------------------------------------------------------ */

static void tell_change(struct watching *w, uint64_t ns, uint64_t moved, bool exact, bool known)
{
	struct json_object *object;
	struct text t = { .n = 0 };
	char text[32];

	if (w->cli->json) {
		object = new_event(w, "state", ns);
		add_state(object, "before", w->before);
		if (w->before >= 0)
			add_seconds(object, "seconds_before", w->in_before);
		else
			add_value(object, "seconds_before", NULL);
		if (w->state < 0)
			add_string(object, "error", w->look->sentence);
		print_event(w, object);
		return;
	}
	if (w->before >= 0)
		put(&t, "after %s in %s", print_time(w->in_before, text), name_of(w->before));
	if (known && is_moving(w->before))
		put(&t, ", %s%s moved", exact ? "" : "at most ", format_bytes(moved, text));
	if (w->state < 0)
		put(&t, "%s%s", t.n ? "; " : "", w->look->sentence);
	print_lasting(w, ns, name_of(w->state), t.s);
}

/* What the text calls the process that has the device open: as "vfiomig list" does. */
static const char *owner_name(const struct vfiomig_look *l)
{
	return l->holder ? "holder" : l->comm;
}

/* Say once who has the device, and where its state comes from. */
static void tell_owner(const struct watching *w)
{
	const struct vfiomig_look *l = w->look;

	if (l->owner)
		notice(w->cli, "process %d (%s) has it open; %s tells the state", l->owner,
		       owner_name(l),
		       strcmp(l->source, "device") == 0	  ? "the device itself"
		       : strcmp(l->source, "holder") == 0 ? "its holder"
							  : l->source);
	else
		notice(w->cli, "nobody is seen to have it open; %s tells the state", l->source);
}

static void on_state(struct watching *w)
{
	int state = w->look->state;
	uint64_t ns = w->look->ns, moved = w->moved;
	bool exact = w->exact, known = w->exact || w->moved;

	if (w->begun && (state == w->state || (state < 0 && w->state < 0)))
		return;
	if (!w->begun && state >= 0)
		tell_owner(w);
	w->before = w->begun ? w->state : -1;
	w->in_before = ns - w->since;
	w->state = state;
	w->since = ns;
	w->begun = true;
	begin_state(w);
	tell_change(w, ns, moved, exact, known);
	w->shown_ns = ns;
}

/* The owner was stopped, or goes on. */
static void on_owner(struct watching *w)
{
	char c = w->look->owner_state;
	bool is_stopped = c == 'T' || c == 't';
	struct text t = { .n = 0 };

	if (is_stopped == w->is_stopped)
		return;
	w->is_stopped = is_stopped;
	if (w->cli->json) {
		print_event(w, new_event(w, is_stopped ? "stopped" : "continued", clock_ns()));
		return;
	}
	if (is_stopped)
		put(&t, "process %d (%s) is stopped; \"kill -CONT %d\" lets it go on",
		    w->look->owner, owner_name(w->look), w->look->owner);
	else
		put(&t, "process %d (%s) goes on", w->look->owner, owner_name(w->look));
	print_lasting(w, clock_ns(), name_of(w->state), t.s);
}

/* A call into the driver does not come back. The lines about it become rarer. */
static void on_waiting(struct watching *w)
{
	const struct vfiomig_look *l = w->look;
	struct json_object *object;
	struct text t = { .n = 0 };

	if (!l->waits) {
		w->waits = NS_PER_S;
		return;
	}
	if (l->waits_ns < w->waits)
		return;
	w->waits = 2 * l->waits_ns;
	if (w->cli->json) {
		object = new_event(w, "waiting", clock_ns());
		add_string(object, "call", l->waits);
		add_seconds(object, "waiting_seconds", l->waits_ns);
		print_event(w, object);
		return;
	}
	put_waiting(&t, w);
	put(&t, ": the driver is busy, or hangs");
	if (!w->live || !w->begun)
		print_lasting(w, clock_ns(), w->begun ? name_of(w->state) : "?", t.s);
}

/* Say once what cannot be seen, and what to do about it. */
static void tell_hidden(struct watching *w)
{
	const struct vfiomig_look *l = w->look;

	if (!w->moves)
		return;
	if (l->data && *l->data_sentence && !w->told_data) {
		erase(w);
		notice(w->cli, "%s", l->data_sentence);
		w->told_data = true;
	}
	if (!l->data && l->precopy == -ECANCELED && !w->told_ask) {
		erase(w);
		notice(w->cli,
		       "how much is left is not known: the driver of %s may change what its owner gets when it is asked; --precopy-info=always asks",
		       l->data_name);
		w->told_ask = true;
	}
}

/* Whether it is time for a line about what has moved: each second, and ever more rarely while
 * nothing does. */
static bool is_due(struct watching *w)
{
	const struct vfiomig_look *l = w->look;
	uint64_t left = l->initial_bytes + l->dirty_bytes, now = l->ns;
	bool changed = w->moved != w->shown_moved || (has_info(w) && left != w->shown_left);
	uint64_t interval = w->opt->interval_ms * 1000000ULL;

	if (interval < NS_PER_S)
		interval = NS_PER_S;
	if (signals_usr1())
		return true;
	if (!w->moves || w->live || now - w->shown_ns < (changed ? interval : w->pause))
		return false;
	w->pause = changed ? 2 * interval : 2 * w->pause;
	w->shown_moved = w->moved;
	w->shown_left = left;
	return true;
}

static void on_progress(struct watching *w)
{
	struct text t = { .n = 0 };
	char time[32];

	if (!is_due(w))
		return;
	w->shown_ns = w->look->ns;
	if (w->cli->json) {
		print_event(w, new_event(w, "progress", w->look->ns));
		return;
	}
	put_progress(&t, w);
	if (!t.n)
		put(&t, "for %s", print_time(w->look->ns - w->since, time));
	print_lasting(w, w->look->ns, name_of(w->state), t.s);
}

static void take(struct watching *w)
{
	on_waiting(w);
	if (w->look->state != -ETIMEDOUT) {
		on_state(w);
		on_owner(w);
		count(w);
		tell_hidden(w);
		on_progress(w);
	}
	draw(w);
}

/* ---- The end ------------------------------------------------------------------------ */

/* @why: a sentence, @reason: one word */
static void tell_end(struct watching *w, const char *reason, const char *why)
{
	uint64_t now = clock_ns();
	struct json_object *object;
	struct text t = { .n = 0 };
	char time[32];

	erase(w);
	if (w->cli->json) {
		object = new_event(w, "end", now);
		add_string(object, "reason", reason);
		add_string(object, "error", why);
		print_event(w, object);
	} else if (why && w->begun) {
		put(&t, "%s, after %s in %s", why, print_time(now - w->since, time),
		    name_of(w->state));
		print_lasting(w, now, "end", t.s);
	}
}

/* The watch has ended with @err. Returns the exit status. */
static int end_watch(struct watching *w, int err)
{
	char why[1024];

	snprintf(why, sizeof(why), "%s", vfiomig_get_error(w->cli->ctx));
	if (err == -EOWNERDEAD && w->begun) {
		tell_end(w, "owner", why);
		if (w->opt->until < 0)
			return STATUS_OK;
		return fail(w->cli, STATUS_FAILED, "%s before the device was seen in %s", why,
			    vfiomig_state_name(w->opt->until));
	}
	if (w->begun)
		tell_end(w, err == -EINTR ? "signal" : "error", err == -EINTR ? NULL : why);
	return fail_why(w->cli, OPEN_DEVICE, err == -EOWNERDEAD ? -EIO : err, why);
}

/* Whether nobody reads any more. A write would tell, but there may be none for long. */
static bool is_unread(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return ferror(stdout) || (poll(&out, 1, 0) > 0 && (out.revents & POLLERR));
}

static int follow(struct watching *w)
{
	int err;

	for (;;) {
		err = vfiomig_watch_look(w->watch, w->opt->interval_ms, &w->look);
		if (err)
			return end_watch(w, err);
		take(w);
		if (is_unread())
			return STATUS_FAILED;
		if (w->begun && w->opt->until >= 0 && w->state == w->opt->until) {
			tell_end(w, "until", NULL);
			return STATUS_OK;
		}
	}
}

/* ---- The command ---------------------------------------------------------------------- */

enum {
	OPT_UNTIL = 256,
	OPT_DATA_FD,
	OPT_INFO
};

static error_t parse_interval(struct argp_state *state, const char *arg, unsigned int *ms)
{
	char *end;
	double seconds = strtod(arg, &end);

	if (end == arg || *end || !(seconds >= 0.01 && seconds <= 3600))
		return usage_error(state,
				   "--interval is a number of seconds from 0.01 to 3600, not '%s'",
				   arg);
	*ms = seconds * 1000 + 0.5;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const whens[] = { "auto", "always" };
	struct options *opt = state->input;
	int value;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case 'n':
		return parse_interval(state, arg, &opt->interval_ms);
	case OPT_UNTIL:
		opt->until = parse_state(state, arg, true);
		return opt->until < 0 ? EINVAL : 0;
	case OPT_DATA_FD:
		opt->data_fd = parse_number(state, "--data-fd", arg, 0, INT_MAX);
		return opt->data_fd < 0 ? EINVAL : 0;
	case OPT_INFO:
		value = parse_choice(arg, whens, 2);
		if (value < 0)
			return usage_error(state, "--precopy-info is auto or always, not '%s'",
					   arg);
		opt->ask = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "data-fd", OPT_DATA_FD, "N", 0,
	  "The number of the data_fd in the process that moves the state, if several fit", 0 },
	{ "interval", 'n', "SECONDS", 0, "How often to look (default: 0.1)", 0 },
	{ "precopy-info", OPT_INFO, "WHEN", 0,
	  "Ask how much is left in PRE_COPY: auto (default), where the answer changes nothing for the owner; or always",
	  0 },
	{ "until", OPT_UNTIL, "STATE", 0, "End when the device is in STATE", 0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_name },
	{ .argp = &argp_json_lines },
	{ 0 },
};

static const struct argp argp = {
	.children = children,
	.options = options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Follow a migration that another process drives: a line for each change of the device's state, and how much has moved. It changes nothing.\vIt ends when that process ends or closes the device. DEV is a device that somebody has open, or pid:PID/DEV.",
};

static int run(struct watching *w)
{
	unsigned int flags = w->opt->ask ? VFIOMIG_WATCH_ASK : 0;
	int err = vfiomig_watch_new(w->dev, w->opt->data_fd, flags, &w->watch), status;

	if (err)
		return fail_at(w->cli, err == -EINVAL ? FIND_DEVICE : OPEN_DEVICE, err);
	status = follow(w);
	erase(w);
	vfiomig_watch_free(w->watch);
	return status;
}

static int watch(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .until = -1, .interval_ms = 100, .data_fd = -1 };
	struct watching w = { .opt = &opt, .cli = cli, .before = -1, .waits = NS_PER_S };
	int status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = find_device(cli, &w.dev);
	if (status)
		return status;
	w.since = clock_ns();
	w.live = isatty(STDOUT_FILENO) && !cli->json;
	status = run(&w);
	vfiomig_device_unref(w.dev);
	return status;
}

const struct command cmd_watch = {
	.name = "watch",
	.help = "Follow a migration that another process drives",
	.main = watch,
};
