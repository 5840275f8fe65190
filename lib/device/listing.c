// SPDX-License-Identifier: LGPL-2.1-or-later
/* The entries of a directory, without an allocation. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "listing.h"

void listing_open(struct listing *l, const char *path)
{
	l->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	l->size = l->at = 0;
}

const char *listing_next(struct listing *l)
{
	const struct dirent64 *entry;

	if (l->fd < 0)
		return NULL;
	if (l->at >= l->size) {
		l->at = 0;
		l->size = syscall(SYS_getdents64, l->fd, l->data, sizeof(l->data));
		if (l->size <= 0)
			return NULL;
	}
	entry = (const struct dirent64 *)(l->data + l->at);
	l->at += entry->d_reclen;
	return entry->d_name;
}
