/*
 * The cascade of ssim.py for one instruction set, which TARGET names.
 *
 * A picture is cut into LANES bands of rows, and lane k of every vector belongs to band k. The sums
 * of a window then slide down and to the right by whole vectors, without a shuffle. Sums are exact
 * integers, and each pixel's float operations are those of ssim.py in its order. Both therefore
 * give the same map to the last bit. (Compile without contraction to fused operations.)
 */
#include <math.h>
#include <stdlib.h>

#include "lengths.h"
#include "window.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

size_t JOIN(scratch_size, TARGET)(int32_t height, int32_t width) {
    return arrange(0, sizeof(tile), height, width).size;
}

static int JOIN(fits, TARGET)(const plan *p) {
    if (p->height < 9 || p->width < 9 || p->candidates < 1 || p->candidates > SHIFTS) return 0;
    for (int i = 0; i < SHIFTS; i++)
        if (abs(p->shifts[i][0]) > 1 || abs(p->shifts[i][1]) > 1) return 0;
    return 1;
}

int32_t JOIN(stack, TARGET)(const plan *p, const uint8_t *previous, const uint8_t *current,
                            int64_t picture_length, float *out, int64_t out_length, double *scores,
                            uint8_t *scratch, int64_t scratch_length) {
    if (!JOIN(fits, TARGET)(p) || !is_product(picture_length, CHANNELS, p->height, p->width))
        return -1;
    if (!is_product(out_length, 2 * CHANNELS, p->height, p->width) || scratch_length < 0) return -1;
    if ((size_t)scratch_length < JOIN(scratch_size, TARGET)(p->height, p->width)) return -1;
    memory m = arrange(scratch, sizeof(tile), p->height, p->width);
    const int height = p->height, width = p->width;
    memset(m.nothing, 0, (size_t)m.current.pitch * LANES);
    for (int row = 0; row < height; row++) {
        uint8_t *to[2][CHANNELS];
        for (int channel = 0; channel < CHANNELS; channel++) {
            to[EARLIER][channel] = plane_row(&m, EARLIER, p, channel, row);
            to[CURRENT][channel] = plane_row(&m, CURRENT, p, channel, row);
        }
        separate(previous + (size_t)3 * row * width, to[EARLIER], width);
        separate(current + (size_t)3 * row * width, to[CURRENT], width);
        for (int channel = 0; channel < CHANNELS; channel++) {
            uint8_t *pixels = to[CURRENT][channel];
            float *values = out + ((size_t)channel * height + row) * width;
            for (int x = 0; x < width; x++) values[x] = p->levels[channel][pixels[x]];
            pixels[-1] = pixels[1];
            pixels[width] = pixels[width - 2];
        }
    }

    double span[3][3], totals[3][3] = {{0}};
    float c1[CHANNELS][3][3], c2[CHANNELS][3][3];
    spans(p, &m, span);
    for (int channel = 0; channel < CHANNELS; channel++) {
        for (int dy = 0; dy < 3; dy++)
            for (int dx = 0; dx < 3; dx++) {
                const double first = p->k1 * span[dy][dx], second = p->k2 * span[dy][dx];
                const double gain = p->gain[channel];
                c1[channel][dy][dx] = (float)fmax(first * first, p->smallest);
                c2[channel][dy][dx] =
                    (float)(fmax(second * second, p->smallest) * N * (N - 1) / (gain * gain));
            }
        score(p, &m, channel, (const float(*)[3])c1[channel], (const float(*)[3])c2[channel],
              totals);
    }

    double best = -INFINITY;
    int32_t chosen = 0;
    for (int i = 0; i < p->candidates; i++) {
        const double total = totals[1 + p->shifts[i][0]][1 + p->shifts[i][1]];
        scores[i] = total / ((double)CHANNELS * (height - SPREAD) * (width - SPREAD));
        if (scores[i] > best) best = scores[i];
    }
    for (int i = 0; i < p->candidates; i++)
        if (scores[i] >= best - p->tie) chosen = i;

    const int dy = p->shifts[chosen][0], dx = p->shifts[chosen][1];
    for (int channel = 0; channel < CHANNELS; channel++)
        map(p, &m, channel, dy, dx, c1[channel][1 + dy][1 + dx], c2[channel][1 + dy][1 + dx],
            out + (size_t)(CHANNELS + channel) * height * width);
    return chosen;
}
