//! How much of a codebook is in use.

use candle_core::Tensor;

use crate::error::{Error, Result};

/// Counts how often each code occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeUsage {
    counts: Vec<u64>,
}

impl CodeUsage {
    /// For a codebook of `codes` codes.
    pub fn new(codes: usize) -> Self {
        Self {
            counts: vec![0; codes],
        }
    }

    /// Counts codes of any shape; [`super::EMPTY`] cells are passed over.
    ///
    /// # Errors
    /// A usage error for a code that the codebook does not have.
    pub fn add(&mut self, codes: &Tensor) -> Result<()> {
        self.add_codes(&codes.flatten_all()?.to_vec1::<u32>()?)
    }

    /// As [`Self::add`].
    ///
    /// # Errors
    /// A usage error for a code that the codebook does not have.
    pub fn add_codes(&mut self, codes: &[u32]) -> Result<()> {
        for &code in codes.iter().filter(|&&code| code != super::EMPTY) {
            let count = self.counts.get_mut(code as usize).ok_or_else(|| {
                Error::usage(
                    "could not count these codes",
                    format!("the codebook has no code {code}"),
                    "Use codes of the same model",
                )
            })?;
            *count += 1;
        }
        Ok(())
    }

    /// Occurrences by code.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Codes that occur, 0 to K.
    pub fn used(&self) -> usize {
        self.counts.iter().filter(|&&count| count > 0).count()
    }

    /// Codes that occur, as a fraction of the codebook.
    pub fn used_fraction(&self) -> f64 {
        self.used() as f64 / self.counts.len().max(1) as f64
    }

    /// `exp` of the entropy of the codes: how many equally frequent codes would be as varied. 0 without any.
    pub fn perplexity(&self) -> f64 {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return 0.0;
        }
        let entropy: f64 = self
            .counts
            .iter()
            .filter(|&&count| count > 0)
            .map(|&count| {
                let share = count as f64 / total as f64;
                -share * share.ln()
            })
            .sum();
        entropy.exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_use_has_full_perplexity_and_one_code_has_one() {
        let mut usage = CodeUsage::new(4);
        assert_eq!(usage.perplexity(), 0.0);
        usage.add_codes(&[0, 0, 0, super::super::EMPTY]).unwrap();
        assert!((usage.perplexity() - 1.0).abs() < 1e-12);
        usage.add_codes(&[1, 1, 1, 2, 2, 2, 3, 3, 3]).unwrap();
        assert!((usage.perplexity() - 4.0).abs() < 1e-9);
        assert_eq!(usage.used_fraction(), 1.0);
        assert!(usage.add_codes(&[4]).is_err());
    }
}
