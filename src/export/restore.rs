//! The private PNG chunk `teSR`, from which a document is restored.
//!
//! It holds a JSON header ([`RestoreHeader`]) and zlib streams:
//!
//! 1. the structure codes as encoded, `u16` little-endian, row by row;
//! 2. the detail codes as encoded, likewise;
//! 3. structure as edited XOR as encoded;
//! 4. detail as edited XOR as encoded;
//! 5. the *patch*: one bit per 16×16 block of the picture, row by row, least significant bit
//!    first, set where the picture differs from its source; then the source pixels of those
//!    blocks, row by row within each (8-bit samples, or 16-bit little-endian).
//!
//! Where cells come from other places, a sixth stream follows, whose length and sources the header gives: for each detail
//! cell, row by row, its source plus one (`u16`, 0 where it does not say), then all rows and then all columns
//! (`u16`) in detail cells. A program that does not know it restores the codes alone.
//!
//! So the source is the picture's own pixels outside the patch and the stored ones inside: nothing
//! of it is lost and little is stored twice. A 16-bit source exported with 8 bits comes back with
//! 8. The chunk's name says "ancillary, private, unsafe to copy": an editor that changes the pixels
//! drops it; one that keeps it anyway is found out by the pixel hash.
//!
//! Layout: `"tsr"`, format (`u8`, 1), header length (`u32` little-endian), header, streams.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};

use crate::document::{
    CodeGrid, Codes, Coordinate, CoordinateGrid, Document, Geometry, History, LayerStack, Level,
    NoPictures, Raster, Rect, Samples, Source, SourceRef, Sources, Target, Wrap, to_16_bit,
};
use crate::error::{Error, Kind, Notice, Result};

/// Name of the PNG chunk.
pub const RESTORE_CHUNK: [u8; 4] = *b"teSR";
const MAGIC: [u8; 3] = *b"tsr";
const FORMAT: u8 = 1;
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Pictures from strangers are restored up to this many pixels (two 8192² canvases).
const MAX_RESTORE_PIXELS: u64 = 1 << 27;
const BLOCK_PX: u32 = 16;

/// What restore data says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoreHeader {
    /// Version of Tessera that wrote it.
    pub tessera: String,
    /// Hash of the checkpoint that the codes belong to.
    pub model: String,
    /// Whatever the writer wants to find again: seed, preset, script.
    pub settings: serde_json::Value,
    pub width: u32,
    pub height: u32,
    pub wrap: Wrap,
    /// Bits per channel of the restored source: 8 or 16.
    pub depth_bits: u8,
    /// BLAKE3 of the exported samples (16-bit ones little-endian), in hexadecimal.
    pub pixels: String,
    /// Bytes of the first five streams as stored.
    pub streams: [u64; 5],
    /// Bytes of the sixth; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub coordinates: u64,
    /// The pictures, beside its own, that cells come from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceRef>,
}

fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// A document restored from an exported picture.
#[derive(Debug, Clone)]
pub struct Restore {
    pub header: RestoreHeader,
    /// Its history is empty: edits are there, the way to them is not.
    pub document: Document,
    /// Set when something changed the picture since; its changes are then part of the source.
    pub warning: Option<Notice>,
}

/// The content of the chunk for `output`, the exported picture of `document`.
///
/// # Errors
/// `Internal` when `output` has another size than the document; `Limit` for a picture or settings
/// that could not be read back.
pub fn encode_restore_data(
    document: &Document,
    output: &Raster,
    settings: serde_json::Value,
) -> Result<Vec<u8>> {
    let geometry = document.geometry();
    let too_big = |why: String| {
        Error::new(
            Kind::Limit,
            "could not store restore data",
            why,
            "Export without restore data",
        )
    };
    if output.geometry() != geometry {
        return Err(Error::new(
            Kind::Internal,
            "could not store restore data",
            "the picture has another size than the document",
            "",
        ));
    }
    if geometry.bounds().area() > MAX_RESTORE_PIXELS {
        return Err(too_big(format!(
            "{} × {} pixels; {MAX_RESTORE_PIXELS} pixels at most",
            geometry.width(),
            geometry.height()
        )));
    }
    let depth_bits = document.source().depth_bits().min(output.depth_bits());
    let (encoded, edited) = (document.encoded(), document.edited());
    let streams = [
        deflate(&grid_bytes(&encoded.structure, None))?,
        deflate(&grid_bytes(&encoded.detail, None))?,
        deflate(&grid_bytes(&edited.structure, Some(&encoded.structure)))?,
        deflate(&grid_bytes(&edited.detail, Some(&encoded.detail)))?,
        deflate(&source_patch(document.source(), output, depth_bits))?,
    ];
    let coordinates = match document.coordinates().is_empty() {
        true => Vec::new(),
        false => deflate(&coordinate_bytes(document))?,
    };
    let header = RestoreHeader {
        tessera: env!("CARGO_PKG_VERSION").to_owned(),
        model: document.model_hash().to_owned(),
        settings,
        width: geometry.width(),
        height: geometry.height(),
        wrap: document.wrap(),
        depth_bits,
        pixels: pixel_hash(output),
        streams: std::array::from_fn(|i| streams[i].len() as u64),
        coordinates: coordinates.len() as u64,
        sources: match coordinates.is_empty() {
            true => Vec::new(),
            false => document.sources().list().to_vec(),
        },
    };
    let header = serde_json::to_vec(&header).map_err(|e| too_big(e.to_string()))?;
    if header.len() > MAX_HEADER_BYTES {
        return Err(too_big(format!(
            "the settings take {} bytes; {MAX_HEADER_BYTES} at most",
            header.len()
        )));
    }
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&MAGIC);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&header);
    for stream in streams.iter().chain([&coordinates]) {
        bytes.extend_from_slice(stream);
    }
    Ok(bytes)
}

/// Restores the document from a PNG file. `None` when it is no PNG or holds no restore data.
///
/// # Errors
/// `Damaged` for a broken file, `Newer` for one from a later Tessera, `Limit` for one beyond
/// 2²⁷ pixels. Nothing is allocated on the word of the file alone.
pub fn read_restore_data(bytes: &[u8]) -> Result<Option<Restore>> {
    let Some(chunk) = find_chunk(bytes)? else {
        return Ok(None);
    };
    let (header, streams) = read_header(chunk)?;
    let geometry = Geometry::new(header.width, header.height)?;
    if geometry.bounds().area() > MAX_RESTORE_PIXELS {
        return Err(Error::new(
            Kind::Limit,
            "could not restore the document",
            format!(
                "{} × {} pixels; {MAX_RESTORE_PIXELS} pixels at most",
                header.width, header.height
            ),
            "",
        ));
    }
    let encoded = Codes {
        structure: read_grid(streams[0], geometry, Level::Structure, None)?,
        detail: read_grid(streams[1], geometry, Level::Detail, None)?,
    };
    let edited = Codes {
        structure: read_grid(
            streams[2],
            geometry,
            Level::Structure,
            Some(&encoded.structure),
        )?,
        detail: read_grid(streams[3], geometry, Level::Detail, Some(&encoded.detail))?,
    };
    let output = read_pixels(bytes, geometry)?;
    let warning = (pixel_hash(&output) != header.pixels).then(|| {
        Notice::new(
            "the picture was changed after it was exported",
            "its pixels are not those that Tessera wrote",
            "The codes are restored; what was changed counts as part of the source",
        )
    });
    let source = apply_patch(streams[4], &output, header.depth_bits)?;
    encoded.check(geometry, None)?;
    edited.check(geometry, None)?;
    let mut layers = LayerStack::of_codes(&encoded, &edited);
    if header.coordinates > 0 {
        for (index, from) in read_coordinates(streams[5], geometry)?.iter() {
            layers.put_coordinate(Target::default(), index, Some(from));
        }
        layers = LayerStack::from_layers(layers.layers().to_vec(), geometry, None)?;
    }
    let document = Document::with_layers(
        source,
        encoded,
        layers,
        header.wrap,
        header.model.clone(),
        History::default(),
    )?
    .with_sources(Sources::new(header.sources.clone(), Arc::new(NoPictures))?)?;
    Ok(Some(Restore {
        header,
        document,
        warning,
    }))
}

fn damaged(why: impl Into<String>) -> Error {
    Error::new(
        Kind::Damaged,
        "could not restore the document",
        why,
        "Open it as a plain picture instead",
    )
}

fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .map_err(|e| Error::io("could not store restore data", "", &e))
}

/// Exactly `len` bytes, however much the stream would give.
fn inflate(stream: &mut impl Read, len: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream
        .take(len)
        .read_to_end(&mut bytes)
        .map_err(|e| damaged(e.to_string()))?;
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(damaged("a part of the restore data is too short"))
    }
}

fn grid_bytes(grid: &CodeGrid, base: Option<&CodeGrid>) -> Vec<u8> {
    let base = base.map(CodeGrid::cells);
    (grid.cells().iter().enumerate())
        .flat_map(|(i, &cell)| (cell ^ base.map_or(0, |b| b[i])).to_le_bytes())
        .collect()
}

fn read_grid(
    stream: &[u8],
    geometry: Geometry,
    level: Level,
    base: Option<&CodeGrid>,
) -> Result<CodeGrid> {
    let len = geometry.cell_count(level) as u64 * 2;
    let bytes = inflate(&mut ZlibDecoder::new(stream), len)?;
    let base = base.map(CodeGrid::cells);
    let cells = (bytes.chunks_exact(2).enumerate())
        .map(|(i, pair)| u16::from_le_bytes([pair[0], pair[1]]) ^ base.map_or(0, |b| b[i]))
        .collect();
    CodeGrid::from_cells(
        geometry.grid_width(level),
        geometry.grid_height(level),
        cells,
    )
}

/// The sixth stream.
fn coordinate_bytes(document: &Document) -> Vec<u8> {
    let count = document.geometry().cell_count(Level::Detail);
    let grid = document.coordinates();
    let mut planes = vec![0u8; count * 6];
    for (index, from) in grid.iter() {
        let values = [from.source.saturating_add(1), from.y, from.x];
        for (plane, value) in values.into_iter().enumerate() {
            let at = (plane * count + index as usize) * 2;
            planes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
    }
    planes
}

fn read_coordinates(stream: &[u8], geometry: Geometry) -> Result<CoordinateGrid> {
    let count = geometry.cell_count(Level::Detail);
    let planes = inflate(&mut ZlibDecoder::new(stream), count as u64 * 6)?;
    let value = |plane: usize, cell: usize| {
        let at = (plane * count + cell) * 2;
        u16::from_le_bytes([planes[at], planes[at + 1]])
    };
    let mut grid = CoordinateGrid::default();
    for cell in 0..count {
        if let Some(source) = value(0, cell).checked_sub(1) {
            let from = Coordinate {
                source,
                y: value(1, cell),
                x: value(2, cell),
            };
            grid.set(cell as u32, Some(from));
        }
    }
    Ok(grid)
}

fn pixel_hash(raster: &Raster) -> String {
    let mut hasher = blake3::Hasher::new();
    match raster.samples() {
        Samples::Rgba8(samples) => {
            hasher.update(samples);
        }
        Samples::Rgba16(samples) => {
            for part in samples.chunks(1 << 14) {
                let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn blocks(geometry: Geometry) -> Vec<Rect> {
    let (width, height) = (geometry.width(), geometry.height());
    let columns = width.div_ceil(BLOCK_PX);
    (0..columns * height.div_ceil(BLOCK_PX))
        .map(|i| Rect::new(i % columns, i / columns, 1, 1).to_pixels(BLOCK_PX))
        .map(|block| block.intersect(&geometry.bounds()))
        .collect()
}

/// The sample ranges of a rectangle's rows.
fn rows(rect: Rect, width: u32) -> impl Iterator<Item = std::ops::Range<usize>> {
    (rect.y..rect.bottom()).map(move |y| {
        let start = (y as usize * width as usize + rect.x as usize) * 4;
        start..start + rect.width as usize * 4
    })
}

fn source_patch(source: &Source, output: &Raster, depth_bits: u8) -> Vec<u8> {
    let geometry = source.geometry();
    let width = geometry.width();
    let blocks = blocks(geometry);
    let mut bits = vec![0u8; blocks.len().div_ceil(8)];
    let mut pixels = Vec::new();
    let mut compare = |differs: &dyn Fn(std::ops::Range<usize>) -> bool,
                       store: &dyn Fn(std::ops::Range<usize>, &mut Vec<u8>)| {
        for (i, block) in blocks.iter().enumerate() {
            if rows(*block, width).any(differs) {
                bits[i / 8] |= 1 << (i % 8);
                rows(*block, width).for_each(|row| store(row, &mut pixels));
            }
        }
    };
    match (source.rgba16(), output.samples()) {
        (Some(source), Samples::Rgba16(output)) if depth_bits == 16 => {
            compare(&|row| source[row.clone()] != output[row], &|row, to| {
                to.extend(source[row].iter().flat_map(|v| v.to_le_bytes()))
            })
        }
        _ => {
            let (source, output) = (source.rgba8(), output.rgba8());
            compare(&|row| source[row.clone()] != output[row], &|row, to| {
                to.extend_from_slice(&source[row])
            });
        }
    }
    bits.extend_from_slice(&pixels);
    bits
}

fn apply_patch(stream: &[u8], output: &Raster, depth_bits: u8) -> Result<Source> {
    let geometry = output.geometry();
    let width = geometry.width();
    let blocks = blocks(geometry);
    let mut stream = ZlibDecoder::new(stream);
    let bits = inflate(&mut stream, blocks.len().div_ceil(8) as u64)?;
    let patched = blocks
        .iter()
        .enumerate()
        .filter(|(i, _)| bits[i / 8] >> (i % 8) & 1 == 1)
        .map(|(_, block)| *block);
    match depth_bits {
        8 => {
            let mut samples = output.rgba8().into_owned();
            for block in patched {
                for row in rows(block, width) {
                    let bytes = inflate(&mut stream, row.len() as u64)?;
                    samples[row].copy_from_slice(&bytes);
                }
            }
            Source::from_rgba8(width, geometry.height(), samples)
        }
        16 => {
            let mut samples: Vec<u16> = match output.samples() {
                Samples::Rgba16(samples) => samples.clone(),
                Samples::Rgba8(samples) => samples.iter().map(|&v| to_16_bit(v)).collect(),
            };
            for block in patched {
                for row in rows(block, width) {
                    let bytes = inflate(&mut stream, row.len() as u64 * 2)?;
                    for (sample, pair) in samples[row].iter_mut().zip(bytes.chunks_exact(2)) {
                        *sample = u16::from_le_bytes([pair[0], pair[1]]);
                    }
                }
            }
            Source::from_rgba16(width, geometry.height(), samples)
        }
        other => Err(damaged(format!("{other} bits per channel"))),
    }
}

/// The data of the first restore chunk, its checksum verified.
fn find_chunk(bytes: &[u8]) -> Result<Option<&[u8]>> {
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    let Some(mut rest) = bytes.strip_prefix(SIGNATURE) else {
        return Ok(None);
    };
    while let Some((head, tail)) = rest.split_at_checked(8) {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let wanted = head[4..8] == RESTORE_CHUNK;
        let Some((data, after)) = tail.split_at_checked(len) else {
            return if wanted {
                Err(damaged("the file ends within the restore data"))
            } else {
                Ok(None)
            };
        };
        let Some((crc, after)) = after.split_at_checked(4) else {
            return if wanted {
                Err(damaged("the file ends within the restore data"))
            } else {
                Ok(None)
            };
        };
        if wanted {
            let mut sum = flate2::Crc::new();
            sum.update(&head[4..8]);
            sum.update(data);
            if sum.sum().to_be_bytes() != *crc {
                return Err(damaged("the restore data fails its checksum"));
            }
            return Ok(Some(data));
        }
        if &head[4..8] == b"IEND" {
            break;
        }
        rest = after;
    }
    Ok(None)
}

/// The header and the six streams.
fn read_header(chunk: &[u8]) -> Result<(RestoreHeader, [&[u8]; 6])> {
    let Some((head, rest)) = chunk.split_at_checked(8).filter(|(h, _)| h[..3] == MAGIC) else {
        return Err(damaged("the restore data does not begin as it should"));
    };
    if head[3] > FORMAT {
        return Err(Error::new(
            Kind::Newer,
            "could not restore the document",
            format!(
                "its restore data has format {}; this Tessera reads up to {FORMAT}",
                head[3]
            ),
            "Use a newer Tessera",
        ));
    }
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let Some((json, mut rest)) = rest
        .split_at_checked(len)
        .filter(|_| len <= MAX_HEADER_BYTES)
    else {
        return Err(damaged("the header of the restore data is cut off"));
    };
    let header: RestoreHeader =
        serde_json::from_slice(json).map_err(|e| damaged(format!("its header: {e}")))?;
    let mut streams = [&[][..]; 6];
    let lengths = header.streams.iter().chain([&header.coordinates]);
    for (stream, &len) in streams.iter_mut().zip(lengths) {
        let Some((data, after)) = usize::try_from(len)
            .ok()
            .and_then(|len| rest.split_at_checked(len))
        else {
            return Err(damaged("the restore data is cut off"));
        };
        *stream = data;
        rest = after;
    }
    Ok((header, streams))
}

/// The pixels of the PNG file, which must have the size that the header names.
fn read_pixels(bytes: &[u8], geometry: Geometry) -> Result<Raster> {
    let failed = |e: ::png::DecodingError| damaged(e.to_string());
    let bytes_max = geometry.bounds().area() as usize * 8 + (16 << 20);
    let mut decoder =
        ::png::Decoder::new_with_limits(Cursor::new(bytes), ::png::Limits { bytes: bytes_max });
    decoder.set_transformations(::png::Transformations::EXPAND | ::png::Transformations::ALPHA);
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = (reader.info().width, reader.info().height);
    if (width, height) != (geometry.width(), geometry.height()) {
        return Err(damaged(format!(
            "the picture is {width} × {height} pixels, its restore data {} × {}",
            geometry.width(),
            geometry.height()
        )));
    }
    let (color, depth) = reader.output_color_type();
    let Some(len) = reader
        .output_buffer_size()
        .filter(|&len| len <= bytes_max && color == ::png::ColorType::Rgba)
    else {
        return Err(damaged(
            "the picture is not stored as red, green, blue and alpha",
        ));
    };
    let mut data = vec![0u8; len];
    let frame = reader.next_frame(&mut data).map_err(failed)?;
    data.truncate(frame.buffer_size());
    let samples = match depth {
        ::png::BitDepth::Sixteen => Samples::Rgba16(
            data.chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect(),
        ),
        _ => Samples::Rgba8(data),
    };
    Raster::new(width, height, samples)
}
