/* For x86-64 with AVX2; the build gives -mavx2. */
#if defined(__x86_64__)
#define TARGET avx2
#define WIDE 8
#include "pairs.h"
#endif
