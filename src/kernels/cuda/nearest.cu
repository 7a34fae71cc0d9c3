// The code nearest to each vector, without the matrix of all distances.
//
// |x − c|² is smallest where x·c − |c|²/2 is largest. A block takes 32 vectors, one for each lane; its warps share out the codes.
#include "common.h"

constexpr int MAX_DIM = 256;
constexpr int TILE_VALUES = 2048;
constexpr int MAX_TILE_CODES = 256;
constexpr int FAST_DIM = 16;

// `x` [rows, dim], `codebook` [codes, dim], dim ≤ MAX_DIM. Of equal ones the lowest id wins; a vector that is not finite gets the
// last one.
KERNEL __launch_bounds__(WARP *WARPS) nearest_code(const float *__restrict__ x, const float *__restrict__ codebook,
                                                   unsigned *__restrict__ ids, int rows, int codes, int dim) {
    __shared__ float vectors[MAX_DIM * WARP];
    __shared__ __align__(16) float tile[TILE_VALUES];
    __shared__ float offsets[MAX_TILE_CODES];
    __shared__ float best_values[WARPS][WARP];
    __shared__ int best_ids[WARPS][WARP];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const Offset first = (Offset)blockIdx.x * WARP;
    for (int i = threadIdx.x; i < dim * WARP; i += blockDim.x) {
        const int k = i % dim, r = i / dim;
        vectors[k * WARP + r] = first + r < rows ? x[first * dim + i] : 0.0f;
    }
    __syncthreads();
    bool is_finite = true;
    float own[FAST_DIM];
    for (int k = 0; k < dim; ++k) {
        is_finite = is_finite && vectors[k * WARP + lane] * 0.0f == 0.0f;
    }
#pragma unroll
    for (int k = 0; k < FAST_DIM; ++k) {
        own[k] = k < dim ? vectors[k * WARP + lane] : 0.0f;
    }
    float best = -INFINITY;
    int best_id = codes;
    const int fits = TILE_VALUES / dim, tile_codes = fits < MAX_TILE_CODES ? fits : MAX_TILE_CODES;
    for (int start = 0; start < codes; start += tile_codes) {
        const int count = codes - start < tile_codes ? codes - start : tile_codes;
        __syncthreads();
        for (int i = threadIdx.x; i < count * dim; i += blockDim.x) {
            tile[i] = codebook[(Offset)start * dim + i];
        }
        __syncthreads();
        for (int i = threadIdx.x; i < count; i += blockDim.x) {
            float square = 0.0f;
            for (int k = 0; k < dim; ++k) {
                square = fmaf(tile[i * dim + k], tile[i * dim + k], square);
            }
            offsets[i] = -0.5f * square;
        }
        __syncthreads();
        for (int code = warp; code < count; code += WARPS) {
            float sum = offsets[code];
            if (dim == FAST_DIM) {
                const float4 *from = reinterpret_cast<const float4 *>(tile + code * FAST_DIM);
#pragma unroll
                for (int k = 0; k < FAST_DIM / 4; ++k) {
                    const float4 c = from[k];
                    sum = fmaf(own[4 * k], c.x, sum);
                    sum = fmaf(own[4 * k + 1], c.y, sum);
                    sum = fmaf(own[4 * k + 2], c.z, sum);
                    sum = fmaf(own[4 * k + 3], c.w, sum);
                }
            } else {
                for (int k = 0; k < dim; ++k) {
                    sum = fmaf(vectors[k * WARP + lane], tile[code * dim + k], sum);
                }
            }
            // Ids rise within a warp: a tie keeps the lower one.
            if (sum > best) {
                best = sum;
                best_id = start + code;
            }
        }
    }
    best_values[warp][lane] = best;
    best_ids[warp][lane] = best_id;
    __syncthreads();
    if (warp == 0 && first + lane < rows) {
        for (int i = 1; i < WARPS; ++i) {
            const float value = best_values[i][lane];
            const int id = best_ids[i][lane];
            if (value > best || (value == best && id < best_id)) {
                best = value;
                best_id = id;
            }
        }
        ids[first + lane] = is_finite && best_id < codes ? best_id : codes - 1;
    }
}
