/* Decoding of CenterNet's maps, as decode.py has it. */
#ifndef EDGEKIT_DECODE_H
#define EDGEKIT_DECODE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The top_k best cells of heatmap (classes, height, width) that are largest among their eight
 * neighbours; equal ones are in the order of class, row, column. A NaN is no peak, and has none beside it.
 * values (top_k) and cells (top_k, counted through all classes) get them, best first. Gives their
 * number; or -1 where length is not that of the heatmap, or a count is below 1.
 */
int64_t find_peaks(const float *heatmap, int64_t length, int64_t classes, int64_t height,
                   int64_t width, int64_t top_k, float *values, int64_t *cells);

/*
 * rows (count, 6) get x1, y1, x2, y2 in input pixels and the class of each cell; the score, fifth, is
 * left alone. wh and reg (2, height, width) are in cells of stride pixels. Gives count; or -1 where
 * a length is not theirs, or a cell is none.
 */
int64_t place_peaks(const int64_t *cells, int64_t count, const float *wh, int64_t wh_length,
                    const float *reg, int64_t reg_length, int64_t height, int64_t width,
                    float stride, float *rows);

/* Bytes of scratch memory that a call of group_rows needs. */
size_t group_scratch(int64_t count);

/*
 * Rows (count, 6) with equal boxes become one of boxes (count, 4), in pixels of the source and
 * clipped to its width and height, with a row of scores (count, classes), in the order of the first
 * of them. Those without area or score are left out. scale_x, scale, left and top are those of a
 * Letterbox.
 * Gives the number of boxes; or -1 where a class is none, -2 where a length is not that of rows,
 * scores or scratch. scratch is aligned to 8 bytes.
 */
int64_t group_rows(const float *rows, int64_t length, int64_t count, int64_t classes,
                   float scale_x, float scale, float left, float top, float width, float height,
                   float *boxes, float *scores, int64_t scores_length, uint8_t *scratch,
                   int64_t scratch_length);

#endif
