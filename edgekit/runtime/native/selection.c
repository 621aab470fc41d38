/* One pass over the scores ranks all classes; overlaps are computed only between ranked boxes. */
#include "selection.h"

#include <string.h>

#include "lengths.h"

/* Best boxes of one class so far, best first; equal scores keep the order of the boxes. */
typedef struct {
    double *score;
    int32_t *box;
    int32_t count;
} ranking;

size_t selection_scratch(int32_t count, int32_t classes, int32_t candidates) {
    const size_t places = (size_t)classes * (size_t)candidates;
    return ((size_t)count + (size_t)classes + places) * sizeof(double) + places * sizeof(int32_t);
}

static void enter(ranking *r, double score, int32_t box, int32_t candidates) {
    int32_t place = r->count < candidates ? r->count++ : candidates - 1;
    for (; place > 0 && r->score[place - 1] < score; place--) {
        r->score[place] = r->score[place - 1];
        r->box[place] = r->box[place - 1];
    }
    r->score[place] = score;
    r->box[place] = box;
}

static double lesser(double a, double b) { return a < b ? a : b; }
static double greater(double a, double b) { return a > b ? a : b; }

/* Returns 0 if an area is NaN, as in numpy, whose minimum keeps a NaN. */
static double overlap_of(const double *a, const double *b, double area_a, double area_b) {
    const double width = lesser(a[2], b[2]) - greater(a[0], b[0]);
    const double height = lesser(a[3], b[3]) - greater(a[1], b[1]);
    const double shared = greater(width, 0) * greater(height, 0);
    if (!(shared > 0) || area_a != area_a || area_b != area_b) return 0;
    return shared / (area_a + area_b - shared);
}

int32_t select_boxes(const double *boxes, int64_t boxes_length, const double *scores,
                     int64_t scores_length, int32_t count, int32_t classes, double floor,
                     int32_t candidates, double overlap, int32_t keep, int32_t *picked,
                     int64_t picked_length, int32_t *counts, uint8_t *scratch,
                     int64_t scratch_length) {
    if (!is_product(boxes_length, count, 4, 1) || candidates < 0 || candidates > count) return -1;
    if (!is_product(scores_length, count, classes, 1)) return -1;
    if (!is_product(picked_length, classes, keep, 1)) return -1;
    if (scratch_length < 0 ||
        (size_t)scratch_length < selection_scratch(count, classes, candidates))
        return -1;
    if (!candidates) {
        memset(counts, 0, (size_t)classes * sizeof *counts);
        return 0;
    }
    double *area = (double *)scratch, *least = area + count, *ranked = least + classes;
    int32_t *box = (int32_t *)(ranked + (size_t)classes * candidates);
    for (int32_t i = 0; i < count; i++) {
        const double *b = boxes + 4 * (size_t)i;
        area[i] = (b[2] - b[0]) * (b[3] - b[1]);
    }
    for (int32_t c = 0; c < classes; c++) least[c] = floor;
    memset(counts, 0, (size_t)classes * sizeof *counts);
    for (int32_t i = 0; i < count; i++)
        for (int32_t c = 0; c < classes; c++) {
            const double score = scores[(size_t)i * classes + c];
            if (!(score > least[c])) continue;
            const size_t at = (size_t)c * candidates;
            ranking r = {ranked + at, box + at, counts[c]};
            enter(&r, score, i, candidates);
            counts[c] = r.count;
            if (r.count == candidates) least[c] = r.score[candidates - 1];
        }
    for (int32_t c = 0; c < classes; c++) {
        const int32_t *order = box + (size_t)c * candidates;
        int32_t *kept = picked + (size_t)c * keep, taken = 0;
        for (int32_t i = 0; i < counts[c] && taken < keep; i++) {
            const int32_t b = order[i];
            int gone = 0;
            for (int32_t j = 0; j < taken && !gone; j++)
                gone = overlap_of(boxes + 4 * (size_t)b, boxes + 4 * (size_t)kept[j], area[b],
                                  area[kept[j]]) > overlap;
            if (!gone) kept[taken++] = b;
        }
        counts[c] = taken;
    }
    return 0;
}
