// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * craft DEV: streams for an ivshmem device of more than 1 MiB of memory, as driver/format.h
 * describes them. Each has the right total length and digest, so that a refused stream is refused
 * for its contents.
 */
#include "device.h"
#include "model.h"
#include "tap.h"

static struct vfiomig_device *dev;
static uint64_t size; /* the size of the device's memory */

/* The stream, and the memory that the device must have once the stream is loaded. */
static unsigned char *stream, *memory;
static size_t length;

static void put(const void *data, size_t n)
{
	memcpy(stream + length, data, n);
	length += n;
}

static void put32(uint32_t value)
{
	value = htole32(value);
	put(&value, sizeof(value));
}

static void put64(uint64_t value)
{
	value = htole64(value);
	put(&value, sizeof(value));
}

static void header_of(uint64_t magic, uint32_t version, uint32_t granule, uint64_t memory_size,
		      uint64_t device)
{
	length = 0;
	put64(magic);
	put32(version);
	put32(granule);
	put64(memory_size);
	put64(device);
}

/* The last field of a header: the number of MSI-X vectors, and the revision. */
#define DEVICE(vectors, revision) ((vectors) | (uint64_t)(revision) << 32)
#define PLAIN			  DEVICE(0, MODEL_REVISION)

static void header(void)
{
	header_of(MODEL_MAGIC, MODEL_VERSION, MODEL_GRANULE, size, PLAIN);
}

static void record(uint32_t type, uint32_t reserved, uint64_t offset, uint64_t n)
{
	put32(type);
	put32(reserved);
	put64(offset);
	put64(n);
}

/* Put a record's data, which is different each time. */
static void data(size_t n)
{
	for (size_t i = 0; i < n; i += 4)
		put32(random());
}

static void mem(uint64_t offset, uint64_t n)
{
	record(MODEL_MEM, 0, offset, n);
	data(n);
	memcpy(memory + offset, stream + length - n, n);
}

static void mem_between(uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t n = to - from < MODEL_MEM_MAX ? to - from : MODEL_MEM_MAX;

		mem(from, n);
		from += n;
	}
}

static void all_mem(void)
{
	mem_between(0, size);
}

static void regs(void)
{
	record(MODEL_REGS, 0, 0, 8);
	put32(0x600d);
	put32(0);
}

/* Put the data of END: the total length and the digest. */
static void total(void)
{
	uint64_t n = length;

	put64(n);
	put64(XXH64(stream, n, 0));
}

static void end(void)
{
	record(MODEL_END, 0, 0, 16);
	/* The total length includes END's record, but not its data. */
	total();
}

/*
 * Returns the result of the arc to STOP, which is what counts: the driver may take a bad stream
 * until then. If the driver refuses a write, the error must be EINVAL.
 */
static int load(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none, ret;

	if (!write_all(fd, stream, length) && errno != EINVAL)
		err(1, "write");
	ret = vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none);
	close(fd);
	return ret;
}

static void taken(const char *what)
{
	unsigned char *now = malloc(size);
	bool good = load() == 0;

	region_read(dev, VFIO_PCI_BAR2_REGION_INDEX, 0, now, size);
	tap(good && memcmp(now, memory, size) == 0 && reg_read(dev, INTR_MASK) == 0x600d,
	    "%s: accepted, and the device has the state", what);
	free(now);
	device_reset(dev);
}

static void refused(const char *what)
{
	tap(load() < 0 && vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING &&
		    reg_read(dev, INTR_MASK) == 0,
	    "%s: refused", what);
	device_reset(dev);
}

/* The stream begins with an additional record, which must be refused, and is complete otherwise. */
static void refused_first(const char *what, uint32_t type, uint32_t reserved, uint64_t offset,
			  uint64_t n, size_t bytes)
{
	header();
	record(type, reserved, offset, n);
	data(bytes);
	all_mem();
	regs();
	end();
	refused(what);
}

static void refused_header(const char *what, uint64_t magic, uint32_t version, uint32_t granule,
			   uint64_t memory_size, uint64_t device)
{
	header_of(magic, version, granule, memory_size, device);
	all_mem();
	regs();
	end();
	refused(what);
}

static void refused_without(const char *what, uint64_t from, uint64_t to)
{
	header();
	mem_between(0, from);
	mem_between(to, size);
	regs();
	end();
	refused(what);
}

static void test_taken(void)
{
	header();
	all_mem();
	regs();
	end();
	taken("in order");

	header_of(MODEL_MAGIC, 1, MODEL_GRANULE, size, 0);
	all_mem();
	regs();
	end();
	taken("version 1, which does not tell of the device");

	header();
	for (uint64_t at = size; at; at -= MODEL_GRANULE)
		mem(at - MODEL_GRANULE, MODEL_GRANULE);
	regs();
	end();
	taken("page by page, from the last to the first");

	header();
	mem_between(size - 3 * MODEL_GRANULE, size);
	all_mem();
	mem(MODEL_GRANULE, 2 * MODEL_GRANULE);
	mem(2 * MODEL_GRANULE, MODEL_GRANULE);
	mem(size - MODEL_GRANULE, MODEL_GRANULE);
	regs();
	end();
	taken("with repeats, of which the last one counts");
}

static void test_header(void)
{
	const uint32_t version = MODEL_VERSION, granule = MODEL_GRANULE;

	refused_header("a wrong magic number", MODEL_MAGIC + 1, version, granule, size, PLAIN);
	refused_header("version 0", MODEL_MAGIC, 0, granule, size, PLAIN);
	refused_header("version 3", MODEL_MAGIC, 3, granule, size, PLAIN);
	refused_header("granule 0", MODEL_MAGIC, version, 0, size, PLAIN);
	refused_header("a smaller granule", MODEL_MAGIC, version, granule / 2, size, PLAIN);
	refused_header("a larger granule", MODEL_MAGIC, version, granule * 2, size, PLAIN);
	refused_header("less memory", MODEL_MAGIC, version, granule, size - granule, PLAIN);
	refused_header("more memory", MODEL_MAGIC, version, granule, size + granule, PLAIN);
	refused_header("a device with interrupts", MODEL_MAGIC, version, granule, size,
		       DEVICE(1, MODEL_REVISION));
	refused_header("a device of another revision", MODEL_MAGIC, version, granule, size,
		       DEVICE(0, MODEL_REVISION + 1));
	refused_header("version 1: a reserved field", MODEL_MAGIC, 1, granule, size, 1ULL << 63);
}

static void test_mem(void)
{
	refused_first("MEM: a reserved field", MODEL_MEM, 1, 0, MODEL_GRANULE, MODEL_GRANULE);
	refused_first("MEM: no length", MODEL_MEM, 0, 0, 0, 0);
	refused_first("MEM: length not aligned", MODEL_MEM, 0, 0, MODEL_GRANULE + 8,
		      MODEL_GRANULE + 8);
	refused_first("MEM: offset not aligned", MODEL_MEM, 0, 8, MODEL_GRANULE, MODEL_GRANULE);
	refused_first("MEM: more than 1 MiB", MODEL_MEM, 0, 0, MODEL_MEM_MAX + MODEL_GRANULE,
		      MODEL_MEM_MAX + MODEL_GRANULE);
	refused_first("MEM: across the end", MODEL_MEM, 0, size - MODEL_GRANULE, 2 * MODEL_GRANULE,
		      2 * MODEL_GRANULE);
	refused_first("MEM: behind the end", MODEL_MEM, 0, size, MODEL_GRANULE, MODEL_GRANULE);
	refused_first("MEM: far behind the end", MODEL_MEM, 0, 1ULL << 63, MODEL_GRANULE,
		      MODEL_GRANULE);
	refused_first("MEM: offset + length is 0", MODEL_MEM, 0, -(uint64_t)MODEL_GRANULE,
		      MODEL_GRANULE, MODEL_GRANULE);
	refused_first("MEM: offset + length wraps", MODEL_MEM, 0, -(uint64_t)MODEL_GRANULE,
		      2 * MODEL_GRANULE, 2 * MODEL_GRANULE);
	refused_first("MEM: length wraps", MODEL_MEM, 0, MODEL_GRANULE, -(uint64_t)MODEL_GRANULE,
		      0);
	refused_first("type 0", 0, 0, 0, MODEL_GRANULE, MODEL_GRANULE);
	refused_first("type 4", 4, 0, 0, MODEL_GRANULE, MODEL_GRANULE);

	refused_without("without memory", 0, size);
	refused_without("without the first page", 0, MODEL_GRANULE);
	refused_without("without a page", 7 * MODEL_GRANULE, 8 * MODEL_GRANULE);
	refused_without("without the last page", size - MODEL_GRANULE, size);
}

static void test_regs(void)
{
	header();
	all_mem();
	end();
	refused("REGS: missing");

	header();
	all_mem();
	regs();
	regs();
	end();
	refused("REGS: twice");

	header();
	all_mem();
	regs();
	mem(0, MODEL_GRANULE);
	end();
	refused("REGS: before MEM");

	header();
	regs();
	all_mem();
	end();
	refused("REGS: before the memory");

	header();
	all_mem();
	record(MODEL_REGS, 1, 0, 8);
	data(8);
	end();
	refused("REGS: a reserved field");

	header();
	all_mem();
	record(MODEL_REGS, 0, 8, 8);
	data(8);
	end();
	refused("REGS: an offset");

	header();
	all_mem();
	record(MODEL_REGS, 0, 0, 16);
	data(16);
	end();
	refused("REGS: too long");

	header();
	all_mem();
	record(MODEL_REGS, 0, 0, 0);
	end();
	refused("REGS: no length");
}

static void test_end(void)
{
	header();
	all_mem();
	regs();
	refused("END: missing");

	header();
	all_mem();
	regs();
	record(MODEL_END, 1, 0, 16);
	total();
	refused("END: a reserved field");

	header();
	all_mem();
	regs();
	record(MODEL_END, 0, 8, 16);
	total();
	refused("END: an offset");

	header();
	all_mem();
	regs();
	record(MODEL_END, 0, 0, 24);
	total();
	put64(0);
	refused("END: too long");

	header();
	all_mem();
	regs();
	end();
	stream[length - 16] ^= 1;
	refused("END: a wrong total length");

	header();
	all_mem();
	regs();
	end();
	stream[length - 1] ^= 1;
	refused("END: a wrong digest");

	header();
	all_mem();
	regs();
	end();
	stream[length++] = 0;
	refused("one byte after END");

	header();
	all_mem();
	regs();
	end();
	end();
	refused("END: twice");

	header();
	all_mem();
	regs();
	end();
	mem(0, MODEL_GRANULE);
	regs();
	end();
	refused("more memory after END");
}

int main(int argc, char **argv)
{
	struct vfiomig_ctx *ctx;

	if (argc != 2)
		errx(2, "usage: craft DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
	if (size <= MODEL_MEM_MAX)
		errx(2, "%s: 1 MiB of memory is too little", argv[1]);
	stream = malloc(4 * size);
	memory = malloc(size);

	test_taken();
	test_header();
	test_mem();
	test_regs();
	test_end();

	/* The device still works after all this. */
	test_taken();
	free(memory);
	free(stream);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
