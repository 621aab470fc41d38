/*
 * Memory of a call, and the conversions between pictures, their planes and the bands of body.h.
 */
#ifndef EDGEKIT_PLANES_H
#define EDGEKIT_PLANES_H

#include "cascade.h"
#include "lanes.h"

#define SPREAD (WINDOW - 1)
#define ALIGN 64
/* Bytes before and after each row of a plane, for mirrored columns and for reads of 16 bytes. */
#define MARGIN 16

/* Pixels of all bands; those of column x and row r are together, at (r * pitch + x) * LANES. */
typedef struct {
    uint8_t *pixels;
    int pitch;
} bands;

typedef struct {
    void *work; /* the caller's own part */
    uint8_t *planes[2]; /* earlier and current picture, by channel, row and column */
    int stride;
    uint8_t *nothing; /* a row of zeros */
    uint8_t *lowest, *highest; /* by column, over all rows but the first and last */
    bands earlier, current;
    size_t size;
} memory;

enum { EARLIER, CURRENT };

static uint8_t *take(uint8_t *base, size_t *used, size_t bytes) {
    const size_t at = *used;
    *used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return base ? base + at : 0;
}

static memory arrange(uint8_t *scratch, size_t work, int height, int width) {
    memory m = {0};
    /* Move any pointer up to the alignment of vectors. */
    uint8_t *base = scratch ? scratch + (ALIGN - (uintptr_t)scratch % ALIGN) % ALIGN : 0;
    size_t used = 0;
    m.stride = (width + 2 * MARGIN + ALIGN - 1) / ALIGN * ALIGN;
    m.earlier.pitch = m.current.pitch = width + 2 * CROP + MARGIN;
    const size_t rows = (size_t)(height + LANES - 1) / LANES + SPREAD + 2;
    const size_t plane = (size_t)m.stride * height;
    m.work = take(base, &used, work);
    for (int picture = EARLIER; picture <= CURRENT; picture++)
        m.planes[picture] = take(base, &used, plane * CHANNELS + 2 * MARGIN);
    m.nothing = take(base, &used, (size_t)m.current.pitch * LANES);
    m.lowest = take(base, &used, m.stride);
    m.highest = take(base, &used, m.stride);
    m.earlier.pixels = take(base, &used, rows * m.earlier.pitch * LANES);
    m.current.pixels = take(base, &used, rows * m.current.pitch * LANES);
    m.size = used + ALIGN;
    return m;
}

static uint8_t *plane_row(const memory *m, int picture, const plan *p, int channel, int row) {
    return m->planes[picture] + MARGIN + ((size_t)channel * p->height + row) * m->stride;
}

/* Separates one row of interleaved pixels into rows of three planes. */
INLINE void separate(const uint8_t *from, uint8_t *const to[CHANNELS], int width) {
    int x = 0;
    for (; x + 16 <= width; x += 16) {
        bytes16 a = load_bytes(from + 3 * x), b = load_bytes(from + 3 * x + 16),
                c = load_bytes(from + 3 * x + 32);
        /* Four rounds of interleaving the thirds of 48 bytes make each third one channel. */
        for (int turn = 0; turn < 4; turn++) {
            const bytes16 first = LOW_BYTES(a, SECOND_HALF(b));
            const bytes16 second = LOW_BYTES(SECOND_HALF(a), c);
            c = LOW_BYTES(b, SECOND_HALF(c));
            a = first;
            b = second;
        }
        store_bytes(to[0] + x, a);
        store_bytes(to[1] + x, b);
        store_bytes(to[2] + x, c);
    }
    for (; x < width; x++)
        for (int channel = 0; channel < CHANNELS; channel++) to[channel][x] = from[3 * x + channel];
}

static int mirrored(int at, int length) {
    if (at < 0) return -1 - at;
    return at < length ? at : 2 * length - 1 - at;
}

static int mirrored_once(int at, int length) {
    if (at < 0) return -at;
    return at < length ? at : 2 * length - 2 - at;
}

/* Writes rows of one picture into the pixels of all bands; lane k starts at from[k]. */
INLINE void gather(const uint8_t *const from[LANES], uint8_t *to, int width) {
    for (int x = 0; x < width; x += 16) {
        bytes16 rows[LANES], mixed[LANES];
        for (int k = 0; k < LANES; k++) rows[k] = load_bytes(from[k] + x);
        for (int step = 1; step < LANES; step *= 2) {
            for (int k = 0; k < HALF; k++) {
                mixed[2 * k] = LOW_BYTES(rows[k], rows[k + HALF]);
                mixed[2 * k + 1] = HIGH_BYTES(rows[k], rows[k + HALF]);
            }
            for (int k = 0; k < LANES; k++) rows[k] = mixed[k];
        }
        for (int k = 0; k < LANES; k++) store_bytes(to + (size_t)x * LANES + 16 * k, rows[k]);
    }
}

/*
 * Writes one row of a map tile from bands to rows, four bands at a time. Bands are often a multiple
 * of 4096 bytes apart, so the first-level cache cannot hold a line of every band.
 */
INLINE void scatter(const floats *row, float *out, size_t band, int valid, int columns) {
    for (int k = 0; k < valid; k += 4) {
        float *const to = out + k * band;
        int x = 0;
        for (; x + 4 <= columns; x += 4) {
            ints4 a, b, c, d;
            memcpy(&a, (const float *)(row + x) + k, 16);
            memcpy(&b, (const float *)(row + x + 1) + k, 16);
            memcpy(&c, (const float *)(row + x + 2) + k, 16);
            memcpy(&d, (const float *)(row + x + 3) + k, 16);
            const ints4 ac = LOW_INTS(a, c), ac_high = HIGH_INTS(a, c);
            const ints4 bd = LOW_INTS(b, d), bd_high = HIGH_INTS(b, d);
            const ints4 rows[4] = {LOW_INTS(ac, bd), HIGH_INTS(ac, bd), LOW_INTS(ac_high, bd_high),
                                   HIGH_INTS(ac_high, bd_high)};
            for (int lane = 0; lane < 4 && k + lane < valid; lane++)
                memcpy(to + lane * band + x, &rows[lane], 16);
        }
        for (; x < columns; x++)
            for (int lane = 0; lane < 4 && k + lane < valid; lane++)
                to[lane * band + x] = ((const float *)(row + x))[k + lane];
    }
}

/* Fills the three columns outside the picture on both sides with mirror images. */
static void mirror(uint8_t *row, int width) {
    for (int x = 1; x <= CROP; x++) {
        memcpy(row + (ptrdiff_t)-x * LANES, row + (ptrdiff_t)(x - 1) * LANES, LANES);
        memcpy(row + (ptrdiff_t)(width - 1 + x) * LANES, row + (ptrdiff_t)(width - x) * LANES, LANES);
    }
}

/*
 * Computes the largest minus the smallest normalised value of each shifted picture.
 *
 * A shift loses one row, one column or both, so the extremes of nine blocks (core, edges, corners)
 * are enough.
 */
static void spans(const plan *p, memory *m, double span[3][3]) {
    double low[3][3], high[3][3];
    const int height = p->height, width = p->width;
    uint8_t *restrict lowest = m->lowest, *restrict highest = m->highest;
    for (int channel = 0; channel < CHANNELS; channel++) {
        for (int part = 0; part < 3; part++) {
            const int first = part == 0 ? 0 : part == 1 ? 1 : height - 1;
            const int behind = part == 0 ? 1 : part == 1 ? height - 1 : height;
            memset(lowest, 255, width);
            memset(highest, 0, width);
            for (int row = first; row < behind; row++) {
                const uint8_t *restrict pixels = plane_row(m, CURRENT, p, channel, row);
                for (int x = 0; x < width; x++) {
                    const uint8_t value = pixels[x];
                    lowest[x] = value < lowest[x] ? value : lowest[x];
                    highest[x] = value > highest[x] ? value : highest[x];
                }
            }
            for (int side = 0; side < 3; side++) {
                const int left = side == 0 ? 0 : side == 1 ? 1 : width - 1;
                const int right = side == 0 ? 1 : side == 1 ? width - 1 : width;
                int least = 255, most = 0;
                for (int x = left; x < right; x++) {
                    least = lowest[x] < least ? lowest[x] : least;
                    most = highest[x] > most ? highest[x] : most;
                }
                const double from = least * p->gain[channel] + p->bias[channel];
                const double to = most * p->gain[channel] + p->bias[channel];
                if (!channel || from < low[part][side]) low[part][side] = from;
                if (!channel || to > high[part][side]) high[part][side] = to;
            }
        }
    }
    for (int dy = 0; dy < 3; dy++)
        for (int dx = 0; dx < 3; dx++) {
            double least = low[1][1], most = high[1][1];
            for (int i = dy == 2; i < 3 - (dy == 0); i++)
                for (int j = dx == 2; j < 3 - (dx == 0); j++) {
                    if (low[i][j] < least) least = low[i][j];
                    if (high[i][j] > most) most = high[i][j];
                }
            span[dy][dx] = most - least;
        }
}

#endif
