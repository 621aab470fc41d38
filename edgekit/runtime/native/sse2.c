/* For every x86-64 processor. */
#if defined(__x86_64__)
#define TARGET sse2
#include "body.h"
#endif
