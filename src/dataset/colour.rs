//! Colour profiles to sRGB, in place, a few thousand pixels at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};

use crate::error::Notice;
use crate::foundation::panics::panic_message;

/// Pixels converted at once: small enough for the cache, large enough to hide the call.
const CHUNK_PX: usize = 4096;

/// The warning for a profile that could not be used.
pub(super) fn ignored(why: &str) -> Notice {
    Notice::new(
        "the colour profile was ignored, colours may look different",
        why.to_owned(),
        "If the colours matter, convert the picture to sRGB in your editor",
    )
}

/// RGBA8 in the profile's space to sRGB. Gray profiles are applied to the red channel.
pub(super) fn to_srgb8(icc: &[u8], rgba: &mut [u8]) -> Option<Notice> {
    guarded(|| {
        let profile = parse(icc)?;
        let srgb = ColorProfile::new_srgb();
        let (source, target) = layouts(&profile)?;
        let transform = profile
            .create_transform_8bit(source, &srgb, target, TransformOptions::default())
            .map_err(|e| e.to_string())?;
        if is_identity(transform.as_ref(), source)? {
            return Ok(());
        }
        convert(transform.as_ref(), source, rgba)
    })
}

/// As [`to_srgb8`], 16 bits per channel.
pub(super) fn to_srgb16(icc: &[u8], rgba: &mut [u16]) -> Option<Notice> {
    guarded(|| {
        let profile = parse(icc)?;
        let srgb = ColorProfile::new_srgb();
        let (source, target) = layouts(&profile)?;
        let coarse = profile
            .create_transform_8bit(source, &srgb, target, TransformOptions::default())
            .map_err(|e| e.to_string())?;
        if is_identity(coarse.as_ref(), source)? {
            return Ok(());
        }
        let options = TransformOptions {
            prefer_fixed_point: false,
            ..TransformOptions::default()
        };
        let transform = profile
            .create_transform_16bit(source, &srgb, target, options)
            .map_err(|e| e.to_string())?;
        convert(transform.as_ref(), source, rgba)
    })
}

/// Ink amounts (CMYK, 0 is no ink) to sRGB RGBA8: by the profile where there is one, else by multiplying.
pub(super) fn inks_to_srgb8(icc: Option<&[u8]>, pixels: &mut [u8]) -> Option<Notice> {
    let mut notice = None;
    if let Some(icc) = icc {
        let mut is_done = false;
        notice = guarded(|| {
            let profile = parse(icc)?;
            if profile.color_space != DataColorSpace::Cmyk {
                return Err(format!(
                    "the picture is CMYK, the profile is {:?}",
                    profile.color_space
                ));
            }
            let transform = profile
                .create_transform_8bit(
                    Layout::Rgba,
                    &ColorProfile::new_srgb(),
                    Layout::Rgb,
                    TransformOptions::default(),
                )
                .map_err(|e| e.to_string())?;
            let mut rgb = vec![0; CHUNK_PX * 3];
            for chunk in pixels.chunks_mut(CHUNK_PX * 4) {
                let rgb = &mut rgb[..chunk.len() / 4 * 3];
                transform.transform(chunk, rgb).map_err(|e| e.to_string())?;
                is_done = true;
                for (p, c) in chunk.chunks_exact_mut(4).zip(rgb.chunks_exact(3)) {
                    p[..3].copy_from_slice(c);
                    p[3] = 255;
                }
            }
            Ok(())
        });
        if is_done {
            return notice;
        }
    }
    for p in pixels.chunks_exact_mut(4) {
        let light = |ink: u8| u32::from(255 - ink);
        let key = light(p[3]);
        for c in &mut p[..3] {
            *c = ((light(*c) * key + 127) / 255) as u8;
        }
        p[3] = 255;
    }
    notice
}

/// Profiles come from strangers: whatever goes wrong in them costs the profile, not the picture.
fn guarded(work: impl FnOnce() -> Result<(), String>) -> Option<Notice> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => None,
        Ok(Err(why)) => Some(ignored(&why)),
        Err(payload) => Some(ignored(&panic_message(payload.as_ref()))),
    }
}

fn parse(icc: &[u8]) -> Result<ColorProfile, String> {
    ColorProfile::new_from_slice(icc).map_err(|e| e.to_string())
}

fn layouts(profile: &ColorProfile) -> Result<(Layout, Layout), String> {
    match profile.color_space {
        DataColorSpace::Rgb => Ok((Layout::Rgba, Layout::Rgba)),
        DataColorSpace::Gray => Ok((Layout::Gray, Layout::Rgb)),
        other => Err(format!("its colour space is {other:?}")),
    }
}

/// Whether the profile is sRGB but for rounding: then the file's own values are kept.
fn is_identity(
    transform: &(dyn TransformExecutor<u8> + Send + Sync),
    source: Layout,
) -> Result<bool, String> {
    let mut pixels = Vec::new();
    for v in (0..=255).step_by(5) {
        for p in [
            [v, v, v],
            [v, 0, 255 - v],
            [255, v, 0],
            [0, 255, v],
            [v, 128, 64],
        ] {
            let p = if source == Layout::Gray { [v; 3] } else { p };
            pixels.extend_from_slice(&[p[0], p[1], p[2], 255]);
        }
    }
    let mut converted = pixels.clone();
    convert(transform, source, &mut converted)?;
    Ok(pixels
        .iter()
        .zip(&converted)
        .all(|(a, b)| a.abs_diff(*b) <= 1))
}

fn convert<T: Copy + Default>(
    transform: &(dyn TransformExecutor<T> + Send + Sync),
    source: Layout,
    rgba: &mut [T],
) -> Result<(), String> {
    let mut input = Vec::with_capacity(CHUNK_PX * 4);
    let mut output = Vec::new();
    output.resize(CHUNK_PX * 3, T::default());
    for chunk in rgba.chunks_mut(CHUNK_PX * 4) {
        input.clear();
        if source == Layout::Gray {
            input.extend(chunk.chunks_exact(4).map(|p| p[0]));
            let output = &mut output[..input.len() * 3];
            transform
                .transform(&input, output)
                .map_err(|e| e.to_string())?;
            for (p, c) in chunk.chunks_exact_mut(4).zip(output.chunks_exact(3)) {
                p[..3].copy_from_slice(c);
            }
        } else {
            input.extend_from_slice(chunk);
            transform
                .transform(&input, chunk)
                .map_err(|e| e.to_string())?;
        }
    }
    Ok(())
}
