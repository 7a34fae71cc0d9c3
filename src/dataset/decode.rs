//! One picture file to upright sRGB pixels.
//!
//! The content decides the format, never the name. Sizes and memory are checked on the header, before
//! pixels are allocated. The decoders are other people's code fed with strangers' bytes: a panic in one
//! becomes an [`Error`].

use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, RgbaImage};
use serde::{Deserialize, Serialize};

use super::readers::{Decoder, Opened, reader_of};
use super::{colour, jpeg};
use crate::error::{Error, Kind, Notice, Result};
use crate::foundation::formats::{Format, SNIFF_LEN, begins_with, text_of};
use crate::foundation::panics::panic_message;

const WHAT: &str = "could not read the picture";

/// Limits on one picture. They are checked on the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest side, px.
    pub max_side_px: u32,
    /// Width × height, px.
    pub max_pixels: u64,
    /// Bytes that decoding may hold at once: file, decoder's buffers and pixels.
    pub max_decode_bytes: u64,
    /// Length of the file, bytes.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    /// 65,535 px a side, 128 Mpx, 1 GiB while decoding, files up to 512 MiB.
    fn default() -> Self {
        Self {
            max_side_px: 65_535,
            max_pixels: 128 << 20,
            max_decode_bytes: 1 << 30,
            max_file_bytes: 512 << 20,
        }
    }
}

/// What the first bytes of a file say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Picture(&'static Format),
    /// A picture of a format that is not read.
    OtherPicture(&'static Format),
    /// Something else, in words: "an HTML page".
    Other(&'static str),
    Unknown,
}

/// Tells what a file is from its first [`SNIFF_LEN`](crate::foundation::formats::SNIFF_LEN) bytes.
pub fn sniff(start: &[u8]) -> Content {
    use Content as C;
    let text = text_of(start);
    let begins = |magic: &[u8]| start.starts_with(magic);
    if let Some(format) = Format::of_content(start) {
        match reader_of(format) {
            Some(_) => C::Picture(format),
            None => C::OtherPicture(format),
        }
    } else if start.is_empty() {
        C::Other("empty (0 bytes)")
    } else if start.get(4..8) == Some(b"ftyp") {
        C::Other("a film")
    } else if begins_with(text, b"<!doctype html") || begins_with(text, b"<html") {
        C::Other("an HTML page")
    } else if begins(b"%PDF") {
        C::Other("a PDF")
    } else if begins(b"PK\x03\x04") {
        C::Other("an archive")
    } else if std::str::from_utf8(start)
        .map_or_else(|e| e.valid_up_to() + 4 > start.len(), |_| true)
        && !start
            .iter()
            .any(|b| *b < 32 && !matches!(b, b'\n' | b'\r' | b'\t' | 12))
    {
        C::Other("text")
    } else {
        C::Unknown
    }
}

/// What the header says, before any pixel is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub format: &'static Format,
    /// As stored: before the EXIF orientation is applied.
    pub stored_width: u32,
    pub stored_height: u32,
    /// Bits per channel in the file after expansion: 8 or 16.
    pub bits_per_channel: u8,
    /// Estimate of the most memory that decoding holds besides the file itself, bytes.
    pub decode_bytes: u64,
}

/// A decoded picture: upright, sRGB, straight alpha, rows from the top, RGBA.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub width: u32,
    pub height: u32,
    /// `width × height × 4` values. Colour under alpha 0 is what the file holds; [`Decoded::premultiplied`] drops it.
    pub rgba8: Vec<u8>,
    /// The pixels at full depth, where the file has more than 8 bits per channel.
    pub rgba16: Option<Vec<u16>>,
    pub format: &'static Format,
    /// 8 or 16.
    pub bits_per_channel: u8,
    /// Whether any pixel is not fully opaque.
    pub has_alpha: bool,
    /// What could not be honoured, such as an unreadable colour profile.
    pub warnings: Vec<Notice>,
}

impl Decoded {
    /// RGBA8 with colour multiplied by alpha, so that nothing shows from under alpha 0.
    pub fn premultiplied(&self) -> Vec<u8> {
        super::pixels::premultiplied(&self.rgba8)
    }
}

/// Reads and decodes a file.
///
/// # Errors
/// `Io`/`NotFound` where the file cannot be read, `Limit` where it is too large, `Unsupported` or `Damaged` where
/// its content cannot be decoded. Files that are not plain files (folders, pipes, devices) are never opened.
pub fn decode_file(path: impl AsRef<Path>, limits: &Limits) -> Result<Decoded> {
    let path = path.as_ref();
    let bytes = read_file(path, limits)?;
    decode_bytes(&bytes, limits).map_err(|e| e.at(path))
}

/// The whole content of a plain file that is not longer than the limit.
///
/// # Errors
/// `Unsupported` for anything but a plain file, `Limit` for one longer than [`Limits::max_file_bytes`], `Io`.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::io(WHAT, path, &e);
    // `metadata` does not open the file: opening a pipe would wait for a writer for ever.
    let meta = std::fs::metadata(path).map_err(io)?;
    if !meta.is_file() {
        return Err(Error::new(Kind::Unsupported, WHAT, "it is not a plain file", "").at(path));
    }
    if meta.len() > limits.max_file_bytes {
        return Err(too_long(meta.len(), limits).at(path));
    }
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // A file that grows while it is read still ends at the limit.
    file.take(limits.max_file_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(too_long(bytes.len() as u64, limits).at(path));
    }
    Ok(bytes)
}

fn too_long(len: u64, limits: &Limits) -> Error {
    Error::new(
        Kind::Limit,
        WHAT,
        format!(
            "the file is {} MB long, the limit is {} MB",
            len >> 20,
            limits.max_file_bytes >> 20
        ),
        "Save a smaller copy and import that",
    )
}

/// Reads the header and checks it against the limits. Holds almost no memory.
///
/// # Errors
/// As [`decode_bytes`].
pub fn probe_bytes(bytes: &[u8], limits: &Limits) -> Result<Header> {
    guarded(|| open(bytes, limits).map(|opened| opened.header))
}

/// Decodes a file's content.
///
/// # Errors
/// `Limit` where the header asks for more than the limits, `Unsupported` for other formats and rare variants,
/// `Damaged` for anything that does not decode to its end.
pub fn decode_bytes(bytes: &[u8], limits: &Limits) -> Result<Decoded> {
    crate::window_thread::count_blocking("decoding a picture");
    guarded(|| {
        let opened = open(bytes, limits)?;
        match opened.decoder {
            Decoder::Jpeg(jpeg) => decode_jpeg(bytes, &jpeg, opened.header),
            Decoder::Image(decoder) => decode_image(decoder, opened.header),
        }
    })
}

/// Runs a decoder; a panic inside becomes `Damaged`.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        Err(damaged(&format!(
            "the decoder gave up ({})",
            panic_message(payload.as_ref())
        )))
    })
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>> {
    let format = match sniff(&bytes[..bytes.len().min(SNIFF_LEN)]) {
        Content::Picture(format) => format,
        Content::OtherPicture(format) => return Err(other_picture(format)),
        Content::Other(what) => return Err(not_a_picture(what)),
        Content::Unknown => return Err(not_a_picture("of no known kind")),
    };
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(too_long(bytes.len() as u64, limits));
    }
    let reader = reader_of(format).ok_or_else(|| other_picture(format))?;
    (reader.open)(bytes, limits)
}

pub(super) fn check(
    format: &'static Format,
    width: u32,
    height: u32,
    bits_per_channel: u8,
    decode_bytes: u64,
    limits: &Limits,
) -> Result<Header> {
    const NEXT: &str = "Save a smaller copy and import that";
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(damaged("its header says that it has no pixels"));
    }
    if width.max(height) > limits.max_side_px || pixels > limits.max_pixels {
        return Err(Error::new(
            Kind::Limit,
            WHAT,
            format!(
                "its header says {width} × {height} px ({} Mpx), the limit is {} Mpx and {} px a side",
                pixels / 1_000_000,
                limits.max_pixels / 1_000_000,
                limits.max_side_px
            ),
            NEXT,
        ));
    }
    if decode_bytes > limits.max_decode_bytes {
        return Err(Error::new(
            Kind::Limit,
            WHAT,
            format!(
                "{width} × {height} px at {bits_per_channel} bits need about {} MB to decode, the limit is {} MB",
                decode_bytes >> 20,
                limits.max_decode_bytes >> 20
            ),
            NEXT,
        ));
    }
    Ok(Header {
        format,
        stored_width: width,
        stored_height: height,
        bits_per_channel,
        decode_bytes,
    })
}

fn decode_jpeg(bytes: &[u8], info: &jpeg::Info, header: Header) -> Result<Decoded> {
    let mut warnings = Vec::new();
    let rgba = jpeg::decode(bytes, info, &mut warnings)?;
    let orientation = info.orientation;
    finish8(rgba, header, orientation, warnings)
}

fn decode_image(mut decoder: Box<dyn ImageDecoder + '_>, header: Header) -> Result<Decoded> {
    let mut warnings = Vec::new();
    // Metadata that cannot be read does not cost the picture.
    let icc = decoder.icc_profile().unwrap_or_else(|e| {
        warnings.push(colour::ignored(&e.to_string()));
        None
    });
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|e| from_image(&e))?;
    if header.bits_per_channel == 8 {
        let mut rgba = image.into_rgba8().into_raw();
        if let Some(icc) = icc {
            warnings.extend(colour::to_srgb8(&icc, &mut rgba));
        }
        return finish8(rgba, header, orientation, warnings);
    }
    let (width, height) = (header.stored_width, header.stored_height);
    let mut rgba = image.into_rgba16().into_raw();
    if let Some(icc) = icc {
        warnings.extend(colour::to_srgb16(&icc, &mut rgba));
    }
    let mut image = DynamicImage::ImageRgba16(
        image::ImageBuffer::from_raw(width, height, rgba).ok_or_else(short_buffer)?,
    );
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    let rgba16 = image.into_rgba16().into_raw();
    let rgba8: Vec<u8> = rgba16.iter().map(|v| narrow(*v)).collect();
    Ok(Decoded {
        width,
        height,
        has_alpha: rgba16.chunks_exact(4).any(|p| p[3] != u16::MAX),
        rgba8,
        rgba16: Some(rgba16),
        format: header.format,
        bits_per_channel: 16,
        warnings,
    })
}

/// 16 to 8 bits, to nearest.
fn narrow(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

fn finish8(
    rgba: Vec<u8>,
    header: Header,
    orientation: Orientation,
    warnings: Vec<Notice>,
) -> Result<Decoded> {
    let mut image = DynamicImage::ImageRgba8(
        RgbaImage::from_raw(header.stored_width, header.stored_height, rgba)
            .ok_or_else(short_buffer)?,
    );
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    let rgba8 = image.into_rgba8().into_raw();
    Ok(Decoded {
        width,
        height,
        has_alpha: rgba8.chunks_exact(4).any(|p| p[3] != u8::MAX),
        rgba8,
        rgba16: None,
        format: header.format,
        bits_per_channel: 8,
        warnings,
    })
}

fn short_buffer() -> Error {
    damaged("it holds fewer pixels than its header says")
}

pub(super) fn damaged(why: &str) -> Error {
    Error::new(
        Kind::Damaged,
        WHAT,
        format!("the file is damaged or incomplete: {why}"),
        "Open it in your picture editor and save it again",
    )
}

pub(super) fn unsupported(why: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        WHAT,
        why,
        "Save it as PNG and import that",
    )
}

pub(super) fn other_picture(format: &Format) -> Error {
    unsupported(&format!("{format} files are not read"))
}

pub(super) fn not_a_picture(content: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        WHAT,
        format!("it is not a picture: its content is {content}"),
        "",
    )
}

pub(super) fn from_image(error: &ImageError) -> Error {
    match error {
        ImageError::Limits(_) => Error::new(
            Kind::Limit,
            WHAT,
            "decoding it needs more memory than the limit allows",
            "Save a smaller copy and import that",
        ),
        ImageError::Unsupported(e) => unsupported(&format!("its variant is not read ({e})")),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            damaged("it ends before the picture does")
        }
        other => damaged(&other.to_string()),
    }
}
