/* For every 64-bit ARM processor. */
#if defined(__aarch64__)
#define TARGET neon
#include "body.h"
#endif
