// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inject [-c] SYSCALL N ERRNO COMMAND [ARG...]: run COMMAND, and make its N-th call of SYSCALL fail
 * with ERRNO. If ERRNO is "SHORT", the call moves only one byte, where it asks for more. If ERRNO
 * is "DONE", the call returns 0 without doing anything. The exit status is COMMAND's, or 99 if
 * there was no N-th call. With -c, the calls of COMMAND's children count as well.
 *
 * strace(1) can make calls fail, too, but cannot make them short. It counts the calls of each
 * thread separately, and those of the dynamic linker with them: to fail the third read(2) of a
 * thread it would also fail the third one of the process, which reads libc. Here a seccomp filter
 * reports the calls to a supervisor, which counts the calls of all threads together, beginning with
 * the first call that vfiomig itself makes, fcntl(0, F_GETFD). Processes that COMMAND leaves behind
 * are left alone.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_REACHED 99
#define SHORT	    0
#define DONE	    (-1)

/* The system calls that vfiomig makes, and those that the C library makes for it. */
/* clang-format off */
#define CALL(name) { #name, SYS_##name }
static const struct {
	const char *name;
	int number;
} calls[] = {
	CALL(access),
	CALL(bind),
	CALL(brk),
	CALL(chdir),
	CALL(clone),
	CALL(clone3),
	CALL(close),
	CALL(close_range),
	CALL(connect),
	CALL(dup2),
	CALL(eventfd2),
	CALL(fchmod),
	CALL(fcntl),
	CALL(flock),
	CALL(fstat),
	CALL(fstatfs),
	CALL(fsync),
	CALL(ftruncate),
	CALL(getcwd),
	CALL(getdents64),
	CALL(getrandom),
	CALL(getsockopt),
	CALL(ioctl),
	CALL(listen),
	CALL(lseek),
	CALL(madvise),
	CALL(mkdir),
	CALL(mmap),
	CALL(mprotect),
	CALL(newfstatat),
	CALL(openat),
	CALL(pipe2),
	CALL(poll),
	CALL(pread64),
	CALL(pwrite64),
	CALL(read),
	CALL(readlink),
	CALL(readlinkat),
	CALL(recvfrom),
	CALL(recvmsg),
	CALL(rename),
	CALL(renameat),
	CALL(rt_sigaction),
	CALL(sched_getaffinity),
	CALL(sendto),
	CALL(socket),
	CALL(socketpair),
	CALL(statx),
	CALL(uname),
	CALL(unlink),
	CALL(unlinkat),
	CALL(write),
	CALL(writev),
};
/* clang-format on */

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EAGAIN", EAGAIN }, { "EINTR", EINTR },   { "EIO", EIO },
	{ "EMFILE", EMFILE }, { "ENOMEM", ENOMEM }, { "ENOSPC", ENOSPC },
	{ "EPIPE", EPIPE },   { "SHORT", SHORT },   { "DONE", DONE },
};

/* Memory that all processes of this program share. */
struct shared {
	volatile int listener;
	volatile bool injected;
};

static int call_number(const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	errx(98, "no such call: %s", name);
}

static int error_number(const char *name)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0)
			return errors[i].number;
	errx(98, "no such error: %s", name);
}

/*
 * Install a filter that reports this call, and fcntl, which shows where counting begins. Returns
 * the listener's descriptor.
 */
static int install_filter(int call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       &program);
}

/* Returns whether @tid is a thread of the process, and not of a child. */
static bool is_thread_of(int pid, int tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
	return access(path, F_OK) == 0;
}

/*
 * Returns where the bytes are that the call reads or writes, and how many; for writev, those of the
 * first part.
 */
static struct iovec bytes_of(int pid, const struct seccomp_data *call)
{
	struct iovec bytes = { (void *)call->args[1], call->args[2] };
	struct iovec here = { &bytes, sizeof(bytes) };
	struct iovec there = { (void *)call->args[1], sizeof(bytes) };

	if (call->nr == SYS_writev &&
	    process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof(bytes))
		err(98, "process_vm_readv");
	return bytes;
}

/* Make the call on behalf of the process, with one byte of its memory. */
static bool move_byte(int pid, int fd, const struct seccomp_data *call)
{
	struct iovec there = bytes_of(pid, call);
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	char byte;
	struct iovec here = { &byte, 1 };

	/*
	 * Do not wait for ever: the peer may need a reported call of its own to be answered first.
	 */
	if (there.iov_len < 2 || poll(&p, 1, 1000) != 1)
		return false;
	there.iov_len = 1;
	if ((call->nr == SYS_read && read(fd, &byte, 1) == 1) ||
	    (call->nr == SYS_pread64 && pread(fd, &byte, 1, call->args[3]) == 1))
		return process_vm_writev(pid, &here, 1, &there, 1, 0) == 1;
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != 1)
		return false;
	return ((call->nr == SYS_write || call->nr == SYS_writev) && write(fd, &byte, 1) == 1) ||
	       (call->nr == SYS_pwrite64 && pwrite(fd, &byte, 1, call->args[3]) == 1);
}

/* Make the call short. Returns false if that is not possible. */
static bool shorten(int pid, const struct seccomp_data *call)
{
	int process = syscall(SYS_pidfd_open, pid, 0);
	int fd = syscall(SYS_pidfd_getfd, process, (int)call->args[0], 0);
	bool moved = fd >= 0 && move_byte(pid, fd, call);

	close(fd);
	close(process);
	return moved;
}

/* Reads of eventfds, which threads make at other times in each run, do not count. */
static bool is_wake(const struct seccomp_data *call)
{
	return call->nr == SYS_read && call->args[2] == 8;
}

/* @pid: the process whose calls count, -1 for all that have the filter */
static void supervise(int listener, volatile bool *injected, int pid, int call, long nth, int error)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	bool begun = false;
	long count = 0;

	/* POLLHUP: no process with the filter is left. */
	while (poll(&p, 1, -1) > 0 && !(p.revents & POLLHUP)) {
		struct seccomp_notif call_made = { 0 };
		struct seccomp_notif_resp answer = { 0 };

		if (ioctl(p.fd, SECCOMP_IOCTL_NOTIF_RECV, &call_made))
			continue;
		answer.id = call_made.id;
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (call_made.data.nr == SYS_fcntl && call_made.data.args[0] == 0 &&
		    call_made.data.args[1] == F_GETFD)
			begun = true;
		if (begun && call_made.data.nr == call && !is_wake(&call_made.data) &&
		    (pid < 0 || is_thread_of(pid, call_made.pid)) && ++count == nth &&
		    (error != SHORT ||
		     shorten(pid < 0 ? (int)call_made.pid : pid, &call_made.data))) {
			*injected = true;
			answer.flags = 0;
			answer.error = error > 0 ? -error : 0;
			answer.val = error == SHORT;
		}
		ioctl(p.fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

struct child {
	struct shared *shared;
	int call;
	char **command;
};

/*
 * The child shares its descriptors with the parent until exec, so that the parent has the listener.
 */
static int run(void *data)
{
	const struct child *child = data;

	child->shared->listener = install_filter(child->call);
	if (child->shared->listener < 0)
		_exit(98);
	while (child->shared->listener)
		sched_yield();
	execvp(child->command[0], child->command);
	_exit(98);
}

int main(int argc, char **argv)
{
	static char stack[65536] __attribute__((aligned(16)));
	bool children = argc > 1 && strcmp(argv[1], "-c") == 0;
	struct child child = { .shared = NULL };
	int pid, status, error, listener;
	struct shared *shared;

	argv += children;
	argc -= children;
	if (argc < 5)
		errx(98, "usage: inject [-c] SYSCALL N ERRNO COMMAND [ARG...]");
	child.command = argv + 4;
	child.call = call_number(argv[1]);
	error = error_number(argv[3]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(98, "mmap");
	child.shared = shared;
	pid = clone(run, stack + sizeof(stack), CLONE_FILES | SIGCHLD, &child);
	if (pid < 0)
		err(98, "clone");
	while (!shared->listener)
		sched_yield();
	listener = shared->listener;
	if (listener < 0)
		errx(98, "the kernel has no seccomp filters that report");
	/* The supervisor runs in the background, because a process may outlive the command. */
	if (fork() == 0) {
		int null = open("/dev/null", O_RDWR);

		setsid();
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		supervise(listener, &shared->injected, children ? -1 : pid, child.call,
			  atol(argv[2]), error);
		_exit(0);
	}
	close(listener);
	shared->listener = 0;
	if (waitpid(pid, &status, 0) != pid)
		err(98, "waitpid");
	if (!shared->injected)
		return NOT_REACHED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
