// All kernels as one translation unit: build.rs makes PTX of it, a test a library for the host.
#include "adamw.cu"
#include "codebook.cu"
#include "depthwise.cu"
#include "linear.cu"
#include "nearest.cu"
#include "norm.cu"
#include "pyramid.cu"
#include "shuffle.cu"
