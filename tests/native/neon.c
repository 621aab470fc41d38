/*
 * Runs the NEON cascade for a test in Python, which gives the pairs of pictures on standard input:
 * a plan, and then for each pair the previous and the current picture. For each pair the program
 * writes the index of the chosen shift (int32) and the tensor. tests/runtime/test_emulated_neon.py
 */
#include <stdio.h>
#include <stdlib.h>

#include "cascade.h"

int main(void) {
    plan plan;
    if (fread(&plan, sizeof plan, 1, stdin) != 1) return 1;
    const int64_t pixels = (int64_t)plan.height * plan.width;
    const size_t picture = CHANNELS * pixels, scratch = scratch_size_neon(plan.height, plan.width);
    uint8_t *previous = malloc(picture), *current = malloc(picture), *memory = malloc(scratch);
    float *out = malloc(2 * picture * sizeof *out);
    double scores[SHIFTS];
    if (!previous || !current || !memory || !out) return 1;
    while (fread(previous, picture, 1, stdin) == 1 && fread(current, picture, 1, stdin) == 1) {
        const int32_t chosen = stack_neon(&plan, previous, current, picture, out, 2 * picture,
                                          scores, memory, scratch);
        if (fwrite(&chosen, sizeof chosen, 1, stdout) != 1) return 1;
        if (fwrite(out, sizeof *out, 2 * picture, stdout) != 2 * picture) return 1;
    }
    return 0;
}
