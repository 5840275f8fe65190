// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's log and its taint. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "klog.h"

/* How the reports of the kernel's own checks begin. */
static const char *const splats[] = {
	"WARNING:",
	"BUG:",
	"Oops",
	"general protection fault",
	"cut here",
	"UBSAN:",
	"KASAN:",
	"KCSAN:",
	"KFENCE:",
	"kernel BUG at",
	"refcount_t:",
	"possible recursive locking",
	"possible circular locking",
	"suspicious RCU usage",
	"inconsistent lock state",
	"blocked for more than",
	"soft lockup",
	"hard LOCKUP",
	"rcu_preempt detected stalls",
	"rcu_sched detected stalls",
	"unable to handle",
	"list_add corruption",
	"list_del corruption",
	"ODEBUG:",
	"scheduling while atomic",
	"Unable to handle kernel",
	"sysfs: cannot create duplicate",
	"page allocation failure",
	"kmemleak:",
};

/* Bits of /proc/sys/kernel/tainted that a fault sets: D, W, L, and a bad page. */
#define TAINT_FAULTS ((1UL << 5) | (1UL << 7) | (1UL << 9) | (1UL << 14))

static unsigned long read_taint(void)
{
	FILE *f = fopen("/proc/sys/kernel/tainted", "re");
	unsigned long taint = 0;

	if (f) {
		if (fscanf(f, "%lu", &taint) != 1)
			taint = 0;
		fclose(f);
	}
	return taint & TAINT_FAULTS;
}

void klog_open(struct klog *log)
{
	log->lost = false;
	log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	log->taint = read_taint();
	if (log->fd >= 0)
		lseek(log->fd, 0, SEEK_END);
}

void klog_close(struct klog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
}

static bool is_splat(const char *text)
{
	for (size_t i = 0; i < sizeof(splats) / sizeof(splats[0]); i++)
		if (strstr(text, splats[i]))
			return true;
	return false;
}

/* Read the next line of the kernel's own, without its prefix. Returns NULL at the end. */
static char *next_line(struct klog *log, char *record, size_t size)
{
	for (;;) {
		ssize_t n = read(log->fd, record, size - 1);
		unsigned int priority;
		char *text;

		if (n < 0 && errno == EPIPE) {
			log->lost = true;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		record[n] = '\0';
		text = strchr(record, ';');
		/* The priority has the facility in it, which is 0 for the kernel. */
		if (!text || sscanf(record, "%u", &priority) != 1 || priority / 8 != 0)
			continue;
		text++;
		text[strcspn(text, "\n")] = '\0';
		return text;
	}
}

bool klog_has_splat(struct klog *log, char *lines, size_t size)
{
	unsigned long taint = read_taint();
	bool splat = taint & ~log->taint;
	char record[8192], *text;
	size_t used = 0;

	lines[0] = '\0';
	log->lost = false;
	while (log->fd >= 0 && (text = next_line(log, record, sizeof(record)))) {
		splat |= is_splat(text);
		/* What has no room is cut off. */
		if (splat && used < size - 1)
			used += snprintf(lines + used, size - used, "%s\n", text);
	}
	if (splat && !used)
		snprintf(lines, size, "it is tainted now\n");
	log->taint = taint;
	return splat;
}

void klog_say(const char *fmt, ...)
{
	/* The kernel drops lines of an open file that says a lot. */
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[256] = "<6>";
	va_list ap;

	if (fd < 0)
		return;
	va_start(ap, fmt);
	vsnprintf(line + 3, sizeof(line) - 3, fmt, ap);
	va_end(ap);
	(void)!write(fd, line, strlen(line));
	close(fd);
}
