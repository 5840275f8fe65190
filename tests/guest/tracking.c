// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tracking SOURCE DESTINATION SAVES: pre-copy saves of an ivshmem device while threads of this
 * program write to its memory in several ways. The threads stop just before the device does. When
 * the stream is loaded into the other device, that device's memory must be equal to what the memory
 * was then, byte for byte, every time.
 *
 * tracking SOURCE DESTINATION SAVES FILE: the same, with writers of which the user of the device
 * knows nothing: through FILE, which has the memory in sysfs, from the host
 * (tests/host/scribbler.c), and, if there is KVM, a virtual CPU. SAVES are those among which all
 * but the virtual CPU write at once; each kind of writer by itself has a quarter of that.
 *
 * tracking DEV: sessions that end in all ways while the memory is written, and, if the memory is
 * not too large, signals that come while the driver reads it.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

#include "random.h"
#include "tap.h"
#include "vcpu.h"
#include "whole.h"

#define PAGE	4096
#define WRITERS 2

static struct vfiomig_device *src, *dst;
static volatile uint64_t *memory; /* the mapped memory of src */
static uint64_t *loaded;	  /* the mapped memory of dst */
static size_t size;
static volatile uint64_t *resource; /* the memory of src, through sysfs */
static volatile uint64_t *host;	    /* tells the writer on the host what to do */

/* Map the memory at this address, in place of what may be there. */
static void *map_at(struct vfiomig_device *dev, void *at)
{
	struct vfio_region_info info = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX);

	if (mmap(at, info.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 vfiomig_device_get_fd(dev), info.offset) == MAP_FAILED)
		err(1, "mmap");
	size = info.size;
	return at;
}

/* Map the memory at an address that permits the largest pages that fit. */
static void *map(struct vfiomig_device *dev)
{
	struct vfio_region_info info = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX);
	size_t huge = info.size < 1 << 30 ? 2 << 20 : 1 << 30;
	char *room = mmap(NULL, info.size + huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		err(1, "mmap");
	return map_at(dev, room + -(uintptr_t)room % huge);
}

/* ---- The writers --------------------------------------------------------- */

static struct mode {
	const char *name;
	void (*write)(uint64_t *seed);
	unsigned int us; /* microseconds between two writes */
	bool host;	 /* the host writes, too */
} mode;

static atomic_bool hold, quit;
static atomic_int held;
static atomic_ulong writes;

static void write_random(uint64_t *seed)
{
	uint64_t r = next_random(seed);

	memory[r % (size / 8)] = r;
}

static void write_in_order(uint64_t *seed)
{
	*seed += 40;
	memory[*seed % (size / 8)] = *seed;
}

/* A page is read before it is written to. */
static void read_and_write(uint64_t *seed)
{
	size_t at = next_random(seed) % (size / 8);

	memory[at] = memory[at] * 5 + 1;
}

/* Most pages are read, and few written to. */
static void mostly_read(uint64_t *seed)
{
	uint64_t sum = 0;

	for (int i = 0; i < 16; i++)
		sum += memory[next_random(seed) % (size / 8)];
	memory[next_random(seed) % (size / 8)] = sum;
}

static void write_file(uint64_t *seed)
{
	char data[6000];
	size_t n = next_random(seed) % sizeof(data) + 1;

	memset(data, *seed, sizeof(data));
	region_write(src, VFIO_PCI_BAR2_REGION_INDEX, next_random(seed) % (size - n), data, n);
}

static void write_any(uint64_t *seed)
{
	if (next_random(seed) % 16 == 0)
		write_file(seed);
	else if (next_random(seed) % 2)
		read_and_write(seed);
	else
		write_random(seed);
}

static void write_nothing(uint64_t *seed)
{
	(void)seed;
}

static void write_resource(uint64_t *seed)
{
	uint64_t r = next_random(seed);

	resource[r % (size / 8)] = r;
}

static void write_vcpu(uint64_t *seed)
{
	static _Thread_local struct vcpu vcpu;

	(void)seed;
	if (!vcpu.run)
		vcpu = vcpu_make((void *)memory);
	vcpu_run(&vcpu);
}

static void write_both(uint64_t *seed)
{
	if (next_random(seed) % 2)
		write_resource(seed);
	else
		write_any(seed);
}

static const struct mode foreign[] = {
	{ "through sysfs, all the time", write_resource, 0, false },
	{ "through sysfs, often", write_resource, 50, false },
	{ "from the host", write_nothing, 100, true },
};

static const struct mode everybody[] = {
	{ "by everybody, all the time", write_both, 0, true },
	{ "by everybody, often", write_both, 50, true },
};

static const struct mode virtual[] = {
	{ "by virtual CPUs, all the time", write_vcpu, 0, false },
	{ "by virtual CPUs, often", write_vcpu, 1000, false },
	{ "by virtual CPUs and the host", write_vcpu, 100, true },
};

static const struct mode modes[] = {
	{ "anywhere, all the time", write_random, 0, false },
	{ "anywhere, often", write_random, 50, false },
	{ "anywhere, at times", write_random, 1000, false },
	{ "in order, all the time", write_in_order, 0, false },
	{ "in order, often", write_in_order, 50, false },
	{ "after reading, all the time", read_and_write, 0, false },
	{ "after reading, often", read_and_write, 50, false },
	{ "among many reads", mostly_read, 20, false },
	{ "by pwrite, all the time", write_file, 0, false },
	{ "by pwrite, often", write_file, 200, false },
	{ "in every way", write_any, 20, false },
};

static void *writer(void *arg)
{
	uint64_t seed = 0x9e3779b97f4a7c15 * (1 + (uintptr_t)arg);

	while (!quit) {
		if (hold) {
			held++;
			while (hold && !quit)
				usleep(100);
			held--;
			continue;
		}
		mode.write(&seed);
		writes++;
		if (mode.us)
			usleep(mode.us);
	}
	return NULL;
}

static void hold_writers(void)
{
	hold = true;
	while (held < WRITERS)
		usleep(20);
	if (!host)
		return;
	host[0] = true;
	while (!host[1])
		usleep(20);
}

static void release_writers(void)
{
	hold = false;
	while (held)
		usleep(20);
	if (!mode.host)
		return;
	host[0] = false;
	while (host[1])
		usleep(20);
}

/* ---- One save ------------------------------------------------------------ */

static struct whole stream;

/* Read a random amount of the stream. Returns the result of read(). */
static ssize_t read_some(int fd)
{
	size_t n = random() % 100000 + 1;
	ssize_t got;

	got = read(fd, whole_room(&stream, n), n);
	if (got > 0)
		stream.size += got;
	return got;
}

static void read_running(int fd)
{
	if (read_some(fd) >= 0)
		return;
	if (errno != ENOMSG)
		err(1, "read in PRE_COPY");
	usleep(100);
}

/* Save, mostly beyond the first pass. Returns how many bytes were read in STOP_COPY. */
static size_t save(void)
{
	int fd = device_go(src, VFIOMIG_STATE_PRE_COPY);
	uint64_t end = now_us() + random() % 40000;
	size_t least = random() % 8 ? size + PAGE : random() % size;
	size_t before;
	ssize_t n;

	stream.size = 0;
	/* Perhaps nothing more comes: wait for a second at most. */
	while (now_us() < end || (stream.size < least && now_us() < end + 1000000))
		read_running(fd);
	if (random() % 2) {
		device_go(src, VFIOMIG_STATE_PRE_COPY_P2P);
		for (int i = random() % 8; i; i--)
			read_running(fd);
	}
	hold_writers();
	device_go(src, VFIOMIG_STATE_STOP_COPY);
	before = stream.size;
	while ((n = read_some(fd)) > 0)
		;
	if (n < 0)
		err(1, "read in STOP_COPY");
	close(fd);
	return stream.size - before;
}

static void load(void)
{
	int fd = device_go(dst, VFIOMIG_STATE_RESUMING);

	/* Overwrite the memory of the last time. */
	memset(loaded, 0xa5, size);
	if (!write_all(fd, stream.data, stream.size))
		err(1, "load");
	device_go(dst, VFIOMIG_STATE_RUNNING);
	close(fd);
}

/* Returns how many pages differ. */
static int compare(void)
{
	int different = 0;

	for (size_t at = 0; at < size / 8; at += PAGE / 8)
		different += memcmp((void *)(memory + at), loaded + at, PAGE) != 0;
	return different;
}

static void test_mode(const struct mode *m, int saves)
{
	size_t again = 0, rest = 0;
	int lost = 0, bad = 0;

	mode = *m;
	writes = 0;
	for (int i = 0; i < saves; i++) {
		int different;

		release_writers();
		rest += save();
		again += stream.size > size ? stream.size - size : 0;
		load();
		different = compare();
		lost += different;
		bad += different != 0;
		device_go(src, VFIOMIG_STATE_RUNNING);
	}
	tap(lost == 0 && again > 0,
	    "%d saves while the memory is written %s: %d are wrong, %d pages are lost", saves,
	    m->name, bad, lost);
	printf("# a save: %lu writes, %zu KiB sent again, %zu KiB in STOP_COPY\n", writes / saves,
	       again / saves >> 10, rest / saves >> 10);
}

static void test_modes(const struct mode *m, int count, int saves)
{
	for (int i = 0; i < count; i++)
		test_mode(&m[i], (saves + count - 1) / count);
}

#define TEST_MODES(modes, saves) test_modes(modes, sizeof(modes) / sizeof(modes[0]), saves)

/* The last page of the memory is for what the host and this program tell each other. */
static void map_foreign(const char *file)
{
	int fd = open(file, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", file);
	resource = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (resource == MAP_FAILED)
		err(1, "mapping %s", file);
	close(fd);
	size -= PAGE;
	host = memory + size / 8;
}

static void test_saves(int saves, const char *file)
{
	pthread_t threads[WRITERS];

	loaded = map(dst);
	memory = map(src);
	if (file)
		map_foreign(file);
	hold = true;
	for (uintptr_t i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, writer, (void *)i))
			errx(1, "pthread_create");
	hold_writers();
	if (!file) {
		TEST_MODES(modes, saves);
	} else {
		TEST_MODES(foreign, saves / 4);
		TEST_MODES(everybody, saves);
	}
	if (file && access("/dev/kvm", F_OK) == 0)
		TEST_MODES(virtual, saves / 4);
	quit = true;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
}

/* ---- Sessions that end early --------------------------------------------- */

static atomic_int session = -1;

/* Ask for information all the time. The answers do not matter, as long as nothing breaks. */
static void *observer(void *arg)
{
	struct vfio_precopy_info *info = arg;

	info->argsz = sizeof(*info);
	while (!quit) {
		int fd = session;
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (fd < 0 || poll(&p, 1, 1) < 0)
			continue;
		ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info);
	}
	return NULL;
}

static void end_session(int fd)
{
	static const int states[] = {
		VFIOMIG_STATE_RUNNING,	 VFIOMIG_STATE_RUNNING_P2P,  VFIOMIG_STATE_STOP,
		VFIOMIG_STATE_STOP_COPY, VFIOMIG_STATE_PRE_COPY_P2P,
	};
	int state = states[random() % 5];

	if (random() % 2) {
		device_go(src, state);
		read_some(fd);
	}
	if (random() % 2)
		device_reset(src);
	device_go(src, VFIOMIG_STATE_RUNNING);
}

static void test_upheaval(int sessions)
{
	static struct vfio_precopy_info info;
	pthread_t threads[WRITERS + 1];
	bool dead = true;

	mode = (struct mode){ .write = write_any };
	for (uintptr_t i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, writer, (void *)i))
			errx(1, "pthread_create");
	if (pthread_create(&threads[WRITERS], NULL, observer, &info))
		errx(1, "pthread_create");
	for (int i = 0; i < sessions; i++) {
		int fd;

		/* A new mapping has no page tables yet, and the writers fill them. */
		map_at(src, (void *)memory);
		fd = device_go(src, VFIOMIG_STATE_PRE_COPY);

		stream.size = 0;
		session = fd;
		while (read_some(fd) > 0 && random() % 8)
			;
		end_session(fd);
		dead &= read_some(fd) < 0 && errno == ENODEV;
		session = -1;
		close(fd);
	}
	quit = true;
	for (int i = 0; i <= WRITERS; i++)
		pthread_join(threads[i], NULL);
	tap(dead, "%d sessions that end in any way, %lu writes meanwhile", sessions, writes);
}

/* ---- Signals ------------------------------------------------------------- */

#define LARGE (64 << 20)

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal comes again and again after so much time. */
static void set_alarms(uint64_t us)
{
	struct itimerval timer = { .it_interval.tv_usec = us, .it_value.tv_usec = us };
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Begin a session, and read the first pass, but nothing after it. */
static int read_first_pass(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int fd = device_go(src, VFIOMIG_STATE_PRE_COPY);

	stream.size = 0;
	if (ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info))
		err(1, "VFIO_MIG_GET_PRECOPY_INFO");
	while (info.initial_bytes) {
		ssize_t n = read(fd, whole_room(&stream, info.initial_bytes), info.initial_bytes);

		if (n <= 0)
			err(1, "read");
		info.initial_bytes -= n;
	}
	return fd;
}

/*
 * The next read looks at all of the memory, and signals come meanwhile. Each of them ends the
 * read, but what was looked at need not be looked at again. Returns how many came.
 */
static int read_among_signals(int fd, uint64_t us, ssize_t *got)
{
	int signals = 0;
	char byte;

	set_alarms(us);
	while ((*got = read(fd, &byte, 1)) < 0 && errno == EINTR && signals < 2000)
		signals++;
	set_alarms(0);
	return signals;
}

static void test_signals(void)
{
	int fd = read_first_pass(), signals;
	uint64_t us = now_us();
	ssize_t got;
	char byte;

	if (read(fd, &byte, 1) >= 0 || errno != ENOMSG)
		err(1, "read at the end of the first pass");
	us = (now_us() - us) / 8 + 1;
	close(fd);
	device_go(src, VFIOMIG_STATE_RUNNING);

	fd = read_first_pass();
	signals = read_among_signals(fd, us, &got);
	tap(signals > 0 && got < 0 && errno == ENOMSG,
	    "a signal ends a look at the memory, and the next read goes on with it (%d, %m)",
	    signals);
	close(fd);
	device_go(src, VFIOMIG_STATE_RUNNING);

	fd = read_first_pass();
	memory[size / 8 - 1]++;
	signals = read_among_signals(fd, us, &got);
	tap(signals > 0 && got == 1, "a change behind several signals is found (%d)", signals);
	close(fd);
	device_go(src, VFIOMIG_STATE_RUNNING);
}

int main(int argc, char **argv)
{
	struct vfiomig_ctx *ctx;

	if (argc != 2 && argc != 4 && argc != 5)
		errx(2, "usage: tracking SOURCE [DESTINATION SAVES [FILE]]");
	ctx = new_context();
	src = device_open(ctx, argv[1]);
	if (argc == 2) {
		memory = map(src);
		if (size <= LARGE)
			test_signals();
		test_upheaval(200);
	} else {
		dst = device_open(ctx, argv[2]);
		test_saves(atoi(argv[3]), argv[4]);
	}
	vfiomig_device_unref(src);
	vfiomig_device_unref(dst);
	vfiomig_unref(ctx);
	return tap_end();
}
