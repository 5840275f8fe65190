// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What devices answer when they are opened. A driver may sleep for ever in each of these calls, so
 * a process for each device makes them, all at the same time.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "device/apart.h"
#include "device/device.h"
#include "device/feature.h"
#include "probe.h"
#include "state.h"

#define LOG_SIZE    8192
#define INTERVAL_MS 50
/* How much longer to wait at most where other processes have the processors. */
#define DELAY_MAX   10000000000ULL
/*
 * How long a process may take to die. Its last act is to close the device, which resets most
 * devices, and a function level reset takes 100 ms at least. Who waits for 1.6 seconds still has an
 * answer within two.
 */
#define DYING_NS    300000000ULL

/* What one of the processes has found out, in shared memory. */
struct finding {
	struct vfiomig_probe probe;
	struct account account;
	char sentence[512];
	bool done;
	size_t logged; /* bytes of @log: one line after the other, each with a zero byte */
	char log[LOG_SIZE];
};

enum stage {
	NOT_STARTED,
	RUNNING,
	ENDED
};

struct subject {
	struct vfiomig_device *dev;
	struct finding *finding;
	struct apart apart;
	enum stage stage;
	uint64_t until;
	int error; /* without an answer: why */
};

struct survey {
	struct vfiomig_ctx *ctx;
	struct subject *list;
	size_t n;
	struct finding *findings;
	unsigned int ms, flags;
	uint64_t until;
};

/* ---- In a process of its own --------------------------------------------- */

static void keep_line(void *data, const char *line)
{
	struct finding *f = data;
	size_t size = strlen(line) + 1;

	if (size > LOG_SIZE - f->logged)
		return;
	memcpy(f->log + f->logged, line, size);
	f->logged += size;
}

static void keep_failure(struct finding *f, const struct vfiomig_ctx *ctx, int err)
{
	if (f->probe.error)
		return;
	snprintf(f->sentence, sizeof(f->sentence), "%s", ctx->error);
	f->probe.error = err;
}

/* What the driver tells without a lock comes first: an arc may hold its lock for long. */
static void ask(struct vfiomig_device *dev, struct finding *f, unsigned int flags)
{
	struct vfiomig_probe *p = &f->probe;

	p->migration = feature_migration(dev, &p->flags);
	if (p->migration)
		keep_failure(f, dev->ctx, p->migration);
	if (flags & VFIOMIG_PROBE_FEATURES) {
		for (unsigned int i = 0; i < VFIOMIG_PROBE_NR_FEATURES; i++)
			p->ops[i] = feature_probe(dev, i);
		p->features = 0;
	}
	if (p->migration) {
		p->state = p->data_size = p->migration;
		return;
	}
	state_start_clean(dev);
	p->state = state_get(dev);
	if (flags & VFIOMIG_PROBE_FEATURES)
		p->data_size = feature_data_size(dev, &p->bytes);
}

struct errand {
	struct vfiomig_device *dev;
	struct finding *finding;
	unsigned int flags;
};

static void run(void *arg)
{
	const struct errand *e = arg;
	struct vfiomig_device *dev = e->dev;
	struct vfiomig_ctx *ctx = dev->ctx;
	struct finding *f = e->finding;

	/* That descriptor is closed here. */
	ctx->wake = -1;
	ctx->interrupted = 0;
	ctx->account = &f->account;
	ctx->notice = NULL;
	ctx->log_data = f;
	if (ctx->log)
		ctx->log = keep_line;
	f->probe.open = device_open(dev, 0);
	if (f->probe.open)
		keep_failure(f, ctx, f->probe.open);
	else
		ask(dev, f, e->flags);
	device_close(dev);
	f->done = true;
}

/* ---- Having it asked ----------------------------------------------------- */

static bool same_group(const struct subject *a, const struct subject *b)
{
	return a->dev->sys.group >= 0 && a->dev->sys.group == b->dev->sys.group;
}

/* When to give a device up. It leaves some of the time to the others of its group. */
static uint64_t end_of_turn(const struct survey *survey, const struct subject *s)
{
	uint64_t now = now_ns();

	for (const struct subject *next = s + 1; next < survey->list + survey->n; next++)
		if (next->stage == NOT_STARTED && same_group(s, next) && now < survey->until)
			return now + (survey->until - now) / 2;
	return survey->until;
}

static void start(const struct survey *survey, struct subject *s)
{
	const struct vfiomig_fds *given = &s->dev->origin.given;
	int keep[] = { given->device, given->iommufd, given->group, given->container };
	struct errand errand = { s->dev, s->finding, survey->flags };

	/* It allocates memory: vfiomig.h says that the program must have one thread. */
	s->error = apart_start_with(&s->apart, run, &errand, keep, ARRAY_SIZE(keep));
	s->stage = s->error ? ENDED : RUNNING;
	s->until = end_of_turn(survey, s);
}

/* Whether another device of the group is asked now, or before this one. The kernel gives a group
 * away only once. */
static bool has_to_wait(const struct survey *survey, const struct subject *s)
{
	for (const struct subject *other = survey->list; other < s; other++)
		if (other->stage != ENDED && same_group(other, s))
			return true;
	return false;
}

static bool is_late(const struct survey *survey, struct subject *s)
{
	uint64_t now = now_ns(), delay;

	/* That time is another command's, and how long it may be is the caller's to say. */
	if (s->finding->account.yields)
		s->until = now + survey->ms * 1000000ULL;
	if (now < s->until)
		return false;
	delay = apart_delay_ns(survey->ctx, &s->apart);
	return now >= s->until + (delay < DELAY_MAX ? delay : DELAY_MAX);
}

/* Take what has happened into account. Returns how many are not done. */
static size_t advance(struct survey *survey)
{
	size_t left = 0;

	for (size_t i = 0; i < survey->n; i++) {
		struct subject *s = &survey->list[i];

		if (s->stage == RUNNING && apart_wait(NULL, &s->apart, 0) == 0)
			s->stage = ENDED;
		if (s->stage == NOT_STARTED && now_ns() >= survey->until) {
			s->error = -ETIMEDOUT;
			s->stage = ENDED;
		}
		if (s->stage == NOT_STARTED && !has_to_wait(survey, s))
			start(survey, s);
		if (s->stage == RUNNING && is_late(survey, s)) {
			apart_kill(&s->apart);
			s->error = -ETIMEDOUT;
			s->stage = ENDED;
		}
		left += s->stage != ENDED;
	}
	return left;
}

/* Wait until one of the processes has ended, but not for long. */
static void wait_a_little(const struct survey *survey, struct pollfd *p)
{
	size_t n = 0;

	p[n++] = (struct pollfd){ .fd = survey->ctx->wake, .events = POLLIN };
	for (size_t i = 0; i < survey->n; i++)
		if (survey->list[i].stage == RUNNING)
			p[n++] = (struct pollfd){ .fd = survey->list[i].apart.pidfd,
						  .events = POLLIN };
	poll(p, n, INTERVAL_MS);
	ctx_forget_wake(survey->ctx);
}

/* Why the process did not come back, and what became of it. */
static void explain(struct subject *s, int pid, bool dead)
{
	struct finding *f = s->finding;
	const char *doing = f->account.doing;

	if (!pid)
		snprintf(
			f->sentence, sizeof(f->sentence),
			"it was not asked: the time was over before others of IOMMU group %d answered",
			s->dev->sys.group);
	else if (!*doing)
		snprintf(f->sentence, sizeof(f->sentence), "it could not be asked in time");
	else if (dead)
		snprintf(
			f->sentence, sizeof(f->sentence),
			"%s did not return in time and was given up; \"vfiomig hold %s\" waits as long as it takes",
			doing, s->dev->name);
	else
		snprintf(
			f->sentence, sizeof(f->sentence),
			"%s does not return; process %d, which waits for that, was killed, and has the device open until the kernel lets it go",
			doing, pid);
}

static void end_all(struct survey *survey)
{
	uint64_t dead;

	for (size_t i = 0; i < survey->n; i++)
		apart_kill(&survey->list[i].apart);
	dead = now_ns() + DYING_NS;
	for (size_t i = 0; i < survey->n; i++) {
		struct subject *s = &survey->list[i];
		int pid = s->apart.pid;
		bool has_ended = apart_end_until(&s->apart, dead);

		if (s->finding->done)
			continue;
		s->finding->probe.error = s->error ? s->error : -EIO;
		if (!has_ended)
			s->finding->probe.left = pid;
		if (s->error == -ETIMEDOUT)
			explain(s, pid, has_ended);
		else
			snprintf(s->finding->sentence, sizeof(s->finding->sentence),
				 "the process that asks it has failed: %s",
				 strerror(-s->finding->probe.error));
	}
}

/* A device whose process was left behind is not free. */
static int fail_interrupted(const struct survey *survey)
{
	for (size_t i = 0; i < survey->n; i++) {
		const struct finding *f = survey->list[i].finding;

		if (f->probe.left)
			return ctx_fail(
				survey->ctx, -EINTR,
				"interrupted by a signal while %s did not return; process %d, which waits for that, was killed, and has %s open until the kernel lets it go",
				*f->account.doing ? f->account.doing : "the kernel", f->probe.left,
				survey->list[i].dev->name);
	}
	return ctx_fail_interrupted(survey->ctx);
}

static int tell_all(const struct survey *survey, vfiomig_probe_fn fn, void *data)
{
	int ret = 0;

	for (size_t i = 0; i < survey->n && !ret; i++) {
		struct finding *f = survey->list[i].finding;

		for (size_t at = 0; at < f->logged; at += strlen(f->log + at) + 1)
			ctx_log(survey->ctx, "%s", f->log + at);
		f->probe.device = survey->list[i].dev;
		f->probe.sentence = f->sentence;
		ret = fn(data, &f->probe);
	}
	return ret;
}

static int prepare(struct survey *survey, struct vfiomig_device *const *devices)
{
	survey->until = now_ns() + survey->ms * 1000000ULL;
	for (size_t i = 0; i < survey->n; i++) {
		struct finding *f = &survey->findings[i];

		if (devices[i]->fd >= 0)
			return ctx_fail(survey->ctx, -EBUSY,
					"busy: this process has %s open already", devices[i]->name);
		f->probe.open = f->probe.migration = f->probe.features = f->probe.data_size =
			f->probe.state = -ETIMEDOUT;
		survey->list[i] = (struct subject){
			.dev = devices[i],
			.finding = f,
			.apart = APART_NONE,
		};
	}
	return 0;
}

int probe_devices(struct vfiomig_ctx *ctx, struct vfiomig_device *const *devices, size_t n,
		  unsigned int ms, unsigned int flags, vfiomig_probe_fn fn, void *data)
{
	struct survey survey = { .ctx = ctx, .n = n, .ms = ms, .flags = flags };
	size_t size = (n + 1) * sizeof(*survey.findings);
	struct pollfd *p = calloc(n + 1, sizeof(*p));
	int ret;

	if (flags & ~VFIOMIG_PROBE_FEATURES) {
		free(p);
		return ctx_fail(ctx, -EINVAL, "flags 0x%x for probing devices are unknown", flags);
	}
	survey.list = calloc(n + 1, sizeof(*survey.list));
	survey.findings = apart_alloc(size);
	ret = p && survey.list && survey.findings ? prepare(&survey, devices)
						  : ctx_fail_memory(ctx);
	if (!ret) {
		while (advance(&survey) && !ctx->interrupted)
			wait_a_little(&survey, p);
		end_all(&survey);
		ret = ctx->interrupted ? fail_interrupted(&survey) : tell_all(&survey, fn, data);
	}
	apart_free(survey.findings, size);
	free(survey.list);
	free(p);
	return ret;
}
