// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scribbler FILE: write all over the memory of a device, which is in this file, until a signal ends
 * this. The last page of the file says when to pause: its first word is set to ask for that, and
 * the second one answers.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../guest/random.h"

int main(int argc, char **argv)
{
	volatile uint64_t *memory, *control;
	uint64_t seed = 4711;
	struct stat st;
	int fd;

	if (argc != 2)
		errx(2, "usage: scribbler FILE");
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", argv[1]);
	memory = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	control = memory + (st.st_size - 4096) / 8;

	for (;;) {
		uint64_t r = next_random(&seed);

		if (control[0]) {
			control[1] = 1;
			while (control[0])
				usleep(100);
			control[1] = 0;
		}
		memory[r % ((st.st_size - 4096) / 8)] = r;
		usleep(50);
	}
}
