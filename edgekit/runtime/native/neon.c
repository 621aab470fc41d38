/* For every 64-bit ARM. */
#if defined(__aarch64__)
#define TARGET neon
#include "body.h"
#endif
