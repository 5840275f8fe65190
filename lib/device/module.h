/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's modules, through libkmod. */
#ifndef VFIOMIG_MODULE_H
#define VFIOMIG_MODULE_H

#include <libkmod.h>

#include "internal.h"

/* Release it with kmod_unref(); NULL when there is no memory. */
struct kmod_ctx *modules_open(const struct vfiomig_ctx *ctx);

/*
 * As modprobe does it, with what the module depends on. @name may also be an
 * alias. Returns 0, also where it is loaded or built in, or a negative errno:
 * -ENOENT when there is none, -ENOLINK when it lacks something that it needs.
 * The sentence is the caller's to make.
 */
int module_load(const struct vfiomig_ctx *ctx, const char *name);
/* Whether there is one of this name to load. */
bool module_exists(const struct vfiomig_ctx *ctx, const char *name);

/* The PCI driver that a loaded module has, or NULL; free() it. */
char *module_pci_driver(const struct vfiomig_ctx *ctx, const char *name);

#endif
