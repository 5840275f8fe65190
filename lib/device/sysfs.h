/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing single files of sysfs. */
#ifndef VFIOMIG_SYSFS_H
#define VFIOMIG_SYSFS_H

#include <dirent.h>

#include "internal.h"

/* Returns the last component of the target of the link @dir/@name, or NULL and errno: ENOENT if
 * there is no such link. free() it. */
char *sysfs_link_name(const char *dir, const char *name);
/* Whether there is a link @dir/@name, and the last component of its target is @last. */
bool sysfs_links_to(const char *dir, const char *name, const char *last);
/* Read the first line of @dir/@name, without the line break. Returns 0 or a negative errno. */
int sysfs_read_text(const char *dir, const char *name, char *text, size_t size);
/* Read @dir/@name as a number. Returns 0 or a negative errno. */
int sysfs_read_number(const char *dir, const char *name, unsigned long *value);
/* Returns the first entry of the directory @dir/@name that is not hidden, or NULL and errno: ENOENT
 * if there is none. free() it. */
char *sysfs_first_entry(const char *dir, const char *name);
/* For scandir(3): every name that does not begin with a dot. */
int sysfs_is_visible(const struct dirent *entry);
/* Write @text to the file @dir/@name, which must be there. Returns 0 or a negative errno. */
int sysfs_write(const char *dir, const char *name, const char *text);
/* Whether @dir is the directory of a device on a bus, with or without a driver. */
bool sysfs_is_device(const char *dir);
/* Whether @path is the canonical directory of such a device. */
bool sysfs_has_device(const struct vfiomig_ctx *ctx, const char *path);

#endif
