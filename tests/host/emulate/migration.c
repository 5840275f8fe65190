// SPDX-License-Identifier: GPL-2.0-or-later
/* The migration state machine, and what its arcs do to the memory of a device. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHUNK 65536

const char *const states[NR_STATES] = {
	"ERROR",    "STOP",	   "RUNNING",  "STOP_COPY",
	"RESUMING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
};

int state_of_name(const char *name)
{
	for (int i = 0; i < NR_STATES; i++)
		if (strncmp(name, states[i], strlen(states[i])) == 0 &&
		    (!name[strlen(states[i])] || name[strlen(states[i])] == '\n'))
			return i;
	return -1;
}

/* As in vfio_mig_get_next_state(): the next state on the way from the one to the other, in the
 * order of the states' numbers. */
static const uint8_t next_state[NR_STATES][NR_STATES] = {
	[STOP] = { ERROR, STOP, RUNNING_P2P, STOP_COPY, RESUMING, RUNNING_P2P, RUNNING_P2P,
		   RUNNING_P2P },
	[RUNNING] = { ERROR, RUNNING_P2P, RUNNING, RUNNING_P2P, RUNNING_P2P, RUNNING_P2P, PRE_COPY,
		      RUNNING_P2P },
	[STOP_COPY] = { ERROR, STOP, STOP, STOP_COPY, STOP, STOP, ERROR, ERROR },
	[RESUMING] = { ERROR, STOP, STOP, STOP, RESUMING, STOP, STOP, STOP },
	[RUNNING_P2P] = { ERROR, STOP, RUNNING, STOP, STOP, RUNNING_P2P, RUNNING, PRE_COPY_P2P },
	[PRE_COPY] = { ERROR, RUNNING, RUNNING, PRE_COPY_P2P, RUNNING, RUNNING, PRE_COPY,
		       PRE_COPY_P2P },
	[PRE_COPY_P2P] = { ERROR, RUNNING_P2P, RUNNING_P2P, STOP_COPY, RUNNING_P2P, RUNNING_P2P,
			   PRE_COPY, PRE_COPY_P2P },
};

static bool has_state(uint64_t flags, int state)
{
	const uint64_t needs[NR_STATES] = {
		[RUNNING_P2P] = VFIO_MIGRATION_P2P,
		[PRE_COPY] = VFIO_MIGRATION_PRE_COPY,
		[PRE_COPY_P2P] = VFIO_MIGRATION_PRE_COPY | VFIO_MIGRATION_P2P,
	};

	return (flags & needs[state]) == needs[state];
}

bool is_saving(int state)
{
	return state == STOP_COPY || state == PRE_COPY || state == PRE_COPY_P2P;
}

int get_state(const char *dir)
{
	char text[32];

	read_text(dir, "state", text, sizeof(text));
	return state_of_name(text);
}

static void set_state(const char *dir, int state)
{
	write_text(dir, "state", "%s\n", states[state]);
}

uint64_t memory_size(const char *dir)
{
	int fd = open_in(dir, "memory", O_RDONLY);
	struct stat st = { .st_size = 0 };

	if (fd >= 0)
		sys_stat(fd, "", &st, AT_EMPTY_PATH);
	unlock(fd);
	return st.st_size;
}

static void end_session(const char *dir)
{
	write_text(dir, "session", "%llu\n", (unsigned long long)setting(dir, "session", 0) + 1);
}

static int new_data_fd(const char *dir, int number, int flags)
{
	int fd;

	end_session(dir);
	fd = new_thing(KIND_DATA, number, setting(dir, "session", 0), flags);
	if (fd < 0)
		return -errno;
	if (flags == O_WRONLY)
		unlock(open_in(dir, "incoming", O_WRONLY | O_CREAT | O_TRUNC));
	return fd;
}

static int copy(const char *dir, const char *from, const char *to)
{
	int in = open_in(dir, from, O_RDONLY), out = open_in(dir, to, O_WRONLY | O_TRUNC | O_CREAT);
	uint64_t at = 0;
	char buf[CHUNK];
	ssize_t n;

	for (; (n = syscall(SYS_read, in, buf, sizeof(buf))) > 0; at += n)
		if (write_sparsely(out, buf, n, at) != n)
			abort();
	unlock(in);
	unlock(out);
	return 0;
}

/* Load what was written in RESUMING. */
static int load(const char *dir)
{
	int fd = open_in(dir, "incoming", O_RDONLY);
	struct stat st = { .st_size = 0 };

	if (fd >= 0)
		sys_stat(fd, "", &st, AT_EMPTY_PATH);
	unlock(fd);
	if ((uint64_t)st.st_size != memory_size(dir) && !setting(dir, "lenient", 0))
		return -EINVAL;
	copy(dir, "incoming", "memory");
	note(dir, "loaded %llu", (unsigned long long)st.st_size);
	return 0;
}

/* What an arc does. Returns a data_fd, -1 if there is none, or another negative errno. */
static int take_arc(const struct thing *t, int from, int to)
{
	const char *dir = dir_of(t);

	if (to == RESUMING)
		return new_data_fd(dir, t->number, O_WRONLY);
	if (is_saving(to) && !is_saving(from))
		return new_data_fd(dir, t->number, O_RDONLY);
	if (from == RESUMING) {
		int err = load(dir);

		end_session(dir);
		return err ? err : -1;
	}
	if (is_saving(from) && !is_saving(to))
		end_session(dir);
	return -1;
}

/* One arc, with its faults. @fd receives a data_fd or -1. Returns 0, 1 if the device went somewhere
 * else and the call ends here, or a negative errno. */
static int step(const struct thing *t, int from, int to, int *fd)
{
	const char *dir = dir_of(t);
	char arc[40];
	struct fault f;
	int err;

	*fd = -1;
	snprintf(arc, sizeof(arc), "%s-%s", states[from], states[to]);
	f = fault_at(dir, "arc", arc, 0, NULL);
	if (!f.found)
		f = fault_at(dir, "to", states[to], 0, NULL);
	err = suffer(&f);
	if (!err && f.err && f.to < 0)
		err = f.err;
	if (err || f.skip) {
		note(dir, "arc %s: %s", arc, err ? strerrorname_np(-err) : "skipped");
		if (f.fd && !err)
			*fd = new_thing(KIND_DATA, t->number, 0, O_RDONLY);
		return err ? err : 1;
	}
	*fd = take_arc(t, from, to);
	if (*fd < -1) {
		err = *fd;
		*fd = -1;
		set_state(dir, ERROR);
		note(dir, "arc %s: %s, and ERROR", arc, strerrorname_np(-err));
		return err;
	}
	if (f.fd && *fd < 0)
		*fd = new_thing(KIND_DATA, t->number, 0, O_RDONLY);
	if (f.nofd) {
		close_if(*fd);
		*fd = -1;
	}
	if (f.to >= 0) {
		set_state(dir, f.to);
		note(dir, "arc %s: %s, and %s", arc, f.err ? strerrorname_np(-f.err) : "0",
		     states[f.to]);
		if (!f.err)
			return 1;
		close_if(*fd);
		*fd = -1;
		return f.err;
	}
	set_state(dir, to);
	note(dir, "arc %s", arc);
	return 0;
}

int walk(const struct thing *t, uint64_t flags, int to, int *fd)
{
	const char *dir = dir_of(t);
	int from = get_state(dir), err = 0;

	*fd = -1;
	if (to < 0 || to >= NR_STATES || to == ERROR || !has_state(flags, to) || from < 0 ||
	    from == ERROR)
		return -EINVAL;
	/* From Linux 6.2 to 7.1 the kernel does not come back from this. */
	if (from == STOP_COPY && (to == PRE_COPY || to == PRE_COPY_P2P)) {
		note(dir, "arc %s-%s: the kernel hangs", states[from], states[to]);
		return -EINVAL;
	}
	while (!err && from != to) {
		int next = next_state[from][to];

		while (!has_state(flags, next))
			next = next_state[next][to];
		if (next == ERROR)
			return -EINVAL;
		close_if(*fd);
		err = step(t, from, next, fd);
		from = next;
	}
	return err < 0 ? err : 0;
}

/* Everything that the device had is gone. */
static void renew(const char *dir)
{
	int fd = open_in(dir, "memory", O_WRONLY);

	if (fd >= 0) {
		uint64_t size = memory_size(dir);

		if (ftruncate(fd, 0) || ftruncate(fd, size))
			abort();
		syscall(SYS_close, fd);
	}
	if (setting(dir, "noisy", 0))
		copy(dir, "factory", "memory");
	fd = open_in(dir, "config", O_WRONLY);
	if (fd >= 0 && syscall(SYS_pwrite64, fd, "\0", 2, 4) != 2)
		abort();
	unlock(fd);
	end_session(dir);
	write_text(dir, "logs", "0\n");
	set_state(dir, RUNNING);
}

void begin_session(const char *dir)
{
	char keeps[32];

	/* 1, or the only state that it keeps */
	if (read_text(dir, "keeps", keeps, sizeof(keeps)) &&
	    (keeps[0] == '1' || state_of_name(keeps) == get_state(dir)))
		return;
	renew(dir);
}

int reset(const struct thing *t)
{
	const char *dir = dir_of(t);
	int held = lock(dir, "lock"), err = meet(dir, "reset", NULL);

	if (!err)
		renew(dir);
	note(dir, "reset: %s", err < 0 ? strerrorname_np(-err) : err ? "skipped" : "0");
	unlock(held);
	return err < 0 ? err : 0;
}
