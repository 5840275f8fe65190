// SPDX-License-Identifier: GPL-2.0-or-later
/* The faults that a test has asked for: emulate.sh describes them. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A test whose fault is misspelt must not pass. */
static void give_up(const char *what, const char *word)
{
	dprintf(STDERR_FILENO, "emulate: %s: '%s'\n", what, word);
	abort();
}

int number_of_errno(const char *name)
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
		/* It may be the first word, which strtok_r() would give. */
		if (rest > run)
			rest = run;
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

struct fault fault_at(const char *dir, const char *event, const char *detail, uint64_t at,
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

int suffer(const struct fault *f)
{
	if (f->run[0])
		run_hook(f->run);
	if (f->signal)
		kill(0, f->signal);
	if (f->hang)
		return sleep_for(-1, true);
	return f->sleep > 0 ? sleep_for(f->sleep, !f->slow) : 0;
}

int meet(const char *dir, const char *event, const char *detail)
{
	struct fault f = fault_at(dir, event, detail, 0, NULL);
	int err = suffer(&f);

	if (f.found)
		note(dir, "fault %s%s%s", event, detail ? " " : "", detail ? detail : "");
	if (err || f.err)
		return err ? err : f.err;
	return f.skip;
}
