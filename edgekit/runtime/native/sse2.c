/* For every x86-64. */
#if defined(__x86_64__)
#define TARGET sse2
#include "body.h"
#endif
