/* Interface of the compiled cascade. Lengths are in pixels; pictures are 8-bit BGR. */
#ifndef EDGEKIT_CASCADE_H
#define EDGEKIT_CASCADE_H

#include <stddef.h>
#include <stdint.h>

enum { WINDOW = 7, CROP = WINDOW / 2, N = WINDOW * WINDOW, CHANNELS = 3, SHIFTS = 9 };

/* Mirrored by Plan in structures.py, field for field. */
typedef struct {
    int32_t height, width;      /* at least 9 each */
    int32_t candidates;         /* number of shifts to try, from the first */
    int32_t dissimilarity;      /* whether the map becomes 0.5 (1 - map) */
    int32_t shifts[SHIFTS][2];  /* dy, dx in -1, 0, 1; each pair once */
    double gain[CHANNELS], bias[CHANNELS];
    double k1, k2, tie, smallest;
    float levels[CHANNELS][256]; /* normalised value of each pixel value */
} plan;

/* Bytes of scratch memory that a call needs; no content is kept between calls. */
typedef size_t scratch_size(int32_t height, int32_t width);

/*
 * Fills out (6, height, width) with the normalised picture and its map, and scores with the mean
 * SSIM of each candidate. Returns the index of the chosen shift. Returns -1 if the plan is invalid,
 * or if a length is not that of the pictures, of out or of scratch.
 */
typedef int32_t stack(const plan *, const uint8_t *previous, const uint8_t *current,
                      int64_t picture_length, float *out, int64_t out_length, double *scores,
                      uint8_t *scratch, int64_t scratch_length);

scratch_size scratch_size_sse2, scratch_size_avx2, scratch_size_avx512, scratch_size_neon;
stack stack_sse2, stack_avx2, stack_avx512, stack_neon;

/* Whether stack_avx512 was built. */
extern const int32_t has_avx512;

#endif
