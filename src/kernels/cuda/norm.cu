// RMS norms over the channels of each row; a warp per row.
#include "common.h"

// y = x / rms(x) · gain; without a gain it is 1.
KERNEL __launch_bounds__(256) rms_norm(const float *__restrict__ x, const float *__restrict__ gain, float *__restrict__ y, int rows,
                                       int c) {
    const int lane = threadIdx.x % WARP;
    const Offset row = (Offset)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) {
        return;
    }
    const float *from = x + row * c;
    float squares = 0.0f;
    for (int i = lane; i < c; i += WARP) {
        squares = fmaf(from[i], from[i], squares);
    }
    const float inverse = 1.0f / sqrtf(warp_sum(squares) / c + NORM_EPS);
    for (int i = lane; i < c; i += WARP) {
        y[row * c + i] = from[i] * inverse * (gain == nullptr ? 1.0f : gain[i]);
    }
}

// The gradient of x, and 1 / rms of each row for that of the gain (column_sums).
KERNEL __launch_bounds__(256) rms_norm_gradient(const float *__restrict__ x, const float *__restrict__ gain,
                                                const float *__restrict__ dy, float *__restrict__ dx, float *__restrict__ inverse,
                                                int rows, int c) {
    const int lane = threadIdx.x % WARP;
    const Offset row = (Offset)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) {
        return;
    }
    const float *from = x + row * c, *given = dy + row * c;
    float squares = 0.0f, products = 0.0f;
    for (int i = lane; i < c; i += WARP) {
        squares = fmaf(from[i], from[i], squares);
        products = fmaf(given[i] * (gain == nullptr ? 1.0f : gain[i]), from[i], products);
    }
    const float scale = 1.0f / sqrtf(warp_sum(squares) / c + NORM_EPS);
    const float mean = warp_sum(products) * scale * scale / c;
    for (int i = lane; i < c; i += WARP) {
        const float g = given[i] * (gain == nullptr ? 1.0f : gain[i]);
        dx[row * c + i] = scale * (g - from[i] * mean);
    }
    if (lane == 0) {
        inverse[row] = scale;
    }
}

// From the gradient of a normed row to that of the row itself, in place: inverse · (grad − normed · mean(grad · normed)).
KERNEL __launch_bounds__(256) unit_norm_gradient(const float *__restrict__ normed, const float *__restrict__ inverse,
                                                 float *__restrict__ grad, int rows, int c) {
    const int lane = threadIdx.x % WARP;
    const Offset row = (Offset)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (row >= rows) {
        return;
    }
    const float *from = normed + row * c;
    float *to = grad + row * c;
    float products = 0.0f;
    for (int i = lane; i < c; i += WARP) {
        products = fmaf(from[i], to[i], products);
    }
    const float mean = warp_sum(products) / c, scale = inverse[row];
    for (int i = lane; i < c; i += WARP) {
        to[i] = scale * (to[i] - from[i] * mean);
    }
}
