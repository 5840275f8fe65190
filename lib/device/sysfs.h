/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small readings and writings of sysfs. */
#ifndef VFIOMIG_SYSFS_H
#define VFIOMIG_SYSFS_H

#include <dirent.h>

#include "internal.h"

/* The last component of where the link @dir/@name points to, or NULL with
 * errno: ENOENT if there is no such link. */
char *sysfs_link_name(const char *dir, const char *name);
/* The first line of @dir/@name, without its end: 0 or a negative errno. */
int sysfs_read_text(const char *dir, const char *name, char *text, size_t size);
/* @dir/@name as a number; -errno when it is not there. */
int sysfs_read_number(const char *dir, const char *name, unsigned long *value);
/* The first entry of directory @dir/@name that is not hidden, or NULL with
 * errno: ENOENT if there is none. */
char *sysfs_first_entry(const char *dir, const char *name);
/* For scandir(3): every name that does not begin with a dot. */
int sysfs_is_visible(const struct dirent *entry);
/* To the file that is there, @text and nothing else: 0 or a negative errno. */
int sysfs_write(const char *dir, const char *name, const char *text);
/* Whether @dir is a device that sits on a bus, with or without a driver. */
bool sysfs_is_device(const char *dir);
/* Whether @path is the canonical directory of such a device. */
bool sysfs_has_device(const struct vfiomig_ctx *ctx, const char *path);

#endif
