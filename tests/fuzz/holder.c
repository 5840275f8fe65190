// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libFuzzer target: a holder and its peers. The input is what up to eight peers do, one after the
 * other. Whatever they do, only one peer has the device at a time. If this peer goes away, the
 * holder brings the device home. In the end no descriptor is left. The kernel is replaced at
 * ioctl(2).
 */
#include <dirent.h>
#include <err.h>

#include "../unit/feature.h"
#include "fuzz.h"
/* The target runs the holder's loop step by step. */
#include "holder/holder.c"

#define CLIENTS 8

static struct {
	int state;
} kernel;

static struct vfiomig_ctx *ctx;
static char rundir[] = "/tmp/vfiomig-fuzz.XXXXXX";
static int clients[CLIENTS];
static int owner; /* which of them has the device, or -1 */

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	kernel.state = mig->device_state;
	mig->data_fd = -1;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == VFIO_DEVICE_RESET) {
		kernel.state = VFIOMIG_STATE_RUNNING;
		return 0;
	}
	expect(request == VFIO_DEVICE_FEATURE, "an ioctl that no holder needs");
	return feature_answer(arg, VFIOMIG_STOP_COPY, kernel.state, set_state);
}

static void remove_rundir(void)
{
	rmdir(rundir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!mkdtemp(rundir) || vfiomig_new(&ctx))
		err(1, "cannot start");
	if (vfiomig_set_rundir(ctx, rundir))
		err(1, "%s", vfiomig_get_error(ctx));
	atexit(remove_rundir);
	return 0;
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct vfiomig_holder *start(void)
{
	struct vfiomig_device *dev = feature_device(ctx, feature_null());
	struct vfiomig_holder *h;

	dev->sys.syspath = strdup("/sys/device");
	dev->sys.name = strrchr(dev->sys.syspath, '/') + 1;
	dev->name = strdup("device");
	if (vfiomig_holder_new(dev, &h) || listen(h->socket, BACKLOG))
		err(1, "cannot hold: %s", vfiomig_get_error(ctx));
	vfiomig_device_unref(dev);
	kernel.state = VFIOMIG_STATE_RUNNING;
	owner = -1;
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = -1;
	return h;
}

/* Run the holder's loop as long as it has something to do. */
static void go_on(struct vfiomig_holder *h)
{
	for (int i = 0; i < 64 && !h->ended; i++) {
		struct pollfd p[PEERS_MAX + 1] = {
			{ .fd = h->socket, .events = POLLIN },
		};

		for (int j = 0; j < PEERS_MAX; j++)
			p[j + 1] = (struct pollfd){ .fd = h->peers[j].fd, .events = POLLIN };
		if (poll(p, PEERS_MAX + 1, 0) <= 0)
			return;
		look(h);
	}
}

/* ---- What the peers do --------------------------------------------------- */

static void connect_client(const struct vfiomig_holder *h, int i)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (clients[i] >= 0)
		return;
	strcpy(address.sun_path, h->path);
	clients[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
	if (connect(clients[i], (void *)&address, sizeof(address))) {
		close(clients[i]);
		clients[i] = -1;
	}
}

static void close_client(int i)
{
	if (clients[i] >= 0)
		close(clients[i]);
	clients[i] = -1;
}

/* Receive a reply. Stores in @fds how many descriptors came with it. */
static bool receive(int i, struct wire_reply *reply, int *fds)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec iov = { reply, sizeof(*reply) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(clients[i], &msg, MSG_DONTWAIT);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	*fds = 0;
	if (n <= 0)
		return false;
	for (; c; c = CMSG_NXTHDR(&msg, c))
		for (size_t at = CMSG_LEN(0); at < c->cmsg_len; at += 4) {
			int fd;

			memcpy(&fd, (char *)c + at, sizeof(fd));
			close(fd);
			++*fds;
		}
	expect(n == sizeof(*reply) && memcmp(reply->magic, WIRE_MAGIC, 8) == 0 &&
		       reply->version == WIRE_VERSION,
	       "not a reply");
	return true;
}

static void say(struct vfiomig_holder *h, int i, const void *message, size_t size)
{
	const struct wire_request *request = message;
	int home = h->home, before = owner, fds;
	struct wire_reply reply;
	bool taken, answered;

	if (clients[i] < 0)
		return;
	if (send(clients[i], message, size, MSG_NOSIGNAL) < 0)
		return;
	go_on(h);
	answered = receive(i, &reply, &fds);
	taken = answered && fds > 0;
	expect(!taken || (size == sizeof(*request) && request->op == WIRE_TAKE && before < 0),
	       "a peer got descriptors that it must not have");
	if (taken) {
		owner = i;
		/* The peer works on the device. */
		kernel.state = VFIOMIG_STATE_STOP;
	} else if (before == i) {
		owner = -1;
		expect(!answered || reply.error || kernel.state == home || request->op == WIRE_DONE,
		       "a claim ended, and the device is not home");
	}
}

static void die(struct vfiomig_holder *h, int i)
{
	int home = h->home;

	close_client(i);
	go_on(h);
	if (owner != i)
		return;
	owner = -1;
	expect(h->ended || kernel.state == home, "a claimer died, and the device is not home");
}

/* Let one thing happen. Returns how many bytes of the input it took. */
static size_t happen(struct vfiomig_holder *h, const uint8_t *data, size_t size)
{
	struct wire_request request = {
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.op = size > 1 ? data[1] % 6 : 0,
	};
	int i = data[0] >> 3 & 7;
	size_t length;

	switch (data[0] & 7) {
	case 0:
	case 1:
		connect_client(h, i);
		go_on(h);
		return 1;
	case 2:
		die(h, i);
		return 1;
	case 3:
		if (size > 3)
			((uint8_t *)&request)[data[2] % 16] ^= data[3];
		say(h, i, &request, sizeof(request));
		return 4;
	case 4:
		length = size > 1 ? data[1] : 0;
		if (length > size - 2)
			length = size > 2 ? size - 2 : 0;
		if (size > 2)
			say(h, i, data + 2, length);
		return 2 + length;
	default:
		say(h, i, &request, sizeof(request));
		return 2;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = count_fds();
	struct vfiomig_holder *h = start();
	size_t at = 0;

	while (at < size && !h->ended)
		at += happen(h, data + at, size - at);
	for (int i = 0; i < CLIENTS; i++)
		die(h, i);
	expect(!h->claimer, "a peer that is gone has the device");
	vfiomig_holder_free(h);
	expect(count_fds() == before, "a descriptor is left");
	expect(access(rundir, F_OK) == 0, "the directory is gone");
	return 0;
}
