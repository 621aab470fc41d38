/*
 * Vectors of LANES 32-bit numbers, and the few operations that C cannot express.
 *
 * Everything else uses the vector types of GCC and Clang, so that one body serves every instruction
 * set below.
 */
#ifndef EDGEKIT_LANES_H
#define EDGEKIT_LANES_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pairs of 16-bit numbers are laid out for little-endian machines"
#endif

#if defined(__AVX512BW__)
#include <immintrin.h>
#define WITH_AVX512
#define LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define WITH_AVX2
#define LANES 8
#elif defined(__SSE2__)
#include <emmintrin.h>
#define WITH_SSE2
#define LANES 4
#elif defined(__aarch64__)
#include <arm_neon.h>
#define WITH_NEON
#define LANES 4
#endif

#define HALF (LANES / 2)
#define INLINE static inline __attribute__((always_inline))

typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t wraps __attribute__((vector_size(4 * LANES))); /* for sums that may overflow */
typedef int16_t shorts __attribute__((vector_size(4 * LANES)));
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int32_t ints4 __attribute__((vector_size(16)));

#if defined(__clang__)
#define SHUFFLE(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

#define LOW_BYTES(a, b) \
    SHUFFLE(bytes16, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_BYTES(a, b) \
    SHUFFLE(bytes16, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_INTS(a, b) SHUFFLE(ints4, a, b, 0, 4, 1, 5)
#define HIGH_INTS(a, b) SHUFFLE(ints4, a, b, 2, 6, 3, 7)

#define SECOND_HALF(a) \
    SHUFFLE(bytes16, a, a, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)

INLINE bytes16 load_bytes(const uint8_t *from) {
    bytes16 value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store_bytes(uint8_t *to, bytes16 value) { memcpy(to, &value, sizeof value); }

/* Converts LANES bytes to integers. */
INLINE ints widen(const uint8_t *from) {
#if defined(WITH_AVX512)
    return (ints)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
#elif defined(WITH_AVX2)
    return (ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from));
#elif defined(WITH_SSE2)
    int32_t four;
    memcpy(&four, from, sizeof four);
    const __m128i zero = _mm_setzero_si128();
    return (ints)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), zero), zero);
#elif defined(WITH_NEON)
    int32_t four;
    memcpy(&four, from, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_s32(vdup_n_s32(four)));
    return (ints)vmovl_u16(vget_low_u16(wide));
#endif
}

/* For each pair of neighbours, the sum of their products. */
INLINE ints sum_of_products(shorts a, shorts b) {
#if defined(WITH_AVX512)
    return (ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(WITH_AVX2)
    return (ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(WITH_SSE2)
    return (ints)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(WITH_NEON)
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (ints)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#endif
}

/* Products of numbers from 0 to 32767; x86 multiplies them fastest as halves of such pairs. */
INLINE ints small_product(ints a, ints b) {
#if defined(WITH_AVX512) || defined(WITH_AVX2) || defined(WITH_SSE2)
    return sum_of_products((shorts)a, (shorts)b);
#else
    return a * b;
#endif
}

INLINE floats to_floats(ints value) { return __builtin_convertvector(value, floats); }
INLINE ints to_ints(floats value) { return __builtin_convertvector(value, ints); }

#endif
