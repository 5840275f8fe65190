// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A library for LD_PRELOAD: it counts the allocations that vfiomig's command line and json-c make.
 * Allocation number $NOMEMORY fails, and the file $NOMEMORY_REACHED is made.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static bool is_counted(const void *caller)
{
	Dl_info info;

	return dladdr(caller, &info) &&
	       (strstr(info.dli_fname, "json-c") || !strchr(info.dli_fname, '.'));
}

static bool fails(const void *caller)
{
	static bool inside;
	static int calls;
	const char *number = getenv("NOMEMORY");
	bool it_is;

	if (inside)
		return false;
	inside = true;
	it_is = number && is_counted(caller) && ++calls == atoi(number);
	if (it_is)
		close(open(getenv("NOMEMORY_REACHED"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	inside = false;
	if (it_is)
		errno = ENOMEM;
	return it_is;
}

void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}
