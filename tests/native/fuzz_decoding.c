/*
 * Random heatmaps and rows through the decoding.
 *
 *     fuzz_decoding [COUNT [SEED]]
 *
 * Each peak has to be the best by the definition that is not yet taken, and rows are grouped as a
 * plain search groups them. Buffers have no byte more than they need, so that an address sanitizer
 * sees any step outside.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "fuzzing.h"

/* Of few values now and then, so that much is equal; seldom of none. */
static float value(int kind) {
    const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f};
    if (kind < 3 && !draw(kind ? 9 : 200)) return odd[draw(5)];
    return kind % 2 ? (float)draw(4) : (float)draw(1 << 24) / 65536 - 128;
}

static int is_peak(const float *map, int64_t height, int64_t width, int64_t y, int64_t x) {
    for (int64_t i = y - 1; i <= y + 1; i++)
        for (int64_t j = x - 1; j <= x + 1; j++)
            if (i >= 0 && i < height && j >= 0 && j < width)
                if (!(map[y * width + x] >= map[i * width + j])) return 0;
    return 1;
}

static void check_peaks(const float *heatmap, int64_t classes, int64_t height, int64_t width,
                        int64_t top_k, int64_t found, const float *values, const int64_t *cells) {
    const int64_t plane = height * width, size = classes * plane;
    char *open = memory((size_t)size, 1);
    for (int64_t i = 0; i < size; i++)
        open[i] = (char)is_peak(heatmap + i / plane * plane, height, width, i % plane / width,
                                i % width);
    for (int64_t k = 0; k < top_k; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < size; i++)
            if (open[i] && (best < 0 || heatmap[i] > heatmap[best])) best = i;
        if (best < 0) {
            if (found != k) fail("peaks that are none", (double)(found - k));
            break;
        }
        if (k >= found || cells[k] != best) fail("a peak is missing", (double)best);
        if (values[k] != heatmap[best]) fail("a value is off", values[k]);
        open[best] = 0;
    }
    free(open);
}

static void decode_once(void) {
    const int64_t classes = 1 + draw(9), height = 1 + draw(9), width = 1 + draw(draw(2) ? 70 : 9);
    const int64_t plane = height * width, size = classes * plane;
    const int64_t limit = 1 + draw(draw(4) ? 30 : 4000), top_k = limit < size ? limit : size;
    const int kind = (int)draw(5);
    float *heatmap = memory((size_t)size, sizeof *heatmap);
    float *values = memory((size_t)top_k, sizeof *values);
    int64_t *cells = memory((size_t)top_k, sizeof *cells);
    for (int64_t i = 0; i < size; i++) heatmap[i] = kind < 4 ? value(kind) : (float)(i % 1999);
    const int64_t found = find_peaks(heatmap, size, classes, height, width, top_k, values, cells);
    check_peaks(heatmap, classes, height, width, top_k, found, values, cells);

    float *wh = memory((size_t)(2 * plane), sizeof *wh);
    float *reg = memory((size_t)(2 * plane), sizeof *reg);
    float *rows = memory((size_t)(6 * found), sizeof *rows);
    for (int64_t i = 0; i < 2 * plane; i++) wh[i] = (float)draw(40), reg[i] = (float)draw(4) / 4;
    place_peaks(cells, found, wh, 2 * plane, reg, 2 * plane, height, width, 4, rows);
    for (int64_t i = 0; i < found; i++) {
        const int64_t cell = cells[i] % plane;
        const float *row = rows + 6 * i;
        if (row[0] + row[2] != 8 * ((float)(cell % width) + reg[cell])) fail("x is off", row[0]);
        if (row[1] + row[3] != 8 * ((float)(cell / width) + reg[plane + cell]))
            fail("y is off", row[1]);
        if (row[2] - row[0] != 4 * wh[cell]) fail("a width is off", row[2]);
        if (row[3] - row[1] != 4 * wh[plane + cell]) fail("a height is off", row[3]);
        if (row[5] != (float)(cells[i] / plane)) fail("a class is off", row[5]);
    }
    free(heatmap), free(values), free(cells), free(wh), free(reg), free(rows);
}

static void group_once(void) {
    const int64_t count = draw(60), classes = 1 + draw(9), kinds = 1 + draw(12);
    float *rows = memory((size_t)(6 * count), sizeof *rows);
    float *boxes = memory((size_t)(4 * count), sizeof *boxes);
    float *scores = memory((size_t)(classes * count), sizeof *scores);
    uint8_t *scratch = memory(group_scratch(count), 1);
    for (int64_t i = 0; i < count; i++) {
        float *row = rows + 6 * i;
        const int64_t like = draw((uint32_t)kinds);
        if (like < i && draw(2)) memcpy(row, rows + 6 * like, 4 * sizeof *row);
        else
            for (int k = 0; k < 4; k++) row[k] = draw(30) ? (float)draw(90) - 20 : value(1);
        row[4] = (float)draw(5) / 4;
        row[5] = (float)draw((uint32_t)classes);
    }
    const int64_t found =
        group_rows(rows, 6 * count, count, classes, 0.5f, 0.5f, 3, 1, 100, 80, boxes, scores,
                   classes * count, scratch, (int64_t)group_scratch(count));
    int64_t *first = memory((size_t)count, sizeof *first), taken = 0;
    for (int64_t i = 0; i < count; i++) {
        const float *row = rows + 6 * i;
        float box[4];
        for (int k = 0; k < 4; k++)
            box[k] = fminf(fmaxf((row[k] - (k % 2 ? 1 : 3)) * 2, 0), k % 2 ? 80 : 100);
        int none = !(box[2] > box[0] && box[3] > box[1] && row[4] > 0);
        for (int k = 0; k < 4; k++) none |= row[k] != row[k];
        if (none) continue;
        int64_t own = 0;
        while (own < taken && memcmp(rows + 6 * first[own], row, sizeof box)) own++;
        if (own == taken) first[taken++] = i;
        if (own >= found) fail("a box is missing", (double)own);
        if (memcmp(boxes + 4 * own, box, sizeof box)) fail("a box is off", box[0]);
        const float score = scores[classes * own + (int64_t)row[5]];
        int overwritten = 0;
        for (int64_t j = i + 1; j < count; j++)
            overwritten |= !memcmp(rows + 6 * j, row, sizeof box) && rows[6 * j + 4] > 0 &&
                           rows[6 * j + 5] == row[5];
        if (!overwritten && score != row[4]) fail("a score is off", score);
    }
    if (taken != found) fail("a box too many", (double)found);
    if (count > 0) {
        rows[4] = 1, rows[5] = draw(2) ? (float)classes : NAN;
        rows[0] = rows[1] = 10, rows[2] = rows[3] = 20;
        if (group_rows(rows, 6 * count, count, classes, 0.5f, 0.5f, 3, 1, 100, 80, boxes, scores,
                       classes * count, scratch, (int64_t)group_scratch(count)) != -1)
            fail("a class that is none was taken", rows[5]);
    }
    free(rows), free(boxes), free(scores), free(scratch), free(first);
}

/* Shapes that do not fit their memory, which is next to none: nothing of it may be touched. */
static int64_t side(void) {
    const int64_t odd[] = {0, -1, 1, 2, 3, INT32_MAX, INT64_MAX, INT64_MIN, 1ll << 32, 1ll << 62};
    return odd[draw(sizeof odd / sizeof *odd)];
}

static void misfit_once(void) {
    float *one = memory(1, sizeof *one);
    int64_t *cell = memory(1, sizeof *cell);
    uint8_t *scratch = memory(1, 1);
    *one = 0, *cell = 0;
    const int64_t a = side(), b = side(), c = side(), length = draw(3), top_k = side();
    const int fits = length > 0 && top_k > 0 &&
                     ((a == length && b == 1 && c == 1) || (a == 1 && b == length && c == 1) ||
                      (a == 1 && b == 1 && c == length));
    if (!fits && find_peaks(one, length, a, b, c, top_k, one, cell) != -1)
        fail("a heatmap of another shape was taken", (double)length);
    if (place_peaks(cell, 1, one, length, one, 1, a, b, 4, one) != -1)
        fail("maps of another shape were taken", (double)length);
    *cell = -1;
    float two[2] = {0};
    if (place_peaks(cell, 1, two, 2, two, 2, 1, 1, 4, one) != -1) fail("a cell below 0", -1);
    if (group_rows(one, 1, a, b, 1, 1, 0, 0, 1, 1, one, one, 1, scratch, 1) != -2)
        fail("rows of another shape were taken", (double)a);
    free(one), free(cell), free(scratch);
}

int main(int count, char **words) {
    const int rounds = count > 1 ? atoi(words[1]) : 200;
    state = 88172645463325252ull + (count > 2 ? strtoull(words[2], 0, 10) : 0) * 7919;
    for (int round = 0; round < rounds; round++) {
        decode_once();
        group_once();
        misfit_once();
    }
    printf("%d heatmaps and as many frames of rows decoded, as defined\n", rounds);
    return 0;
}
