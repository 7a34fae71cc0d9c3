//! Run-time choice of the vector instructions, and the vector functions shared by the operators.

use pulp::{Arch, Simd, WithSimd};

/// Runs `work` with the best instructions of this machine. One call per piece of work, not per row.
#[inline]
pub(super) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    // Detection is cached by the standard library.
    Arch::new().dispatch(work)
}

/// # Safety
/// `from` is readable for `S::F32_LANES` values.
#[inline(always)]
pub(super) unsafe fn load<S: Simd>(from: *const f32) -> S::f32s {
    // SAFETY: any bit pattern is a vector of f32; the caller vouches for the range.
    unsafe { from.cast::<S::f32s>().read_unaligned() }
}

/// # Safety
/// `to` is writable for `S::F32_LANES` values.
#[inline(always)]
pub(super) unsafe fn store<S: Simd>(to: *mut f32, value: S::f32s) {
    // SAFETY: the caller vouches for the range.
    unsafe { to.cast::<S::f32s>().write_unaligned(value) }
}

/// Where [`exp2`] ends. Up to 126 would be right to the last bit, but GELU's slopes far below zero would then be so small
/// that gradients times them are subnormal, which processors multiply many times slower: training took twice as long.
const MOST: f32 = 60.0;

/// `2^x` for `x` in ±[`MOST`]; outside it is clamped. Relative error below 2e-7 (polynomial: Cephes `exp2f`).
/// NaN gives an unspecified finite value: the callers multiply by the argument.
#[inline(always)]
fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    let x = simd.max_f32s(simd.min_f32s(x, splat(MOST)), splat(-MOST));
    // Adding 1.5·2²³ rounds to the nearest integer and leaves it in the low bits.
    let magic = splat(12_582_912.0);
    let shifted = simd.add_f32s(x, magic);
    let fraction = simd.sub_f32s(x, simd.sub_f32s(shifted, magic));
    let mut p = splat(1.535_336_2e-4);
    for c in [
        1.339_887_5e-3,
        9.618_437e-3,
        5.550_332_5e-2,
        2.402_264_8e-1,
        6.931_472e-1,
        1.0,
    ] {
        p = simd.mul_add_e_f32s(p, fraction, splat(c));
    }
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.transmute_u32s_f32s(p)))
}

const GELU_SCALE: f32 = 0.797_884_6; // sqrt(2/π)
const GELU_CUBIC: f32 = 0.044_715;

/// The logistic function of `2·u`, where tanh-GELU is `x·(1 + tanh u)/2 = x·σ(2u)`, `u = scale·(x + cubic·x³)`.
#[inline(always)]
fn gelu_gate<S: Simd>(simd: S, x: S::f32s, square: S::f32s) -> S::f32s {
    let splat = |v| simd.splat_f32s(v);
    // -2u·log2(e), so that one power of two gives exp(-2u).
    let factor = -2.0 * GELU_SCALE * std::f32::consts::LOG2_E;
    let inner = simd.mul_add_e_f32s(square, splat(factor * GELU_CUBIC), splat(factor));
    let e = exp2(simd, simd.mul_f32s(inner, x));
    simd.div_f32s(splat(1.0), simd.add_f32s(splat(1.0), e))
}

/// tanh-GELU; NaN stays NaN.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.mul_f32s(x, gelu_gate(simd, x, simd.mul_f32s(x, x)))
}

/// tanh-GELU and its derivative; NaN stays NaN in both.
#[inline(always)]
pub(super) fn gelu_with_slope<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let splat = |v| simd.splat_f32s(v);
    let square = simd.mul_f32s(x, x);
    let gate = gelu_gate(simd, x, square);
    let value = simd.mul_f32s(x, gate);
    let inner = simd.mul_add_e_f32s(
        square,
        splat(6.0 * GELU_SCALE * GELU_CUBIC),
        splat(2.0 * GELU_SCALE),
    );
    let rest = simd.sub_f32s(splat(1.0), gate);
    let slope = simd.mul_add_e_f32s(simd.mul_f32s(value, rest), inner, gate);
    (value, slope)
}

#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let mut sum = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sum = simd.mul_add_e_f32s(*a, *b, sum);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    simd.reduce_sum_f32s(sum) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GELU and its slope at each `x`.
    struct Both<'a>(&'a [f32]);

    impl WithSimd for Both<'_> {
        type Output = Vec<(f32, f32)>;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let at = |x: &f32| {
                let (value, slope) = gelu_with_slope(simd, simd.splat_f32s(*x));
                let lanes = S::F32_LANES as f32;
                (
                    simd.reduce_sum_f32s(value) / lanes,
                    simd.reduce_sum_f32s(slope) / lanes,
                )
            };
            self.0.iter().map(at).collect()
        }
    }

    #[test]
    fn far_below_zero_gelu_vanishes_without_subnormal_products() {
        let x: Vec<f32> = (8..400).map(|x| -(x as f32)).collect();
        for (x, (value, slope)) in x.iter().zip(dispatch(Both(&x))) {
            assert!(
                value.abs() < 1e-12 && slope.abs() < 1e-9,
                "{x}: {value} {slope}"
            );
            // A gradient of 1e-15 is already lost beside any other.
            assert!(
                (value * 1e-15).is_normal() && (slope * 1e-15).is_normal(),
                "{x}"
            );
        }
    }
}
