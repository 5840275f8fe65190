/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's log and its taint: what a test has brought about there. */
#ifndef CHECK_KLOG_H
#define CHECK_KLOG_H

#include <stdbool.h>
#include <stddef.h>

struct klog {
	int fd; /* /dev/kmsg, or -1 */
	unsigned long taint;
	bool lost; /* the kernel overwrote lines before they were read */
};

/* Look at the end of the log. Without permission only the taint is looked at. */
void klog_open(struct klog *log);
void klog_close(struct klog *log);
/* Whether the kernel has said since the last look that something is wrong with it, or was tainted.
 * @lines receives what it said, a line for each, as far as there is room. @log->lost is set if
 * there was more that could not be read. */
bool klog_has_splat(struct klog *log, char *lines, size_t size);

/* Write a line to the kernel's log, if that is allowed. A console that is all that is left of a
 * machine tells then what was tested. */
__attribute__((format(printf, 1, 2))) void klog_say(const char *fmt, ...);

#endif
