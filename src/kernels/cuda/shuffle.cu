// Space to depth and back; each is the other's gradient.
#include "common.h"

// `cells` are rows × columns of cells of `f` × `f` positions of `c` channels. To depth: x is [n, rows·f, columns·f, c] and y
// [n, rows, columns, f·f·c], channels ordered (row in cell, column in cell, channel); else the other way round.
KERNEL shuffle(const float *__restrict__ x, float *__restrict__ y, Offset count, int columns, int f, int c, int to_depth) {
    const Offset step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        // i counts the deep side: cell, row in cell, then column in cell and channel, which lie together on both sides.
        const int run = f * c;
        const int inner = (int)(i % run);
        const Offset rest = i / run;
        const int row = (int)(rest % f);
        const Offset cell = rest / f;
        const Offset cell_row = cell / columns;
        const int column = (int)(cell % columns);
        const Offset wide = ((cell_row * f + row) * columns + column) * run + inner;
        if (to_depth) {
            y[i] = x[wide];
        } else {
            y[wide] = x[i];
        }
    }
}
