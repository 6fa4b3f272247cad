/* What the fuzz targets share.
 *
 * A target includes the C that Cython made of a module and calls its native functions: no interpreter is ever started, so
 * millions of inputs a minute are tried. Functions of other modules, which an import would look up, are set by hand.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

uint64_t fuzz_sum_words(const uint8_t *data, size_t size, uint64_t acc);
uint16_t fuzz_sum_fold(uint64_t acc);

void *fuzz_mac_new(const char *digest, const uint8_t *key, size_t size);
int fuzz_mac_start(void *mac);
int fuzz_mac_update(void *mac, const void *data, size_t size);
int fuzz_mac_end(void *mac, uint8_t *out);
int fuzz_mac_same(const uint8_t *a, const uint8_t *b, size_t size);

#define MUST(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#endif
