// What a codebook learns from a batch: how many vectors each code got, and their sums.
#include "common.h"

constexpr int SUM_VALUES = 8192;
constexpr int MAX_GROUP = 16;

// parts[blockIdx.y] = [codes] counts, then [codes, dim] sums, of the rows of its share. A block looks after `group` codes,
// group · dim ≤ SUM_VALUES / WARPS and group ≤ MAX_GROUP; each warp adds up the rows that it finds in their order, so that a sum
// comes out the same each time.
KERNEL __launch_bounds__(WARP *WARPS) codebook_sums(const float *__restrict__ vectors, const unsigned *__restrict__ ids,
                                                    float *__restrict__ parts, int rows, int codes, int dim, int group,
                                                    int rows_per_block) {
    __shared__ float sums[SUM_VALUES];
    __shared__ float counts[WARPS * MAX_GROUP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const unsigned first = blockIdx.x * group;
    const int each = group * dim;
    for (int i = threadIdx.x; i < WARPS * each; i += blockDim.x) {
        sums[i] = 0.0f;
    }
    for (int i = threadIdx.x; i < WARPS * group; i += blockDim.x) {
        counts[i] = 0.0f;
    }
    __syncthreads();
    const int start = blockIdx.y * rows_per_block;
    const int end = rows < start + rows_per_block ? rows : start + rows_per_block;
    for (int base = start; base < end; base += blockDim.x) {
        const int row = base + (int)threadIdx.x;
        const unsigned id = row < end ? ids[row] - first : 0xffffffffu;
        unsigned found = __ballot_sync(ALL_LANES, id < (unsigned)group);
        while (found != 0) {
            const int other = base + warp * WARP + __ffs(found) - 1;
            found &= found - 1;
            const int code = (int)(ids[other] - first);
            for (int k = lane; k < dim; k += WARP) {
                sums[warp * each + code * dim + k] += vectors[(Offset)other * dim + k];
            }
            if (lane == 0) {
                counts[warp * group + code] += 1.0f;
            }
        }
    }
    __syncthreads();
    float *to = parts + (Offset)blockIdx.y * codes * (dim + 1);
    for (int i = threadIdx.x; i < group && first + i < (unsigned)codes; i += blockDim.x) {
        float total = 0.0f;
        for (int w = 0; w < WARPS; ++w) {
            total += counts[w * group + i];
        }
        to[first + i] = total;
    }
    for (int i = threadIdx.x; i < each && first + i / dim < (unsigned)codes; i += blockDim.x) {
        float total = 0.0f;
        for (int w = 0; w < WARPS; ++w) {
            total += sums[w * each + i];
        }
        to[codes + (Offset)first * dim + i] = total;
    }
}
