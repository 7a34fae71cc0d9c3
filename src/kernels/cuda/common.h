// What all kernels share. Activations are NHWC and f32: `rows` positions of `c` channels.
#pragma once
#ifdef TESSERA_HOST
#include "host_shim.h"
#endif

#define KERNEL extern "C" __global__ void

typedef long long Offset;

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr float NORM_EPS = 1e-6f;

// Kernels that sum over rows: a warp covers TILE columns, LANES_PER of them in each lane; WARPS warps take turns at the rows.
constexpr int PER_LANE = 4;
constexpr int TILE = WARP * PER_LANE;
constexpr int WARPS = 8;

__device__ __forceinline__ float warp_sum(float value) {
    for (int mask = WARP / 2; mask > 0; mask /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, mask);
    }
    return value;
}

// The sum over a block of at most 32 warps, in thread 0.
__device__ __forceinline__ float block_sum(float value) {
    __shared__ float sums[WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    value = warp_sum(value);
    __syncthreads(); // the last call's sums are read
    if (lane == 0) {
        sums[warp] = value;
    }
    __syncthreads();
    const int warps = (blockDim.x + WARP - 1) / WARP;
    float total = 0.0f;
    if (threadIdx.x == 0) {
        for (int i = 0; i < warps; ++i) {
            total += sums[i];
        }
    }
    return total;
}

// The sum of `count` values in double precision, in thread 0; for a single block of 256 threads.
__device__ __forceinline__ double total_of(const float *__restrict__ values, int count) {
    __shared__ double shared[256];
    double sum = 0.0;
    for (int i = threadIdx.x; i < count; i += blockDim.x) {
        sum += values[i];
    }
    shared[threadIdx.x] = sum;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) {
            shared[threadIdx.x] += shared[threadIdx.x + half];
        }
        __syncthreads();
    }
    return shared[0];
}

// 0 at 0 and NaN for NaN, as candle's gradient of `abs` has it.
__device__ __forceinline__ float sign_of(float x) {
    return x == 0.0f ? 0.0f : copysignf(1.0f, x) + 0.0f * x;
}

// tanh-GELU is x·σ(2u), u = √(2/π)·(x + 0.044715·x³); the formula of simd.rs, so that both round alike.
constexpr float GELU_SCALE = 0.7978846f;
constexpr float GELU_CUBIC = 0.044715f;
constexpr float LOG2_E = 1.44269504f;
constexpr float MOST = 60.0f;

__device__ __forceinline__ float gelu_gate(float x, float square) {
    const float factor = -2.0f * GELU_SCALE * LOG2_E;
    const float inner = fmaf(square, factor * GELU_CUBIC, factor) * x;
    return 1.0f / (1.0f + exp2f(fmaxf(fminf(inner, MOST), -MOST)));
}

__device__ __forceinline__ float gelu(float x) {
    return x * gelu_gate(x, x * x);
}

__device__ __forceinline__ float gelu_slope(float x) {
    const float square = x * x;
    const float gate = gelu_gate(x, square);
    const float inner = fmaf(square, 6.0f * GELU_SCALE * GELU_CUBIC, 2.0f * GELU_SCALE);
    return fmaf(x * gate * (1.0f - gate), inner, gate);
}
