// What stands around matrix products: biases, activations, sums over rows, and factors folded into weights.
#include "common.h"

// out = gelu(hidden + bias), which may be in place. A warp covers TILE columns of a row, a block `rows_per_block` rows.
KERNEL __launch_bounds__(WARP *WARPS) bias_gelu(const float *hidden, const float *__restrict__ bias,
                                                float *out, int rows, int width, int rows_per_block) {
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int first = blockIdx.x * TILE + lane;
    float b[PER_LANE];
#pragma unroll
    for (int j = 0; j < PER_LANE; ++j) {
        const int column = first + j * WARP;
        b[j] = column < width ? bias[column] : 0.0f;
    }
    const Offset start = (Offset)blockIdx.y * rows_per_block;
    for (Offset row = start + warp; row < start + rows_per_block && row < rows; row += WARPS) {
        // All loads before the stores, which might go to the same place.
        float values[PER_LANE];
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            values[j] = column < width ? hidden[row * width + column] : 0.0f;
        }
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            if (column < width) {
                out[row * width + column] = gelu(values[j] + b[j]);
            }
        }
    }
}

// Sums of PER_LANE columns over the warps of a block → parts[blockIdx.y][width].
__device__ __forceinline__ void store_parts(const float sums[PER_LANE], float *parts, int first, int width) {
    __shared__ float shared[WARPS][TILE];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
#pragma unroll
    for (int j = 0; j < PER_LANE; ++j) {
        shared[warp][lane + j * WARP] = sums[j];
    }
    __syncthreads();
    if (warp == 0) {
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            if (column < width) {
                float total = 0.0f;
                for (int i = 0; i < WARPS; ++i) {
                    total += shared[i][lane + j * WARP];
                }
                parts[(Offset)blockIdx.y * width + column] = total;
            }
        }
    }
}

// grad *= gelu'(hidden + bias), and the partial sums of its columns.
KERNEL __launch_bounds__(WARP *WARPS) bias_gelu_gradient(const float *__restrict__ hidden, const float *__restrict__ bias,
                                                         float *__restrict__ grad, float *__restrict__ parts, int rows, int width,
                                                         int rows_per_block) {
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int first = blockIdx.x * TILE + lane;
    float b[PER_LANE], sums[PER_LANE];
#pragma unroll
    for (int j = 0; j < PER_LANE; ++j) {
        const int column = first + j * WARP;
        b[j] = column < width ? bias[column] : 0.0f;
        sums[j] = 0.0f;
    }
    const Offset start = (Offset)blockIdx.y * rows_per_block;
    for (Offset row = start + warp; row < start + rows_per_block && row < rows; row += WARPS) {
        float values[PER_LANE], grads[PER_LANE];
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            const Offset at = row * width + column;
            values[j] = column < width ? hidden[at] : 0.0f;
            grads[j] = column < width ? grad[at] : 0.0f;
        }
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            if (column < width) {
                const float g = grads[j] * gelu_slope(values[j] + b[j]);
                grad[row * width + column] = g;
                sums[j] += g;
            }
        }
    }
    store_parts(sums, parts, first, width);
}

// Partial sums of columns of values · factors · row_factors; the latter two may be null.
KERNEL __launch_bounds__(WARP *WARPS) column_sums(const float *__restrict__ values, const float *__restrict__ factors,
                                                  const float *__restrict__ row_factors, float *__restrict__ parts, int rows,
                                                  int width, int rows_per_block) {
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int first = blockIdx.x * TILE + lane;
    float sums[PER_LANE];
#pragma unroll
    for (int j = 0; j < PER_LANE; ++j) {
        sums[j] = 0.0f;
    }
    const Offset start = (Offset)blockIdx.y * rows_per_block;
    for (Offset row = start + warp; row < start + rows_per_block && row < rows; row += WARPS) {
        const float row_factor = row_factors == nullptr ? 1.0f : row_factors[row];
#pragma unroll
        for (int j = 0; j < PER_LANE; ++j) {
            const int column = first + j * WARP;
            if (column < width) {
                const Offset at = row * width + column;
                sums[j] += values[at] * row_factor * (factors == nullptr ? 1.0f : factors[at]);
            }
        }
    }
    store_parts(sums, parts, first, width);
}

// to[j] (+)= Σ parts[i·stride + j] over i in order of warps. 32 columns a block.
KERNEL __launch_bounds__(WARP *WARPS) sum_parts(const float *__restrict__ parts, float *__restrict__ to, int count, int stride,
                                                int width, int accumulate) {
    __shared__ float shared[WARPS][WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int column = blockIdx.x * WARP + lane;
    float sum = 0.0f;
    if (column < width) {
        for (int i = warp; i < count; i += WARPS) {
            sum += parts[(Offset)i * stride + column];
        }
    }
    shared[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && column < width) {
        float total = accumulate ? to[column] : 0.0f;
        for (int i = 0; i < WARPS; ++i) {
            total += shared[i][lane];
        }
        to[column] = total;
    }
}

// The sum of `count` values, in double precision; one block.
KERNEL total(const float *__restrict__ values, float *__restrict__ to, int count) {
    const double sum = total_of(values, count);
    if (threadIdx.x == 0) {
        to[0] = (float)sum;
    }
}

// y = x + row, either of which may be null (then zero). `row` holds `width` values.
KERNEL add_row(const float *__restrict__ x, const float *__restrict__ row, float *__restrict__ y, Offset count, int width) {
    const Offset step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const float added = row == nullptr ? 0.0f : row[i % width];
        y[i] = (x == nullptr ? 0.0f : x[i]) + added;
    }
}

// Columns `from_first..from_first + count` of rows to columns `to_first..` of others.
KERNEL copy_columns(const float *__restrict__ from, int from_width, int from_first, float *__restrict__ to, int to_width, int to_first,
                    int count, int rows) {
    const Offset all = (Offset)rows * count, step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < all; i += step) {
        const Offset row = i / count;
        const int column = (int)(i % count);
        to[row * to_width + to_first + column] = from[row * from_width + from_first + column];
    }
}

// A block's weights with the norm's gain and the layer scale in them: up·gain `[hidden, c]`, scale·down `[c, hidden]`, scale·bias `[c]`.
KERNEL fold_weights(const float *__restrict__ up, const float *__restrict__ gain, const float *__restrict__ down,
                    const float *__restrict__ bias, const float *__restrict__ scale, float *__restrict__ folded_up,
                    float *__restrict__ folded_down, float *__restrict__ folded_bias, int c, int hidden) {
    const int count = c * hidden, step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        folded_up[i] = up[i] * gain[i % c];
        folded_down[i] = down[i] * scale[i / hidden];
        if (i < c) {
            folded_bias[i] = bias[i] * scale[i];
        }
    }
}

// From the gradient of up·gain `[hidden, c]` to those of both. 32 channels a block of 1,024 threads. Bit 0 and 1 of `accumulate`: up, gain.
KERNEL __launch_bounds__(1024) unfold_up(const float *__restrict__ grad, const float *__restrict__ up, const float *__restrict__ gain,
                                         float *__restrict__ up_grad, float *__restrict__ gain_grad, int c, int hidden,
                                         int accumulate) {
    __shared__ float shared[WARP][WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int channel = blockIdx.x * WARP + lane;
    float sum = 0.0f;
    if (channel < c) {
        const float factor = gain[channel];
        for (int row = warp; row < hidden; row += WARP) {
            const int at = row * c + channel;
            const float g = grad[at];
            sum = fmaf(g, up[at], sum);
            up_grad[at] = (accumulate & 1 ? up_grad[at] : 0.0f) + g * factor;
        }
    }
    shared[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && channel < c) {
        float total = accumulate & 2 ? gain_grad[channel] : 0.0f;
        for (int i = 0; i < WARP; ++i) {
            total += shared[i][lane];
        }
        gain_grad[channel] = total;
    }
}

// From the gradients of scale·down `[c, hidden]` and scale·bias `[c]` to those of all three; a block per channel. Bits of
// `accumulate`: down, bias, scale.
KERNEL unfold_down(const float *__restrict__ grad, const float *__restrict__ bias_sum, const float *__restrict__ down,
                   const float *__restrict__ bias, const float *__restrict__ scale, float *__restrict__ down_grad,
                   float *__restrict__ bias_grad, float *__restrict__ scale_grad, int hidden, int accumulate) {
    const int channel = blockIdx.x;
    const float factor = scale[channel];
    float sum = 0.0f;
    for (int i = threadIdx.x; i < hidden; i += blockDim.x) {
        const int at = channel * hidden + i;
        const float g = grad[at];
        sum = fmaf(g, down[at], sum);
        down_grad[at] = (accumulate & 1 ? down_grad[at] : 0.0f) + g * factor;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        const float g = bias_sum[channel];
        bias_grad[channel] = (accumulate & 2 ? bias_grad[channel] : 0.0f) + g * factor;
        scale_grad[channel] = (accumulate & 4 ? scale_grad[channel] : 0.0f) + fmaf(g, bias[channel], sum);
    }
}
