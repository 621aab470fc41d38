/* The parts of link_step that find pairs; internal to the library. */
#ifndef EDGEKIT_PAIRING_H
#define EDGEKIT_PAIRING_H

#include "linking.h"

/* Boxes in the order of their left edges. */
typedef struct {
    int32_t *box;
    float *x1, *y1, *x2, *y2, *area;
    float *far; /* largest x2 up to this box */
} sweep;

/* Detections in the order of their centres, as floats, which suffice to find near candidates. */
typedef struct {
    int32_t *box;
    float *x, *y, *across, *down, *log_across, *log_down;
} crowd;

/* Intermediate results of link_step; all are in scratch. */
typedef struct {
    float *track_corners, *found_corners; /* (4) each */
    float *track_profile, *found_profile; /* (width) each, of length 1 */
    float *track_level, *found_level;
    double *peak, *measured, *found_size; /* of the detections: one, (4), (2) */
    int32_t *partner;                     /* detection of each row, or -1 */
    uint8_t *standing;                    /* whether each detection is taken or starts a track */
    pair *order, *spare;                  /* found_capacity each */
    sweep swept;
    crowd left;
    float *value; /* value of each detection for one track */
    int32_t *hits;
} work;

work link_work(const linking *l);

/* Fills swept from found_corners. */
void link_sweep(const linking *l, work *w);

/* Lists in left the detections that are not taken, and returns their number. */
int32_t link_line_up(const linking *l, const work *w);

/* Finds pairs and returns their number; writes at most pair_capacity of them. */
typedef int64_t finder(const linking *l, const work *w);
finder link_by_overlap, link_by_distance;
finder by_overlap_generic, by_distance_generic, by_overlap_avx2, by_distance_avx2;

/* Sorts count pairs; spare must hold as many. */
void link_sort(pair *pairs, pair *spare, int64_t count);

/* Takes pairs in their order, if both members are still free. */
void link_take(const linking *l, const work *w, int64_t count);

/* Marks the detections that start tracks as standing, lists them in order, returns their number. */
typedef int32_t midwife(const linking *l, const work *w);
midwife link_births, births_generic, births_avx2;

/* Returns a key whose ascending order sorts values in descending order. */
uint32_t link_descending(float value);

float link_area(const float *corners);

#endif
