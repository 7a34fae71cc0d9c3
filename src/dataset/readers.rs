//! Which formats are read, and with which decoder.

use std::io::Cursor;

use image::codecs::{bmp, gif, ico, png, tiff, webp};
use image::{ImageDecoder, ImageResult};

use super::decode::{Header, Limits, check, from_image};
use super::jpeg;
use crate::error::Result;
use crate::foundation::formats::Format;

/// What a PNG decoder may need besides the pixels: rows, profiles, text.
const PNG_EXTRA_BYTES: u64 = 64 << 20;

/// Opens files of a format.
pub(super) struct Reader {
    pub format: &'static Format,
    /// Reads the header and checks it against the limits.
    pub open: for<'a> fn(&'a [u8], &Limits) -> Result<Opened<'a>>,
}

/// A file whose header has been read.
pub(super) struct Opened<'a> {
    pub header: Header,
    pub decoder: Decoder<'a>,
}

/// What makes the pixels.
pub(super) enum Decoder<'a> {
    Jpeg(jpeg::Info),
    Image(Box<dyn ImageDecoder + 'a>),
}

/// The one list of what is read.
pub(super) static READERS: [Reader; 7] = [
    Reader {
        format: Format::PNG,
        open: |bytes, limits| open_png(Format::PNG, bytes, limits),
    },
    Reader {
        format: Format::JPEG,
        open: open_jpeg,
    },
    Reader {
        format: Format::WEBP,
        open: |bytes, limits| {
            open(
                Format::WEBP,
                webp::WebPDecoder::new(Cursor::new(bytes)),
                limits,
            )
        },
    },
    Reader {
        format: Format::GIF,
        open: |bytes, limits| {
            open(
                Format::GIF,
                gif::GifDecoder::new(Cursor::new(bytes)),
                limits,
            )
        },
    },
    Reader {
        format: Format::BMP,
        open: |bytes, limits| {
            open(
                Format::BMP,
                bmp::BmpDecoder::new(Cursor::new(bytes)),
                limits,
            )
        },
    },
    Reader {
        format: Format::TIFF,
        open: |bytes, limits| {
            open(
                Format::TIFF,
                tiff::TiffDecoder::new(Cursor::new(bytes)),
                limits,
            )
        },
    },
    Reader {
        format: Format::ICO,
        open: open_icon,
    },
];

/// The reader of a format, where it is read.
pub(super) fn reader_of(format: &Format) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.format == format)
}

/// The formats that are read.
pub fn readable() -> impl Iterator<Item = &'static Format> {
    READERS.iter().map(|reader| reader.format)
}

/// Endings of files that are read, in small letters, for lists in dialogs.
pub fn readable_endings() -> Vec<&'static str> {
    let endings = readable().flat_map(|format| format.endings);
    endings.copied().collect()
}

fn open_png<'a>(format: &'static Format, bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>> {
    let mut extra = image::Limits::no_limits();
    extra.max_alloc = Some(PNG_EXTRA_BYTES);
    let decoder = png::PngDecoder::with_limits(Cursor::new(bytes), extra);
    open(format, decoder, limits)
}

/// The largest of an icon's pictures. image's own decoder takes no PNG without alpha.
fn open_icon<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>> {
    match largest_in_icon(bytes) {
        Some(picture) if Format::of_content(picture) == Some(Format::PNG) => {
            open_png(Format::ICO, picture, limits)
        }
        _ => open(
            Format::ICO,
            ico::IcoDecoder::new(Cursor::new(bytes)),
            limits,
        ),
    }
}

/// By the list at the start: 16 bytes each with width and height (0 stands for 256), depth, length and place.
fn largest_in_icon(bytes: &[u8]) -> Option<&[u8]> {
    let count = usize::from(u16::from_le_bytes([*bytes.get(4)?, *bytes.get(5)?]));
    let (entries, _) = bytes.get(6..)?.as_chunks::<16>();
    let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
    let entries = entries.iter().take(count);
    let largest = entries.max_by_key(|entry| {
        let depth = u16::from_le_bytes([entry[6], entry[7]]);
        (side(entry[0]) * side(entry[1]), depth)
    })?;
    let word = |at: usize| {
        let word = [
            largest[at],
            largest[at + 1],
            largest[at + 2],
            largest[at + 3],
        ];
        usize::try_from(u32::from_le_bytes(word)).ok()
    };
    let (length, start) = (word(8)?, word(12)?);
    bytes.get(start..start.checked_add(length)?)
}

fn open_jpeg<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>> {
    let info = jpeg::read_info(bytes)?;
    let decode_bytes = info.decode_bytes();
    let (width, height) = (info.width, info.height);
    Ok(Opened {
        header: check(Format::JPEG, width, height, 8, decode_bytes, limits)?,
        decoder: Decoder::Jpeg(info),
    })
}

fn open<'a>(
    format: &'static Format,
    decoder: ImageResult<impl ImageDecoder + 'a>,
    limits: &Limits,
) -> Result<Opened<'a>> {
    let mut decoder = decoder.map_err(|e| from_image(&e))?;
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    let pixels = u64::from(width) * u64::from(height);
    let wide = color.bytes_per_pixel() > color.channel_count();
    // Native pixels, RGBA8, RGBA16 and what turning them upright needs.
    let native = u64::from(color.bytes_per_pixel());
    let per_pixel = native + if wide { 12 + 8 } else { 4 + 4 };
    let header = check(
        format,
        width,
        height,
        if wide { 16 } else { 8 },
        pixels.saturating_mul(per_pixel),
        limits,
    )?;
    let mut image_limits = image::Limits::no_limits();
    image_limits.max_alloc = Some(limits.max_decode_bytes);
    decoder
        .set_limits(image_limits)
        .map_err(|e| from_image(&e))?;
    Ok(Opened {
        header,
        decoder: Decoder::Image(Box::new(decoder)),
    })
}
