// The depthwise 3 × 3 convolution of a block, with what stands around it.
#include "common.h"

constexpr int WRAPS_X = 1;
constexpr int WRAPS_Y = 2;
// Channels whose sums a warp keeps in registers: 32 for each.
constexpr int KEPT = 8;

// Position `at + by` of a row of `length`, or -1 where nothing is.
__device__ __forceinline__ int neighbour(int at, int by, int length, bool wraps) {
    at += by;
    if (at >= 0 && at < length) {
        return at;
    }
    return wraps ? (at < 0 ? length - 1 : 0) : -1;
}

// Offsets of the nine taps around position `p` in positions; -1 outside.
__device__ __forceinline__ void find_taps(Offset p, int h, int w, int wraps, Offset taps[9]) {
    const int x = (int)(p % w);
    const int y = (int)(p / w % h);
    const Offset image = p - ((Offset)y * w + x);
    for (int dy = 0; dy < 3; ++dy) {
        const int row = neighbour(y, dy - 1, h, wraps & WRAPS_Y);
        for (int dx = 0; dx < 3; ++dx) {
            const int column = neighbour(x, dx - 1, w, wraps & WRAPS_X);
            taps[dy * 3 + dx] = row < 0 || column < 0 ? -1 : image + (Offset)row * w + column;
        }
    }
}

__device__ __forceinline__ float convolve(const float *x, const float *weight, float sum, const Offset taps[9], int c, int channel,
                                          bool is_turned) {
#pragma unroll
    for (int t = 0; t < 9; ++t) {
        if (taps[t] >= 0) {
            sum = fmaf(x[taps[t] * c + channel], weight[(is_turned ? 8 - t : t) * c + channel], sum);
        }
    }
    return sum;
}

// normed = d / rms(d), inverse = 1 / rms(d), d = depthwise(x) + bias; rest = x + added. A warp per position. Without `inverse`
// normed is d itself.
KERNEL __launch_bounds__(256) depthwise_norm(const float *__restrict__ x, const float *__restrict__ weight,
                                             const float *__restrict__ bias, const float *__restrict__ added,
                                             float *__restrict__ normed, float *__restrict__ inverse, float *__restrict__ rest, int n,
                                             int h, int w, int c, int wraps) {
    const int lane = threadIdx.x % WARP;
    const Offset p = (Offset)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (p >= (Offset)n * h * w) {
        return;
    }
    Offset taps[9];
    find_taps(p, h, w, wraps, taps);
    float *out = normed + p * c;
    if (rest != nullptr) {
        for (int channel = lane; channel < c; channel += WARP) {
            rest[p * c + channel] = x[p * c + channel] + added[channel];
        }
    }
    float squares = 0.0f;
    if (c <= KEPT * WARP) {
        float kept[KEPT];
#pragma unroll
        for (int k = 0; k < KEPT; ++k) {
            const int channel = lane + k * WARP;
            if (channel < c) {
                kept[k] = convolve(x, weight, bias[channel], taps, c, channel, false);
                squares = fmaf(kept[k], kept[k], squares);
            }
        }
        float scale = 1.0f;
        if (inverse != nullptr) {
            scale = 1.0f / sqrtf(warp_sum(squares) / c + NORM_EPS);
        }
#pragma unroll
        for (int k = 0; k < KEPT; ++k) {
            const int channel = lane + k * WARP;
            if (channel < c) {
                out[channel] = kept[k] * scale;
            }
        }
        if (inverse != nullptr && lane == 0) {
            inverse[p] = scale;
        }
        return;
    }
    for (int channel = lane; channel < c; channel += WARP) {
        const float d = convolve(x, weight, bias[channel], taps, c, channel, false);
        out[channel] = d;
        squares = fmaf(d, d, squares);
    }
    if (inverse != nullptr) {
        const float scale = 1.0f / sqrtf(warp_sum(squares) / c + NORM_EPS);
        for (int channel = lane; channel < c; channel += WARP) {
            out[channel] *= scale;
        }
        if (lane == 0) {
            inverse[p] = scale;
        }
    }
}

// dx = dy + the convolution of `grad` (of the convolution's result) with the turned kernel. A warp per position; dy may be null.
KERNEL __launch_bounds__(256) depthwise_input_gradient(const float *__restrict__ grad, const float *__restrict__ weight,
                                                       const float *__restrict__ dy, float *__restrict__ dx, int n, int h, int w,
                                                       int c, int wraps) {
    const int lane = threadIdx.x % WARP;
    const Offset p = (Offset)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (p >= (Offset)n * h * w) {
        return;
    }
    Offset taps[9];
    find_taps(p, h, w, wraps, taps);
    for (int channel = lane; channel < c; channel += WARP) {
        const float start = dy == nullptr ? 0.0f : dy[p * c + channel];
        dx[p * c + channel] = convolve(grad, weight, start, taps, c, channel, true);
    }
}

// Partial sums of the kernel's gradient (nine rows) and the bias's (the tenth): parts[blockIdx.y][10][c]. A lane per channel, a warp
// for `rows_per_warp` rows of the image.
KERNEL __launch_bounds__(WARP *WARPS) depthwise_kernel_gradient(const float *__restrict__ x, const float *__restrict__ grad,
                                                                float *__restrict__ parts, int n, int h, int w, int c, int wraps,
                                                                int rows_per_warp) {
    __shared__ float shared[WARPS][WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int channel = blockIdx.x * WARP + lane;
    float sums[10];
#pragma unroll
    for (int t = 0; t < 10; ++t) {
        sums[t] = 0.0f;
    }
    const Offset first = ((Offset)blockIdx.y * WARPS + warp) * rows_per_warp;
    for (Offset row = first; channel < c && row < first + rows_per_warp && row < (Offset)n * h; ++row) {
        const int y = (int)(row % h);
        const Offset image = row - y;
        const float *lines[3];
        float left[3], middle[3];
#pragma unroll
        for (int dy = 0; dy < 3; ++dy) {
            const int at = neighbour(y, dy - 1, h, wraps & WRAPS_Y);
            lines[dy] = at < 0 ? nullptr : x + (image + at) * w * c + channel;
            const bool has_left = at >= 0 && (wraps & WRAPS_X);
            left[dy] = has_left ? lines[dy][(Offset)(w - 1) * c] : 0.0f;
            middle[dy] = at < 0 ? 0.0f : lines[dy][0];
        }
        const float *here = grad + row * w * c + channel;
#pragma unroll 4
        for (int column = 0; column < w; ++column) {
            const float g = here[(Offset)column * c];
            const int next = neighbour(column, 1, w, wraps & WRAPS_X);
#pragma unroll
            for (int dy = 0; dy < 3; ++dy) {
                const float right = lines[dy] == nullptr || next < 0 ? 0.0f : lines[dy][(Offset)next * c];
                sums[dy * 3] = fmaf(g, left[dy], sums[dy * 3]);
                sums[dy * 3 + 1] = fmaf(g, middle[dy], sums[dy * 3 + 1]);
                sums[dy * 3 + 2] = fmaf(g, right, sums[dy * 3 + 2]);
                left[dy] = middle[dy];
                middle[dy] = right;
            }
            sums[9] += g;
        }
    }
#pragma unroll
    for (int t = 0; t < 10; ++t) {
        __syncthreads();
        shared[warp][lane] = sums[t];
        __syncthreads();
        if (warp == 0 && channel < c) {
            float total = 0.0f;
            for (int i = 0; i < WARPS; ++i) {
                total += shared[i][lane];
            }
            parts[((Offset)blockIdx.y * 10 + t) * c + channel] = total;
        }
    }
}
