/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's modules, through libkmod. */
#ifndef VFIOMIG_MODULE_H
#define VFIOMIG_MODULE_H

#include <libkmod.h>

#include "internal.h"

/* Returns NULL when there is no memory. Release the context with kmod_unref(). */
struct kmod_ctx *modules_open(const struct vfiomig_ctx *ctx);

/*
 * Load a module and the modules that it depends on, as modprobe does. @name may also be an alias.
 * Returns 0, also for a module that is loaded or built in, or a negative errno without a sentence:
 * -ENOENT when there is no such module, -ENOLINK when something is missing that the module needs.
 */
int module_load(const struct vfiomig_ctx *ctx, const char *name);
/* Whether the modules of this kernel are there, with the index that depmod makes. */
bool modules_are_indexed(const struct vfiomig_ctx *ctx);
/* Whether there is a module of this name to load. */
bool module_exists(const struct vfiomig_ctx *ctx, const char *name);

/*
 * Read a parameter of a module that is loaded, or one that libkmod would load the module with, from
 * its configuration or the kernel's command line. Returns 0 or -ENOENT.
 */
int module_get_parameter(const struct vfiomig_ctx *ctx, const char *module, const char *name,
			 char *text, size_t size);

/* Returns the name of the PCI driver that a loaded module has, or NULL. free() it. */
char *module_pci_driver(const struct vfiomig_ctx *ctx, const char *name);

#endif
