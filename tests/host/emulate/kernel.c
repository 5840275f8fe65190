// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel says of itself: its release, its pages, its log. */
#include "emulate.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

uint64_t page_size(void)
{
	return setting(COMMON, "pagesize", getauxval(AT_PAGESZ));
}

int uname(struct utsname *uts)
{
	int ret = syscall(SYS_uname, uts);
	char text[64];

	if (!ret && read_text(COMMON, "release", text, sizeof(text)))
		snprintf(uts->release, sizeof(uts->release), "%.*s", (int)strcspn(text, "\n"),
			 text);
	if (!ret && read_text(COMMON, "version", text, sizeof(text)))
		snprintf(uts->version, sizeof(uts->version), "%.*s", (int)strcspn(text, "\n"),
			 text);
	return ret;
}

/* A process that hangs in the kernel does not end by SIGKILL. */
int kill(pid_t pid, int signal)
{
	int err = signal == SIGKILL ? meet(COMMON, "sigkill", NULL) : 0;

	return err ? outcome(err < 0 ? err : 0) : syscall(SYS_kill, pid, signal);
}

/* A poll of nothing is a sleep. */
int poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	if (!nr)
		meet(COMMON, "sleep", NULL);
	return syscall(SYS_poll, fds, nr, timeout);
}

long sysconf(int name)
{
	static long (*own)(int name);

	if (name == _SC_PAGESIZE)
		return page_size();
	if (!own)
		own = (long (*)(int name))dlsym(RTLD_NEXT, "sysconf");
	return own(name);
}

/* The kernel's log is in a file, a record in each line. A line "EPIPE" stands for records that were
 * overwritten before they were read. */
ssize_t kmsg_read(int fd, char *buf, size_t size)
{
	int file = open_in(COMMON, "kmsg", O_RDONLY);
	off_t at = position(fd);
	ssize_t n = file < 0 ? 0 : syscall(SYS_pread64, file, buf, size, at);
	char *end = n > 0 ? memchr(buf, '\n', n) : NULL;

	close_if(file);
	if (!end)
		return -EAGAIN;
	set_position(fd, at + (end + 1 - buf));
	return strncmp(buf, "EPIPE\n", 6) == 0 ? -EPIPE : end + 1 - buf;
}

/* What a program writes has a facility of its own. */
ssize_t kmsg_write(const char *buf, size_t size)
{
	int file = open_in(COMMON, "kmsg", O_WRONLY | O_APPEND), priority = 6, length = 0;

	if (file < 0)
		return -EPERM;
	(void)sscanf(buf, "<%d>%n", &priority, &length);
	dprintf(file, "%d,1,1,-;%.*s\n", 8 + priority, (int)size - length, buf + length);
	syscall(SYS_close, file);
	return size;
}

void kmsg_end(int fd)
{
	int file = open_in(COMMON, "kmsg", O_RDONLY);
	struct stat st = { .st_size = 0 };

	if (file >= 0)
		sys_stat(file, "", &st, AT_EMPTY_PATH);
	close_if(file);
	set_position(fd, st.st_size);
}
