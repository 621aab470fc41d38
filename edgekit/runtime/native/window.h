/*
 * Windows of a channel: their similarity, its sums under nine shifts, and its map under one shift.
 */
#ifndef EDGEKIT_WINDOW_H
#define EDGEKIT_WINDOW_H

#include <math.h>

#include "planes.h"

/* Width of a tile, in results. The sums of a tile stay in the nearest caches. */
#define TILE 32
/* Scores are integer sums of similarities times UNIT: exact, modulo 2^32. */
#define UNIT 1073741824.0f
/* Rows after which sums are settled; the rough sums are then accurate to less than UNIT. */
#define SETTLED 256

/* Values of one window of one picture that the similarity needs. */
typedef struct {
    ints sum;       /* twice the sum, in the shifted picture */
    floats mean;    /* normalised mean; times 2 units in the earlier picture */
    floats variance; /* N squared times the variance of the pixel values */
    floats power;   /* mean squared */
} moment;

/* Sums over WINDOW rows of one column. */
typedef struct {
    ints sum, squares;
} column;

/* A sum of similarities times UNIT: as exact integers modulo 2^32, and as rough floats. */
typedef struct {
    wraps exact;
    floats rough;
} total;

typedef struct {
    shorts here[3][TILE + 2 + SPREAD]; /* pixel pairs: those that enter and those that leave */
    shorts there[TILE + SPREAD];
    column here_columns[TILE + 2 + SPREAD], there_columns[TILE + SPREAD];
    moment here_moments[3][TILE + 2], there_moments[TILE];
    ints products[3][TILE + SPREAD][3]; /* by dy, column and dx: sums of products, times 2 N */
    floats row[TILE];
} tile;

/*
 * Updates the windows of one row of one picture.
 *
 * fresh and stale are the pixels that enter and leave. pairs receives both, in the form that the
 * products need. If ready, moments receives those of all results, with the constants added.
 */
INLINE void measure(const uint8_t *fresh, const uint8_t *stale, int earlier, shorts *pairs,
                    column *columns, moment *moments, int results, int ready, float gain,
                    float bias, float c1, float c2, float unit) {
    const shorts weigh = (shorts)((ints){0} + (int32_t)(N - N * 65536));
    const shorts weigh_twice = (shorts)((ints){0} + (int32_t)(2 * N - 2 * N * 65536));
    ints sum = {0}, squares = {0};
    for (int x = 0; x < results + SPREAD; x++) {
        const ints in = widen(fresh + x * LANES), out = widen(stale + x * LANES);
        const shorts pair = (shorts)(in | out << 16);
        pairs[x] = earlier ? pair * weigh_twice : pair;
        columns[x].sum += in - out;
        columns[x].squares += sum_of_products(pair, pair * weigh);
        if (!ready) continue;
        sum += columns[x].sum;
        squares += columns[x].squares;
        if (x < SPREAD) continue;
        moment *at = moments + x - SPREAD;
        const floats mean = to_floats(sum) * gain + bias;
        at->sum = earlier ? sum : sum + sum;
        at->mean = earlier ? mean * (2 * unit) : mean;
        at->variance = to_floats(squares - small_product(sum, sum)) + c2;
        at->power = mean * mean + c1;
        sum -= columns[x - SPREAD].sum;
        squares -= columns[x - SPREAD].squares;
    }
}

/* power and variance belong to the earlier picture and include c1 and c2; c1 has its unit. */
INLINE floats similarity(ints products, const moment *here, const moment *there, floats power,
                         floats variance, float c1, float c2) {
    floats top = to_floats(products - small_product(here->sum, there->sum)) + c2;
    top *= here->mean * there->mean + c1;
    return top / ((here->variance + variance) * (here->power + power));
}

/* Scores the three shifts of one dy over one tile row; alike means equal constants for all. */
INLINE void score_row(tile *work, int dy, int slot, int results, int ready, int alike,
                      const float c1[3], const float c2[3], total totals[3], ints valid) {
    const shorts *here = work->here[slot], *there = work->there;
    const moment *moments = work->here_moments[slot];
    ints(*products)[3] = work->products[dy];
    ints sums[3] = {{0}, {0}, {0}};
    total row[3] = {{{0}, {0}}, {{0}, {0}}, {{0}, {0}}};
    if (!ready) {
        for (int x = 0; x < results + SPREAD; x++)
            for (int dx = 0; dx < 3; dx++)
                products[x][dx] += sum_of_products(here[x + dx], there[x]);
        return;
    }
    for (int x = 0; x < SPREAD; x++)
        for (int dx = 0; dx < 3; dx++)
            sums[dx] += products[x][dx] += sum_of_products(here[x + dx], there[x]);
    for (int x = 0; x < results; x++) {
        const moment *at = work->there_moments + x;
        for (int dx = 0; dx < 3; dx++) {
            const int last = x + SPREAD, constant = alike ? 0 : dx;
            sums[dx] += products[last][dx] += sum_of_products(here[last + dx], there[last]);
            const floats power = alike ? at->power : at->power + c1[dx];
            const floats variance = alike ? at->variance : at->variance + c2[dx];
            const floats value = similarity(sums[dx], moments + x + dx, at, power, variance,
                                            UNIT * c1[constant], c2[constant]);
            row[dx].exact += (wraps)to_ints(value);
            row[dx].rough += value;
            sums[dx] -= products[x][dx];
        }
    }
    for (int dx = 0; dx < 3; dx++) {
        totals[dx].exact += row[dx].exact & (wraps)valid;
        totals[dx].rough += (floats)((ints)row[dx].rough & valid);
    }
}

/* Adds the sums to the totals, and resets them to 0. */
static void settle(total sums[3][3], double totals[3][3]) {
    for (int dy = 0; dy < 3; dy++)
        for (int dx = 0; dx < 3; dx++)
            for (int k = 0; k < LANES; k++) {
                const double exact = (int32_t)sums[dy][dx].exact[k], wrap = 4.0 * UNIT;
                const double turns = rint((sums[dy][dx].rough[k] - exact) / wrap);
                totals[dy][dx] += (exact + wrap * turns) / UNIT;
            }
    memset(sums, 0, 9 * sizeof(total));
}

/* Adds to totals one channel's mean SSIM under each of the nine shifts, times the window count. */
static void score(const plan *p, memory *m, int channel, const float c1[3][3],
                  const float c2[3][3], double totals[3][3]) {
    const int height = p->height - SPREAD, width = p->width - SPREAD;
    const int rows = (height + LANES - 1) / LANES;
    const float gain = (float)(p->gain[channel] / N), bias = (float)p->bias[channel];
    const uint8_t *from[LANES];
    int alike = 1;
    for (int dy = 0; dy < 3; dy++)
        for (int dx = 0; dx < 3; dx++)
            alike &= c1[dy][dx] == c1[0][0] && c2[dy][dx] == c2[0][0];
    for (int row = 0; row < rows + SPREAD + 2; row++) {
        for (int k = 0; k < LANES; k++) {
            int at = k * rows + row - 1;
            if (at > p->height) at = p->height;
            at = mirrored_once(at, p->height);
            from[k] = plane_row(m, CURRENT, p, channel, at) - 1;
        }
        gather(from, m->current.pixels + (size_t)row * m->current.pitch * LANES, p->width + 2);
        if (row >= rows + SPREAD) continue;
        for (int k = 0; k < LANES; k++) {
            int at = k * rows + row;
            if (at >= p->height) at = p->height - 1;
            from[k] = plane_row(m, EARLIER, p, channel, at);
        }
        gather(from, m->earlier.pixels + (size_t)row * m->earlier.pitch * LANES, p->width);
    }
    total sums[3][3];
    memset(sums, 0, sizeof sums);
    for (int left = 0; left < width; left += TILE) {
        const int results = width - left < TILE ? width - left : TILE;
        tile *work = m->work;
        memset(work->here_columns, 0, sizeof work->here_columns);
        memset(work->there_columns, 0, sizeof work->there_columns);
        memset(work->products, 0, sizeof work->products);
        for (int row = -2; row < rows + SPREAD; row++) {
            const int ready = row >= SPREAD;
            /* The shifted pictures are up to two rows ahead. */
            const int ahead = row + 2;
            const uint8_t *fresh =
                m->current.pixels + ((size_t)ahead * m->current.pitch + left) * LANES;
            const uint8_t *stale = m->nothing;
            if (ahead >= WINDOW) stale = fresh - (size_t)WINDOW * m->current.pitch * LANES;
            measure(fresh, stale, 0, work->here[ahead % 3], work->here_columns,
                    work->here_moments[ahead % 3], results + 2, ahead >= SPREAD, gain, bias, 0, 0, 1);
            if (row < 0) continue;
            fresh = m->earlier.pixels + ((size_t)row * m->earlier.pitch + left) * LANES;
            stale = m->nothing;
            if (row >= WINDOW) stale = fresh - (size_t)WINDOW * m->earlier.pitch * LANES;
            measure(fresh, stale, 1, work->there, work->there_columns, work->there_moments,
                    results, ready, gain, bias, alike ? c1[0][0] : 0, alike ? c2[0][0] : 0,
                    UNIT);
            ints valid = {0};
            for (int k = 0; k < LANES; k++) valid[k] = -(k * rows + row - SPREAD < height);
            for (int dy = 0; dy < 3; dy++) {
                const int slot = (row + dy) % 3;
                if (alike)
                    score_row(work, dy, slot, results, ready, 1, c1[dy], c2[dy], sums[dy], valid);
                else
                    score_row(work, dy, slot, results, ready, 0, c1[dy], c2[dy], sums[dy], valid);
            }
            if (row % SETTLED == SETTLED - 1) settle(sums, totals);
        }
        settle(sums, totals);
    }
}

/* Computes the map of one channel under the shift (dy, dx). */
static void map(const plan *p, memory *m, int channel, int dy, int dx, float c1, float c2,
                float *out) {
    const int height = p->height, width = p->width;
    const int rows = (height + LANES - 1) / LANES;
    const float gain = (float)(p->gain[channel] / N), bias = (float)p->bias[channel];
    const uint8_t *here[LANES], *there[LANES];
    for (int row = 0; row < rows + SPREAD; row++) {
        for (int k = 0; k < LANES; k++) {
            int at = k * rows + row - CROP;
            if (at >= height + CROP) at = height - 1;
            at = mirrored(at, height);
            there[k] = plane_row(m, EARLIER, p, channel, at);
            here[k] = plane_row(m, CURRENT, p, channel, mirrored_once(at + dy, height)) + dx;
        }
        uint8_t *to = m->earlier.pixels + ((size_t)row * m->earlier.pitch + CROP) * LANES;
        gather(there, to, width);
        mirror(to, width);
        to = m->current.pixels + ((size_t)row * m->current.pitch + CROP) * LANES;
        gather(here, to, width);
        mirror(to, width);
    }
    for (int left = 0; left < width; left += TILE) {
        const int results = width - left < TILE ? width - left : TILE;
        tile *work = m->work;
        memset(work->here_columns, 0, sizeof work->here_columns);
        memset(work->there_columns, 0, sizeof work->there_columns);
        memset(work->products, 0, sizeof work->products);
        ints *products = work->products[0][0];
        for (int row = 0; row < rows + SPREAD; row++) {
            const int ready = row >= SPREAD;
            const size_t at = ((size_t)row * m->current.pitch + left) * LANES;
            const size_t back = (size_t)WINDOW * m->current.pitch * LANES;
            const uint8_t *fresh = m->current.pixels + at;
            measure(fresh, row < WINDOW ? m->nothing : fresh - back, 0, work->here[0],
                    work->here_columns, work->here_moments[0], results, ready, gain, bias, 0, 0, 1);
            fresh = m->earlier.pixels + at;
            measure(fresh, row < WINDOW ? m->nothing : fresh - back, 1, work->there,
                    work->there_columns, work->there_moments, results, ready, gain, bias, c1, c2, 1);
            ints sum = {0};
            for (int x = 0; x < results + SPREAD; x++) {
                products[x] += sum_of_products(work->here[0][x], work->there[x]);
                sum += products[x];
                if (x < SPREAD || !ready) continue;
                const int first = x - SPREAD;
                const moment *there_at = work->there_moments + first;
                const floats value = similarity(sum, work->here_moments[0] + first, there_at,
                                                there_at->power, there_at->variance, c1, c2);
                work->row[first] = p->dissimilarity ? (1 - value) * 0.5f : value;
                sum -= products[first];
            }
            if (!ready) continue;
            const int top = row - SPREAD;
            int valid = (height - top + rows - 1) / rows;
            if (valid > LANES) valid = LANES;
            scatter(work->row, out + (size_t)top * width + left, (size_t)rows * width, valid,
                    results);
        }
    }
}

#endif
