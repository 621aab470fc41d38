/* Pairs tracks with detections, and finds which start tracks; the reference is tracks/matching.py. */
#include "pairing.h"

#include <string.h>

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

/* Radix sort by key, from the lowest byte; equal keys keep their order. */
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
    /* Only pairs with equal keys can still be out of order. */
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

/* Lists the detections without a partner, in the order of their centres. */
int32_t link_line_up(const linking *l, const work *w) {
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

void link_take(const linking *l, const work *w, int64_t count) {
    link_sort(l->pairs, l->pairs + l->pair_capacity, count);
    for (int64_t i = 0; i < count; i++) {
        const int32_t t = l->pairs[i].first, d = l->pairs[i].second;
        if (w->partner[t] >= 0 || w->standing[d]) continue;
        w->partner[t] = d;
        w->standing[d] = 1;
    }
}

#if defined(__x86_64__)
#define BY_KERNEL(function, ...) (l->avx2 ? function##_avx2 : function##_generic)(__VA_ARGS__)
#else
#define BY_KERNEL(function, ...) function##_generic(__VA_ARGS__)
#endif

int64_t link_by_overlap(const linking *l, const work *w) { return BY_KERNEL(by_overlap, l, w); }
int64_t link_by_distance(const linking *l, const work *w) { return BY_KERNEL(by_distance, l, w); }
int32_t link_births(const linking *l, const work *w) { return BY_KERNEL(births, l, w); }
