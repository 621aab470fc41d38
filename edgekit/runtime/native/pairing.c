/* Which track goes on in which detection, and which detections start tracks: as _matching.py has it. */
#include "pairing.h"

#include <math.h>
#include <string.h>

/* Four at a time, in the vector types of GCC and Clang. */
enum { FOUR = 4 };
typedef float floats __attribute__((vector_size(4 * FOUR)));
typedef int32_t masks __attribute__((vector_size(4 * FOUR)));

static inline floats load(const float *from) {
    floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void store(float *to, floats value) { memcpy(to, &value, sizeof value); }

static inline floats all(float value) { return (floats){value, value, value, value}; }

static inline floats choose(masks mask, floats a, floats b) {
    return (floats)((mask & (masks)a) | (~mask & (masks)b));
}

static inline floats least(floats a, floats b) { return choose(a < b, a, b); }
static inline floats most(floats a, floats b) { return choose(a > b, a, b); }
static inline floats size_of(floats a) { return (floats)((masks)a & 0x7fffffff); }

float link_area(const float *c) { return (c[2] - c[0]) * (c[3] - c[1]); }

uint32_t link_descending(float value) {
    uint32_t bits;
    value += 0.0f; /* the two zeros are equal */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static int before(const pair *a, const pair *b) {
    if (a->key != b->key) return a->key < b->key;
    return a->first != b->first ? a->first < b->first : a->second < b->second;
}

/* By key, byte by byte from the lowest; equals keep their order. */
static void by_key(pair *from, pair *to, int64_t count) {
    for (int shift = 0; shift < 32; shift += 8) {
        int64_t places[256] = {0};
        for (int64_t i = 0; i < count; i++) places[from[i].key >> shift & 255]++;
        for (int64_t digit = 0, sum = 0; digit < 256; digit++) {
            const int64_t many = places[digit];
            places[digit] = sum;
            sum += many;
        }
        for (int64_t i = 0; i < count; i++) to[places[from[i].key >> shift & 255]++] = from[i];
        pair *swap = from;
        from = to;
        to = swap;
    }
}

void link_sort(pair *pairs, pair *spare, int64_t count) {
    if (count > 48) by_key(pairs, spare, count);
    /* Few are out of place now: those of one key. */
    for (int64_t i = 1; i < count; i++) {
        const pair one = pairs[i];
        int64_t place = i;
        for (; place > 0 && before(&one, pairs + place - 1); place--)
            pairs[place] = pairs[place - 1];
        pairs[place] = one;
    }
}

void link_sweep(const linking *l, work *w) {
    const sweep *s = &w->swept;
    for (int32_t i = 0; i < l->found; i++)
        w->order[i] = (pair){~link_descending(w->found_corners[4 * i]), i, 0};
    link_sort(w->order, w->spare, l->found);
    for (int32_t i = 0; i < l->found; i++) {
        const int32_t box = w->order[i].first;
        const float *c = w->found_corners + 4 * (size_t)box;
        s->box[i] = box;
        s->x1[i] = c[0], s->y1[i] = c[1], s->x2[i] = c[2], s->y2[i] = c[3];
        s->area[i] = link_area(c);
        s->far[i] = i && s->far[i - 1] > c[2] ? s->far[i - 1] : c[2];
    }
}

/* How many of the ascending values are at most the limit. */
static int32_t up_to(const float *values, int32_t count, float limit) {
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (values[middle] <= limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Lists where the values from begin to end are at least the limit; gives how many. */
static int32_t collect(const float *values, int32_t begin, int32_t end, float limit, int32_t *hits) {
    int32_t count = 0;
    for (int32_t i = begin; i < end; i++) {
        hits[count] = i;
        count += values[i] >= limit;
    }
    return count;
}

/* Lists the places in the sweep whose IoU with a box is at least the limit, and sets value there. */
static int32_t overlapping(const linking *l, const work *w, const float *c, float limit) {
    const sweep *s = &w->swept;
    const floats x1 = all(c[0]), y1 = all(c[1]), x2 = all(c[2]), y2 = all(c[3]);
    const floats area = all(link_area(c));
    /* Those before begin end left of the box, those from end on begin right of it. */
    const int32_t begin = up_to(s->far, l->found, c[0]), end = up_to(s->x1, l->found, c[2]);
    for (int32_t i = begin; i < end; i += FOUR) {
        const floats width = least(x2, load(s->x2 + i)) - most(x1, load(s->x1 + i));
        const floats height = least(y2, load(s->y2 + i)) - most(y1, load(s->y1 + i));
        const floats shared = width * height;
        const floats iou = shared / (area + load(s->area + i) - shared);
        store(w->value + i, choose((width > 0) & (height > 0), iou, all(0)));
    }
    return collect(w->value, begin, end, limit, w->hits);
}

static inline float cosine(const float *a, const float *b, int32_t width) {
    floats low = load(a) * load(b), high = load(a + FOUR) * load(b + FOUR);
    for (int32_t c = LANES; c < width; c += LANES) {
        low += load(a + c) * load(b + c);
        high += load(a + c + FOUR) * load(b + c + FOUR);
    }
    low += high;
    return (low[0] + low[2]) + (low[1] + low[3]);
}

int64_t link_by_overlap(const linking *l, const work *w) {
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

/* Those without a partner yet, in the order of their centres. */
static int32_t line_up(const linking *l, const work *w) {
    int32_t count = 0;
    for (int32_t d = 0; d < l->found; d++)
        if (!w->standing[d])
            w->order[count++] = (pair){~link_descending((float)w->measured[4 * (size_t)d]), d, 0};
    link_sort(w->order, w->spare, count);
    for (int32_t i = 0; i < count; i++) {
        const int32_t d = w->order[i].first;
        const double *measured = w->measured + 4 * (size_t)d;
        w->left.box[i] = d;
        w->left.x[i] = (float)measured[0], w->left.y[i] = (float)measured[1];
        w->left.log_across[i] = (float)measured[2], w->left.log_down[i] = (float)measured[3];
        w->left.across[i] = (float)w->found_size[2 * (size_t)d];
        w->left.down[i] = (float)w->found_size[2 * (size_t)d + 1];
    }
    return count;
}

/* Lists the places in the line that may be near; exact only in what it leaves out. */
static int32_t around(const linking *l, const work *w, int32_t others, const double *place,
                      const double *size, double reach) {
    const crowd *o = &w->left;
    /* What the floats have lost is far less than these. */
    const float slack = 1e-6f * (float)(fabs(place[0]) + fabs(place[1])) + 1e-6f;
    const float growth = (float)l->largest_growth + 1e-4f, more = 1.001f * (float)reach;
    const float far = more * (float)(size[0] * l->largest_ratio) + slack, x = (float)place[0];
    const floats at[] = {all(x), all((float)place[1]), all((float)place[2]), all((float)place[3])};
    const floats wide = all((float)size[0]), high = all((float)size[1]);
    const int32_t begin = up_to(o->x, others, x - far), end = up_to(o->x, others, x + far);
    for (int32_t i = begin; i < end; i += FOUR) {
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

int64_t link_by_distance(const linking *l, const work *w) {
    const int32_t others = line_up(l, w);
    int64_t count = 0;
    for (int32_t t = 0; t < l->tracks && others; t++) {
        if (w->partner[t] >= 0) continue;
        const double *state = l->states + (size_t)STATE * t, *size = l->exps + 2 * (size_t)t;
        const float *profile = w->track_profile + (size_t)t * l->width;
        double place[4], reach = l->reach + l->reach_per_miss * (double)l->misses[t];
        for (int k = 0; k < 4; k++) place[k] = state[PLACE + k] + state[SPEED + k];
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

void link_take(const linking *l, const work *w, int64_t count) {
    link_sort(l->pairs, l->pairs + l->pair_capacity, count);
    for (int64_t i = 0; i < count; i++) {
        const int32_t t = l->pairs[i].first, d = l->pairs[i].second;
        if (w->partner[t] >= 0 || w->standing[d]) continue;
        w->partner[t] = d;
        w->standing[d] = 1;
    }
}

int32_t link_births(const linking *l, const work *w) {
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
        for (int32_t n = 0; n < near && !covered; n++)
            covered = w->standing[w->swept.box[w->hits[n]]];
        if (covered) continue;
        w->standing[one.first] = 1;
        w->order[births++] = one;
    }
    return births;
}
