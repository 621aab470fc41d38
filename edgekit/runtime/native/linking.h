/*
 * What the compiled linker shares with its caller. _tracks.py, _matching.py and _kalman.py say what it
 * does; the arithmetic is theirs, operation by operation, so that the results are the same.
 *
 * Boxes are x1, y1, x2, y2. Rows of class scores are padded with zeros to a multiple of LANES. All
 * memory belongs to the caller. Exponentials and logarithms are the caller's, too: those of one
 * library are not those of another in the last digit.
 */
#ifndef EDGEKIT_LINKING_H
#define EDGEKIT_LINKING_H

#include <stddef.h>
#include <stdint.h>

enum { LANES = 8, PLACE = 0, SPEED = 4, P = 8, C = 12, S = 16, STATE = 20 };

/* Which track, or box, with which; sorted by ascending key, first and second. */
typedef struct {
    uint32_t key;
    int32_t first, second;
} pair;

/* Mirrored by Linking in structures.py, field for field. */
typedef struct {
    double floor;
    double carried, faded, moved, shared, accelerated; /* the filter's step to this frame */
    double measured2, first2;
    double elapsed; /* since the frame before that was looked at */
    double unsure_lost, most_lost; /* how long a track may be without a detection */
    double reach, reach_per_miss, largest_reach, largest_growth, largest_ratio;
    float least_overlap, class_weight, level_weight, least_gain, least_cosine, suppressed;
    int32_t classes, width; /* width: of a padded row */
    int32_t sure_hits;
    int32_t tracks, found, ended; /* rows in use */
    int32_t row_capacity, found_capacity;
    int32_t avx2;       /* whether the processor has it, and may use it */
    int32_t past_state; /* how many numbers of a state the history holds */
    int64_t pair_capacity;
    int64_t frame, passed, next_id; /* passed: frames since the one before */
    int64_t past, past_capacity; /* rows of the history in use, and in all */

    /* A row for each track, row_capacity of them. */
    int64_t *id, *start, *hits, *misses;
    double *lost, *watched;               /* time since the last detection, and for which all stand */
    double *sums, *level, *states, *size; /* (width), one, (5, 4) as States has them, (2) */
    int64_t *label;                       /* told by link_show, like the next two */
    double *score, *box;                  /* one, (4) */
    int64_t *ended_id, *ended_hits;
    double *ended_watched, *ended_sums; /* one, (width) */

    /* A row for each detection, found_capacity of them. */
    double *boxes, *scores; /* (4), (width) */

    double *logs; /* 3 for each detection and 1 for each track; see link_look */
    double *exps; /* 2 for each track, or row that may become one */

    /* The history, a row for each track and frame. */
    int64_t *past_id, *past_frame, *past_passed;
    double *past_elapsed;
    uint8_t *past_seen;
    double *past_states; /* (past_state) */
    float *past_scores; /* (classes) */

    pair *pairs;      /* twice pair_capacity */
    uint8_t *scratch; /* link_scratch() bytes */
} linking;

size_t link_scratch(int32_t row_capacity, int32_t found_capacity, int32_t width);

/*
 * Passes over detections that cannot be linked, and gives how many remain, or -1 where tracks and
 * found are more than there is room for. logs gets what link_step wants
 * the logarithms of: widths and heights, highest scores, and each track's mean highest score; exps
 * the predicted logarithms of width and height, of which it wants the exponentials.
 */
int32_t link_look(linking *l);

/*
 * Pairs, corrects, starts and ends tracks, and writes the history. row_capacity holds tracks and detections
 * together. Gives 0, with exps holding the logarithms of width and height of all tracks; or how many
 * pairs there are, if pair_capacity is less: then nothing has changed; or -1 where rows, or those of
 * the history, are more than there is room for.
 */
int64_t link_step(linking *l);

/* Fills label, score and box; size holds the exponentials. */
void link_show(linking *l);

#endif
