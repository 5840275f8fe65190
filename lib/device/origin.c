// SPDX-License-Identifier: LGPL-2.1-or-later
/* How a device was named: by what it is in sysfs, or in a way that one of the back ends has. */
#include <string.h>

#include "name.h"
#include "origin.h"

static const struct backend *named_by(const char *name)
{
	for (size_t i = 0; backends[i]; i++) {
		const char *prefix = backends[i]->prefix;

		if (prefix && strncmp(name, prefix, strlen(prefix)) == 0)
			return backends[i];
	}
	return NULL;
}

int origin_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		struct identity *identity)
{
	_cleanup_free_ char *syspath = NULL;
	int err;

	*origin = (struct origin){ .backend = named_by(name), .fd = -1, .given = FDS_NONE };
	*identity = (struct identity){ .count = 0 };
	if (origin->backend)
		return origin->backend->find(ctx, name, origin, identity);
	err = name_to_syspath(ctx, name, &syspath);
	return err ? err : identity_add(ctx, identity, syspath);
}

void origin_free(struct origin *origin)
{
	free(origin->path);
	close_fdp(&origin->given.device);
	close_fdp(&origin->given.iommufd);
	close_fdp(&origin->given.group);
	close_fdp(&origin->given.container);
	*origin = (struct origin){ .fd = -1, .given = FDS_NONE };
}
