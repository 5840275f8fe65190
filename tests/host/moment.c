// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * moment MICROSECONDS SIGNAL COMMAND...: run COMMAND in a process group of its own, and send the
 * group a signal so long after the start, also if COMMAND itself has ended by then. Exits as a
 * shell reports it: with COMMAND's status, or 128 and the number of the signal that ended it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int signal_of(const char *name)
{
	for (int i = 1; i < NSIG; i++) {
		const char *known = sigabbrev_np(i);

		if (known && strcmp(known, name) == 0)
			return i;
	}
	fprintf(stderr, "moment: there is no signal %s\n", name);
	exit(125);
}

int main(int argc, char **argv)
{
	int status, sig;
	pid_t pid;

	if (argc < 4)
		return 125;
	sig = signal_of(argv[2]);
	pid = fork();
	if (pid < 0)
		return 125;
	if (pid == 0) {
		setpgid(0, 0);
		/* A shell ignores SIGINT in what it runs in the background. */
		signal(sig, SIG_DFL);
		execvp(argv[3], argv + 3);
		_exit(125);
	}
	/* Both do it, so that the group is there whoever comes first. */
	setpgid(pid, pid);
	usleep(strtoul(argv[1], NULL, 10));
	kill(-pid, sig);
	if (waitpid(pid, &status, 0) < 0)
		return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
