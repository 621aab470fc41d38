/* What the compiled cascade shares with its caller. Lengths are in pixels, pictures 8-bit BGR. */
#ifndef EDGEKIT_CASCADE_H
#define EDGEKIT_CASCADE_H

#include <stddef.h>
#include <stdint.h>

enum { WINDOW = 7, CROP = WINDOW / 2, N = WINDOW * WINDOW, CHANNELS = 3, SHIFTS = 9 };

/* Mirrored by _Plan in __init__.py, field for field. */
typedef struct {
    int32_t height, width;      /* at least 9 each */
    int32_t candidates;         /* of the shifts, from the first */
    int32_t dissimilarity;      /* the map becomes 0.5 (1 - map) */
    int32_t shifts[SHIFTS][2];  /* dy, dx in -1, 0, 1; each pair once */
    double gain[CHANNELS], bias[CHANNELS];
    double k1, k2, tie, smallest;
    float levels[CHANNELS][256]; /* normalised values */
} plan;

/* Bytes of scratch memory that a call needs; it holds nothing from one call to the next. */
typedef size_t scratch_size(int32_t height, int32_t width);

/*
 * Fills out (6, height, width) with the normalised picture and its map, and scores with the mean SSIM
 * of each candidate. Gives the index of the chosen shift; or -1 where the plan cannot be, or a length
 * is not that of its pictures, of out or of scratch.
 */
typedef int32_t stack(const plan *, const uint8_t *previous, const uint8_t *current,
                      int64_t picture_length, float *out, int64_t out_length, double *scores,
                      uint8_t *scratch, int64_t scratch_length);

scratch_size scratch_size_generic, scratch_size_sse2, scratch_size_avx2, scratch_size_avx512,
    scratch_size_neon;
stack stack_generic, stack_sse2, stack_avx2, stack_avx512, stack_neon;

/* Whether stack_avx512 was built. */
extern const int32_t has_avx512;

#endif
