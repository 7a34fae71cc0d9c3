//! Moving pictures: GIF, APNG, or a folder of numbered PNG files.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::png::{Metadata, write_png};
use crate::document::{Raster, Rect, Samples};
use crate::error::{Error, Kind, Result};
use crate::foundation::files::Existing;

/// Longest side of a GIF.
const MAX_GIF_SIDE_PX: u32 = 65_535;
/// 1 is slow and good, 30 fast; the palette of each frame is made of the part that has changed.
const GIF_SPEED: i32 = 10;

/// What changes from one frame to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Within the picture, not empty; of the first frame all of it.
    pub rect: Rect,
    /// Straight alpha, `rect.width × rect.height × 4`.
    pub rgba8: Vec<u8>,
    pub delay_ms: u32,
}

/// Size and number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnimationSize {
    pub width: u32,
    pub height: u32,
    pub frames: u32,
}

pub(super) fn write_gif(
    file: &mut dyn Write,
    size: AnimationSize,
    next: &mut dyn FnMut() -> Result<Frame>,
) -> Result<()> {
    let failed = |e: gif::EncodingError| match e {
        gif::EncodingError::Io(e) => Error::io("could not write the GIF file", "", &e),
        other => Error::new(
            Kind::Internal,
            "could not write the GIF file",
            other.to_string(),
            "",
        ),
    };
    let too_large = || {
        Error::new(
            Kind::Limit,
            "could not write the GIF file",
            format!("a GIF is at most {MAX_GIF_SIDE_PX} pixels wide and high"),
            "Make it smaller, or write an APNG",
        )
    };
    let short = |side: u32| u16::try_from(side).map_err(|_| too_large());
    let mut encoder =
        gif::Encoder::new(file, short(size.width)?, short(size.height)?, &[]).map_err(failed)?;
    encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
    for _ in 0..size.frames {
        let Frame {
            rect,
            mut rgba8,
            delay_ms,
        } = next()?;
        let (width, height) = (short(rect.width)?, short(rect.height)?);
        let mut frame = gif::Frame::from_rgba_speed(width, height, &mut rgba8, GIF_SPEED);
        (frame.left, frame.top) = (short(rect.x)?, short(rect.y)?);
        frame.dispose = gif::DisposalMethod::Keep;
        // Hundredths of a second; viewers slow down what is faster than 20 ms.
        frame.delay = u16::try_from(delay_ms / 10).unwrap_or(u16::MAX).max(2);
        encoder.write_frame(&frame).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn write_apng(
    file: &mut dyn Write,
    size: AnimationSize,
    next: &mut dyn FnMut() -> Result<Frame>,
) -> Result<()> {
    let failed = |e: ::png::EncodingError| match e {
        ::png::EncodingError::IoError(e) => Error::io("could not write the PNG file", "", &e),
        other => Error::new(
            Kind::Internal,
            "could not write the PNG file",
            other.to_string(),
            "",
        ),
    };
    let mut encoder = ::png::Encoder::new(file, size.width, size.height);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_depth(::png::BitDepth::Eight);
    encoder.set_compression(::png::Compression::Balanced);
    encoder.set_source_srgb(::png::SrgbRenderingIntent::Perceptual);
    encoder.set_animated(size.frames, 0).map_err(failed)?;
    encoder
        .set_dispose_op(::png::DisposeOp::None)
        .map_err(failed)?;
    encoder
        .set_blend_op(::png::BlendOp::Source)
        .map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    for index in 0..size.frames {
        let frame = next()?;
        if index > 0 {
            // Back to the corner first: the two are checked against each other.
            writer.set_frame_position(0, 0).map_err(failed)?;
            writer
                .set_frame_dimension(frame.rect.width, frame.rect.height)
                .map_err(failed)?;
            writer
                .set_frame_position(frame.rect.x, frame.rect.y)
                .map_err(failed)?;
        }
        let delay = u16::try_from(frame.delay_ms).unwrap_or(u16::MAX);
        writer.set_frame_delay(delay, 1000).map_err(failed)?;
        writer.write_image_data(&frame.rgba8).map_err(failed)?;
    }
    writer.finish().map_err(failed)
}

pub(super) fn write_folder(
    path: &Path,
    existing: Existing,
    size: AnimationSize,
    next: &mut dyn FnMut() -> Result<Frame>,
) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|e| Error::io("could not make the folder", path, &e))?;
    let mut whole = vec![0; size.width as usize * size.height as usize * 4];
    for number in 1..=size.frames {
        let frame = next()?;
        let line = frame.rect.width as usize * 4;
        for (row, pixels) in (frame.rect.y..).zip(frame.rgba8.chunks_exact(line)) {
            let start = (row as usize * size.width as usize + frame.rect.x as usize) * 4;
            whole[start..start + line].copy_from_slice(pixels);
        }
        let raster = Raster::new(size.width, size.height, Samples::Rgba8(whole.clone()))?;
        let file: PathBuf = path.join(format!("{number:05}.png"));
        write_png(&file, existing, &raster, &Metadata::default())?;
    }
    Ok(())
}

/// A picture that shrinks another one, and follows its changes.
pub struct Shrunk {
    width: u32,
    height: u32,
    from: (u32, u32),
    rgba8: Vec<u8>,
}

impl Shrunk {
    /// The longer side at most `longest_px`; never larger than `raster`.
    pub fn new(raster: &Raster, longest_px: u32) -> Self {
        let from = (raster.width(), raster.height());
        let longest = from.0.max(from.1);
        let side = |side: u32| {
            let scaled = u64::from(side) * u64::from(longest_px.max(1)) / u64::from(longest);
            (scaled as u32).clamp(1, side)
        };
        let mut shrunk = Self {
            width: side(from.0),
            height: side(from.1),
            from,
            rgba8: Vec::new(),
        };
        shrunk.rgba8 = vec![0; shrunk.width as usize * shrunk.height as usize * 4];
        shrunk.follow(raster, Rect::new(0, 0, from.0, from.1));
        shrunk
    }

    pub const fn width(&self) -> u32 {
        self.width
    }

    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Takes over what has changed in `rect` of the picture, and returns where that shows.
    pub fn follow(&mut self, raster: &Raster, rect: Rect) -> Rect {
        let pixels = raster.rgba8();
        let shown = Rect::from_edges(
            scaled_down(rect.x, self.width, self.from.0),
            scaled_down(rect.y, self.height, self.from.1),
            scaled_up(rect.right(), self.width, self.from.0),
            scaled_up(rect.bottom(), self.height, self.from.1),
        )
        .intersect(&Rect::new(0, 0, self.width, self.height));
        for y in shown.y..shown.bottom() {
            for x in shown.x..shown.right() {
                let at = (y as usize * self.width as usize + x as usize) * 4;
                let pixel = self.mean(&pixels, x, y);
                self.rgba8[at..at + 4].copy_from_slice(&pixel);
            }
        }
        shown
    }

    /// The mean of the pixels under one, weighted by their alpha.
    fn mean(&self, pixels: &[u8], x: u32, y: u32) -> [u8; 4] {
        let span = |at: u32, to: u32, from: u32| {
            let start = u64::from(at) * u64::from(from) / u64::from(to);
            let end = (u64::from(at) + 1) * u64::from(from) / u64::from(to);
            start as usize..(end.max(start + 1)) as usize
        };
        let columns = span(x, self.width, self.from.0);
        let (mut sum, mut alpha, mut count) = ([0u64; 3], 0u64, 0u64);
        for row in span(y, self.height, self.from.1) {
            let start = row * self.from.0 as usize;
            for pixel in
                pixels[(start + columns.start) * 4..(start + columns.end) * 4].chunks_exact(4)
            {
                let a = u64::from(pixel[3]);
                for c in 0..3 {
                    sum[c] += u64::from(pixel[c]) * a;
                }
                alpha += a;
                count += 1;
            }
        }
        if alpha == 0 {
            return [0; 4];
        }
        let colour = |c: usize| ((sum[c] + alpha / 2) / alpha) as u8;
        [
            colour(0),
            colour(1),
            colour(2),
            ((alpha + count / 2) / count) as u8,
        ]
    }

    /// The pixels of a rectangle, row by row.
    pub fn part(&self, rect: Rect) -> Vec<u8> {
        let mut part = Vec::with_capacity(rect.area() as usize * 4);
        for y in rect.y..rect.bottom() {
            let start = (y as usize * self.width as usize + rect.x as usize) * 4;
            part.extend_from_slice(&self.rgba8[start..start + rect.width as usize * 4]);
        }
        part
    }
}

fn scaled_down(at: u32, to: u32, from: u32) -> u32 {
    (u64::from(at) * u64::from(to) / u64::from(from)) as u32
}

fn scaled_up(at: u32, to: u32, from: u32) -> u32 {
    (u64::from(at) * u64::from(to)).div_ceil(u64::from(from)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::AnimationWriter;

    fn raster(width: u32, height: u32, seed: u8) -> Raster {
        let pixels = (0..width * height)
            .flat_map(|i| [(i as u8).wrapping_mul(seed), (i >> 3) as u8, seed, 255])
            .collect();
        Raster::new(width, height, Samples::Rgba8(pixels)).unwrap()
    }

    #[test]
    fn following_a_change_is_the_same_as_shrinking_anew() {
        let mut now = raster(97, 41, 3);
        let mut shrunk = Shrunk::new(&now, 30);
        assert_eq!((shrunk.width(), shrunk.height()), (30, 12));
        let changed = Rect::new(13, 9, 20, 11);
        if let crate::document::SamplesMut::Rgba8(pixels) = now.samples_mut() {
            for y in changed.y..changed.bottom() {
                let start = (y * 97 + changed.x) as usize * 4;
                pixels[start..start + 80].fill(200);
            }
        }
        let shown = shrunk.follow(&now, changed);
        assert!(shown.area() < 100);
        assert_eq!(shrunk.rgba8, Shrunk::new(&now, 30).rgba8);
        assert_eq!(Shrunk::new(&now, 500).rgba8, now.rgba8().into_owned());
    }

    fn frames() -> impl FnMut() -> Result<Frame> {
        let mut number = 0u8;
        move || {
            number += 1;
            let rect = match number {
                1 => Rect::new(0, 0, 20, 10),
                _ => Rect::new(u32::from(number), 3, 4, 5),
            };
            Ok(Frame {
                rect,
                rgba8: [number * 40, 9, 7, 255].repeat(rect.area() as usize),
                delay_ms: 40,
            })
        }
    }

    const SIZE: AnimationSize = AnimationSize {
        width: 20,
        height: 10,
        frames: 4,
    };

    #[test]
    fn an_apng_and_a_gif_hold_every_frame_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let apng = AnimationWriter::of(&path).unwrap();
        apng.write(&path, Existing::Refuse, SIZE, &mut frames())
            .unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
        let mut reader = ::png::Decoder::new(file).read_info().unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 4);
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        for number in 1..=4u8 {
            reader.next_frame(&mut buffer).unwrap();
            let control = *reader.info().frame_control().unwrap();
            assert_eq!(buffer[0], number * 40);
            if number > 1 {
                let place = (
                    control.x_offset,
                    control.y_offset,
                    control.width,
                    control.height,
                );
                assert_eq!(place, (u32::from(number), 3, 4, 5));
            }
        }
        let path = folder.path().join("a.gif");
        let gif = AnimationWriter::of(&path).unwrap();
        gif.write(&path, Existing::Refuse, SIZE, &mut frames())
            .unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options
            .read_info(std::fs::File::open(&path).unwrap())
            .unwrap();
        let mut places = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            assert_eq!(frame.delay, 4);
            places.push((frame.left, frame.top, frame.width, frame.height));
        }
        assert_eq!(
            places,
            [(0, 0, 20, 10), (2, 3, 4, 5), (3, 3, 4, 5), (4, 3, 4, 5)]
        );
        assert!(AnimationWriter::of(Path::new("a.mp4")).is_err());
    }

    #[test]
    fn a_folder_gets_whole_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        let writer = AnimationWriter::of(&path).unwrap();
        writer
            .write(&path, Existing::Refuse, SIZE, &mut frames())
            .unwrap();
        let last = std::fs::read(path.join("00004.png")).unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(last))
            .read_info()
            .unwrap();
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut buffer).unwrap();
        // The first frame at the edge, the second and the last one in the middle.
        let at = |x: usize, y: usize| buffer[(y * 20 + x) * 4];
        assert_eq!((at(0, 0), at(2, 4), at(5, 4)), (40, 80, 160));
    }
}
