/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The entries of a directory. readdir(3) allocates memory, which is not safe in a process that was
 * made beside the threads of a program. */
#ifndef VFIOMIG_LISTING_H
#define VFIOMIG_LISTING_H

#include <dirent.h>

struct listing {
	int fd;
	long size, at;
	_Alignas(struct dirent64) char data[32768];
};

/* Open the directory @path. On failure there is no entry, @fd is negative, and errno tells why. */
void listing_open(struct listing *l, const char *path);
/* Returns the name of the next entry, or NULL at the end. */
const char *listing_next(struct listing *l);

#endif
