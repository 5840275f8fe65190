// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * VFIO devices without a kernel: a library for LD_PRELOAD that answers for regular files what the
 * kernel answers for VFIO's nodes. tests/host/lib/emulate.sh makes these files, and describes the
 * faults that a test can ask for.
 *
 * The size of such a file says what it stands for, and fstat(2) reads the size through whatever
 * descriptor a process has of it: inherited, duplicated or received from another process. What the
 * kernel keeps for each open file is in the kernel here as well: the position says whether the file
 * is bound, and flock(2) whether somebody has it, until the last duplicate is closed.
 *
 * Everything else is in files under /run/emulated, which all processes share.
 */
/* Each function is defined here under both of its names, for small and for large files. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "uapi.h"

#define DIR_ROOT     "/run/emulated"
#define COMMON	     "common" /* the directory of what is no device's own */
#define NR_DEVICES   16
#define NR_STATES    8
#define CONFIG_SIZE  256
#define BAR_SIZE     4096
#define CHUNK	     65536
#define CDEV_MAJOR   511
#define GROUP_MAJOR  510
#define MISC_MAJOR   10
#define VFIO_MINOR   196
#define IOMMU_MINOR  125
#define REGION_SHIFT 40

/* ---- The files ----------------------------------------------------------- */

enum kind {
	KIND_NONE,
	KIND_CDEV,
	KIND_GROUP,
	KIND_CONTAINER,
	KIND_IOMMUFD,
	KIND_DEVICE, /* a device's descriptor that came from its group */
	KIND_DATA,   /* a data_fd */
};

struct thing {
	enum kind kind;
	int number;	  /* N of vfioN, or of the group */
	uint32_t session; /* of a data_fd */
};

/* emulate.sh has the same numbers. */
#define MARK 0x5646ULL

static uint64_t size_of_thing(enum kind kind, int number, uint32_t session)
{
	return MARK << 44 | (uint64_t)kind << 40 | (uint64_t)number << 32 | session;
}

static struct thing thing_of_size(uint64_t size)
{
	if (size >> 44 != MARK)
		return (struct thing){ .kind = KIND_NONE };
	return (struct thing){ size >> 40 & 0xf, size >> 32 & 0xff, size };
}

static int sys_stat(int dir, const char *path, struct stat *st, int flags)
{
	return syscall(SYS_newfstatat, dir, path, st, flags);
}

static struct thing thing_of(int fd)
{
	int saved = errno;
	struct stat st;
	struct thing none = { .kind = KIND_NONE };

	if (sys_stat(fd, "", &st, AT_EMPTY_PATH) || !S_ISREG(st.st_mode)) {
		errno = saved;
		return none;
	}
	return thing_of_size(st.st_size);
}

static bool is_device(const struct thing *t)
{
	return t->kind == KIND_CDEV || t->kind == KIND_DEVICE;
}

static const char *dir_of(const struct thing *t)
{
	static __thread char dir[16];

	if (!is_device(t) && t->kind != KIND_DATA)
		return COMMON;
	snprintf(dir, sizeof(dir), "vfio%d", t->number);
	return dir;
}

static int sys_open(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DIR_ROOT "/%s/%s", dir, name);
	return sys_open(path, flags);
}

/* @text receives the contents of the file, an empty string if there is none. */
static bool read_text(const char *dir, const char *name, char *text, size_t size)
{
	int fd = open_in(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : syscall(SYS_read, fd, text, size - 1);

	if (fd >= 0)
		syscall(SYS_close, fd);
	text[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

static void write_text(const char *dir, const char *name, const char *fmt, ...)
{
	int fd = open_in(dir, name, O_WRONLY | O_CREAT);
	char text[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fd < 0 || syscall(SYS_pwrite64, fd, text, n, 0) != n || ftruncate(fd, n))
		abort();
	syscall(SYS_close, fd);
}

static uint64_t setting(const char *dir, const char *name, uint64_t otherwise)
{
	char text[64];

	return read_text(dir, name, text, sizeof(text)) && text[0] ? strtoull(text, NULL, 0)
								   : otherwise;
}

static int lock(const char *dir, const char *name)
{
	int fd = open_in(dir, name, O_RDWR | O_CREAT);

	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

static void unlock(int fd)
{
	if (fd >= 0)
		syscall(SYS_close, fd);
}

static void note(const char *dir, const char *fmt, ...)
{
	int fd = open_in(dir, "log", O_WRONLY | O_CREAT | O_APPEND);
	char line[256];
	va_list ap;
	int n = snprintf(line, sizeof(line), "%d ", getpid());

	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (fd >= 0 && syscall(SYS_write, fd, line, n) < 0)
		abort();
	if (fd >= 0)
		syscall(SYS_close, fd);
}

static off_t position(int fd)
{
	return syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

static void set_position(int fd, off_t at)
{
	syscall(SYS_lseek, fd, at, SEEK_SET);
}

/* ---- Signals ------------------------------------------------------------- */

/*
 * The kernel does each system call as a whole, also if a signal ends the process. Only a call that
 * sleeps interruptibly ends early.
 */
static __thread sigset_t unblocked;

static void begin_call(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &unblocked);
}

static void end_call(void)
{
	int saved = errno;

	pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
	errno = saved;
}

/* Returns 0, or -EINTR if a signal has arrived. A negative number of seconds is for ever. */
static int sleep_for(double seconds, bool interruptible)
{
	struct timespec time = { seconds, (seconds - (long)seconds) * 1e9 };

	if (!interruptible) {
		ppoll(NULL, 0, &time, NULL);
		return 0;
	}
	return ppoll(NULL, 0, seconds < 0 ? NULL : &time, &unblocked) < 0 ? -EINTR : 0;
}

/* ---- Faults -------------------------------------------------------------- */

/* See emulate.sh. */
struct fault {
	bool found, skip, slow, fd, nofd, hang;
	int err, to, signal;
	double sleep;
	bool has_at, has_result;
	uint64_t after, times, at, extra, most;
	int64_t result;
	char run[256];
};

static const char *const states[NR_STATES] = {
	"ERROR",    "STOP",	   "RUNNING",  "STOP_COPY",
	"RESUMING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P",
};

static int state_of_name(const char *name)
{
	for (int i = 0; i < NR_STATES; i++)
		if (strncmp(name, states[i], strlen(states[i])) == 0 &&
		    (!name[strlen(states[i])] || name[strlen(states[i])] == '\n'))
			return i;
	return -1;
}

/* A test whose fault is misspelt must not pass. */
static void give_up(const char *what, const char *word)
{
	dprintf(STDERR_FILENO, "emulate: %s: '%s'\n", what, word);
	abort();
}

static int number_of_errno(const char *name)
{
	for (int i = 1; i < 200; i++) {
		const char *known = strerrorname_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	give_up("there is no errno", name);
	return 0;
}

static int number_of_signal(const char *name)
{
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	give_up("there is no signal", name);
	return 0;
}

/* One word of a fault. Returns false if it is not known. */
static bool parse_word(struct fault *f, const char *word)
{
	const char *value = strchr(word, '=');
	int length = value ? value - word : (int)strlen(word);

#define IS(name) (length == (int)strlen(name) && strncmp(word, name, length) == 0)
	if (!value)
		return (IS("skip") && (f->skip = true)) || (IS("fd") && (f->fd = true)) ||
		       (IS("nofd") && (f->nofd = true)) || (IS("hang") && (f->hang = true));
	value++;
	if (IS("errno")) {
		f->err = -number_of_errno(value);
	} else if (IS("to")) {
		f->to = state_of_name(value);
		return f->to >= 0;
	} else if (IS("signal")) {
		f->signal = number_of_signal(value);
	} else if (IS("sleep") || IS("slow")) {
		f->sleep = strtod(value, NULL);
		f->slow = IS("slow");
	} else if (IS("after")) {
		f->after = strtoull(value, NULL, 0);
	} else if (IS("times")) {
		f->times = strtoull(value, NULL, 0);
	} else if (IS("at")) {
		f->has_at = true;
		f->at = strtoull(value, NULL, 0);
	} else if (IS("extra")) {
		f->extra = strtoull(value, NULL, 0);
	} else if (IS("most")) {
		f->most = strtoull(value, NULL, 0);
	} else if (IS("return")) {
		f->has_result = true;
		f->result = strtoll(value, NULL, 0);
	} else {
		return false;
	}
#undef IS
	return true;
}

/* Parse "EVENT [DETAIL] WORD...", of which @line is the rest after a match. Returns false if the
 * line is for another event. */
static bool parse_fault(char *line, const char *event, const char *detail, struct fault *f)
{
	char *run = strstr(line, " run="), *rest, *word = strtok_r(line, " \t", &rest);
	bool first = true;

	*f = (struct fault){ .to = -1 };
	if (!word || strcmp(word, event) != 0)
		return false;
	if (run) {
		snprintf(f->run, sizeof(f->run), "%s", run + strlen(" run="));
		*run = '\0';
	}
	while ((word = strtok_r(NULL, " \t", &rest))) {
		if (!parse_word(f, word)) {
			if (!first || strpbrk(word, "="))
				give_up("unknown word in a fault", word);
			if (!detail || strcmp(word, detail) != 0)
				return false;
		}
		first = false;
	}
	f->found = true;
	return true;
}

/* Count an occurrence of fault @number. Returns how many there were before. */
static uint64_t count(const char *dir, int number)
{
	int fd = lock(dir, "counts");
	uint64_t n = 0;

	if (fd < 0 || syscall(SYS_pread64, fd, &n, sizeof(n), number * sizeof(n)) < 0)
		abort();
	n++;
	if (syscall(SYS_pwrite64, fd, &n, sizeof(n), number * sizeof(n)) < 0)
		abort();
	unlock(fd);
	return n - 1;
}

/*
 * Find the first fault for an event. For reads and writes, @at is the position and *@length the
 * number of bytes: what comes before the fault's position is moved without it.
 */
static struct fault fault_at(const char *dir, const char *event, const char *detail, uint64_t at,
			     size_t *length)
{
	struct fault f, none = { .to = -1 };
	char text[4096], *rest, *line;
	int number = 0;

	if (!read_text(dir, "faults", text, sizeof(text)))
		return none;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		uint64_t before;

		number++;
		if (!parse_fault(line, event, detail, &f))
			continue;
		if (f.has_at && length && at + *length <= f.at)
			continue;
		if (f.has_at && length && at < f.at) {
			*length = f.at - at;
			continue;
		}
		before = count(dir, number);
		if (before >= f.after && (!f.times || before < f.after + f.times))
			return f;
	}
	return none;
}

static void run_hook(const char *command)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		unsetenv("LD_PRELOAD");
		pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status)
		give_up("a hook has failed", command);
}

/* What a fault does before the call itself is looked at. Returns -EINTR if a signal came. */
static int suffer(const struct fault *f)
{
	if (f->run[0])
		run_hook(f->run);
	if (f->signal)
		kill(0, f->signal);
	if (f->hang)
		return sleep_for(-1, true);
	return f->sleep > 0 ? sleep_for(f->sleep, !f->slow) : 0;
}

/* For calls with simple faults. Returns 0 to go on, 1 to succeed without doing anything, or a
 * negative errno. */
static int meet(const char *dir, const char *event, const char *detail)
{
	struct fault f = fault_at(dir, event, detail, 0, NULL);
	int err = suffer(&f);

	if (f.found)
		note(dir, "fault %s%s%s", event, detail ? " " : "", detail ? detail : "");
	if (err || f.err)
		return err ? err : f.err;
	return f.skip;
}

/* ---- The migration state machine ----------------------------------------- */

enum {
	ERROR = VFIO_DEVICE_STATE_ERROR,
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUNNING_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE_COPY = 6,
	PRE_COPY_P2P = 7,
};

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

static bool is_saving(int state)
{
	return state == STOP_COPY || state == PRE_COPY || state == PRE_COPY_P2P;
}

static int get_state(const char *dir)
{
	char text[32];

	read_text(dir, "state", text, sizeof(text));
	return state_of_name(text);
}

static void set_state(const char *dir, int state)
{
	write_text(dir, "state", "%s\n", states[state]);
}

static uint64_t memory_size(const char *dir)
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

/* An open file without a name that stands for something. */
static int new_thing(enum kind kind, int number, uint32_t session, int flags)
{
	int fd = syscall(SYS_openat, AT_FDCWD, DIR_ROOT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[32];
	int again;

	if (fd < 0 || ftruncate(fd, size_of_thing(kind, number, session)))
		abort();
	if (flags == O_RDWR)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = sys_open(path, flags);
	syscall(SYS_close, fd);
	return again;
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
	char buf[CHUNK];
	ssize_t n;

	while ((n = syscall(SYS_read, in, buf, sizeof(buf))) > 0)
		if (syscall(SYS_write, out, buf, n) != n)
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

static void close_if(int fd)
{
	if (fd >= 0)
		syscall(SYS_close, fd);
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

static int walk(const struct thing *t, uint64_t flags, int to, int *fd)
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
	fd = open_in(dir, "config", O_WRONLY);
	if (fd >= 0 && syscall(SYS_pwrite64, fd, "\0", 2, 4) != 2)
		abort();
	unlock(fd);
	end_session(dir);
	set_state(dir, RUNNING);
}

/* Opening a device resets it, unless it is like mtty. */
static void begin_session(const char *dir)
{
	if (!setting(dir, "keeps", 0))
		renew(dir);
}

static int reset(const struct thing *t)
{
	const char *dir = dir_of(t);
	int held = lock(dir, "lock"), err = meet(dir, "reset", NULL);

	if (!err)
		renew(dir);
	note(dir, "reset: %s", err < 0 ? strerrorname_np(-err) : err ? "skipped" : "0");
	unlock(held);
	return err < 0 ? err : 0;
}

/* ---- VFIO_DEVICE_FEATURE ------------------------------------------------- */

static int feature_state(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_mig_state *mig = (void *)feature->data;
	const char *dir = dir_of(t);
	int fd, err, held;

	if (feature->flags & VFIO_DEVICE_FEATURE_GET) {
		held = lock(dir, "lock");
		err = meet(dir, "get", NULL);
		mig->device_state = get_state(dir);
		mig->data_fd = -1;
		unlock(held);
		return err < 0 ? err : 0;
	}
	err = meet(dir, "set", mig->device_state < NR_STATES ? states[mig->device_state] : "?");
	if (err)
		return err < 0 ? err : 0;
	held = lock(dir, "lock");
	err = walk(t, flags, mig->device_state, &fd);
	unlock(held);
	if (err) {
		close_if(fd);
		fd = -1;
	}
	mig->data_fd = fd;
	return err;
}

static int feature_migration(const struct thing *t, struct vfio_device_feature *feature,
			     uint64_t flags)
{
	struct vfio_device_feature_migration *mig = (void *)feature->data;
	int err = meet(dir_of(t), "migration", NULL);

	mig->flags = flags;
	return err < 0 ? err : 0;
}

static int feature_size(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_mig_data_size *size = (void *)feature->data;
	int err = meet(dir_of(t), "size", NULL);

	(void)flags;
	size->stop_copy_length = setting(dir_of(t), "data_size", memory_size(dir_of(t)));
	return err < 0 ? err : 0;
}

static const struct {
	int feature;
	uint32_t ops;
	size_t size;
	int (*fn)(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags);
} features[] = {
	{ VFIO_DEVICE_FEATURE_MIGRATION, VFIO_DEVICE_FEATURE_GET,
	  sizeof(struct vfio_device_feature_migration), feature_migration },
	{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
	  sizeof(struct vfio_device_feature_mig_state), feature_state },
	{ VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_GET,
	  sizeof(struct vfio_device_feature_mig_data_size), feature_size },
};

static int device_feature(const struct thing *t, struct vfio_device_feature *feature)
{
	uint64_t flags = setting(dir_of(t), "flags", 0);
	uint32_t ops = feature->flags & (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET);
	size_t i = 0, nr = sizeof(features) / sizeof(features[0]);

	while (i < nr && features[i].feature != (int)(feature->flags & VFIO_DEVICE_FEATURE_MASK))
		i++;
	if (i == nr || !flags)
		return -ENOTTY;
	if (ops & ~features[i].ops)
		return -EINVAL;
	if (feature->flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!ops || ops == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET) ||
	    feature->argsz < sizeof(*feature) + features[i].size)
		return -EINVAL;
	return features[i].fn(t, feature, flags);
}

/* ---- The device ---------------------------------------------------------- */

static bool is_pci(const struct thing *t)
{
	return access(DIR_ROOT, F_OK) == 0 && setting(dir_of(t), "pci", 1);
}

static int get_info(const struct thing *t, struct vfio_device_info *info)
{
	int err = meet(dir_of(t), "info", NULL);

	info->flags = VFIO_DEVICE_FLAGS_RESET | (is_pci(t) ? VFIO_DEVICE_FLAGS_PCI : 0);
	info->num_regions = VFIO_PCI_NUM_REGIONS;
	info->num_irqs = VFIO_PCI_NUM_IRQS;
	return err < 0 ? err : 0;
}

static int get_region(const struct thing *t, struct vfio_region_info *info)
{
	int err = meet(dir_of(t), "region", NULL);

	if (info->index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info->offset = (uint64_t)info->index << REGION_SHIFT;
	info->size = info->index == VFIO_PCI_CONFIG_REGION_INDEX ? CONFIG_SIZE
		     : info->index == VFIO_PCI_BAR0_REGION_INDEX ? BAR_SIZE
								 : 0;
	return err < 0 ? err : 0;
}

static int get_irq(struct vfio_irq_info *info)
{
	info->flags = 0;
	info->count = 0;
	return info->index < VFIO_PCI_NUM_IRQS ? 0 : -EINVAL;
}

/* Whether an open file other than those of this process's callers has the lock of @path. */
static bool is_taken(const char *path)
{
	int fd = sys_open(path, O_RDWR);
	bool taken = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB);

	close_if(fd);
	return taken;
}

static int bind_iommufd(const struct thing *t, int fd, struct vfio_device_bind_iommufd *bind)
{
	const char *dir = dir_of(t);
	char path[PATH_MAX];
	int err = meet(dir, "bind", NULL);

	if (err < 0)
		return err;
	if (thing_of(bind->iommufd).kind != KIND_IOMMUFD)
		return -EBADFD;
	snprintf(path, sizeof(path), "/dev/vfio/%llu",
		 (unsigned long long)setting(dir, "group", 0));
	if (is_taken(path))
		return -EBUSY;
	if (position(fd) || flock(fd, LOCK_EX | LOCK_NB))
		return -EINVAL;
	set_position(fd, 1);
	begin_session(dir);
	bind->out_devid = 1;
	note(dir, "open");
	return 0;
}

static int device_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	int err;

	if (request == VFIO_DEVICE_BIND_IOMMUFD)
		return t->kind == KIND_CDEV ? bind_iommufd(t, fd, arg) : -ENOTTY;
	if (t->kind == KIND_CDEV && !position(fd))
		return -EINVAL;
	switch (request) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		err = meet(dir_of(t), "attach", NULL);
		return err < 0 ? err : 0;
	case VFIO_DEVICE_GET_INFO:
		return get_info(t, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region(t, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq(arg);
	case VFIO_DEVICE_RESET:
		return reset(t);
	case VFIO_DEVICE_FEATURE:
		return device_feature(t, arg);
	default:
		return -ENOTTY;
	}
}

/* The file of the region at @at, and the position in it. */
static int open_region(const struct thing *t, off_t *at)
{
	int index = *at >> REGION_SHIFT;

	*at &= (1ULL << REGION_SHIFT) - 1;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return open_in(dir_of(t), "config", O_RDWR);
	return index ? -1 : open_in(dir_of(t), "bar", O_RDWR | O_CREAT);
}

static ssize_t region_access(const struct thing *t, bool writes, void *buf, size_t size, off_t at)
{
	int err = meet(dir_of(t), writes ? "region-write" : "region-read", NULL);
	int fd = open_region(t, &at);
	ssize_t n;

	if (err < 0 || fd < 0) {
		close_if(fd);
		return err < 0 ? err : -EINVAL;
	}
	n = syscall(writes ? SYS_pwrite64 : SYS_pread64, fd, buf, size, at);
	close_if(fd);
	return n;
}

/* ---- The group's way, and the iommufd ------------------------------------ */

/* Returns the number of the device, or -1. */
static int device_named(const char *name)
{
	char dir[16], known[64];

	for (int i = 0; i < NR_DEVICES; i++) {
		snprintf(dir, sizeof(dir), "vfio%d", i);
		if (!read_text(dir, "name", known, sizeof(known)))
			continue;
		known[strcspn(known, "\n")] = '\0';
		if (strcmp(known, name) == 0)
			return i;
	}
	return -1;
}

static int get_device_fd(const struct thing *group, int group_fd, const char *name)
{
	int number = device_named(name), err = meet(COMMON, "device-fd", NULL), fd;
	struct thing t = { .kind = KIND_DEVICE, .number = number };

	if (err < 0)
		return err;
	if (!position(group_fd))
		return -EINVAL;
	if (number < 0 || (int)setting(dir_of(&t), "group", 0) != group->number)
		return -ENODEV;
	fd = open_in(dir_of(&t), "device", O_RDWR);
	/* The first descriptor begins the session, which all of them share. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		begin_session(dir_of(&t));
		note(dir_of(&t), "open");
	}
	flock(fd, LOCK_SH);
	return fd;
}

static int group_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	struct vfio_group_status *status = arg;
	int err;

	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		err = meet(COMMON, "status", NULL);
		status->flags = err ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return err < 0 ? err : 0;
	case VFIO_GROUP_SET_CONTAINER:
		err = meet(COMMON, "set-container", NULL);
		if (err < 0)
			return err;
		if (thing_of(*(int *)arg).kind != KIND_CONTAINER)
			return -EINVAL;
		set_position(fd, 1);
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(t, fd, arg);
	default:
		return -ENOTTY;
	}
}

static int container_ioctl(int fd, unsigned long request, void *arg)
{
	int err;

	switch (request) {
	case VFIO_GET_API_VERSION:
		err = meet(COMMON, "api-version", NULL);
		return err < 0 ? err : VFIO_API_VERSION + err;
	case VFIO_CHECK_EXTENSION:
		err = meet(COMMON, "extension", NULL);
		if (err)
			return err < 0 ? err : 0;
		return (uintptr_t)arg == VFIO_TYPE1v2_IOMMU || (uintptr_t)arg == VFIO_TYPE1_IOMMU;
	case VFIO_SET_IOMMU:
		err = meet(COMMON, "set-iommu", NULL);
		if (err < 0)
			return err;
		set_position(fd, 1);
		return 0;
	default:
		return -ENOTTY;
	}
}

static int iommufd_ioctl(unsigned long request, void *arg)
{
	int err;

	if (request != IOMMU_IOAS_ALLOC)
		return -ENOTTY;
	err = meet(COMMON, "ioas", NULL);
	((struct iommu_ioas_alloc *)arg)->out_ioas_id = 1;
	return err < 0 ? err : 0;
}

/* ---- data_fd ------------------------------------------------------------- */

/* How many bytes there are to be read before the device stops. */
static uint64_t initial_size(const char *dir)
{
	return setting(dir, "initial", memory_size(dir) / 2);
}

/* What read() returns then. Drivers differ. */
static int temporary_end(const char *dir)
{
	char name[32];

	if (!read_text(dir, "end", name, sizeof(name)))
		return -ENOMSG;
	name[strcspn(name, "\n")] = '\0';
	return name[0] == '0' ? 0 : -number_of_errno(name);
}

static ssize_t data_move(const struct thing *t, int fd, bool writes, void *buf, size_t size)
{
	const char *dir = dir_of(t), *name = writes ? "write" : "read";
	uint64_t at = position(fd);
	struct fault f = fault_at(dir, name, NULL, at, &size);
	int err = suffer(&f), state, file;
	ssize_t n;

	if (f.found)
		note(dir, "fault %s", name);
	if (err || f.err)
		return err ? err : f.err;
	if (f.has_result)
		return f.result;
	state = get_state(dir);
	if (t->session != setting(dir, "session", 0) ||
	    (writes ? state != RESUMING : !is_saving(state)))
		return -ENODEV;
	if (f.most && size > f.most)
		size = f.most;
	if (!writes && state != STOP_COPY) {
		uint64_t end = initial_size(dir);

		if (at >= end)
			return temporary_end(dir);
		size = size < end - at ? size : end - at;
	}
	file = open_in(dir, writes ? "incoming" : "memory", writes ? O_WRONLY : O_RDONLY);
	n = syscall(writes ? SYS_pwrite64 : SYS_pread64, file, buf, size, at);
	n = n < 0 ? -errno : n;
	close_if(file);
	if (n > 0)
		set_position(fd, at + n);
	return n < 0 ? n : n + (ssize_t)f.extra;
}

/* A driver's lock is held over the whole of a read or a write. */
static ssize_t data_access(const struct thing *t, int fd, bool writes, void *buf, size_t size)
{
	int held = lock(dir_of(t), "data-lock");
	ssize_t n = data_move(t, fd, writes, buf, size);

	unlock(held);
	return n;
}

static ssize_t data_vector(const struct thing *t, int fd, bool writes, const struct iovec *iov,
			   int nr)
{
	ssize_t done = 0;

	for (int i = 0; i < nr; i++) {
		ssize_t n = data_access(t, fd, writes, iov[i].iov_base, iov[i].iov_len);

		if (n < 0)
			return done ? done : n;
		done += n;
		if (n != (ssize_t)iov[i].iov_len)
			break;
	}
	return done;
}

static int data_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	const char *dir = dir_of(t);
	struct vfio_precopy_info *info = arg;
	uint64_t at = position(fd), end = initial_size(dir);
	int state = get_state(dir), err;

	if (request != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	err = meet(dir, "precopy-info", NULL);
	if (err < 0)
		return err;
	if (t->session != setting(dir, "session", 0) ||
	    (state != PRE_COPY && state != PRE_COPY_P2P))
		return -EINVAL;
	info->initial_bytes = setting(dir, "initial_bytes", end > at ? end - at : 0);
	info->dirty_bytes = setting(dir, "dirty_bytes", 0);
	return 0;
}

/* ---- What is replaced: ioctl, read, write -------------------------------- */

static int do_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	switch (t->kind) {
	case KIND_CDEV:
	case KIND_DEVICE:
		return device_ioctl(t, fd, request, arg);
	case KIND_GROUP:
		return group_ioctl(t, fd, request, arg);
	case KIND_CONTAINER:
		return container_ioctl(fd, request, arg);
	case KIND_IOMMUFD:
		return iommufd_ioctl(request, arg);
	default:
		return data_ioctl(t, fd, request, arg);
	}
}

static ssize_t outcome(ssize_t ret)
{
	if (ret < 0) {
		errno = -ret;
		ret = -1;
	}
	end_call();
	return ret;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct thing t = thing_of(fd);
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!t.kind)
		return syscall(SYS_ioctl, fd, request, arg);
	begin_call();
	return outcome(do_ioctl(&t, fd, request, arg));
}

ssize_t read(int fd, void *buf, size_t size)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_read, fd, buf, size);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_access(&t, fd, false, buf, size) : -EINVAL);
}

ssize_t write(int fd, const void *buf, size_t size)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_write, fd, buf, size);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_access(&t, fd, true, (void *)buf, size)
					   : -EINVAL);
}

ssize_t readv(int fd, const struct iovec *iov, int nr)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_readv, fd, iov, nr);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_vector(&t, fd, false, iov, nr) : -EINVAL);
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_writev, fd, iov, nr);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_vector(&t, fd, true, iov, nr) : -EINVAL);
}

ssize_t pread64(int fd, void *buf, size_t size, off64_t at)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_pread64, fd, buf, size, at);
	begin_call();
	return outcome(is_device(&t)	     ? region_access(&t, false, buf, size, at)
		       : t.kind == KIND_DATA ? -ESPIPE
					     : -EINVAL);
}

ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t at)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_pwrite64, fd, buf, size, at);
	begin_call();
	return outcome(is_device(&t)	     ? region_access(&t, true, (void *)buf, size, at)
		       : t.kind == KIND_DATA ? -ESPIPE
					     : -EINVAL);
}

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
	return pread64(fd, buf, size, at);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
	return pwrite64(fd, buf, size, at);
}

off64_t lseek64(int fd, off64_t at, int whence)
{
	if (!thing_of(fd).kind)
		return syscall(SYS_lseek, fd, at, whence);
	errno = ESPIPE;
	return -1;
}

off_t lseek(int fd, off_t at, int whence)
{
	return lseek64(fd, at, whence);
}

/* What programs call that were built with _FORTIFY_SOURCE */
ssize_t __read_chk(int fd, void *buf, size_t size, size_t room);
ssize_t __read_chk(int fd, void *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : read(fd, buf, size);
}

ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t room)
{
	return size > room ? abort(), -1 : pread64(fd, buf, size, at);
}

ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t room)
{
	return size > room ? abort(), -1 : pread64(fd, buf, size, at);
}

/* ---- What is replaced: open ---------------------------------------------- */

/* A group is opened once, and only while nobody has bound one of its devices. */
static int open_group(const struct thing *t, int fd)
{
	char dir[16], path[PATH_MAX];

	if (flock(fd, LOCK_EX | LOCK_NB))
		return -EBUSY;
	for (int i = 0; i < NR_DEVICES; i++) {
		snprintf(dir, sizeof(dir), "vfio%d", i);
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", i);
		if (setting(dir, "group", ~0ULL) == (uint64_t)t->number && is_taken(path))
			return -EBUSY;
	}
	return 0;
}

static int opened(int fd)
{
	static const char *const events[] = {
		[KIND_CDEV] = "open",
		[KIND_GROUP] = "open-group",
		[KIND_CONTAINER] = "open-container",
		[KIND_IOMMUFD] = "open-iommufd",
	};
	struct thing t = thing_of(fd);
	int err;

	if (fd < 0 || !t.kind || t.kind >= KIND_DEVICE)
		return fd;
	/* A descriptor that only names the file */
	if (fcntl(fd, F_GETFL) & O_PATH)
		return fd;
	begin_call();
	err = meet(dir_of(&t), events[t.kind], NULL);
	if (err >= 0)
		err = t.kind == KIND_GROUP ? open_group(&t, fd) : 0;
	if (err)
		syscall(SYS_close, fd);
	return outcome(err ? err : fd);
}

static int open_at(int dir, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;

	return opened(syscall(SYS_openat, dir, path, flags, mode));
}

#define OPEN_AT(dir)                                \
	({                                          \
		va_list ap;                         \
		int fd;                             \
                                                    \
		va_start(ap, flags);                \
		fd = open_at(dir, path, flags, ap); \
		va_end(ap);                         \
		fd;                                 \
	})

int open(const char *path, int flags, ...)
{
	return OPEN_AT(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
	return OPEN_AT(AT_FDCWD);
}

int openat(int dir, const char *path, int flags, ...)
{
	return OPEN_AT(dir);
}

int openat64(int dir, const char *path, int flags, ...)
{
	return OPEN_AT(dir);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open(path, flags);
}

int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

int __openat64_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

/* ---- What is replaced: stat and readlink --------------------------------- */

/* The type and the device number of what a file stands for; false if that is nothing. */
static bool appearance(uint64_t size, mode_t *type, unsigned int *major_, unsigned int *minor_)
{
	struct thing t = thing_of_size(size);

	*type = S_IFCHR;
	switch (t.kind) {
	case KIND_CDEV:
		*major_ = CDEV_MAJOR;
		*minor_ = t.number;
		return true;
	case KIND_GROUP:
		*major_ = GROUP_MAJOR;
		*minor_ = t.number;
		return true;
	case KIND_CONTAINER:
		*major_ = MISC_MAJOR;
		*minor_ = VFIO_MINOR;
		return true;
	case KIND_IOMMUFD:
		*major_ = MISC_MAJOR;
		*minor_ = IOMMU_MINOR;
		return true;
	case KIND_DEVICE:
	case KIND_DATA:
		*type = *major_ = *minor_ = 0;
		return true;
	default:
		return false;
	}
}

/* struct stat and struct stat64 are the same where off_t has 64 bits. */
static int shown(struct stat *st, int ret)
{
	unsigned int major_, minor_;
	mode_t type;

	_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "an off_t has 64 bits");
	if (ret || !S_ISREG(st->st_mode) || !appearance(st->st_size, &type, &major_, &minor_))
		return ret;
	st->st_mode = (st->st_mode & ~S_IFMT) | type;
	st->st_rdev = makedev(major_, minor_);
	st->st_size = 0;
	return 0;
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return shown(st, sys_stat(dir, path, st, flags));
}

int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dir, path, (struct stat *)st, flags);
}

int stat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}

int stat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int lstat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *st)
{
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}

int fstat64(int fd, struct stat64 *st)
{
	return fstatat64(fd, "", st, AT_EMPTY_PATH);
}

int statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st)
{
	int ret = syscall(SYS_statx, dir, path, flags, mask | STATX_TYPE | STATX_SIZE, st);
	unsigned int major_, minor_;
	mode_t type;

	if (ret || !S_ISREG(st->stx_mode) || !appearance(st->stx_size, &type, &major_, &minor_))
		return ret;
	st->stx_mode = (st->stx_mode & ~S_IFMT) | type;
	st->stx_rdev_major = major_;
	st->stx_rdev_minor = minor_;
	st->stx_size = 0;
	return 0;
}

/* In /proc, descriptors show what the kernel calls such a file. */
ssize_t readlinkat(int dir, const char *path, char *buf, size_t size)
{
	ssize_t n = syscall(SYS_readlinkat, dir, path, buf, size);
	const char *name = "anon_inode:[vfio-device]";
	struct stat st;
	struct thing t;

	if (n < (ssize_t)strlen(DIR_ROOT) || strncmp(buf, DIR_ROOT, strlen(DIR_ROOT)) != 0 ||
	    sys_stat(dir, path, &st, 0))
		return n;
	t = thing_of_size(st.st_size);
	if (t.kind == KIND_DATA)
		name = "anon_inode:[vfio-migration]";
	else if (t.kind != KIND_DEVICE)
		return n;
	n = strlen(name) < size ? strlen(name) : size;
	memcpy(buf, name, n);
	return n;
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	return readlinkat(AT_FDCWD, path, buf, size);
}

ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : readlinkat(dir, path, buf, size);
}

ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : readlink(path, buf, size);
}
