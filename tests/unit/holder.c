// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run-time directory, the locks in it, and a client that is connected to something else than a
 * holder of vfiomig. The tests in the guest have real holders.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "device/lock.h"
#include "device/name.h"
#include "device/rundir.h"
#include "holder/wire.h"
#include "tree.h"

/* ---- The directory ------------------------------------------------------- */

static void test_rundir(void **state)
{
	struct stat st;
	int fd = rundir_open(ctx);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);

	/* A directory that others can read gets the right mode again. */
	assert_int_equal(chmod("run", 0755), 0);
	fd = rundir_open(ctx);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close(fd);

	assert_int_equal(chmod("run", 0770), 0);
	assert_int_equal(rundir_open(ctx), -EPERM);
	assert_int_equal(rmdir("run"), 0);
	assert_int_equal(symlink("/tmp", "run"), 0);
	assert_int_equal(rundir_open(ctx), -EPERM);
	assert_says("not a directory");
	assert_int_equal(unlink("run"), 0);
	use_rundir(ctx, "nowhere/run");
	assert_int_equal(rundir_open(ctx), -ENOENT);
	use_rundir(ctx, "run");
}

/* ---- Locks --------------------------------------------------------------- */

static void test_lock(void **state)
{
	struct turn now = turn_begin(ctx, 0);
	struct lock first, second;
	char text[32] = "", pid[32];
	int fd;

	(void)state;
	assert_int_equal(lock_take(&first, "a", &now), 0);
	assert_int_equal(lock_take(&second, "b", &now), 0);
	lock_drop(&second);
	assert_int_equal(lock_take(&second, "a", &now), -EBUSY);
	/* A failed lock must not keep a number, which may belong to another file by now. */
	assert_int_equal(second.fd, -1);
	/* The message and the file name the owner of the lock. */
	snprintf(pid, sizeof(pid), "process %d (holder)", getpid());
	assert_says(pid);
	fd = open("run/a.lock", O_RDONLY);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_int_equal(atoi(text), getpid());
	close(fd);
	lock_drop(&first);
	assert_int_equal(access("run/a.lock", F_OK), -1);
	assert_int_equal(lock_take(&second, "a", &now), 0);
	lock_drop(&second);
}

static void *drop_later(void *data)
{
	usleep(200000);
	lock_drop(data);
	return NULL;
}

static void test_lock_waits(void **state)
{
	struct turn now = turn_begin(ctx, 0), later = turn_begin(ctx, 60);
	struct lock first, second;
	pthread_t thread;

	(void)state;
	assert_int_equal(lock_take(&first, "a", &now), 0);
	pthread_create(&thread, NULL, drop_later, &first);
	assert_int_equal(lock_take(&second, "a", &later), 0);
	pthread_join(thread, NULL);

	vfiomig_interrupt(ctx);
	assert_int_equal(lock_take(&first, "a", &later), -EINTR);
	ctx->interrupted = 0;
	ctx_keep_first_error(ctx, false);
	lock_drop(&second);
}

/* Locks do not follow a link in the directory. */
static void test_lock_is_no_link(void **state)
{
	struct turn now = turn_begin(ctx, 0);
	struct lock lock;

	(void)state;
	assert_int_equal(symlink("../precious", "run/a.lock"), 0);
	assert_int_equal(lock_take(&lock, "a", &now), -ELOOP);
	assert_int_equal(access("precious", F_OK), -1);
	assert_int_equal(unlink("run/a.lock"), 0);
}

/* ---- Something else than a holder ---------------------------------------- */

struct server {
	int socket;
	struct wire_reply reply;
	size_t size; /* how much of the reply is sent */
	int fds[8], nr_fds;
};

static void send_reply(int fd, struct server *server)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = { .space = { 0 } };
	struct iovec iov = { &server->reply, server->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t size = server->nr_fds * sizeof(int);

	if (server->nr_fds) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&control.header), server->fds, size);
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(size);
	}
	sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static void *serve(void *data)
{
	struct server *server = data;
	struct wire_request request;
	int fd = accept(server->socket, NULL, NULL);

	if (recv(fd, &request, sizeof(request), 0) > 0)
		send_reply(fd, server);
	close(fd);
	return NULL;
}

/*
 * Open "unix:socket", which answers with this reply: the result is @err, and no descriptor leaks.
 */
static void expect(struct server *server, int err, const char *says)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	struct vfiomig_device *dev;
	pthread_t thread;
	int before;

	unlink("socket");
	server->socket = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(server->socket, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->socket, 1), 0);
	before = count_fds();
	pthread_create(&thread, NULL, serve, server);
	assert_int_equal(vfiomig_device_new(ctx, "unix:socket", &dev), err);
	assert_says(says);
	pthread_join(thread, NULL);
	assert_int_equal(count_fds(), before);
	close(server->socket);
}

static struct server good(void)
{
	return (struct server){
		.reply = { .magic = WIRE_MAGIC, .version = WIRE_VERSION },
		.size = sizeof(struct wire_reply),
	};
}

static void test_strange_replies(void **state)
{
	struct server s = good();

	(void)state;
	/* The reply names a device that this machine does not have. */
	expect(&s, -EPROTO, "something that is not in");
	strcpy(s.reply.syspath, "nodir");
	expect(&s, -EPROTO, "something that is not in");
	strcpy(s.reply.syspath, "/etc");
	expect(&s, -EPROTO, "something that is not in");
	memset(s.reply.syspath, '/', sizeof(s.reply.syspath));
	expect(&s, -EPROTO, "something that is not in");

	s = good();
	s.reply.version = 2;
	expect(&s, -EPROTONOSUPPORT, "another version of vfiomig");
	s.size = 20;
	expect(&s, -EPROTONOSUPPORT, "another version of vfiomig");
	s = good();
	s.size = 20;
	expect(&s, -EPROTO, "not a holder's socket");
	s.size = 3;
	expect(&s, -EPROTO, "not a holder's socket");
	s = good();
	s.reply.magic[0] = 'x';
	expect(&s, -EPROTO, "not a holder's socket");
	s = good();
	s.reply.error = -EPERM;
	expect(&s, -EPERM, "serves its own user and root");

	/* The reply carries descriptors that were not asked for. */
	s = good();
	for (int i = 0; i < 8; i++)
		s.fds[i] = 1;
	s.nr_fds = 4;
	s.reply.fds = ~0U;
	expect(&s, -EPROTO, "something that is not in");
	s.reply.fds = 0;
	expect(&s, -EPROTO, "something that is not in");
	s.nr_fds = 8;
	expect(&s, -EPROTO, "something that is not in");
}

/*
 * The bits of the reply say which descriptors it carries. There can be more bits than descriptors,
 * and the other way round.
 */
static void test_descriptors(void **state)
{
	int fds[WIRE_NR_FDS], ends[2], given = open("/dev/null", O_RDWR);
	struct server s = good();
	struct wire_reply reply;

	(void)state;
	for (int i = 0; i < 8; i++)
		s.fds[i] = given;
	s.nr_fds = 2;
	s.reply.fds = 1U << WIRE_GROUP | 1U << WIRE_CONTAINER | 1U << 9;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	send_reply(ends[1], &s);
	assert_int_equal(wire_ask(ctx, ends[0], WIRE_TAKE, &reply, fds), 0);
	assert_int_equal(fds[WIRE_DEVICE], -1);
	assert_int_equal(fds[WIRE_IOMMUFD], -1);
	assert_int_equal(fcntl(fds[WIRE_GROUP], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fds[WIRE_CONTAINER], F_GETFD), FD_CLOEXEC);
	close(fds[WIRE_GROUP]);
	close(fds[WIRE_CONTAINER]);

	/* If the answer is an error, its descriptors are closed. */
	s.reply.error = -EBUSY;
	send_reply(ends[1], &s);
	assert_int_equal(wire_ask(ctx, ends[0], WIRE_TAKE, &reply, fds), -EBUSY);
	for (int i = 0; i < WIRE_NR_FDS; i++)
		assert_int_equal(fds[i], -1);
	close(ends[1]);
	assert_true(wire_ask(ctx, ends[0], WIRE_TAKE, &reply, fds) < 0);
	close(ends[0]);
	close(given);
}

/*
 * A descriptor for which this process has no room must not count as one that the holder left out.
 */
static void test_no_room(void **state)
{
	int fds[WIRE_NR_FDS], ends[2], given = open("/dev/null", O_RDWR);
	struct server s = good();
	struct wire_reply reply;
	struct rlimit before;

	(void)state;
	s.fds[0] = s.fds[1] = given;
	s.nr_fds = 2;
	s.reply.fds = 1U << WIRE_DEVICE | 1U << WIRE_IOMMUFD;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	for (int room = 0; room < 3; room++) {
		send_reply(ends[1], &s);
		before = allow_fds(next_fd() + room);
		assert_int_equal(wire_ask(ctx, ends[0], WIRE_TAKE, &reply, fds),
				 room < 2 ? -EMFILE : 0);
		setrlimit(RLIMIT_NOFILE, &before);
		for (int i = 0; i < WIRE_NR_FDS && room < 2; i++)
			assert_int_equal(fds[i], -1);
	}
	close(fds[WIRE_DEVICE]);
	close(fds[WIRE_IOMMUFD]);
	close(ends[0]);
	close(ends[1]);
	close(given);
}

static int make(void **state)
{
	(void)state;
	begin_tree();
	/* A lock names its owner as the real /proc has it. */
	ctx->procfs = "/proc";
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rundir),		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_waits),	cmocka_unit_test(test_lock_is_no_link),
		cmocka_unit_test(test_strange_replies), cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests_name("holder", tests, make, remove_tree);
}
