/*
 * The loops over tracks and detections for one instruction set, which TARGET names. WIDE is the
 * number of floats in a vector, in the vector types of GCC and Clang.
 */
#include <math.h>
#include <string.h>

#include "pairing.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

typedef float floats __attribute__((vector_size(4 * WIDE)));
typedef int32_t masks __attribute__((vector_size(4 * WIDE)));

static inline floats load(const float *from) {
    floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store(float *to, floats value) { memcpy(to, &value, sizeof value); }

static inline floats all(float value) { return value - (floats){0}; }

static inline floats choose(masks mask, floats a, floats b) {
    return (floats)((mask & (masks)a) | (~mask & (masks)b));
}

static inline floats least(floats a, floats b) { return choose(a < b, a, b); }
static inline floats most(floats a, floats b) { return choose(a > b, a, b); }
static inline floats size_of(floats a) { return (floats)((masks)a & 0x7fffffff); }

/* Counts the ascending values up to the limit, without branches that depend on them. */
static inline int32_t up_to(const float *values, int32_t count, float limit) {
    int32_t low = 0;
    while (count > 1) {
        const int32_t half = count / 2;
        low += values[low + half - 1] <= limit ? half : 0;
        count -= half;
    }
    return low + (count && values[low] <= limit);
}

/* Lists the indices from begin to end whose value is at least the limit; returns their number. */
static int32_t collect(const float *values, int32_t begin, int32_t end, float limit, int32_t *hits) {
    int32_t count = 0;
    for (int32_t i = begin; i < end; i++) {
        hits[count] = i;
        count += values[i] >= limit;
    }
    return count;
}

/* Lists the boxes of the sweep whose IoU with a box is at least the limit; value has the IoUs. */
static int32_t overlapping(const linking *l, const work *w, const float *c, float limit) {
    const sweep *s = &w->swept;
    const floats x1 = all(c[0]), y1 = all(c[1]), x2 = all(c[2]), y2 = all(c[3]);
    const floats area = all(link_area(c));
    /* Boxes before begin end left of this box; boxes from end on begin right of it. */
    const int32_t begin = up_to(s->far, l->found, c[0]), end = up_to(s->x1, l->found, c[2]);
    for (int32_t i = begin; i < end; i += WIDE) {
        const floats width = least(x2, load(s->x2 + i)) - most(x1, load(s->x1 + i));
        const floats height = least(y2, load(s->y2 + i)) - most(y1, load(s->y1 + i));
        const floats shared = width * height;
        const floats iou = shared / (area + load(s->area + i) - shared);
        store(w->value + i, choose((width > 0) & (height > 0), iou, all(0)));
    }
    return collect(w->value, begin, end, limit, w->hits);
}

static inline float cosine(const float *a, const float *b, int32_t width) {
    float lanes[LANES];
    floats sums[LANES / WIDE];
    for (int part = 0; part < LANES / WIDE; part++)
        sums[part] = load(a + WIDE * part) * load(b + WIDE * part);
    for (int32_t c = LANES; c < width; c += LANES)
        for (int part = 0; part < LANES / WIDE; part++)
            sums[part] += load(a + c + WIDE * part) * load(b + c + WIDE * part);
    memcpy(lanes, sums, sizeof lanes);
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

int64_t JOIN(by_overlap, TARGET)(const linking *l, const work *w) {
    int64_t count = 0;
    for (int32_t t = 0; t < l->tracks; t++) {
        const float *profile = w->track_profile + (size_t)t * l->width;
        const int32_t near =
            overlapping(l, w, w->track_corners + 4 * (size_t)t, l->least_overlap);
        for (int32_t k = 0; k < near; k++) {
            const int32_t at = w->hits[k], d = w->swept.box[at];
            const float off = fabsf(w->track_level[t] - w->found_level[d]), apart = off < 1 ? off : 1;
            const float alike = cosine(profile, w->found_profile + (size_t)d * l->width, l->width);
            const float gain = w->value[at] + l->class_weight * alike - l->level_weight * apart;
            if (!(gain >= l->least_gain)) continue;
            if (count < l->pair_capacity) l->pairs[count] = (pair){link_descending(gain), t, d};
            count++;
        }
    }
    return count;
}

/* Lists the candidates that may be near; only what it leaves out is exact. */
static int32_t around(const linking *l, const work *w, int32_t others, const double *place,
                      const double *size, double reach) {
    const crowd *o = &w->left;
    /* The rounding errors of the floats are far smaller than these margins. */
    const float slack = 1e-6f * (float)(fabs(place[0]) + fabs(place[1])) + 1e-6f;
    const float growth = (float)l->largest_growth + 1e-4f, more = 1.001f * (float)reach;
    const float far = more * (float)(size[0] * l->largest_ratio) + slack, x = (float)place[0];
    const floats at[] = {all(x), all((float)place[1]), all((float)place[2]), all((float)place[3])};
    const floats wide = all((float)size[0]), high = all((float)size[1]);
    const int32_t begin = up_to(o->x, others, x - far), end = up_to(o->x, others, x + far);
    for (int32_t i = begin; i < end; i += WIDE) {
        const floats across = more * most(wide, load(o->across + i));
        const floats down = more * most(high, load(o->down + i));
        const floats off = most(size_of(load(o->x + i) - at[0]) - across,
                                size_of(load(o->y + i) - at[1]) - down);
        const floats grown = most(size_of(load(o->log_across + i) - at[2]),
                                  size_of(load(o->log_down + i) - at[3]));
        store(w->value + i, -most(off - slack, grown - growth));
    }
    return collect(w->value, begin, end, 0, w->hits);
}

int64_t JOIN(by_distance, TARGET)(const linking *l, const work *w) {
    const int32_t others = link_line_up(l, w);
    int64_t count = 0;
    for (int32_t t = 0; t < l->tracks && others; t++) {
        if (w->partner[t] >= 0) continue;
        const double *state = l->states + (size_t)STATE * t, *size = l->exps + 2 * (size_t)t;
        const float *profile = w->track_profile + (size_t)t * l->width;
        double place[4], reach = l->reach + l->reach_per_miss * (l->lost[t] + (l->elapsed - 1));
        for (int k = 0; k < 4; k++) place[k] = state[PLACE + k] + l->carried * state[SPEED + k];
        if (reach > l->largest_reach) reach = l->largest_reach;
        const int32_t near = around(l, w, others, place, size, reach);
        for (int32_t n = 0; n < near; n++) {
            const int32_t d = w->left.box[w->hits[n]];
            const double *measured = w->measured + 4 * (size_t)d;
            double part[2];
            for (int k = 0; k < 2; k++) {
                const double side = w->found_size[2 * (size_t)d + k];
                part[k] = fabs(place[k] - measured[k]) / (size[k] > side ? size[k] : side);
            }
            const double away = sqrt(part[0] * part[0] + part[1] * part[1]) / reach;
            if (!(away <= 1) || !(fabs(place[2] - measured[2]) < l->largest_growth) ||
                !(fabs(place[3] - measured[3]) < l->largest_growth))
                continue;
            const float alike = cosine(profile, w->found_profile + (size_t)d * l->width, l->width);
            if (!(alike >= l->least_cosine)) continue;
            if (count < l->pair_capacity)
                l->pairs[count] = (pair){link_descending(alike - (float)away), t, d};
            count++;
        }
    }
    return count;
}

int32_t JOIN(births, TARGET)(const linking *l, const work *w) {
    int32_t others = 0, births = 0;
    for (int32_t d = 0; d < l->found; d++)
        if (!w->standing[d])
            w->order[others++] = (pair){link_descending((float)w->peak[d]), d, 0};
    link_sort(w->order, w->spare, others);
    for (int32_t k = 0; k < others; k++) {
        const pair one = w->order[k];
        const int32_t near =
            overlapping(l, w, w->found_corners + 4 * (size_t)one.first, l->suppressed);
        int covered = 0;
        for (int32_t n = 0; n < near && !covered; n++) {
            const int32_t other = w->swept.box[w->hits[n]];
            covered = w->standing[other] &&
                      w->peak[one.first] <= l->outshines * w->peak[other];
        }
        if (covered) continue;
        w->standing[one.first] = 1;
        w->order[births++] = one;
    }
    return births;
}
