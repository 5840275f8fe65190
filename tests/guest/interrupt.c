// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interrupt SIGNAL MICROSECONDS COMMAND [ARG...]: run COMMAND, send it SIGNAL (a number) after that
 * time, and exit with its status, which is 128 + N if a signal ended it. A command that was stopped
 * gets SIGCONT after a while.
 *
 * A shell cannot do this: its background processes ignore SIGINT, and its sleep is a process that
 * takes as long to start as the command.
 */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int sig, pid, status;

	if (argc < 4)
		errx(98, "usage: interrupt SIGNAL MICROSECONDS COMMAND...");
	sig = atoi(argv[1]);
	pid = fork();
	if (pid == 0) {
		execvp(argv[3], argv + 3);
		err(98, "%s", argv[3]);
	}
	usleep(atoi(argv[2]));
	kill(pid, sig);
	if (sig == SIGTSTP || sig == SIGSTOP) {
		usleep(30000);
		kill(pid, SIGCONT);
	}
	if (waitpid(pid, &status, 0) != pid)
		err(98, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
