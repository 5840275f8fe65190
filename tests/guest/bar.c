// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bar ADDRESS read|write|digest: copy the memory of a PCI function's BAR 2 to standard output, copy
 * standard input into it, or print its digest.
 *
 * bar ADDRESS fill SEED [SIZE]: fill the memory with noise, or its first SIZE bytes with noise and
 * the rest with zeroes.
 *
 * The device stays closed, because this does not go through VFIO.
 *
 * In an emulated processor sha256sum and /dev/urandom would take most of a test's time. XXH3 and
 * the noise here do not.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "file.h"
#include "random.h"

static void print_digest(const void *memory, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits(memory, size);

	printf("%016llx%016llx\n", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

/* The noise cannot be compressed. */
static void fill(uint64_t *memory, size_t size, const char *seed, const char *until)
{
	uint64_t noise = strtoull(seed, NULL, 0) * 0x9e3779b97f4a7c15 + 1;
	size_t end = until ? strtoull(until, NULL, 0) : size;

	for (size_t at = 0; at < size; at += sizeof(*memory))
		*memory++ = at < end ? next_random(&noise) : 0;
}

static void copy_in(char *memory, size_t size)
{
	if (fread(memory, 1, size, stdin) != size)
		errx(1, "standard input is shorter than the memory");
}

static void copy_out(const char *memory, size_t size)
{
	if (fwrite(memory, 1, size, stdout) != size || fflush(stdout))
		err(1, "standard output");
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	const char *path;
	struct stat st;
	void *memory;
	int fd;

	if (strcmp(verb, "fill") == 0 ? argc < 4 : argc != 3)
		errx(2, "usage: bar ADDRESS read|write|digest|fill SEED [SIZE]");
	path = pci_file(argv[1], "resource2");
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	memory = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "%s: mmap", path);

	if (strcmp(verb, "read") == 0)
		copy_out(memory, st.st_size);
	else if (strcmp(verb, "write") == 0)
		copy_in(memory, st.st_size);
	else if (strcmp(verb, "digest") == 0)
		print_digest(memory, st.st_size);
	else if (strcmp(verb, "fill") == 0)
		fill(memory, st.st_size, argv[3], argv[4]);
	else
		errx(2, "no verb '%s'", verb);
	return 0;
}
