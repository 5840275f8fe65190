/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests of what is read from sysfs and procfs: trees of plain files. */
#ifndef TREE_H
#define TREE_H

#include "unit.h"

static char root[] = "/tmp/vfiomig-unit.XXXXXX";
static struct vfiomig_ctx *ctx;

/* A shell's command, in the tree */
__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* An empty directory, which is the context's sysfs */
static void begin_tree(void)
{
	assert_non_null(mkdtemp(root));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(vfiomig_new(&ctx), 0);
	ctx->sysfs = root;
}

static int remove_tree(void **state)
{
	(void)state;
	vfiomig_unref(ctx);
	assert_int_equal(chdir("/"), 0);
	sh("rm -r %s", root);
	return 0;
}

#endif
