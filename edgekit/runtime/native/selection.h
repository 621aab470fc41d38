/* Selects the boxes that count for each class; the reference is selection.py. */
#ifndef EDGEKIT_SELECTION_H
#define EDGEKIT_SELECTION_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of scratch memory that a call needs; no content is kept between calls. */
size_t selection_scratch(int32_t count, int32_t classes, int32_t candidates);

/*
 * For each class, the best boxes above the floor, at most candidates, enter a greedy suppression.
 * boxes are (count, 4), scores (count, classes). picked (classes, keep) receives the remaining
 * boxes, best first, and counts (classes) their number. A box with a NaN overlaps nothing.
 *
 * Returns 0. Returns -1 if a length is not that of boxes, scores, picked or scratch, or if
 * candidates exceeds count.
 */
int32_t select_boxes(const double *boxes, int64_t boxes_length, const double *scores,
                     int64_t scores_length, int32_t count, int32_t classes, double floor,
                     int32_t candidates, double overlap, int32_t keep, int32_t *picked,
                     int64_t picked_length, int32_t *counts, uint8_t *scratch,
                     int64_t scratch_length);

#endif
