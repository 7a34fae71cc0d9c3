//! Faster matrix products for training on CUDA, where they are right enough.
//!
//! Weights, moments and everything that is stored stay `f32`; only the factors of matrix products are rounded to TF32 (10 bits of
//! mantissa) on their way into the tensor cores, and summed in `f32`. Painting and exports that compute at the same time differ
//! by less than a step of 8 bits. candle has one switch for the whole process; the CPU and Metal have none.

use std::sync::{Mutex, PoisonError};

use candle_core::cuda::set_gemm_reduced_precision_f32;

/// Who wants fast products, and who must have exact ones.
struct Precision {
    fast: usize,
    exact: usize,
}

static PRECISION: Mutex<Precision> = Mutex::new(Precision { fast: 0, exact: 0 });

/// What is asked for; it holds until it is dropped. Exact products go before fast ones.
pub(crate) struct PrecisionRequest {
    is_fast: bool,
}

impl PrecisionRequest {
    pub fn fast() -> Self {
        Self::new(true)
    }

    pub fn exact() -> Self {
        Self::new(false)
    }

    fn new(is_fast: bool) -> Self {
        change(is_fast, |count| *count += 1);
        Self { is_fast }
    }
}

impl Drop for PrecisionRequest {
    fn drop(&mut self) {
        change(self.is_fast, |count| *count -= 1);
    }
}

fn change(is_fast: bool, by: impl Fn(&mut usize)) {
    let mut precision = PRECISION.lock().unwrap_or_else(PoisonError::into_inner);
    by(if is_fast {
        &mut precision.fast
    } else {
        &mut precision.exact
    });
    set_gemm_reduced_precision_f32(precision.are_fast());
}

impl Precision {
    fn are_fast(&self) -> bool {
        self.fast > 0 && self.exact == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_products_go_before_fast_ones() {
        let are_fast = || PRECISION.lock().unwrap().are_fast();
        let first = PrecisionRequest::fast();
        let second = PrecisionRequest::fast();
        assert!(are_fast());
        let exact = PrecisionRequest::exact();
        assert!(!are_fast());
        drop(first);
        drop(exact);
        assert!(are_fast(), "one still wants them");
        drop(second);
        assert!(!are_fast());
    }
}
