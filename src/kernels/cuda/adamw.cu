// AdamW over all parameters at once: a table says where they lie, chunks share them out among blocks.
#include "common.h"

// As `Entry` of adamw.rs.
struct Entry {
    float *weight;
    // Null where the parameter has none in this step: only its moving average follows.
    const float *grad;
    float *first;
    float *second;
    float *ema;
    unsigned count;
    float keep;
    float rate;
    float second_scale;
};

constexpr int CHUNK = 4096;

// parts[blockIdx.x] = the sum of squares of the gradient over its chunk; chunks hold (entry, first value).
KERNEL __launch_bounds__(256) gradient_squares(const Entry *__restrict__ entries, const unsigned *__restrict__ chunks,
                                               float *__restrict__ parts) {
    const Entry entry = entries[chunks[2 * blockIdx.x]];
    const unsigned start = chunks[2 * blockIdx.x + 1];
    const unsigned end = entry.count < start + CHUNK ? entry.count : start + CHUNK;
    float sum = 0.0f;
    if (entry.grad != nullptr) {
        for (unsigned i = start + threadIdx.x; i < end; i += blockDim.x) {
            sum = fmaf(entry.grad[i], entry.grad[i], sum);
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = sum;
    }
}

// One update; nothing changes where `norm`, that of all gradients, is not finite. A `limit` above 0 clips to that norm.
KERNEL __launch_bounds__(256) adamw(const Entry *__restrict__ entries, const unsigned *__restrict__ chunks,
                                    const float *__restrict__ norm, float limit, float beta1, float beta2, float eps, float follow) {
    const float size = norm[0];
    if (!(size * 0.0f == 0.0f)) {
        return;
    }
    const float clip = limit > 0.0f && size > limit ? limit / size : 1.0f;
    const Entry entry = entries[chunks[2 * blockIdx.x]];
    const unsigned start = chunks[2 * blockIdx.x + 1];
    const unsigned end = entry.count < start + CHUNK ? entry.count : start + CHUNK;
    for (unsigned i = start + threadIdx.x; i < end; i += blockDim.x) {
        float weight = entry.weight[i];
        if (entry.grad != nullptr) {
            const float g = entry.grad[i] * clip;
            const float first = beta1 * entry.first[i] + (1.0f - beta1) * g;
            const float second = beta2 * entry.second[i] + (1.0f - beta2) * g * g;
            weight = entry.keep * weight - entry.rate * first / (sqrtf(second) * entry.second_scale + eps);
            entry.first[i] = first;
            entry.second[i] = second;
            entry.weight[i] = weight;
        }
        entry.ema[i] += follow * (weight - entry.ema[i]);
    }
}

// The square root of a sum of parts, in double precision; one block of 256 threads.
KERNEL root_of_total(const float *__restrict__ parts, float *__restrict__ to, int count) {
    const double sum = total_of(parts, count);
    if (threadIdx.x == 0) {
        to[0] = (float)sqrt(sum);
    }
}
