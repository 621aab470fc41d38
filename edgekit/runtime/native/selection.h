/* Selection of the boxes that count for each class, as selection.py has it. */
#ifndef EDGEKIT_SELECTION_H
#define EDGEKIT_SELECTION_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of scratch memory that a call needs; it holds nothing from one call to the next. */
size_t selection_scratch(int32_t count, int32_t classes, int32_t candidates);

/*
 * boxes (count, 4), scores (count, classes). Of each class the best boxes above the floor, as many as
 * candidates, enter a greedy suppression; picked (classes, keep) gets those that remain, best
 * first, and counts (classes) how many. Nothing overlaps a box that holds a NaN. Gives 0; or -1
 * where a length is not that of boxes, scores, picked or scratch, or candidates are more than count.
 */
int32_t select_boxes(const double *boxes, int64_t boxes_length, const double *scores,
                     int64_t scores_length, int32_t count, int32_t classes, double floor,
                     int32_t candidates, double overlap, int32_t keep, int32_t *picked,
                     int64_t picked_length, int32_t *counts, uint8_t *scratch,
                     int64_t scratch_length);

#endif
