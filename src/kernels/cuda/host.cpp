// The kernels as a library for the host, which tests load (host.rs).
#define TESSERA_HOST
#include "kernels.cu"

#define ENTRY(name)                                                                                                                    \
    extern "C" void shim_##name(unsigned grid_x, unsigned grid_y, unsigned threads, int cooperates, void **arguments) {                \
        shim::launch(name, grid_x, grid_y, threads, cooperates, arguments);                                                            \
    }

ENTRY(depthwise_norm)
ENTRY(depthwise_input_gradient)
ENTRY(depthwise_kernel_gradient)
ENTRY(rms_norm)
ENTRY(rms_norm_gradient)
ENTRY(unit_norm_gradient)
ENTRY(bias_gelu)
ENTRY(bias_gelu_gradient)
ENTRY(column_sums)
ENTRY(sum_parts)
ENTRY(total)
ENTRY(add_row)
ENTRY(copy_columns)
ENTRY(fold_weights)
ENTRY(unfold_up)
ENTRY(unfold_down)
ENTRY(shuffle)
ENTRY(nearest_code)
ENTRY(codebook_sums)
ENTRY(pyramid_absolute)
ENTRY(pyramid_band)
ENTRY(pyramid_halve)
ENTRY(pyramid_back)
ENTRY(map_channels)
ENTRY(texture_strength)
ENTRY(texture_gradient)
ENTRY(gradient_squares)
ENTRY(root_of_total)
ENTRY(adamw)
