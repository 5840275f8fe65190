// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Faults that can happen to any program: reads and writes that are short, interrupted or not ready,
 * and allocations that fail. Pack and unpack use the same code as save and restore, and need no
 * device.
 */
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/uio.h>
#include <xxhash.h>
#include <zstd.h>

#include "image/data.h"
#include "image/frame.h"
#include "memory.h"

#define SIZE 300000

static struct {
	bool on;
	size_t most;	    /* how many bytes one call moves at most */
	unsigned int calls; /* the number of calls; every third is interrupted or not ready */
	/* The descriptor whose calls tell of one byte more than they were asked to move; or 0 */
	int liar;
	_Atomic int truths; /* how many calls tell the truth before that */
	/* A file seems to end where bytes from this offset on are fetched; 0 for nowhere. */
	off_t end;
	_Atomic int fetches; /* how often bytes were fetched */
	int writes;	     /* how often bytes were written */
	/* A file is cut to this size when somebody looks for a hole there or beyond; 0 for
	 * never. */
	off_t cut;
} io;

static int locks; /* mutexes of contexts that were made and not destroyed */
static bool no_eventfd;
static _Atomic int encoders = INT_MAX; /* for how many workers there is memory */
static _Atomic int threads;	       /* how many threads were created */
static int cpus; /* how many processors the machine seems to have; 0 for the real number */

static char state[SIZE];

/* ---- Short counts -------------------------------------------------------- */

/* Returns true, and sets errno, if this call is to fail. */
static bool hinder(void)
{
	unsigned int n = __atomic_add_fetch(&io.calls, 1, __ATOMIC_RELAXED);

	errno = n % 2 ? EINTR : EAGAIN;
	return n % 3 == 0;
}

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	if (io.liar == fd && io.truths-- <= 0)
		return size + 1;
	if (!io.on || fd == ctx->wake)
		return __real_read(fd, buf, size);
	if (hinder())
		return -1;
	return __real_read(fd, buf, size < io.most ? size : io.most);
}

/*
 * A clock of our own, in which time goes by only in one kind of work. Each look at the clock takes
 * 100 nanoseconds.
 */
static enum work {
	REAL_TIME, /* the real clock */
	NO_WORK,
	COMPRESSING,
	DIGESTING,
	WRITING
} slow;
static _Atomic uint64_t ns;

#define WORK_NS 10000000

uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
uint64_t __wrap_now_ns(void)
{
	return slow == REAL_TIME ? __real_now_ns() : (ns += 100);
}

static void work(enum work kind)
{
	if (slow == kind)
		ns += WORK_NS;
}

XXH_errorcode __real_XXH64_update(XXH64_state_t *digest, const void *data, size_t size);
XXH_errorcode __wrap_XXH64_update(XXH64_state_t *digest, const void *data, size_t size);
XXH_errorcode __wrap_XXH64_update(XXH64_state_t *digest, const void *data, size_t size)
{
	work(DIGESTING);
	return __real_XXH64_update(digest, data, size);
}

off_t __real_lseek64(int fd, off_t at, int whence);
off_t __wrap_lseek64(int fd, off_t at, int whence);
off_t __wrap_lseek64(int fd, off_t at, int whence)
{
	if (io.cut && whence == SEEK_DATA && at >= io.cut)
		assert_int_equal(ftruncate(fd, io.cut), 0);
	return __real_lseek64(fd, at, whence);
}

/* The buffers into which chunks were fetched */
static struct {
	pthread_mutex_t lock;
	const void *at[256];
	size_t count;
} buffers_used = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void note_buffer(const void *buf)
{
	size_t i = 0;

	pthread_mutex_lock(&buffers_used.lock);
	while (i < buffers_used.count && buffers_used.at[i] != buf)
		i++;
	if (i == buffers_used.count && i < ARRAY_SIZE(buffers_used.at))
		buffers_used.at[buffers_used.count++] = buf;
	pthread_mutex_unlock(&buffers_used.lock);
}

/* How far the reader of a file may be ahead of what a worker fetches. */
static struct {
	bool on;
	off_t most;
} ahead;

static void note_ahead(int fd, off_t at)
{
	off_t now;

	if (!ahead.on)
		return;
	/* The reader has time to find the next chunks. */
	poll(NULL, 0, 1);
	now = __real_lseek64(fd, 0, SEEK_CUR) - at;
	ahead.most = now > ahead.most ? now : ahead.most;
}

ssize_t __real_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at)
{
	io.fetches++;
	note_buffer(buf);
	note_ahead(fd, at);
	if (io.end && at >= io.end)
		return 0;
	if (io.liar == fd && io.truths-- <= 0)
		return size + 1;
	if (!io.on)
		return __real_pread64(fd, buf, size, at);
	if (hinder())
		return -1;
	return __real_pread64(fd, buf, size < io.most ? size : io.most, at);
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
	if (io.liar == fd && io.truths-- <= 0) {
		ssize_t size = 1;

		for (int i = 0; i < count; i++)
			size += iov[i].iov_len;
		return size;
	}
	work(WRITING);
	io.writes++;
	if (!io.on)
		return __real_writev(fd, iov, count);
	if (hinder())
		return -1;
	return write(fd, iov->iov_base, iov->iov_len < io.most ? iov->iov_len : io.most);
}

/* Pack the state and unpack it. Returns 0 if the result is the same state, or the error. */
static int round_trip(const struct vfiomig_options *opt)
{
	int from = new_file(state, SIZE), image = new_file("", 0), to = new_file("", 0), err;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	static char got[SIZE + 1];

	err = vfiomig_pack(ctx, from, image, opt, &r);
	lseek(image, 0, SEEK_SET);
	if (!err)
		err = vfiomig_unpack(ctx, image, to, opt, &r);
	if (!err) {
		assert_int_equal(__real_pread64(to, got, sizeof(got), 0), SIZE);
		assert_memory_equal(got, state, SIZE);
	}
	close(from);
	close(image);
	close(to);
	return err;
}

/* The same for two states in one image, which is verified, too. */
static int set_round_trip(const struct vfiomig_options *opt)
{
	static const char *const names[] = { "a", "b" };
	struct vfiomig_options one = *opt;
	int ins[] = { new_file("state", 5), new_file(state, SIZE) };
	int image = new_file("", 0), to = new_file("", 0), err;
	struct vfiomig_image *looked = NULL;
	static char got[SIZE + 1];

	one.device = "b";
	err = vfiomig_pack_set(ctx, ins, names, 2, image, opt, NULL);
	lseek(image, 0, SEEK_SET);
	if (!err)
		err = vfiomig_image_open(ctx, image, &looked);
	if (!err)
		err = vfiomig_image_verify(looked, opt, NULL);
	vfiomig_image_free(looked);
	lseek(image, 0, SEEK_SET);
	if (!err)
		err = vfiomig_unpack(ctx, image, to, &one, NULL);
	if (!err) {
		assert_int_equal(__real_pread64(to, got, sizeof(got), 0), SIZE);
		assert_memory_equal(got, state, SIZE);
	}
	close(ins[0]);
	close(ins[1]);
	close(image);
	close(to);
	return err;
}

static void test_short_counts(void **unused)
{
	static const size_t most[] = { 1000, 4097, 65536, SIZE };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		for (int level = 0; level <= 3; level += 3) {
			const struct vfiomig_options opt = {
				.size = sizeof(struct vfiomig_options),
				.leave = -1,
				.level = level,
				.threads = 2,
				.chunk_size = VFIOMIG_CHUNK_SIZE_MIN,
			};

			io.on = true;
			io.most = most[i];
			assert_int_equal(round_trip(&opt), 0);
			io.on = false;
		}
	}
}

/* Each call moves a single byte, those for the frames too. */
static void test_single_bytes(void **unused)
{
	int from = new_file("state", 5), image = new_file("", 0), to = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	char got[8] = "";

	(void)unused;
	io.on = true;
	io.most = 1;
	assert_int_equal(vfiomig_pack(ctx, from, image, NULL, &r), 0);
	lseek(image, 0, SEEK_SET);
	assert_int_equal(vfiomig_unpack(ctx, image, to, NULL, &r), 0);
	io.on = false;
	assert_int_equal(pread(to, got, sizeof(got), 0), 5);
	assert_string_equal(got, "state");
	close(from);
	close(image);
	close(to);
}

/* A call says that it has moved more than it could. Nothing is believed. */
static void test_lies(void **unused)
{
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .chunk_size = VFIOMIG_CHUNK_SIZE_MIN };
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)unused;
	for (int call = 0; call < 10; call++) {
		int from = new_file(state, SIZE), image = new_file("", 0), to = new_file("", 0);

		io.liar = call % 2 ? from : image;
		io.truths = call / 2;
		assert_int_equal(vfiomig_pack(ctx, from, image, &opt, &r), -EIO);
		assert_says("more bytes than it was asked to move");
		assert_false(r.complete);
		io.liar = 0;
		lseek(from, 0, SEEK_SET);
		lseek(image, 0, SEEK_SET);
		assert_int_equal(ftruncate(image, 0), 0);
		assert_int_equal(vfiomig_pack(ctx, from, image, &opt, &r), 0);
		lseek(image, 0, SEEK_SET);
		io.liar = call % 2 ? image : to;
		io.truths = call / 2;
		assert_int_equal(vfiomig_unpack(ctx, image, to, &opt, &r), -EIO);
		assert_says("more bytes than it was asked to move");
		assert_false(r.complete);
		io.liar = 0;
		close(from);
		close(image);
		close(to);
	}
}

/* A file becomes shorter while its chunks are fetched. */
static void test_shrinking(void **unused)
{
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .chunk_size = VFIOMIG_CHUNK_SIZE_MIN };
	int from = new_file(state, SIZE), image = new_file("", 0), to = new_file("", 0);

	(void)unused;
	io.end = 2 * VFIOMIG_CHUNK_SIZE_MIN;
	assert_int_equal(vfiomig_pack(ctx, from, image, &opt, NULL), -EIO);
	assert_says("reading the state: the file has become shorter meanwhile");
	io.end = 0;
	lseek(from, 0, SEEK_SET);
	lseek(image, 0, SEEK_SET);
	assert_int_equal(ftruncate(image, 0), 0);
	assert_int_equal(vfiomig_pack(ctx, from, image, &opt, NULL), 0);
	assert_int_equal(lseek(from, 0, SEEK_CUR), SIZE);
	lseek(image, 0, SEEK_SET);
	io.end = 2 * VFIOMIG_CHUNK_SIZE_MIN;
	assert_int_equal(vfiomig_unpack(ctx, image, to, &opt, NULL), -EBADMSG);
	assert_says("the image is truncated: it ends after 2 chunks, without a trailer");
	io.end = 0;
	close(from);
	close(image);
	close(to);
}

/* A file becomes shorter where a hole was. The hole is no zeros of the state. */
static void test_cut_hole(void **unused)
{
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .chunk_size = VFIOMIG_CHUNK_SIZE_MIN };
	int from = new_file("12345", 5), image = new_file("", 0);

	(void)unused;
	assert_int_equal(ftruncate(from, SIZE), 0);
	io.cut = 2 * VFIOMIG_CHUNK_SIZE_MIN;
	assert_int_equal(vfiomig_pack(ctx, from, image, &opt, NULL), -EIO);
	assert_says("reading the state: the file has become shorter meanwhile");
	io.cut = 0;
	close(from);
	close(image);
}

/* Chunks that are holes of the file are not read. Others are, from where the file stands. */
static void test_holes(void **unused)
{
	const size_t chunk = VFIOMIG_CHUNK_SIZE_MIN, size = 10 * chunk + 5;
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .chunk_size = chunk };
	int from = new_file("12345", 5), image = new_file("", 0), to = new_file("", 0);
	char *want = calloc(1, size), *got = malloc(size);

	(void)unused;
	assert_int_equal(ftruncate(from, 5 + size), 0);
	assert_int_equal(pwrite(from, "in chunk 3", 10, 5 + 3 * chunk), 10);
	memcpy(want + 3 * chunk, "in chunk 3", 10);
	lseek(from, 5, SEEK_SET);
	io.fetches = 0;
	assert_int_equal(vfiomig_pack(ctx, from, image, &opt, NULL), 0);
	/* Each of the two pages that are there has bytes of a chunk before, or of the first. */
	assert_int_equal(io.fetches, 3);
	lseek(image, 0, SEEK_SET);
	assert_int_equal(vfiomig_unpack(ctx, image, to, &opt, NULL), 0);
	assert_int_equal(__real_pread64(to, got, size, 0), size);
	assert_memory_equal(got, want, size);
	free(want);
	free(got);
	close(from);
	close(image);
	close(to);
}

/* The state of a device of a set becomes shorter. */
static void test_set_shrinking(void **unused)
{
	static const char *const names[] = { "a", "b" };
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .device = "b",
					     .threads = 1,
					     .chunk_size = VFIOMIG_CHUNK_SIZE_MIN };
	int ins[] = { new_file("state", 5), new_file(state, SIZE) };
	int image = new_file("", 0), to = new_file("", 0);

	(void)unused;
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, image, &opt, NULL), 0);
	lseek(image, 0, SEEK_SET);
	io.end = 3 * VFIOMIG_CHUNK_SIZE_MIN;
	assert_int_equal(vfiomig_unpack(ctx, image, to, &opt, NULL), -EBADMSG);
	assert_says("the image is truncated: it ends in chunk ");
	assert_says(" of b");
	io.end = 0;
	close(ins[0]);
	close(ins[1]);
	close(image);
	close(to);
}

/* The reader of a set does not run ahead of the workers, and each chunk is one write. The trailers
 * of the devices are written in the pipeline, which watches for itself. */
static void test_set_in_step(void **unused)
{
	static const char *const names[] = { "a", "b" };
	const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
					     .leave = -1,
					     .threads = 1,
					     .chunk_size = VFIOMIG_CHUNK_SIZE_MIN };
	const int chunks = 60;
	const size_t size = chunks * VFIOMIG_CHUNK_SIZE_MIN;
	char *large = malloc(size);
	int ins[2], image = new_file("", 0);
	struct vfiomig_image *looked;

	(void)unused;
	for (size_t i = 0; i < size; i++)
		large[i] = i * i % 251;
	for (int i = 0; i < 2; i++)
		ins[i] = new_file(large, size);
	io.writes = threads = 0;
	assert_int_equal(vfiomig_pack_set(ctx, ins, names, 2, image, &opt, NULL), 0);
	/* And the header, and three trailers */
	assert_int_equal(io.writes, 2 * chunks + 4);
	/* Two readers, a worker and a watcher; and one for the first bytes of each state, one for
	 * the header and one for the set's trailer */
	assert_int_equal(threads, 4 + 4);
	lseek(image, 0, SEEK_SET);
	assert_int_equal(vfiomig_image_open(ctx, image, &looked), 0);
	ahead.on = true;
	assert_int_equal(vfiomig_image_verify(looked, &opt, NULL), 0);
	ahead.on = false;
	assert_in_range(ahead.most, 1, 16 * VFIOMIG_CHUNK_SIZE_MIN);
	vfiomig_image_free(looked);
	free(large);
	close(ins[0]);
	close(ins[1]);
	close(image);
}

/* ---- No memory ----------------------------------------------------------- */

/* How many bytes of the pipeline's large buffers were allocated. */
static _Atomic size_t buffers;

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	buffers += size;
	return is_out() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__real_ZSTD_createCCtx(void);
void *__wrap_ZSTD_createCCtx(void);
void *__wrap_ZSTD_createCCtx(void)
{
	return is_out() ? NULL : __real_ZSTD_createCCtx();
}

void *__real_ZSTD_createDCtx(void);
void *__wrap_ZSTD_createDCtx(void);
void *__wrap_ZSTD_createDCtx(void)
{
	return is_out() ? NULL : __real_ZSTD_createDCtx();
}

void *__real_XXH3_createState(void);
void *__wrap_XXH3_createState(void);
void *__wrap_XXH3_createState(void)
{
	return is_out() ? NULL : __real_XXH3_createState();
}

void *__real_XXH64_createState(void);
void *__wrap_XXH64_createState(void);
void *__wrap_XXH64_createState(void)
{
	return is_out() ? NULL : __real_XXH64_createState();
}

/* Failures after which the work goes on where another thread does it. */
static _Atomic bool thread_failed, worker_failed;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	threads++;
	if (!is_out())
		return __real_pthread_create(thread, attr, fn, arg);
	thread_failed = true;
	return EAGAIN;
}

int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	if (!cpus)
		return __real_sched_getaffinity(pid, size, set);
	/* The kernel refuses a set that is too small for the machine. */
	if (cpus > CPU_SETSIZE) {
		errno = EINVAL;
		return -1;
	}
	CPU_ZERO(set);
	for (int i = 0; i < cpus; i++)
		CPU_SET(i, set);
	return 0;
}

long __real_sysconf(int name);
long __wrap_sysconf(int name);
long __wrap_sysconf(int name)
{
	return cpus && name == _SC_NPROCESSORS_ONLN ? cpus : __real_sysconf(name);
}

/* The threads that pack starts for one call each: they watch the first read of the state, and the
 * writes of the header and the trailer. */
#define PACK_WATCHERS 3

static int slow_until; /* compression takes until there are so many threads */

size_t __real_ZSTD_compress2(ZSTD_CCtx *cctx, void *to, size_t room, const void *from, size_t size);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *cctx, void *to, size_t room, const void *from, size_t size);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *cctx, void *to, size_t room, const void *from, size_t size)
{
	work(COMPRESSING);
	/* The reader has time to find the next chunk. */
	if (slow != REAL_TIME)
		poll(NULL, 0, 1);
	for (int ms = 0; ms < 2000 && threads < slow_until; ms++)
		poll(NULL, 0, 1);
	return __real_ZSTD_compress2(cctx, to, room, from, size);
}

/*
 * By default there are at most as many workers as processors, as far as the memory allows, and two
 * more threads: one reads, and one watches. As many are there when the work takes long. Otherwise
 * there is one, however many processors there are.
 */
static void test_processors(void **unused)
{
	static const int counts[] = { 1, 2, 1000, 2000 };
	const struct vfiomig_options opt = {
		.size = sizeof(struct vfiomig_options),
		.leave = -1,
		.level = 1,
		.chunk_size = VFIOMIG_CHUNK_SIZE_MIN,
	};
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	const size_t size = 200 * VFIOMIG_CHUNK_SIZE_MIN;
	char *large = malloc(size);

	(void)unused;
	for (size_t i = 0; i < size; i++)
		large[i] = i * i % 251;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		int small = new_file("state", 5), from = new_file(large, size);
		int image = new_file("", 0);
		/* What the memory allows */
		int most = counts[i] < 174 ? counts[i] : 174;

		cpus = counts[i];
		threads = 0;
		assert_int_equal(vfiomig_pack(ctx, small, image, &opt, &r), 0);
		assert_int_equal(threads, 1 + 2 + PACK_WATCHERS);
		threads = 0;
		/* The last watcher is yet to come. */
		slow_until = most + 2 + PACK_WATCHERS - 1;
		assert_int_equal(vfiomig_pack(ctx, from, image, &opt, &r), 0);
		assert_int_equal(threads, most + 2 + PACK_WATCHERS);
		slow_until = 0;
		cpus = 0;
		close(small);
		close(from);
		close(image);
	}
	free(large);
}

/* Pack 60 chunks while one kind of work takes time. Returns how many workers there were. */
static int workers_for(enum work kind)
{
	const struct vfiomig_options opt = {
		.size = sizeof(struct vfiomig_options),
		.leave = -1,
		.level = 1,
		.threads = 100,
		.chunk_size = VFIOMIG_CHUNK_SIZE_MIN,
	};
	const size_t size = 60 * VFIOMIG_CHUNK_SIZE_MIN;
	char *large = malloc(size);
	int from, image = new_file("", 0);

	for (size_t i = 0; i < size; i++)
		large[i] = i * i % 251;
	from = new_file(large, size);
	free(large);
	threads = 0;
	buffers_used.count = 0;
	slow = kind;
	assert_int_equal(vfiomig_pack(ctx, from, image, &opt, NULL), 0);
	slow = REAL_TIME;
	close(from);
	close(image);
	return threads - 2 - PACK_WATCHERS;
}

/*
 * One worker works alone as long as no time goes by, or all of it in a stage that takes one chunk
 * at a time. Then three chunks are under way, and the buffers of the others are left alone.
 */
static void test_help(void **unused)
{
	(void)unused;
	for (enum work kind = NO_WORK; kind <= WRITING; kind++) {
		int workers = workers_for(kind);

		if (kind == COMPRESSING)
			assert_in_range(workers, 2, 100);
		else
			assert_int_equal(workers, 1);
		assert_in_range(buffers_used.count, 1, workers + 2);
	}
}

void *__real_frame_encoder_new(const void *how);
void *__wrap_frame_encoder_new(const void *how);
void *__wrap_frame_encoder_new(const void *how)
{
	void *encoder = encoders-- > 0 ? __real_frame_encoder_new(how) : NULL;

	if (!encoder)
		worker_failed = true;
	return encoder;
}

void *__real_frame_decoder_new(const void *how);
void *__wrap_frame_decoder_new(const void *how);
void *__wrap_frame_decoder_new(const void *how)
{
	void *decoder = __real_frame_decoder_new(how);

	if (!decoder)
		worker_failed = true;
	return decoder;
}

/* A worker that has no memory is only missed if there is no other one. */
static void test_poor_workers(void **unused)
{
	int from = new_file(state, SIZE), image = new_file("", 0);

	(void)unused;
	encoders = 1;
	assert_in_range(workers_for(COMPRESSING), 2, 100);
	assert_true(encoders < 0);
	encoders = 0;
	assert_int_equal(vfiomig_pack(ctx, from, image, NULL, NULL), -ENOMEM);
	encoders = INT_MAX;
	close(from);
	close(image);
}

/* How many workers there would be: what the log says if that is fewer than it was asked for. */
static int workers;

static void note_workers(void *unused, const char *line)
{
	(void)unused;
	sscanf(line, "%d of", &workers);
}

/* Pack a little state with these options, and unpack it. Returns the greatest number of bytes that
 * one of the two has for its chunks and its workers. */
static size_t memory_of(const struct vfiomig_options *opt)
{
	size_t worker = frame_encoder_room(opt->chunk_size, opt->level), packed, unpacked;
	int from = new_file("state", 5), image = new_file("", 0), to = new_file("", 0);

	workers = 0;
	buffers = 0;
	vfiomig_set_log(ctx, note_workers, NULL);
	assert_int_equal(vfiomig_pack(ctx, from, image, opt, NULL), 0);
	vfiomig_set_log(ctx, NULL, NULL);
	assert_true(workers > 0);
	packed = buffers + workers * worker;
	lseek(image, 0, SEEK_SET);
	threads = 0;
	buffers = 0;
	assert_int_equal(vfiomig_unpack(ctx, image, to, opt, NULL), 0);
	assert_true(threads > 2);
	unpacked = buffers;
	close(from);
	close(image);
	close(to);
	return packed > unpacked ? packed : unpacked;
}

/* Whatever the size of the chunks, the level, the number of processors and that of threads is,
 * there is one bound. */
static void test_memory(void **unused)
{
	static const struct {
		size_t chunk_size;
		int level, threads;
	} cases[] = {
		{ CHUNK_SIZE_DEFAULT, 3, 0 },
		{ CHUNK_SIZE_DEFAULT, 19, 512 },
		{ VFIOMIG_CHUNK_SIZE_MAX, 19, 512 },
	};

	(void)unused;
	cpus = 256;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;

		opt.threads = cases[i].threads;
		opt.chunk_size = cases[i].chunk_size;
		opt.level = cases[i].level;
		assert_in_range(memory_of(&opt), 0, PIPELINE_MEMORY_MAX);
	}
	cpus = 0;
}

/*
 * Each allocation of a round trip fails once. The result is an error with a sentence, no leak (the
 * sanitizer looks for leaks) and no hang, and the next attempt works.
 */
static void fail_each(int (*trip)(const struct vfiomig_options *opt))
{
	unsigned int failed = 0;

	for (int level = 0; level <= 3; level += 3) {
		const struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
						     .leave = -1,
						     .level = level,
						     .threads = 2 };

		for (fail_at = 1;; fail_at++) {
			int err;

			allocations = 0;
			thread_failed = worker_failed = false;
			ctx->error[0] = '\0';
			err = trip(&opt);
			if (allocations < fail_at)
				break;
			/* Without a thread that watches a header, only signals end its read.
			 * Without the second worker the first one does all. */
			if (!err && (thread_failed || worker_failed))
				continue;
			assert_true(err == -ENOMEM || err == -EAGAIN);
			if (err == -EAGAIN)
				assert_says("cannot start a thread: Resource temporarily");
			assert_true(*vfiomig_get_error(ctx));
			failed++;
		}
		fail_at = 0;
		assert_int_equal(trip(&opt), 0);
	}
	assert_true(failed > 20);
}

static void test_no_memory(void **unused)
{
	struct vfiomig_ctx *none;

	(void)unused;
	fail_each(round_trip);
	fail_each(set_round_trip);
	fail_at = 1;
	allocations = 0;
	assert_int_equal(vfiomig_new(&none), -ENOMEM);
	fail_at = 0;
}

/* ---- Contexts ------------------------------------------------------------ */

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	locks++;
	return __real_pthread_mutex_init(mutex, attr);
}

int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	locks--;
	return __real_pthread_mutex_destroy(mutex);
}

int __real_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags);
int __wrap_eventfd(unsigned int count, int flags)
{
	if (no_eventfd) {
		errno = EMFILE;
		return -1;
	}
	return __real_eventfd(count, flags);
}

/* A context destroys its two mutexes, also one that could not be made. */
static void test_locks(void **unused)
{
	struct vfiomig_ctx *other;
	int before = locks;

	(void)unused;
	assert_int_equal(vfiomig_new(&other), 0);
	assert_int_equal(locks, before + 2);
	vfiomig_unref(other);
	assert_int_equal(locks, before);
	no_eventfd = true;
	assert_int_equal(vfiomig_new(&other), -EMFILE);
	no_eventfd = false;
	assert_int_equal(locks, before);
}

static int make(void **unused)
{
	for (size_t i = 0; i < SIZE; i++)
		state[i] = i * i % 251;
	return make_ctx(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_counts),  cmocka_unit_test(test_single_bytes),
		cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_lies),
		cmocka_unit_test(test_memory),	      cmocka_unit_test(test_processors),
		cmocka_unit_test(test_locks),	      cmocka_unit_test(test_shrinking),
		cmocka_unit_test(test_set_shrinking), cmocka_unit_test(test_set_in_step),
		cmocka_unit_test(test_holes),	      cmocka_unit_test(test_cut_hole),
		cmocka_unit_test(test_help),	      cmocka_unit_test(test_poor_workers),
	};

	return cmocka_run_group_tests(tests, make, free_ctx);
}
