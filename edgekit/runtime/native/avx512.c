/* For x86-64 with AVX-512; the build gives its flags to compilers that know them. */
#include "cascade.h"

#if defined(__x86_64__) && defined(__AVX512BW__)
#define TARGET avx512
#include "body.h"
const int32_t has_avx512 = 1;
#else
const int32_t has_avx512 = 0;
#endif
