// The reconstruction loss of train/loss/pyramid.rs, band by band, with its gradient. Pictures are [n, h, w, 4].
#include "common.h"

constexpr int CHANNELS = 4;
constexpr float EDGE_GAIN = 4.0f;

__device__ __forceinline__ float channel_weight(Offset i, float alpha) {
    return i % CHANNELS == CHANNELS - 1 ? alpha : 1.0f;
}

// x − blur(x) at element i; beyond the picture is zero.
__device__ __forceinline__ float band(const float *x, Offset i, int h, int w) {
    const int column = (int)(i / CHANNELS % w);
    const int row = (int)(i / CHANNELS / w % h);
    const int line = w * CHANNELS;
    float blur = 0.0f;
#pragma unroll
    for (int dy = -1; dy <= 1; ++dy) {
        if (row + dy < 0 || row + dy >= h) {
            continue;
        }
        const float *at = x + i + dy * line;
        float sum = 2.0f * at[0];
        sum += column > 0 ? at[-CHANNELS] : 0.0f;
        sum += column + 1 < w ? at[CHANNELS] : 0.0f;
        blur += dy == 0 ? 2.0f * sum : sum;
    }
    return x[i] - blur * (1.0f / 16.0f);
}

// The mean absolute difference: difference = x − target (where target is not null; else x is the difference), grad its gradient,
// parts[blockIdx.x] the loss. `scale` is the term's weight over the number of values.
KERNEL __launch_bounds__(256) pyramid_absolute(const float *__restrict__ x, const float *__restrict__ target,
                                               float *__restrict__ difference, float *__restrict__ grad, float *__restrict__ parts,
                                               Offset count, float scale, float alpha) {
    const Offset step = (Offset)gridDim.x * blockDim.x;
    float loss = 0.0f;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        float d = x[i];
        if (target != nullptr) {
            d -= target[i];
            difference[i] = d;
        }
        const float weight = scale * channel_weight(i, alpha);
        loss += weight * fabsf(d);
        grad[i] = weight * sign_of(d);
    }
    loss = block_sum(loss);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = loss;
    }
}

// One band: grad = its gradient in the band's value, parts[blockIdx.x] its loss.
KERNEL __launch_bounds__(256) pyramid_band(const float *__restrict__ difference, const float *__restrict__ target,
                                           float *__restrict__ grad, float *__restrict__ parts, int n, int h, int w, float scale,
                                           float edges, float alpha) {
    const Offset count = (Offset)n * h * w * CHANNELS, step = (Offset)gridDim.x * blockDim.x;
    float loss = 0.0f;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const float value = band(difference, i, h, w);
        // Not fminf: a NaN in the target has to show in the loss.
        const float strength = EDGE_GAIN * fabsf(band(target, i, h, w));
        const float edge = strength > 1.0f ? 1.0f : strength;
        const float weight = scale * channel_weight(i, alpha) * (1.0f + edges * edge);
        loss += weight * fabsf(value);
        grad[i] = weight * sign_of(value);
    }
    loss = block_sum(loss);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = loss;
    }
}

// The mean of each 2 × 2 of both pictures; `count`, h and w are those of the results.
KERNEL pyramid_halve(const float *__restrict__ difference, const float *__restrict__ target, float *__restrict__ half_difference,
                     float *__restrict__ half_target, Offset count, int h, int w) {
    const Offset step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int channel = (int)(i % CHANNELS);
        const int column = (int)(i / CHANNELS % w);
        const Offset row = i / CHANNELS / w; // over all pictures: their heights are even
        const Offset line = (Offset)2 * w * CHANNELS;
        const Offset at = row * 2 * line + (Offset)column * 2 * CHANNELS + channel;
        half_difference[i] =
            0.25f * (difference[at] + difference[at + CHANNELS] + difference[at + line] + difference[at + line + CHANNELS]);
        half_target[i] = 0.25f * (target[at] + target[at + CHANNELS] + target[at + line] + target[at + line + CHANNELS]);
    }
}

// From coarse to fine: to = band(grad) + coarser / 4 of each pixel's 2 × 2 + base, which may be null.
KERNEL __launch_bounds__(256) pyramid_back(const float *__restrict__ grad, const float *__restrict__ coarser,
                                           const float *__restrict__ base, float *__restrict__ to, int n, int h, int w) {
    const Offset count = (Offset)n * h * w * CHANNELS, step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const int channel = (int)(i % CHANNELS);
        const int column = (int)(i / CHANNELS % w);
        const Offset row = i / CHANNELS / w;
        const Offset at = ((row / 2) * (w / 2) + column / 2) * CHANNELS + channel;
        to[i] = band(grad, i, h, w) + 0.25f * coarser[at] + (base == nullptr ? 0.0f : base[i]);
    }
}

// y = x·a per pixel, `a` row by row.
KERNEL map_channels(const float *__restrict__ x, float *__restrict__ y, Offset pixels, float a0, float a1, float a2, float a3, float a4,
                    float a5, float a6, float a7, float a8, float a9, float a10, float a11, float a12, float a13, float a14,
                    float a15) {
    const Offset step = (Offset)gridDim.x * blockDim.x;
    for (Offset i = (Offset)blockIdx.x * blockDim.x + threadIdx.x; i < pixels; i += step) {
        const float *from = x + i * CHANNELS;
        const float p = from[0], q = from[1], r = from[2], s = from[3];
        float *to = y + i * CHANNELS;
        to[0] = fmaf(s, a12, fmaf(r, a8, fmaf(q, a4, p * a0)));
        to[1] = fmaf(s, a13, fmaf(r, a9, fmaf(q, a5, p * a1)));
        to[2] = fmaf(s, a14, fmaf(r, a10, fmaf(q, a6, p * a2)));
        to[3] = fmaf(s, a15, fmaf(r, a11, fmaf(q, a7, p * a3)));
    }
}
