/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Allocations that fail when they are told to. With --wrap=malloc and --wrap=calloc. */
#ifndef MEMORY_H
#define MEMORY_H

#include "unit.h"

/* The allocation that fails, counted from 1; 0 for none. */
static unsigned int fail_at, allocations;

/* Each wrapped function calls this once. Several threads may call it at the same time. */
static bool is_out(void)
{
	if (__atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED) != fail_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return is_out() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return is_out() ? NULL : __real_calloc(n, size);
}

#endif
