/* One pass over the heatmap. The least of the best peaks so far excludes nearly all cells. */
#include "decode.h"

#include <math.h>
#include <string.h>

#include "lengths.h"

/* The best peaks so far, as a heap with the least at the root; of equal peaks, the latest. */
typedef struct {
    float *values;
    int64_t *cells;
    int64_t count, capacity;
    float floor; /* smallest value that can enter */
} heap;

static int is_less(const heap *h, int64_t a, int64_t b) {
    if (h->values[a] != h->values[b]) return h->values[a] < h->values[b];
    return h->cells[a] > h->cells[b];
}

static void swap(heap *h, int64_t a, int64_t b) {
    const float value = h->values[a];
    const int64_t cell = h->cells[a];
    h->values[a] = h->values[b], h->cells[a] = h->cells[b];
    h->values[b] = value, h->cells[b] = cell;
}

static void sink(heap *h, int64_t at, int64_t count) {
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_less(h, child + 1, child)) child++;
        if (!is_less(h, child, at)) return;
        swap(h, at, child);
    }
}

/* Cells come in ascending order, so a cell equal to the least peak is not better. */
static void enter(heap *h, float value, int64_t cell) {
    if (h->count == h->capacity && !(value > h->values[0])) return;
    if (h->count < h->capacity) {
        int64_t at = h->count++;
        h->values[at] = value, h->cells[at] = cell;
        for (int64_t above; at && is_less(h, at, above = (at - 1) / 2); at = above)
            swap(h, at, above);
    } else {
        h->values[0] = value, h->cells[0] = cell;
        sink(h, 0, h->count);
    }
    if (h->count == h->capacity) h->floor = nextafterf(h->values[0], INFINITY);
}

static void sort(heap *h) {
    for (int64_t last = h->count - 1; last > 0; last--) {
        swap(h, 0, last);
        sink(h, 0, last);
    }
}

/* Cells are tested in blocks, with vectors that every processor supports. */
enum { LANES = 4, BLOCK = 4 * LANES };
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));

static inline floats load(const float *from) {
    floats value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline int any(ints flags) {
    uint64_t halves[2];
    memcpy(halves, &flags, sizeof flags);
    return (halves[0] | halves[1]) != 0;
}

static inline ints at_least(const float *row, floats floor) {
    return (ints)((load(row) >= floor) | (load(row + LANES) >= floor)) |
           (ints)((load(row + 2 * LANES) >= floor) | (load(row + 3 * LANES) >= floor));
}

static int reaches(const float *row, int64_t width, float floor) {
    const floats floors = {floor, floor, floor, floor};
    ints flags = {0};
    int64_t x = 0;
    for (; x + BLOCK <= width; x += BLOCK) flags |= at_least(row + x, floors);
    int found = any(flags);
    for (; x < width; x++) found |= row[x] >= floor;
    return found;
}

/* Whether a block of cells with neighbours on all sides has a peak of at least the floor. */
static int has_peak(const float *above, const float *row, const float *below, float floor) {
    const floats floors = {floor, floor, floor, floor};
    if (!any(at_least(row, floors))) return 0;
    ints found = {0};
    for (int x = 0; x < BLOCK; x += LANES) {
        const floats values = load(row + x);
        ints flags = values >= floors;
        for (int near = x - 1; near <= x + 1; near++)
            flags &= (values >= load(above + near)) & (values >= load(row + near)) &
                     (values >= load(below + near));
        found |= flags;
    }
    return any(found);
}

/* False for a NaN and for its neighbours. At the sides, the nearest column replaces one outside. */
static int is_peak(const float *above, const float *row, const float *below, int64_t x,
                   int64_t width) {
    const int64_t left = x ? x - 1 : x, right = x + 1 < width ? x + 1 : x;
    const float value = row[x];
    for (int64_t near = left; near <= right; near++)
        if (!(value >= above[near] && value >= row[near] && value >= below[near])) return 0;
    return 1;
}

static void look(heap *h, const float *above, const float *row, const float *below, int64_t width,
                 int64_t first) {
    for (int64_t x = 0; x < width;) {
        const int inner = x > 0 && x + BLOCK < width;
        const int64_t behind = inner ? x + BLOCK : x + 1;
        if (!inner || has_peak(above + x, row + x, below + x, h->floor))
            for (int64_t at = x; at < behind; at++)
                if (row[at] >= h->floor && is_peak(above, row, below, at, width))
                    enter(h, row[at], first + at);
        x = behind;
    }
}

int64_t find_peaks(const float *heatmap, int64_t length, int64_t classes, int64_t height,
                   int64_t width, int64_t top_k, float *values, int64_t *cells) {
    if (length < 1 || top_k < 1 || !is_product(length, classes, height, width)) return -1;
    heap h = {values, cells, 0, top_k, -INFINITY};
    for (int64_t row = 0; row < classes * height; row++) {
        const float *at = heatmap + row * width;
        if (!reaches(at, width, h.floor)) continue;
        const int64_t y = row % height;
        look(&h, y ? at - width : at, at, y + 1 < height ? at + width : at, width, row * width);
    }
    sort(&h);
    return h.count;
}

int64_t place_peaks(const int64_t *cells, int64_t count, const float *wh, int64_t wh_length,
                    const float *reg, int64_t reg_length, int64_t height, int64_t width,
                    float stride, float *rows) {
    if (count < 0 || wh_length < 1 || reg_length != wh_length) return -1;
    if (!is_product(wh_length, 2, height, width)) return -1;
    const int64_t plane = height * width;
    for (int64_t i = 0; i < count; i++) {
        if (cells[i] < 0) return -1;
        const int64_t cell = cells[i] % plane;
        float *row = rows + 6 * i;
        for (int side = 0; side < 2; side++) {
            /* numpy adds integers and floats as doubles. */
            const double whole = (double)(side ? cell / width : cell % width);
            const double centre = whole + reg[side * plane + cell];
            const float half = wh[side * plane + cell] / 2;
            row[side] = (float)(centre - half) * stride;
            row[2 + side] = (float)(centre + half) * stride;
        }
        row[5] = (float)(cells[i] / plane);
    }
    return count;
}

/* Size of the hash table: a power of two, so that at most half of it is used. */
static size_t places(int64_t count) {
    size_t size = 2;
    while (size < 2 * (size_t)count) size *= 2;
    return size;
}

size_t group_scratch(int64_t count) {
    return places(count) * sizeof(int64_t) + (size_t)count * sizeof(int64_t);
}

static size_t hash(const float *box) {
    uint64_t halves[2];
    memcpy(halves, box, sizeof halves);
    const uint64_t mixed = (halves[0] ^ halves[1] * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return (size_t)(mixed >> 32);
}

static float clipped(float value, float limit) {
    if (value != value) return value;
    value = value > 0 ? value : 0;
    return value < limit ? value : limit;
}

int64_t group_rows(const float *rows, int64_t length, int64_t count, int64_t classes,
                   float scale_x, float scale, float left, float top, float width, float height,
                   float *boxes, float *scores, int64_t scores_length, uint8_t *scratch,
                   int64_t scratch_length) {
    if (classes < 1 || !is_product(length, count, 6, 1)) return -2;
    if (!is_product(scores_length, count, classes, 1)) return -2;
    if (scratch_length < 0 || (size_t)scratch_length < group_scratch(count)) return -2;
    const size_t size = places(count);
    /* table: by hash, the number of a box plus one. source: by number, the row it came from. */
    int64_t *table = (int64_t *)scratch, *source = table + size, found = 0;
    memset(table, 0, size * sizeof *table);
    for (int64_t i = 0; i < count; i++) {
        const float *row = rows + 6 * i;
        float box[4];
        for (int k = 0; k < 4; k++)
            box[k] = clipped((row[k] - (k % 2 ? top : left)) / (k % 2 ? scale : scale_x),
                             k % 2 ? height : width);
        if (!(box[2] > box[0] && box[3] > box[1] && row[4] > 0)) continue;
        if (!(row[5] > -1 && row[5] < (float)classes)) return -1;
        size_t place = hash(row) % size;
        while (table[place] && memcmp(rows + 6 * source[table[place] - 1], row, sizeof box))
            place = (place + 1) % size;
        if (!table[place]) {
            memcpy(boxes + 4 * found, box, sizeof box);
            memset(scores + classes * found, 0, (size_t)classes * sizeof *scores);
            source[found++] = i;
            table[place] = found;
        }
        scores[classes * (table[place] - 1) + (int64_t)row[5]] = row[4];
    }
    return found;
}
