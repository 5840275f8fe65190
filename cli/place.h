/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a path leads, without following links that another user may have planted. */
#ifndef PLACE_H
#define PLACE_H

#include <sys/stat.h>

struct place {
	int dir;	/* the directory at the end of the path */
	char *name;	/* the name in that directory */
	int fd;		/* the file of that name, opened with O_PATH; negative if there is none */
	struct stat st; /* of the file */
};

/* Returns 0 or a negative errno; after a failure there is nothing to close. */
int place_find(struct place *place, const char *path);
/* Open the file for writing. Returns a descriptor or a negative errno. */
int place_open(const struct place *place);
void place_close(struct place *place);

#endif
