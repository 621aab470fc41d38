/*
 * Interface of the compiled linker. plain.py, matching.py and kalman.py in edgekit/linking/tracks
 * define what it does; it repeats their arithmetic operation by operation, so that the results are
 * equal.
 *
 * Boxes are x1, y1, x2, y2. Rows of class scores are padded with zeros to a multiple of LANES. The
 * caller owns all memory, and computes all exponentials and logarithms, because different
 * mathematics libraries differ in the last digit.
 */
#ifndef EDGEKIT_LINKING_H
#define EDGEKIT_LINKING_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 8, PLACE = 0, SPEED = 4, P = 8, C = 12, S = 16, STATE = 20 };

/* A pair of a track or box and another one; sorted by ascending key, first and second. */
typedef struct {
    uint32_t key;
    int32_t first, second;
} pair;

/* Mirrored by Linking in structures.py, field for field. */
typedef struct {
    double floor;
    double carried, faded, moved, shared, accelerated; /* the filter's step to this frame */
    double measured2, first2;
    double elapsed; /* time since the previous processed frame */
    double unsure_lost, most_lost; /* largest time without a detection */
    double remembered; /* number of detections that make a live score */
    double outshines; /* ratio of scores above which a pair does not suppress a detection */
    double reach, reach_per_miss, largest_reach, largest_growth, largest_ratio;
    float least_overlap, class_weight, level_weight, least_gain, least_cosine, suppressed;
    int32_t classes, width; /* width: numbers in a padded row */
    int32_t sure_hits;
    int32_t tracks, found, ended; /* rows in use */
    int32_t row_capacity, found_capacity;
    int32_t avx2;       /* whether the processor supports AVX2 and it may be used */
    int32_t past_state; /* numbers of each state that the history holds */
    int64_t pair_capacity;
    int64_t frame, passed, next_id; /* passed: frames since the previous processed frame */
    int64_t past, past_capacity; /* rows of the history in use, and in all */

    /* One row for each track, row_capacity of them. */
    int64_t *id, *start, *hits, *misses;
    double *lost, *watched;               /* time since the last detection; time of all detections */
    double *sums, *level;                 /* sums of scores, (width), and of the highest, one */
    double *recent, *weight;              /* fading sums of scores, (width), and of weights, one */
    double *states, *size;                /* (5, 4) as in States, (2) */
    int64_t *label;                       /* label, score and box are filled by link_show */
    double *score, *box;                  /* one, (4) */
    int64_t *ended_id, *ended_hits;
    double *ended_watched, *ended_sums; /* one, (width) */

    /* One row for each detection, found_capacity of them. */
    double *boxes, *scores; /* (4), (width) */

    double *logs; /* 3 for each detection and 1 for each track; see link_look */
    double *exps; /* 2 for each track, and for each row that may become one */

    /* The history, with one row for each track and frame. */
    int64_t *past_id, *past_frame, *past_passed;
    double *past_elapsed;
    uint8_t *past_seen;
    double *past_states, *past_boxes; /* (past_state), (4) */
    float *past_scores; /* (classes) */

    pair *pairs;      /* twice pair_capacity */
    uint8_t *scratch; /* link_scratch() bytes */
} linking;

size_t link_scratch(int32_t row_capacity, int32_t found_capacity, int32_t width);

/*
 * Removes detections that cannot be linked, and returns how many remain. Returns -1 if tracks and
 * found exceed the capacity. logs receives the numbers whose logarithms link_step needs: widths and
 * heights, highest scores, and each track's mean highest score. exps receives the predicted
 * logarithms of width and height, whose exponentials link_step needs.
 */
int32_t link_look(linking *l);

/*
 * Pairs, corrects, starts and ends tracks, and writes the history. row_capacity holds tracks and
 * detections together. Returns 0, with the logarithms of width and height of all tracks in exps.
 * Returns the number of pairs if it exceeds pair_capacity; nothing has changed then. Returns -1 if
 * the rows of tracks or of the history exceed their capacity.
 */
int64_t link_step(linking *l);

/* Fills label, score and box; size must hold the exponentials. */
void link_show(linking *l);

#endif
