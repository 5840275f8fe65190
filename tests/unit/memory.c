// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * No memory: each allocation of each public function fails in turn, also those that other libraries
 * make. The function succeeds without it, or fails with an errno and a sentence; it does not crash,
 * write a wrong image, or lose memory.
 *
 * This program has an allocator of its own, which the sanitizers do not go together with.
 */
#include <libkmod.h>
#include <malloc.h>
#include <signal.h>

#include "calls.h"

/* The allocation that fails, counted from 1; 0 for none. */
static unsigned int fail_at;
static _Atomic unsigned int allocations;
static _Atomic bool on;
/* Blocks that are allocated. */
static _Atomic long blocks;
static const char *function;

static bool is_out(void)
{
	if (!on || ++allocations != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

/* ---- The allocator: that of the C library, which does not go through here itself ----------- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static void *counted(void *block)
{
	blocks += !!block;
	return block;
}

void *malloc(size_t size)
{
	return is_out() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return is_out() ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *old, size_t size)
{
	void *block;

	if (is_out())
		return NULL;
	block = __libc_realloc(old, size);
	blocks += !!block - !!old;
	return block;
}

void *reallocarray(void *old, size_t n, size_t size)
{
	size_t all;

	if (__builtin_mul_overflow(n, size, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(old, all);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return is_out() ? NULL : counted(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	void *p = aligned_alloc(alignment, size);

	if (!p)
		return ENOMEM;
	*block = p;
	return 0;
}

void free(void *block)
{
	blocks -= !!block;
	__libc_free(block);
}

/* libkmod loses memory where some allocations of kmod_new() fail: it fails as a whole. */
struct kmod_ctx *__real_kmod_new(const char *dirname, const char *const *config);
struct kmod_ctx *__wrap_kmod_new(const char *dirname, const char *const *config);
struct kmod_ctx *__wrap_kmod_new(const char *dirname, const char *const *config)
{
	bool was_on = on;
	struct kmod_ctx *kmod;

	if (is_out())
		return NULL;
	on = false;
	kmod = __real_kmod_new(dirname, config);
	on = was_on;
	return kmod;
}

/* ---- The test ------------------------------------------------------------------------------- */

static void begin_failing(void)
{
	allocations = 0;
	on = true;
}

static void end_failing(void)
{
	on = false;
}

static void on_crash(int sig)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
			 "memory: %s() crashes (signal %d) without allocation %u\n", function, sig,
			 fail_at);

	n = write(STDERR_FILENO, text, n);
	(void)n;
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Returns whether there are as many allocations. */
static bool try(int (*call)(void), int *ret)
{
	*ret = call();
	if (*ret < 0 && *ret != -ENOMEM && *ret != -EAGAIN)
		fail_msg("%s() without allocation %u: %d, %s", function, fail_at, *ret,
			 vfiomig_get_error(ctx));
	if (*ret < 0 && (!*vfiomig_get_error(ctx) || strcmp(vfiomig_get_error(ctx), STALE) == 0))
		fail_msg("%s() without allocation %u: no sentence", function, fail_at);
	if (*ret >= 0 && *vfiomig_get_error(ctx))
		fail_msg("%s() without allocation %u succeeds, and says: %s", function, fail_at,
			 vfiomig_get_error(ctx));
	return allocations >= fail_at;
}

/* Memory that is lost is lost each time; what a library keeps for the next time is not. */
static void expect_no_leak(int (*call)(void))
{
	int ret;

	for (int i = 0; i < 4; i++) {
		long before = blocks;

		try(call, &ret);
		if (blocks <= before)
			return;
	}
	fail_msg("%s() loses memory without allocation %u", function, fail_at);
}

static void test_memory(void **state)
{
	unsigned int failures = 0;
	int ret;

	(void)state;
	on_begin = begin_failing;
	on_end = end_failing;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		function = calls[i].name;
		fail_at = 0;
		assert_true(calls[i].good() >= 0);
		for (fail_at = 1; try(calls[i].good, &ret); fail_at++) {
			failures += ret < 0;
			expect_no_leak(calls[i].good);
		}
		/* With all of them */
		assert_true(ret >= 0);
		/* A failure may need memory, too. */
		for (fail_at = 1; fail_at < 20; fail_at++)
			assert_true(calls[i].bad() < 0 && *vfiomig_get_error(ctx));
		fail_at = 0;
	}
	/* Those that the library makes itself, at the least */
	assert_true(failures > 50);
}

static void test_new(void **state)
{
	struct vfiomig_ctx *none = NULL;

	(void)state;
	fail_at = 1;
	begin_failing();
	assert_int_equal(vfiomig_new(&none), -ENOMEM);
	end_failing();
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_new),
	};

	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	return cmocka_run_group_tests_name("memory", tests, make_state, remove_tree);
}
