/*
 * Random frames through selection and linking.
 *
 *     fuzz_linking [COUNT [SEED]]
 *
 * Selection has to pick what a search by the definition picks. Of the linker, whose results
 * tests/linking/tracks/test_compiled.py compares with numpy's, only what always holds is asked. Buffers
 * have no byte more than they need, so that an address sanitizer sees any step outside.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linking.h"
#include "selection.h"
#include "fuzzing.h"

/* Of few values, so that much is equal; now and then of none. */
static double coordinate(void) {
    const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 1e-300};
    return draw(200) ? draw(60) * 2.5 : odd[draw(6)];
}

static void boxes_of(double *boxes, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        for (int k = 0; k < 2; k++) {
            boxes[4 * i + k] = coordinate();
            boxes[4 * i + 2 + k] = draw(9) ? boxes[4 * i + k] + 1 + draw(40) : coordinate();
        }
}

static double iou(const double *a, const double *b) {
    const double left = a[0] > b[0] ? a[0] : b[0], right = a[2] < b[2] ? a[2] : b[2];
    const double top = a[1] > b[1] ? a[1] : b[1], low = a[3] < b[3] ? a[3] : b[3];
    for (int k = 0; k < 4; k++)
        if (a[k] != a[k] || b[k] != b[k]) return 0;
    if (!(right > left && low > top)) return 0;
    const double shared = (right - left) * (low - top);
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared);
}

static void select_once(void) {
    const int32_t count = 1 + (int32_t)draw(40), classes = 1 + (int32_t)draw(9);
    const int32_t limit = 1 + (int32_t)draw(50), candidates = limit < count ? limit : count;
    const int32_t keep = 1 + (int32_t)draw((uint32_t)candidates);
    const double overlap = draw(4) / 4.0;
    double *boxes = memory((size_t)count * 4, sizeof *boxes);
    double *scores = memory((size_t)(count * classes), sizeof *scores);
    int32_t *picked = memory((size_t)(classes * keep), sizeof *picked);
    int32_t *counts = memory((size_t)classes, sizeof *counts);
    uint8_t *scratch = memory(selection_scratch(count, classes, candidates), 1);
    boxes_of(boxes, count);
    for (int32_t i = 0; i < count * classes; i++) scores[i] = draw(50) ? draw(8) / 10.0 : NAN;
    const int64_t room = (int64_t)selection_scratch(count, classes, candidates);
    if (select_boxes(boxes, 4 * count, scores, count * classes, count, classes, 0.1, candidates,
                     overlap, keep, picked, classes * keep, counts, scratch, room))
        fail("boxes that fit were refused", count);
    if (!select_boxes(boxes, 4 * count - 1, scores, count * classes, count, classes, 0.1,
                      candidates, overlap, keep, picked, classes * keep, counts, scratch, room) ||
        !select_boxes(boxes, 4 * count, scores, count * classes - 1, count, classes, 0.1,
                      candidates, overlap, keep, picked, classes * keep, counts, scratch, room) ||
        !select_boxes(boxes, 4 * count, scores, count * classes, count, classes, 0.1, count + 1,
                      overlap, keep, picked, classes * keep, counts, scratch, room) ||
        !select_boxes(boxes, 4 * count, scores, count * classes, count, classes, 0.1, candidates,
                      overlap, keep, picked, classes * keep - 1, counts, scratch, room) ||
        !select_boxes(boxes, 4 * count, scores, count * classes, count, classes, 0.1, candidates,
                      overlap, keep, picked, classes * keep, counts, scratch, room - 1))
        fail("boxes that do not fit were taken", count);
    for (int32_t c = 0; c < classes; c++) {
        char *seen = memory((size_t)count, 1);
        memset(seen, 0, (size_t)count);
        int32_t kept = 0;
        for (int32_t turn = 0; turn < candidates && kept < keep; turn++) {
            int32_t best = -1;
            for (int32_t i = 0; i < count; i++) {
                const double score = scores[i * classes + c];
                if (!seen[i] && score > 0.1 && (best < 0 || score > scores[best * classes + c]))
                    best = i;
            }
            if (best < 0) break;
            seen[best] = 1;
            int gone = 0;
            for (int32_t k = 0; k < kept; k++)
                gone |= iou(boxes + 4 * best, boxes + 4 * picked[c * keep + k]) > overlap;
            if (gone) continue;
            if (kept >= counts[c] || picked[c * keep + kept] != best) fail("a pick is missing", c);
            kept++;
        }
        if (kept != counts[c]) fail("a pick too many", counts[c]);
        free(seen);
    }
    free(boxes), free(scores), free(picked), free(counts), free(scratch);
}

/* Fresh memory with what was used of the old. */
static void *grown(void *old, int32_t used, int32_t count, size_t size) {
    void *fresh = memory((size_t)count, size);
    if (used > 0) memcpy(fresh, old, (size_t)used * size);
    free(old);
    return fresh;
}

#define GROW(field, used, count, each) \
    (l->field = grown(l->field, (used) * (each), (count) * (each), sizeof *l->field))

/* Memory for the rows in use, those that a frame may add, and none besides. */
static void fit(linking *l, int32_t found) {
    const int32_t t = l->tracks, rows = t + found, w = l->width;
    GROW(id, t, rows, 1), GROW(start, t, rows, 1), GROW(hits, t, rows, 1);
    GROW(misses, t, rows, 1), GROW(lost, t, rows, 1), GROW(watched, t, rows, 1), GROW(sums, t, rows, w), GROW(level, t, rows, 1);
    GROW(recent, t, rows, w), GROW(weight, t, rows, 1);
    GROW(states, t, rows, STATE), GROW(size, t, rows, 2);
    GROW(label, 0, rows, 1), GROW(score, 0, rows, 1), GROW(box, 0, rows, 4);
    GROW(ended_id, 0, rows, 1), GROW(ended_hits, 0, rows, 1);
    GROW(ended_watched, 0, rows, 1), GROW(ended_sums, 0, rows, w);
    GROW(boxes, 0, found, 4), GROW(scores, 0, found, w);
    GROW(logs, 0, 3 * found + rows, 1), GROW(exps, 0, rows, 2);
    GROW(past_id, 0, rows, 1), GROW(past_frame, 0, rows, 1), GROW(past_passed, 0, rows, 1);
    GROW(past_elapsed, 0, rows, 1), GROW(past_seen, 0, rows, 1);
    GROW(past_states, 0, rows, l->past_state), GROW(past_boxes, 0, rows, 4), GROW(past_scores, 0, rows, l->classes);
    GROW(scratch, 0, (int32_t)link_scratch(rows, found, w), 1);
    l->row_capacity = rows, l->found_capacity = found, l->past = 0, l->past_capacity = rows;
}

static void check(const linking *l, int32_t before, int32_t found) {
    if (l->tracks + l->ended > before + found) fail("too many tracks", l->tracks);
    if (l->past != l->tracks) fail("a row of the history is missing", (double)l->past);
    for (int32_t t = 0; t < l->tracks; t++) {
        if (t && l->id[t] <= l->id[t - 1]) fail("ids do not ascend", t);
        if (l->lost[t] >= l->most_lost) fail("a track outlived its end", t);
        if (l->hits[t] < 1 || l->hits[t] > l->frame - l->start[t] + 1) fail("hits are off", t);
        if (l->watched[t] <= 0 || l->watched[t] > 3.0 * (double)l->hits[t]) fail("time is off", t);
        if (l->weight[t] < 1 || l->weight[t] > (double)l->hits[t]) fail("a weight is off", t);
        if (l->score[t] < 0 || l->score[t] > 1 + 1e-9) fail("a score is none", t);
        if (l->past_seen[t] != (l->misses[t] == 0)) fail("what was seen is off", t);
        if (l->label[t] < 0 || l->label[t] >= l->classes) fail("a label is none", t);
    }
}

static void link_stream(void) {
    linking zero = {
        .floor = 0.001, .moved = 9e-4, .accelerated = 3.6e-5, .measured2 = 2.5e-3, .first2 = 3.6e-3, .reach = 0.6, .reach_per_miss = 0.12,
        .largest_reach = 2, .largest_growth = 0.7, .largest_ratio = 2.034, .least_overlap = 0.1f,
        .class_weight = 1, .level_weight = 0.5f, .least_gain = 0.8f, .least_cosine = 0.6f,
        .suppressed = 0.3f, .classes = 1 + (int32_t)draw(30), .sure_hits = 4,
        .most_lost = 1 + draw(9), .past_state = draw(2) ? 4 : STATE};
    linking *l = &zero;
#if defined(__x86_64__)
    l->avx2 = __builtin_cpu_supports("avx2") && draw(2);
#endif
    l->width = (l->classes + LANES - 1) / LANES * LANES;
    l->unsure_lost = l->most_lost < 5 ? l->most_lost : 5;
    for (l->frame = 0; l->frame < 25; l->frame += l->passed) {
        l->passed = 1 + draw(3);
        l->elapsed = (double)l->passed * (draw(2) ? 1 : 0.4);
        l->faded = pow(0.8, l->elapsed), l->carried = (1 - l->faded) / 0.2;
        l->shared = draw(2) ? 0 : 1e-5;
        l->remembered = fmax(1, 4 / l->elapsed), l->outshines = draw(2) ? INFINITY : 2;
        const int32_t found = (int32_t)draw(draw(5) ? 12 : 90), before = l->tracks;
        fit(l, found);
        boxes_of(l->boxes, l->found = found);
        memset(l->scores, 0, (size_t)(found * l->width) * sizeof *l->scores);
        for (int32_t i = 0; i < found; i++)
            for (int32_t c = 0; c < l->classes; c++)
                l->scores[i * l->width + c] = draw(99) ? (draw(3) ? 0 : draw(6) / 5.0) : NAN;
        l->found = found + 1; /* more than there is room for */
        if (link_look(l) != -1 || link_step(l) != -1) fail("too many detections", found);
        l->found = found, l->past = found + l->tracks ? 1 : 0;
        if (l->past && link_step(l) != -1) fail("a history without room", found);
        l->past = 0;
        const int32_t good = link_look(l);
        for (int32_t i = 0; i < 3 * good + before; i++) l->logs[i] = log(l->logs[i]);
        for (int32_t i = 0; i < 2 * before; i++) l->exps[i] = exp(l->exps[i]);
        int64_t need = draw(50);
        do {
            free(l->pairs);
            l->pair_capacity = need;
            l->pairs = memory(2 * (size_t)need, sizeof *l->pairs);
            need = link_step(l);
        } while (need);
        for (int32_t i = 0; i < 2 * l->tracks; i++) l->size[i] = exp(l->exps[i]);
        link_show(l);
        check(l, before, good);
    }
    void *blocks[] = {l->id, l->start, l->hits, l->misses, l->lost, l->watched, l->sums, l->level,
                      l->recent, l->weight, l->states, l->size,
                      l->label, l->score, l->box, l->ended_id, l->ended_hits, l->ended_watched, l->ended_sums,
                      l->boxes, l->scores, l->logs, l->exps, l->past_id, l->past_frame,
                      l->past_passed, l->past_elapsed, l->past_seen, l->past_states, l->past_boxes, l->past_scores, l->pairs, l->scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) free(blocks[i]);
}

int main(int count, char **words) {
    const int rounds = count > 1 ? atoi(words[1]) : 200;
    state = 88172645463325252ull + (count > 2 ? strtoull(words[2], 0, 10) : 0) * 7919;
    for (int round = 0; round < rounds; round++) {
        select_once();
        link_stream();
    }
    printf("%d selections, as defined, and as many streams of 25 frames linked\n", rounds);
    return 0;
}
