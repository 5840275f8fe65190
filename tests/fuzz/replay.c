// SPDX-License-Identifier: GPL-2.0-or-later
/* A fuzz target without the fuzzer: each argument is a file with one input. */
#include <err.h>

#include "fuzz.h"

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		static uint8_t data[1 << 20];
		FILE *f = fopen(argv[i], "re");
		size_t size;

		if (!f) {
			warn("%s", argv[i]);
			return 1;
		}
		size = fread(data, 1, sizeof(data), f);
		fclose(f);
		LLVMFuzzerTestOneInput(data, size);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
