// The loss of texture strength of train/loss/losses.rs, with its gradient. Pictures are [n, h, w, c]; cells of `side` × `side` positions
// divide them.
#include "common.h"

// Below this the strength of a texture is not told from none.
constexpr float FAINTEST = 0.01f;

// The sum of the four neighbours less four times element i; 0 at the picture's rim.
__device__ __forceinline__ float laplacian(const float *x, Offset i, int row, int column, int h, int w, int c) {
    if (row == 0 || column == 0 || row + 1 == h || column + 1 == w) {
        return 0.0f;
    }
    const int line = w * c;
    return x[i - c] + x[i + c] + x[i - line] + x[i + line] - 4.0f * x[i];
}

// For each cell and channel: parts[blockIdx.x] = the sum of |strength of x − that of target| · kept, and grad = the gradient of that
// sum in each Laplacian of the cell, over the Laplacian. A strength is the root mean square of a cell's Laplacians; kept is one for
// each cell.
KERNEL __launch_bounds__(256) texture_strength(const float *__restrict__ x, const float *__restrict__ target,
                                               const float *__restrict__ kept, float *__restrict__ grad, float *__restrict__ parts,
                                               int n, int h, int w, int c, int side) {
    const int rows = h / side, columns = w / side;
    const Offset count = (Offset)n * rows * columns * c, step = (Offset)gridDim.x * blockDim.x;
    const float area = (float)(side * side);
    float loss = 0.0f;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int channel = (int)(i % c);
        const Offset cell = i / c;
        const int cell_column = (int)(cell % columns), cell_row = (int)(cell / columns % rows);
        const Offset image = cell / columns / rows;
        float found = 0.0f, wanted = 0.0f;
        for (int dy = 0; dy < side; ++dy) {
            const int row = cell_row * side + dy;
            for (int dx = 0; dx < side; ++dx) {
                const int column = cell_column * side + dx;
                const Offset at = ((image * h + row) * w + column) * c + channel;
                const float a = laplacian(x, at, row, column, h, w, c), b = laplacian(target, at, row, column, h, w, c);
                found = fmaf(a, a, found);
                wanted = fmaf(b, b, wanted);
            }
        }
        found = sqrtf(found / area + FAINTEST * FAINTEST);
        wanted = sqrtf(wanted / area + FAINTEST * FAINTEST);
        const float weight = kept[cell];
        loss += fabsf(found - wanted) * weight;
        grad[i] = sign_of(found - wanted) * weight / (found * area);
    }
    loss = block_sum(loss);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = loss;
    }
}

// The gradient of the sum in x.
KERNEL __launch_bounds__(256) texture_gradient(const float *__restrict__ x, const float *__restrict__ grad, float *__restrict__ to,
                                               int n, int h, int w, int c, int side) {
    const int rows = h / side, columns = w / side;
    const Offset count = (Offset)n * h * w * c, step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int channel = (int)(i % c);
        const int column = (int)(i / c % w), row = (int)(i / c / w % h);
        const Offset image = i / c / w / h;
        float sum = 0.0f;
#pragma unroll
        for (int tap = 0; tap < 5; ++tap) {
            const int dy = tap == 1 ? -1 : tap == 2 ? 1 : 0, dx = tap == 3 ? -1 : tap == 4 ? 1 : 0;
            const int there_row = row + dy, there_column = column + dx;
            if (there_row < 0 || there_column < 0 || there_row >= h || there_column >= w) {
                continue;
            }
            const Offset at = i + ((Offset)dy * w + dx) * c;
            const Offset cell = (image * rows + there_row / side) * columns + there_column / side;
            const float slope = laplacian(x, at, there_row, there_column, h, w, c) * grad[cell * c + channel];
            sum += tap == 0 ? -4.0f * slope : slope;
        }
        to[i] = sum;
    }
}
