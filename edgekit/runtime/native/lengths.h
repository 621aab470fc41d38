/* Whether the memory of a caller holds what a call says that it holds. */
#ifndef EDGEKIT_LENGTHS_H
#define EDGEKIT_LENGTHS_H

#include <stdint.h>

/* Whether length is a times b times c, and none of them is below 0. */
static inline int is_product(int64_t length, int64_t a, int64_t b, int64_t c) {
    int64_t product;
    if (a < 0 || b < 0 || c < 0) return 0;
    if (__builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product))
        return 0;
    return length == product;
}

#endif
