/* Decoding of CenterNet's maps; the reference is decode.py. */
#ifndef EDGEKIT_DECODE_H
#define EDGEKIT_DECODE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Finds the top_k best cells of heatmap (classes, height, width) that are not below any of their
 * eight neighbours. Equal cells are in the order of class, row, column. A NaN is no peak, and
 * neither are its neighbours. values (top_k) and cells (top_k, numbered through all classes)
 * receive them, best first. Returns their number. Returns -1 if length is not that of the heatmap,
 * or a count is below 1.
 */
int64_t find_peaks(const float *heatmap, int64_t length, int64_t classes, int64_t height,
                   int64_t width, int64_t top_k, float *values, int64_t *cells);

/*
 * Fills rows (count, 6) with x1, y1, x2, y2 in input pixels, and with the class of each cell as the
 * last value. The fifth value, the score, stays unchanged. wh and reg (2, height, width) are in
 * cells of stride pixels. Returns count. Returns -1 if a length is wrong or a cell is invalid.
 */
int64_t place_peaks(const int64_t *cells, int64_t count, const float *wh, int64_t wh_length,
                    const float *reg, int64_t reg_length, int64_t height, int64_t width,
                    float stride, float *rows);

/* Bytes of scratch memory that a call of group_rows needs. */
size_t group_scratch(int64_t count);

/*
 * Joins rows (count, 6) with equal boxes. Each distinct box becomes one of boxes (count, 4), in
 * pixels of the source and clipped to its width and height, with one row of scores (count,
 * classes). Their order is that of the first rows. Boxes without area or score are left out.
 * scale_x, scale, left and top are those of a Letterbox.
 *
 * Returns the number of boxes. Returns -1 if a class is invalid, and -2 if a length is not that of
 * rows, scores or scratch. scratch is aligned to 8 bytes.
 */
int64_t group_rows(const float *rows, int64_t length, int64_t count, int64_t classes,
                   float scale_x, float scale, float left, float top, float width, float height,
                   float *boxes, float *scores, int64_t scores_length, uint8_t *scratch,
                   int64_t scratch_length);

#endif
