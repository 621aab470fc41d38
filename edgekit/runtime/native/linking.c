/* One frame of the linker with its filter; the references are tracks/plain.py and kalman.py. */
#include "linking.h"

#include <math.h>
#include <string.h>

#include "pairing.h"

/* Rounds up to whole cache lines, so that each part is aligned for every type. */
static size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* Divides the memory at base into the arrays of w, and returns the number of bytes needed. */
static size_t carve(uintptr_t base, size_t rows, size_t found, size_t width, work *w) {
    uintptr_t at = base;
    found += LANES - 1; /* vector reads go beyond the last entry */
#define PART(field, count) (w->field = (void *)at, at += lines((count) * sizeof *w->field))
    PART(track_corners, 4 * rows), PART(found_corners, 4 * found);
    PART(track_profile, width * rows), PART(found_profile, width * found);
    PART(track_level, rows), PART(found_level, found);
    PART(peak, found), PART(measured, 4 * found), PART(found_size, 2 * found);
    PART(partner, rows), PART(standing, found);
    PART(order, found), PART(spare, found);
    PART(swept.box, found), PART(swept.area, found), PART(swept.far, found);
    PART(swept.x1, found), PART(swept.y1, found), PART(swept.x2, found), PART(swept.y2, found);
    PART(left.box, found), PART(left.x, found), PART(left.y, found);
    PART(left.across, found), PART(left.down, found);
    PART(left.log_across, found), PART(left.log_down, found);
    PART(value, found), PART(hits, found);
#undef PART
    return at - base;
}

size_t link_scratch(int32_t row_capacity, int32_t found_capacity, int32_t width) {
    work none;
    return carve(0, (size_t)row_capacity, (size_t)found_capacity, (size_t)width, &none);
}

work link_work(const linking *l) {
    work w;
    carve((uintptr_t)l->scratch, (size_t)l->row_capacity, (size_t)l->found_capacity, (size_t)l->width, &w);
    return w;
}

/* Whether the rows in use fit into the allocated rows. */
static int fits(const linking *l) {
    if (l->classes < 1 || l->classes > l->width || l->width % LANES) return 0;
    if (l->tracks < 0 || l->found < 0 || l->found > l->found_capacity) return 0;
    return (int64_t)l->tracks + l->found <= l->row_capacity;
}

int32_t link_look(linking *l) {
    if (!fits(l)) return -1;
    const work w = link_work(l);
    int32_t good = 0;
    for (int32_t i = 0; i < l->found; i++) {
        const double *box = l->boxes + 4 * (size_t)i, *scores = l->scores + (size_t)i * l->width;
        const double across = box[2] - box[0], down = box[3] - box[1];
        double peak = 0;
        for (int32_t c = 0; c < l->classes; c++) {
            if (scores[c] > peak) peak = scores[c];
            if (scores[c] != scores[c]) peak = INFINITY; /* reject a NaN, like an infinite score */
        }
        if (!(peak > l->floor && peak < INFINITY)) continue;
        if (!(across > 0 && across < INFINITY && down > 0 && down < INFINITY)) continue;
        if (good < i) {
            memcpy(l->boxes + 4 * (size_t)good, box, 4 * sizeof *box);
            memcpy(l->scores + (size_t)good * l->width, scores, (size_t)l->width * sizeof *scores);
        }
        w.peak[good] = peak;
        w.found_size[2 * good] = l->logs[2 * good] = across > 1 ? across : 1;
        w.found_size[2 * good + 1] = l->logs[2 * good + 1] = down > 1 ? down : 1;
        good++;
    }
    l->found = good;
    memcpy(l->logs + 2 * (size_t)good, w.peak, (size_t)good * sizeof *w.peak);
    for (int32_t t = 0; t < l->tracks; t++) {
        const double *state = l->states + (size_t)STATE * t;
        l->logs[3 * (size_t)good + t] = l->level[t] / (double)l->hits[t];
        for (int k = 0; k < 2; k++)
            l->exps[2 * (size_t)t + k] = state[PLACE + 2 + k] + l->carried * state[SPEED + 2 + k];
    }
    return good;
}

/* Scales the row to length 1; a row of zeros stays 0. */
static void normalise(const double *row, int32_t width, float *out) {
    double lanes[LANES];
    for (int lane = 0; lane < LANES; lane++) lanes[lane] = row[lane] * row[lane];
    for (int32_t c = LANES; c < width; c += LANES)
        for (int lane = 0; lane < LANES; lane++) lanes[lane] += row[c + lane] * row[c + lane];
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
    double length = sqrt(lanes[0]);
    if (length < 1e-9) length = 1e-9;
    for (int32_t c = 0; c < width; c++) out[c] = (float)(row[c] / length);
}

static void prepare(const linking *l, work *w) {
    const double *logs = l->logs;
    for (int32_t d = 0; d < l->found; d++) {
        const double *box = l->boxes + 4 * (size_t)d;
        for (int k = 0; k < 4; k++) w->found_corners[4 * d + k] = (float)box[k];
        for (int k = 0; k < 2; k++) {
            w->measured[4 * d + k] = (box[k] + box[2 + k]) / 2;
            w->measured[4 * d + 2 + k] = logs[2 * d + k];
        }
        w->found_level[d] = (float)logs[2 * (size_t)l->found + d];
        normalise(l->scores + (size_t)d * l->width, l->width,
                  w->found_profile + (size_t)d * l->width);
    }
    for (int32_t t = 0; t < l->tracks && l->found; t++) {
        const double *state = l->states + (size_t)STATE * t;
        for (int k = 0; k < 2; k++) {
            const double place = state[PLACE + k] + l->carried * state[SPEED + k];
            const double half = l->exps[2 * t + k] / 2;
            w->track_corners[4 * t + k] = (float)(place - half);
            w->track_corners[4 * t + 2 + k] = (float)(place + half);
        }
        w->track_level[t] = (float)logs[3 * (size_t)l->found + t];
        normalise(l->sums + (size_t)t * l->width, l->width,
                  w->track_profile + (size_t)t * l->width);
    }
    for (int32_t r = 0; r < l->tracks; r++) w->partner[r] = -1;
    memset(w->standing, 0, (size_t)l->found);
    link_sweep(l, w);
}

/* Square of the noise unit in each coordinate. */
static void units(const double *size, double *unit) {
    unit[0] = size[0] * size[0], unit[1] = size[1] * size[1], unit[2] = unit[3] = 1;
}

static void predict(const linking *l, double *state, const double *size) {
    double unit[4];
    units(size, unit);
    for (int k = 0; k < 4; k++) {
        double *at = state + k;
        const double speed = at[SPEED], c = at[C], s = at[S];
        const double a = l->carried, f = l->faded;
        at[PLACE] += a * speed;
        at[SPEED] = f * speed;
        at[P] = at[P] + 2 * a * c + a * a * s + l->moved * unit[k];
        at[C] = f * (c + a * s) + l->shared * unit[k];
        at[S] = f * f * s + l->accelerated * unit[k];
    }
}

static void correct(const linking *l, double *state, const double *size, const double *measured) {
    double unit[4];
    units(size, unit);
    for (int k = 0; k < 4; k++) {
        double *at = state + k;
        const double p = at[P], c = at[C], total = p + l->measured2 * unit[k];
        const double gain = p / total, speed_gain = c / total, error = measured[k] - at[PLACE];
        at[PLACE] += gain * error;
        at[SPEED] += speed_gain * error;
        at[P] = (1 - gain) * p;
        at[C] = (1 - gain) * c;
        at[S] = at[S] - speed_gain * c;
    }
}

static void advance(linking *l, const work *w) {
    for (int32_t t = 0; t < l->tracks; t++) {
        double *state = l->states + (size_t)STATE * t;
        const int32_t d = w->partner[t];
        predict(l, state, l->size + 2 * (size_t)t);
        l->misses[t] += l->passed;
        l->lost[t] += l->elapsed;
        if (d < 0) continue;
        correct(l, state, l->exps + 2 * (size_t)t, w->measured + 4 * (size_t)d);
        l->misses[t] = 0;
        l->lost[t] = 0;
        l->watched[t] += l->elapsed;
        l->hits[t]++;
        l->level[t] += w->peak[d];
        double *sums = l->sums + (size_t)t * l->width;
        const double *scores = l->scores + (size_t)d * l->width;
        double *recent = l->recent + (size_t)t * l->width, kept = (l->remembered - 1) / l->weight[t];
        if (kept > 1) kept = 1;
        for (int32_t c = 0; c < l->width; c++) {
            sums[c] += scores[c];
            recent[c] = recent[c] * kept + scores[c];
        }
        l->weight[t] = l->weight[t] * kept + 1;
    }
}

static void bear(linking *l, const work *w, int32_t row, int32_t d) {
    double *state = l->states + (size_t)STATE * row, unit[4];
    units(w->found_size + 2 * (size_t)d, unit);
    memset(state, 0, STATE * sizeof *state);
    for (int k = 0; k < 4; k++) {
        state[PLACE + k] = w->measured[4 * (size_t)d + k];
        state[P + k] = l->measured2 * unit[k];
        state[S + k] = l->first2 * unit[k];
    }
    l->id[row] = l->next_id++;
    l->start[row] = l->frame;
    l->hits[row] = 1;
    l->misses[row] = 0;
    l->lost[row] = 0;
    l->watched[row] = l->elapsed;
    l->level[row] = w->peak[d];
    memcpy(l->sums + (size_t)row * l->width, l->scores + (size_t)d * l->width,
           (size_t)l->width * sizeof *l->sums);
    l->weight[row] = 1;
    memcpy(l->recent + (size_t)row * l->width, l->scores + (size_t)d * l->width,
           (size_t)l->width * sizeof *l->recent);
    w->partner[row] = d;
}

static void bury(linking *l, int32_t row) {
    const int32_t at = l->ended++;
    l->ended_id[at] = l->id[row];
    l->ended_hits[at] = l->hits[row];
    l->ended_watched[at] = l->watched[row];
    memcpy(l->ended_sums + (size_t)at * l->width, l->sums + (size_t)row * l->width,
           (size_t)l->width * sizeof *l->sums);
}

/* Moves a track to an earlier row, or leaves it in its own. */
static void move(linking *l, int32_t from, int32_t to) {
    if (from == to) return;
    l->id[to] = l->id[from];
    l->start[to] = l->start[from];
    l->hits[to] = l->hits[from];
    l->misses[to] = l->misses[from];
    l->lost[to] = l->lost[from];
    l->watched[to] = l->watched[from];
    l->level[to] = l->level[from];
    memcpy(l->sums + (size_t)to * l->width, l->sums + (size_t)from * l->width,
           (size_t)l->width * sizeof *l->sums);
    l->weight[to] = l->weight[from];
    memcpy(l->recent + (size_t)to * l->width, l->recent + (size_t)from * l->width,
           (size_t)l->width * sizeof *l->recent);
    memcpy(l->states + (size_t)STATE * to, l->states + (size_t)STATE * from,
           STATE * sizeof *l->states);
}

/* Adds a track to the history, with its detection, or -1. */
static void remember(linking *l, int32_t row, int32_t found) {
    const double *state = l->states + (size_t)STATE * row;
    const size_t past = (size_t)l->past++;
    l->past_id[past] = l->id[row];
    l->past_frame[past] = l->frame;
    l->past_passed[past] = l->passed;
    l->past_elapsed[past] = l->elapsed;
    l->past_seen[past] = l->misses[row] == 0;
    const size_t length = (size_t)l->past_state;
    memcpy(l->past_states + length * past, state, length * sizeof *state);
    double *box = l->past_boxes + 4 * past;
    float *out = l->past_scores + past * (size_t)l->classes;
    memset(box, 0, 4 * sizeof *box);
    memset(out, 0, (size_t)l->classes * sizeof *out);
    if (found >= 0) {
        const double *scores = l->scores + (size_t)found * l->width;
        memcpy(box, l->boxes + 4 * (size_t)found, 4 * sizeof *box);
        for (int32_t c = 0; c < l->classes; c++) out[c] = (float)scores[c];
    }
    for (int k = 0; k < 2; k++) l->exps[2 * (size_t)row + k] = state[PLACE + 2 + k];
}

int64_t link_step(linking *l) {
    if (!fits(l) || l->pair_capacity < 0 || l->past < 0) return -1;
    if (l->past_capacity - l->past < (int64_t)l->tracks + l->found) return -1;
    work w = link_work(l);
    l->ended = 0;
    prepare(l, &w);
    if (l->tracks && l->found) {
        const int64_t near = link_by_overlap(l, &w);
        if (near > l->pair_capacity) return near;
        link_take(l, &w, near);
        const int64_t far = link_by_distance(l, &w);
        if (far > l->pair_capacity) return far;
        link_take(l, &w, far);
    }
    advance(l, &w);
    const int32_t births = link_births(l, &w);
    for (int32_t k = 0; k < births; k++) bear(l, &w, l->tracks + k, w.order[k].first);
    const int32_t rows = l->tracks + births;
    l->tracks = 0;
    for (int32_t r = 0; r < rows; r++) {
        if (l->lost[r] >= (l->hits[r] < l->sure_hits ? l->unsure_lost : l->most_lost)) {
            bury(l, r);
            continue;
        }
        const int32_t to = l->tracks++;
        move(l, r, to);
        remember(l, to, w.partner[r]);
    }
    return 0;
}

void link_show(linking *l) {
    if (l->tracks > l->row_capacity) return;
    for (int32_t t = 0; t < l->tracks; t++) {
        const double *place = l->states + (size_t)STATE * t;
        const double *recent = l->recent + (size_t)t * l->width;
        int32_t best = 0;
        for (int32_t c = 1; c < l->classes; c++)
            if (recent[c] > recent[best]) best = c;
        l->label[t] = best;
        l->score[t] = recent[best] / l->weight[t];
        for (int k = 0; k < 2; k++) {
            const double half = l->size[2 * (size_t)t + k] / 2;
            l->box[4 * (size_t)t + k] = place[k] - half;
            l->box[4 * (size_t)t + 2 + k] = place[k] + half;
        }
    }
}
