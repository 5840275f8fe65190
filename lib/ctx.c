// SPDX-License-Identifier: LGPL-2.1-or-later
/* The context: the sentence about the last failure, the log, and the interruption of transfers. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistr.h>

#include "characters.h"
#include "internal.h"

/* Each process needs an eventfd of its own: a write to a shared one wakes the other process. */
int ctx_new_wake(struct vfiomig_ctx *ctx)
{
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return wake < 0 ? ctx_fail(ctx, -errno, "eventfd: %m") : wake;
}

#define TEXT(number)   #number
#define STRING(number) TEXT(number)
/* The Makefile's VERSION is where the number comes from. */
_Static_assert(__builtin_strcmp(VFIOMIG_VERSION, VERSION) == 0, "vfiomig.h is of another version");
_Static_assert(__builtin_strcmp(VFIOMIG_VERSION,
				STRING(VFIOMIG_VERSION_MAJOR) "." STRING(
					VFIOMIG_VERSION_MINOR) "." STRING(VFIOMIG_VERSION_PATCH)) ==
		       0,
	       "the numbers are of another version");

EXPORT const char *vfiomig_version(void)
{
	return VERSION;
}

static void free_locks(struct vfiomig_ctx *ctx)
{
	pthread_rwlock_destroy(&ctx->arc);
	pthread_mutex_destroy(&ctx->talk);
	pthread_mutex_destroy(&ctx->lock);
}

EXPORT int vfiomig_new(struct vfiomig_ctx **ctxp)
{
	struct vfiomig_ctx *ctx = calloc(1, sizeof(*ctx));
	int err;

	if (!ctx)
		return -ENOMEM;
	ctx->refs = 1;
	ctx->sysfs = "/sys";
	ctx->devfs = "/dev";
	ctx->procfs = "/proc";
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->talk, NULL);
	pthread_rwlock_init(&ctx->arc, NULL);
	ctx->wake = ctx_new_wake(ctx);
	if (ctx->wake < 0) {
		err = ctx->wake;
		free_locks(ctx);
		free(ctx);
		return err;
	}
	*ctxp = ctx;
	return 0;
}

void ctx_wake(struct vfiomig_ctx *ctx)
{
	uint64_t one = 1;
	ssize_t n = write(ctx->wake, &one, sizeof(one));

	/* The write fails if the counter is full, and then the eventfd is readable already. */
	(void)n;
}

void ctx_after_fork(struct vfiomig_ctx *ctx, int wake)
{
	close(ctx->wake);
	ctx->wake = wake;
	ctx->interrupted = ctx->insisted = 0;
	ctx->hurries = false;
}

void ctx_mute(struct vfiomig_ctx *ctx)
{
	ctx->mute = true;
	ctx->log = NULL;
	ctx->notice = NULL;
}

EXPORT struct vfiomig_ctx *vfiomig_ref(struct vfiomig_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

EXPORT struct vfiomig_ctx *vfiomig_unref(struct vfiomig_ctx *ctx)
{
	if (ctx && --ctx->refs == 0) {
		close(ctx->wake);
		free_locks(ctx);
		free(ctx->rundir);
		free(ctx);
	}
	return NULL;
}

EXPORT const char *vfiomig_get_error(const struct vfiomig_ctx *ctx)
{
	return ctx->error;
}

EXPORT void vfiomig_set_log(struct vfiomig_ctx *ctx, void (*fn)(void *data, const char *line),
			    void *data)
{
	ctx->log = fn;
	ctx->log_data = data;
}

EXPORT void vfiomig_set_notice(struct vfiomig_ctx *ctx, void (*fn)(void *data, const char *line),
			       void *data)
{
	ctx->notice = fn;
	ctx->notice_data = data;
}

bool ctx_has_progress(const struct vfiomig_ctx *ctx)
{
	return ctx->progress.fn && pthread_equal(ctx->progress.caller, pthread_self());
}

int ctx_progress(struct vfiomig_ctx *ctx)
{
	struct progress *p = &ctx->progress;
	int ret;

	if (!ctx_has_progress(ctx))
		return 0;
	if (p->ended)
		return p->ended;
	ret = p->fn(p->data, p->bytes ? *p->bytes : p->moved, p->expected);
	p->ended = ret;
	if (is_negative_errno(ret))
		return ctx_fail(ctx, ret, "the progress function ended it: %s", strerror(-ret));
	if (ret)
		return ctx_fail(ctx, ret, "the progress function ended it by returning %d", ret);
	return 0;
}

/* timeout(1) and service managers send two signals at once, which are one. */
#define BURST_MS 150

EXPORT void vfiomig_interrupt(struct vfiomig_ctx *ctx)
{
	unsigned int now = now_ns() / 1000000;
	int saved = errno;

	/* The time comes first: a second signal may interrupt the handler of the first one. */
	if (!ctx->interrupted)
		ctx->interrupted_ms = now;
	if ((int)(now - ctx->interrupted_ms) >= BURST_MS)
		ctx->insisted++;
	ctx->interrupted++;
	ctx_wake(ctx);
	errno = saved;
}

void ctx_cancel(struct vfiomig_ctx *ctx)
{
	ctx->cancelled = 1;
	ctx_wake(ctx);
}

/* A signal handler or another thread may interrupt or cancel between any two of these steps:
 * therefore the flags are looked at last. */
void ctx_forget_wake(struct vfiomig_ctx *ctx)
{
	uint64_t count;
	ssize_t n = read(ctx->wake, &count, sizeof(count));

	/* The read fails if nothing was written, which is as good. */
	(void)n;
	if (ctx->interrupted || ctx->cancelled)
		ctx_wake(ctx);
}

EXPORT bool vfiomig_resume(struct vfiomig_ctx *ctx)
{
	bool interrupted = atomic_exchange(&ctx->interrupted, 0);

	ctx->insisted = 0;
	ctx->hurries = false;
	ctx_forget_wake(ctx);
	return interrupted;
}

void ctx_keep_first_error(struct vfiomig_ctx *ctx, bool keep)
{
	ctx->keep_first = keep;
	ctx->have_first = false;
	/* The threads have ended: none of them has to be woken any more. */
	if (!keep) {
		ctx->cancelled = 0;
		ctx_forget_wake(ctx);
	}
}

void ctx_begin_other(struct vfiomig_ctx *ctx, struct other *other)
{
	pthread_mutex_lock(&ctx->lock);
	*other = (struct other){ .next = ctx->others, .thread = pthread_self() };
	ctx->others = other;
	pthread_mutex_unlock(&ctx->lock);
}

struct failure ctx_end_other(struct vfiomig_ctx *ctx, struct other *other)
{
	struct other **at = &ctx->others;

	pthread_mutex_lock(&ctx->lock);
	while (*at != other)
		at = &(*at)->next;
	*at = other->next;
	pthread_mutex_unlock(&ctx->lock);
	return other->failure;
}

/* With the lock held: what this thread has begun last, or NULL. */
static struct other *find_other(const struct vfiomig_ctx *ctx)
{
	struct other *other = ctx->others;

	while (other && !pthread_equal(other->thread, pthread_self()))
		other = other->next;
	return other;
}

/* With the lock held */
static void note(struct vfiomig_ctx *ctx, int err, const char *sentence)
{
	struct other *other = find_other(ctx);

	if (other) {
		other->failure.err = err;
		strcpy(other->failure.sentence, sentence);
	} else {
		ctx->have_first = ctx->have_first || err;
		ctx->error_code = err;
		strcpy(ctx->error, sentence);
	}
}

const char *ctx_sentence(struct vfiomig_ctx *ctx)
{
	struct other *other;

	pthread_mutex_lock(&ctx->lock);
	other = find_other(ctx);
	pthread_mutex_unlock(&ctx->lock);
	return other ? other->failure.sentence : ctx->error;
}

struct failure ctx_get_failure(struct vfiomig_ctx *ctx)
{
	struct failure failure;
	const struct other *other;

	_Static_assert(sizeof(failure.sentence) == sizeof(ctx->error), "it holds each sentence");
	pthread_mutex_lock(&ctx->lock);
	other = find_other(ctx);
	if (other) {
		failure = other->failure;
	} else {
		failure.err = ctx->error_code;
		memcpy(failure.sentence, ctx->error, sizeof(ctx->error));
	}
	pthread_mutex_unlock(&ctx->lock);
	return failure;
}

void ctx_set_failure(struct vfiomig_ctx *ctx, const struct failure *failure)
{
	pthread_mutex_lock(&ctx->lock);
	note(ctx, failure->err, failure->sentence);
	pthread_mutex_unlock(&ctx->lock);
}

/* Names come from users, sysfs, images and other processes. Replace each character that must not be
 * printed, and each byte that is not UTF-8, by a question mark. */
static void make_printable(char *text)
{
	const uint8_t *from = (uint8_t *)text;
	char *to = text;
	ucs4_t c;
	int n;

	for (; *from; from += n > 0 ? n : 1) {
		n = u8_strmbtouc(&c, from);
		if (n <= 0 || !is_printable(c)) {
			*to++ = '?';
		} else {
			memmove(to, from, n);
			to += n;
		}
	}
	*to = '\0';
}

/* A call that the user's signal has ended says so, and not "Interrupted system call". */
static void tell_signal(const struct vfiomig_ctx *ctx, int err, char *text, size_t size)
{
	const char *errno_text = strerror(EINTR);
	char *at = err == -EINTR && ctx->interrupted ? strstr(text, errno_text) : NULL;
	char rest[sizeof(ctx->error)];

	if (!at)
		return;
	strcpy(rest, at + strlen(errno_text));
	snprintf(at, size - (at - text), "interrupted by a signal%s", rest);
}

int ctx_note_failure(struct vfiomig_ctx *ctx, int err, const char *fmt, ...)
{
	char text[sizeof(ctx->error)];
	va_list ap;

	/* Into a copy first: an argument may be the sentence that this one replaces. */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell_signal(ctx, err, text, sizeof(text));
	make_printable(text);

	pthread_mutex_lock(&ctx->lock);
	if (find_other(ctx) || !ctx->keep_first || !ctx->have_first)
		note(ctx, err, text);
	pthread_mutex_unlock(&ctx->lock);
	return err;
}

static void forget_error(struct vfiomig_ctx *ctx)
{
	ctx->error_code = 0;
	ctx->error[0] = '\0';
}

void api_begin(struct vfiomig_ctx *ctx)
{
	forget_error(ctx);
}

int api_end(struct vfiomig_ctx *ctx, int ret)
{
	api_end_zero(ctx, ret < 0 ? ret : 0);
	return ret;
}

int api_end_zero(struct vfiomig_ctx *ctx, int ret)
{
	if (!ret)
		forget_error(ctx);
	else if (!ctx->error[0] && is_negative_errno(ret))
		ctx_fail(ctx, ret, "%s", strerror(-ret));
	else if (!ctx->error[0])
		ctx_fail(ctx, ret, "a function of the caller returned %d", ret);
	return ret;
}

/* Pass a line on to a function of the program. */
__attribute__((format(printf, 4, 0))) static void tell(struct vfiomig_ctx *ctx,
						       void (*fn)(void *data, const char *line),
						       void *data, const char *fmt, va_list ap)
{
	char line[512];

	if (!fn)
		return;
	vsnprintf(line, sizeof(line), fmt, ap);
	make_printable(line);
	pthread_mutex_lock(&ctx->talk);
	fn(data, line);
	pthread_mutex_unlock(&ctx->talk);
}

void ctx_log(struct vfiomig_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctx, ctx->log, ctx->log_data, fmt, ap);
	va_end(ap);
}

void ctx_notice(struct vfiomig_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(ctx, ctx->notice, ctx->notice_data, fmt, ap);
	va_end(ap);
}

void ctx_doing(struct vfiomig_ctx *ctx, const char *fmt, ...)
{
	va_list ap;

	if (!ctx->account)
		return;
	va_start(ap, fmt);
	vsnprintf(ctx->account->doing, sizeof(ctx->account->doing), fmt, ap);
	va_end(ap);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

bool wait_cond(pthread_cond_t *cond, pthread_mutex_t *lock, long ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += ns;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	return pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &until) == 0;
}
