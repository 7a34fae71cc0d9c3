// What the kernels need of CUDA, for a C++ compiler: tests run the very same sources on the CPU (host.rs).
//
// A block's threads are fibers of one thread of the system, run in turn; at a barrier or an exchange within a warp each gives way
// until all have arrived. Memory shared within a block is therefore plain static memory. Nothing here is fast.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct float4 {
    float x, y, z, w;
};

struct Index3 {
    unsigned x, y, z;
};
static Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

constexpr size_t STACK = 64 * 1024;
constexpr unsigned WARP = 32;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool is_done = false;
    // Exchanges and barriers that it has arrived at.
    unsigned long arrivals = 0;
};

static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned current;
static bool is_cooperative;
static void (*work)(void *);
static void *argument;
static std::vector<float> lanes;

// Gives way until the fibers from `first` on, `count` of them, have all arrived as often as this one.
static void arrive(unsigned first, unsigned count) {
    if (!is_cooperative) {
        std::fprintf(stderr, "a kernel that was said not to synchronise does\n");
        std::abort();
    }
    const unsigned own = current;
    const unsigned long target = ++fibers[own].arrivals;
    for (;;) {
        bool all = true;
        for (unsigned i = first; i < first + count && i < fibers.size(); ++i) {
            all = all && (fibers[i].is_done || fibers[i].arrivals >= target);
        }
        if (all) {
            break;
        }
        swapcontext(&fibers[own].context, &scheduler);
    }
}

static void enter() {
    work(argument);
    fibers[current].is_done = true;
    swapcontext(&fibers[current].context, &scheduler);
}

static void run_block(unsigned threads) {
    lanes.assign(threads, 0.0f);
    if (!is_cooperative) {
        for (unsigned i = 0; i < threads; ++i) {
            threadIdx = {i, 0, 0};
            work(argument);
        }
        return;
    }
    if (fibers.size() != threads) {
        fibers.clear();
        fibers.resize(threads);
    }
    for (unsigned i = 0; i < threads; ++i) {
        Fiber &fiber = fibers[i];
        fiber.is_done = false;
        fiber.arrivals = 0;
        fiber.stack.resize(STACK);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = STACK;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, enter, 0);
    }
    for (unsigned left = threads; left > 0;) {
        left = 0;
        for (unsigned i = 0; i < threads; ++i) {
            if (!fibers[i].is_done) {
                current = i;
                threadIdx = {i, 0, 0};
                swapcontext(&scheduler, &fibers[i].context);
                left += !fibers[i].is_done;
            }
        }
    }
}

} // namespace shim

namespace shim {

// A kernel with its arguments by address, as the driver takes them.
template <class... A> struct Call {
    void (*kernel)(A...);
    void **arguments;

    template <size_t... I> void run(std::index_sequence<I...>) {
        kernel(*static_cast<A *>(arguments[I])...);
    }

    static void enter(void *self) {
        static_cast<Call *>(self)->run(std::index_sequence_for<A...>{});
    }
};

template <class... A>
static void launch(void (*kernel)(A...), unsigned grid_x, unsigned grid_y, unsigned threads, int cooperates, void **arguments) {
    Call<A...> call{kernel, arguments};
    work = Call<A...>::enter;
    argument = &call;
    is_cooperative = cooperates != 0;
    gridDim = {grid_x, grid_y, 1};
    blockDim = {threads, 1, 1};
    for (unsigned y = 0; y < grid_y; ++y) {
        for (unsigned x = 0; x < grid_x; ++x) {
            blockIdx = {x, y, 0};
            run_block(threads);
        }
    }
    argument = nullptr;
}

} // namespace shim

static inline void __syncthreads() {
    shim::arrive(0, static_cast<unsigned>(shim::fibers.size()));
}

static inline void __syncwarp() {
    shim::arrive(shim::current / shim::WARP * shim::WARP, shim::WARP);
}

static inline float __shfl_xor_sync(unsigned, float value, unsigned mask) {
    const unsigned own = shim::current;
    shim::lanes[own] = value;
    __syncwarp();
    const float found = shim::lanes[own ^ mask];
    __syncwarp();
    return found;
}

static inline unsigned __ballot_sync(unsigned, bool value) {
    const unsigned own = shim::current, first = own / shim::WARP * shim::WARP;
    shim::lanes[own] = value ? 1.0f : 0.0f;
    __syncwarp();
    unsigned bits = 0;
    for (unsigned i = 0; i < shim::WARP; ++i) {
        bits |= (shim::lanes[first + i] != 0.0f ? 1u : 0u) << i;
    }
    __syncwarp();
    return bits;
}

static inline int __ffs(unsigned bits) {
    return bits == 0 ? 0 : __builtin_ctz(bits) + 1;
}
