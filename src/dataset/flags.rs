//! What is noticed about a picture. A flag excludes nothing by itself: the user decides.

use serde::{Deserialize, Serialize};

use super::analysis::Analysis;
use crate::error::Notice;

/// Something worth knowing about a picture before training on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "flag", rename_all = "snake_case")]
pub enum Flag {
    /// The shorter side is below the minimum, px.
    TooSmall { side_px: u32, min_px: u32 },
    /// Even the sharpest edges are soft.
    Blurry { sharpness: f32, min: f32 },
    /// One colour throughout, or fully transparent.
    Flat { is_transparent: bool },
    /// Much longer than wide.
    OddAspect { ratio: f32, max: f32 },
    /// It has the same bytes as a picture before it, named by its path relative to the import.
    Duplicate { of: String },
    /// It shows the same as a picture before it; `distance` of 256 bits of the hash differ.
    NearDuplicate { of: String, distance: u32 },
}

impl Flag {
    /// A stable short name: the `flag` of the JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooSmall { .. } => "too_small",
            Self::Blurry { .. } => "blurry",
            Self::Flat { .. } => "flat",
            Self::OddAspect { .. } => "odd_aspect",
            Self::Duplicate { .. } => "duplicate",
            Self::NearDuplicate { .. } => "near_duplicate",
        }
    }

    /// Whether training is better without it: exact copies, and pictures with nothing to learn.
    pub fn suggests_exclusion(&self) -> bool {
        matches!(
            self,
            Self::Duplicate { .. } | Self::Flat { .. } | Self::TooSmall { .. }
        )
    }

    /// The reason in plain words.
    pub fn notice(&self) -> Notice {
        const LOOK: &str = "Look at it and exclude it if it should not be learned";
        let (what, why, next) = match self {
            Self::TooSmall { side_px, min_px } => (
                "the picture is very small",
                format!("its shorter side has {side_px} px, fewer than {min_px}"),
                "Import a larger version if there is one",
            ),
            Self::Blurry { sharpness, min } => (
                "the picture looks blurry",
                format!(
                    "its sharpest edges score {sharpness:.2}, sharp pictures score above {min:.2}"
                ),
                LOOK,
            ),
            Self::Flat {
                is_transparent: true,
            } => (
                "the picture is empty",
                "every pixel is transparent".to_owned(),
                "There is nothing to learn from it",
            ),
            Self::Flat {
                is_transparent: false,
            } => (
                "the picture is flat",
                "it has one colour throughout".to_owned(),
                "There is little to learn from it",
            ),
            Self::OddAspect { ratio, max } => (
                "the picture is a narrow strip",
                format!("one side is {ratio:.1} times the other, more than {max:.0}"),
                LOOK,
            ),
            Self::Duplicate { of } => (
                "the picture is a copy",
                format!("it has the same bytes as “{of}”"),
                "One of them is enough",
            ),
            Self::NearDuplicate { of, distance } => (
                "the picture is almost a copy",
                format!("it looks like “{of}” ({distance} of 256 bits differ)"),
                "Exclude one of them unless both are wanted",
            ),
        };
        Notice::new(what, why, next)
    }
}

/// Thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlagOptions {
    /// Shorter side below this is too small, px.
    pub min_side_px: u32,
    /// [`Analysis::sharpness`] below this is blurry.
    pub min_sharpness: f32,
    /// [`Analysis::contrast`] below this is flat, of 255.
    pub min_contrast: f32,
    /// Longer over shorter side above this is odd.
    pub max_aspect: f32,
}

impl Default for FlagOptions {
    fn default() -> Self {
        Self {
            min_side_px: 16,
            min_sharpness: 0.6,
            min_contrast: 1.0,
            max_aspect: 5.0,
        }
    }
}

/// The flags that a picture earns by itself; duplicates are found while scanning.
pub fn of_picture(
    width: u32,
    height: u32,
    analysis: &Analysis,
    options: &FlagOptions,
) -> Vec<Flag> {
    let mut flags = Vec::new();
    let (shorter, longer) = (width.min(height), width.max(height));
    if shorter < options.min_side_px {
        flags.push(Flag::TooSmall {
            side_px: shorter,
            min_px: options.min_side_px,
        });
    }
    let ratio = longer as f32 / shorter.max(1) as f32;
    if ratio > options.max_aspect {
        flags.push(Flag::OddAspect {
            ratio,
            max: options.max_aspect,
        });
    }
    if analysis.contrast() < options.min_contrast {
        let is_transparent = analysis.miniature().rgba.chunks_exact(4).all(|p| p[3] == 0);
        flags.push(Flag::Flat { is_transparent });
    } else if let Some(sharpness) = analysis.sharpness()
        && sharpness < options.min_sharpness
    {
        flags.push(Flag::Blurry {
            sharpness,
            min: options.min_sharpness,
        });
    }
    flags
}
