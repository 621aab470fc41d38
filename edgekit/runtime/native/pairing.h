/* The parts of link_step that find pairs. Inside the library only. */
#ifndef EDGEKIT_PAIRING_H
#define EDGEKIT_PAIRING_H

#include "linking.h"

/* Boxes in the order of their left edges. */
typedef struct {
    int32_t *box;
    float *x1, *y1, *x2, *y2, *area;
    float *far; /* the largest x2 so far */
} sweep;

/* Detections in the order of their centres, as floats: enough to tell which may be near. */
typedef struct {
    int32_t *box;
    float *x, *y, *across, *down, *log_across, *log_down;
} crowd;

/* What link_step computes on its way; all of it lies in scratch. */
typedef struct {
    float *track_corners, *found_corners; /* (4) each */
    float *track_profile, *found_profile; /* (width) each, of length 1 */
    float *track_level, *found_level;
    double *peak, *measured, *found_size; /* of the detections: one, (4), (2) */
    int32_t *partner;                     /* of each row: its detection, or -1 */
    uint8_t *standing;                    /* of each detection: taken, or a birth */
    pair *order, *spare;                  /* found_capacity each */
    sweep swept;
    crowd left;
    float *value; /* of each detection, for one track */
    int32_t *hits;
} work;

work link_work(const linking *l);

/* Fills swept from found_corners. */
void link_sweep(const linking *l, work *w);

/* Lists in left the detections that are not taken; gives how many. */
int32_t link_line_up(const linking *l, const work *w);

/* Finds pairs, gives how many there are, and writes no more than pair_capacity. */
typedef int64_t finder(const linking *l, const work *w);
finder link_by_overlap, link_by_distance;
finder by_overlap_generic, by_distance_generic, by_overlap_avx2, by_distance_avx2;

/* Sorts count pairs; the memory behind them holds as many more. */
void link_sort(pair *pairs, pair *spare, int64_t count);

/* Takes pairs in their order; both have to be free. */
void link_take(const linking *l, const work *w, int64_t count);

/* Marks the detections that start tracks as standing, and lists them in order; gives how many. */
typedef int32_t midwife(const linking *l, const work *w);
midwife link_births, births_generic, births_avx2;

/* A key that sorts descending values ascending. */
uint32_t link_descending(float value);

float link_area(const float *corners);

#endif
