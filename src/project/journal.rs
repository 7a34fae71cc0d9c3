//! The bytes of a stroke and of code grids: columns of small numbers, packed.
//!
//! A stroke is the number of cells, then for all cells their places (the step from the level's previous place,
//! zigzag, with the level in the lowest bit), then all codes before, then all codes after (each plus one, so that an
//! empty cell is 0). Numbers are LEB128.
//!
//! Code grids are structure then detail: the low bytes of all cells, then their high bytes.
//!
//! Packed is a format byte and the bytes: deflated (1), or as they are (2) where they are few.

use std::io::{BufReader, Bytes, Read, Write};

use flate2::Compression;
use flate2::bufread::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::document::{CellDelta, CodeGrid, Codes, Geometry, Level};
use crate::error::{Error, Kind, Result};

const DEFLATED: u8 = 1;
const PLAIN: u8 = 2;
/// Up to so many bytes stay as they are: the tables of a deflated dab take longer to read than the dab, and a long
/// history is mostly dabs.
const MAX_PLAIN_BYTES: usize = 512;
/// Level 3 is three times as fast as the default and loses a few percent on code grids.
const COMPRESSION: Compression = Compression::new(3);
/// Longest LEB128 number of 64 bits.
const MAX_NUMBER_BYTES: u32 = 10;

pub(super) fn damaged(what: &str, why: &str) -> Error {
    Error::new(Kind::Damaged, format!("could not read {what}"), why, "")
}

fn deflate(raw: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(vec![DEFLATED], COMPRESSION);
    encoder
        .write_all(raw)
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
}

pub(super) fn pack(raw: Vec<u8>) -> Vec<u8> {
    if raw.len() > MAX_PLAIN_BYTES {
        return deflate(&raw);
    }
    let mut packed = raw;
    packed.insert(0, PLAIN);
    packed
}

/// A reader of packed bytes; it produces them only as they are asked for.
pub(super) struct Unpack<'a> {
    bytes: Packed<'a>,
    what: &'static str,
}

enum Packed<'a> {
    Plain(std::slice::Iter<'a, u8>),
    Deflated(Box<Bytes<BufReader<DeflateDecoder<&'a [u8]>>>>),
}

impl<'a> Unpack<'a> {
    pub fn new(what: &'static str, stored: &'a [u8]) -> Result<Self> {
        let bytes = match stored.split_first() {
            Some((&PLAIN, plain)) => Packed::Plain(plain.iter()),
            Some((&DEFLATED, deflated)) => {
                let reader = BufReader::new(DeflateDecoder::new(deflated));
                Packed::Deflated(Box::new(reader.bytes()))
            }
            _ => return Err(damaged(what, "its bytes have an unknown format")),
        };
        Ok(Self { bytes, what })
    }

    fn next(&mut self) -> Option<std::io::Result<u8>> {
        match &mut self.bytes {
            Packed::Plain(bytes) => bytes.next().map(|byte| Ok(*byte)),
            Packed::Deflated(bytes) => bytes.next(),
        }
    }

    pub fn byte(&mut self) -> Result<u8> {
        match self.next() {
            Some(Ok(byte)) => Ok(byte),
            Some(Err(_)) => Err(damaged(self.what, "its bytes are not deflated data")),
            None => Err(damaged(self.what, "its bytes end too early")),
        }
    }

    pub fn number(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for i in 0..MAX_NUMBER_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if i == MAX_NUMBER_BYTES - 1 && bits > 1 {
                break;
            }
            value |= bits << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged(self.what, "it holds a number that is too large"))
    }

    pub fn code(&mut self) -> Result<u16> {
        let stored = u16::try_from(self.number()?)
            .map_err(|_| damaged(self.what, "it holds a code that is too large"))?;
        Ok(stored.wrapping_sub(1))
    }

    pub fn finish(mut self) -> Result<()> {
        match self.next() {
            None => Ok(()),
            Some(_) => Err(damaged(self.what, "it has more bytes than it says")),
        }
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn level_bit(level: Level) -> u64 {
    match level {
        Level::Structure => 0,
        Level::Detail => 1,
    }
}

/// The stored form of a stroke's deltas; their order is kept.
pub fn encode_deltas(deltas: &[CellDelta]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(8 + deltas.len() * 6);
    put_number(&mut raw, deltas.len() as u64);
    let mut previous = [0_i64; 2];
    for delta in deltas {
        let bit = level_bit(delta.level);
        let last = &mut previous[bit as usize];
        let step = i64::from(delta.index) - *last;
        *last = i64::from(delta.index);
        let zigzag = ((step << 1) ^ (step >> 63)).cast_unsigned();
        put_number(&mut raw, zigzag << 1 | bit);
    }
    for code in deltas.iter().map(|d| d.before) {
        put_number(&mut raw, u64::from(code.wrapping_add(1)));
    }
    for code in deltas.iter().map(|d| d.after) {
        put_number(&mut raw, u64::from(code.wrapping_add(1)));
    }
    pack(raw)
}

/// The deltas of [`encode_deltas`]. Whether they fit a document is for `Stroke::check` to say.
///
/// # Errors
/// `Damaged` for anything else, and for more than `max_deltas`. Memory grows only with what is there.
pub fn decode_deltas(stored: &[u8], max_deltas: usize) -> Result<Vec<CellDelta>> {
    const WHAT: &str = "a stroke";
    let mut input = Unpack::new(WHAT, stored)?;
    let count = usize::try_from(input.number()?)
        .ok()
        .filter(|&n| n <= max_deltas)
        .ok_or_else(|| damaged(WHAT, "it changes more cells than the picture has"))?;
    let mut deltas = Vec::with_capacity(count.min(1 << 12));
    let mut previous = [0_i64; 2];
    for _ in 0..count {
        let packed = input.number()?;
        let bit = packed & 1;
        let zigzag = packed >> 1;
        let step = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        let last = &mut previous[bit as usize];
        let index = last
            .checked_add(step)
            .and_then(|i| u32::try_from(i).ok())
            .ok_or_else(|| damaged(WHAT, "it points outside the picture"))?;
        *last = i64::from(index);
        deltas.push(CellDelta {
            level: if bit == 0 {
                Level::Structure
            } else {
                Level::Detail
            },
            index,
            before: 0,
            after: 0,
        });
    }
    for delta in &mut deltas {
        delta.before = input.code()?;
    }
    for delta in &mut deltas {
        delta.after = input.code()?;
    }
    input.finish()?;
    Ok(deltas)
}

/// The stored form of both grids; their size is the document's.
pub fn encode_codes(codes: &Codes) -> Vec<u8> {
    let mut raw = Vec::new();
    for level in Level::ALL {
        let cells = codes.level(level).cells();
        raw.extend(cells.iter().map(|&c| c as u8));
        raw.extend(cells.iter().map(|&c| (c >> 8) as u8));
    }
    deflate(&raw)
}

/// The grids of [`encode_codes`] for a document of this size.
///
/// # Errors
/// `Damaged` where the bytes are not exactly such grids.
pub fn decode_codes(stored: &[u8], geometry: Geometry) -> Result<Codes> {
    const WHAT: &str = "the codes of a document";
    let mut input = match stored.split_first() {
        Some((&DEFLATED, deflated)) => DeflateDecoder::new(deflated),
        _ => return Err(damaged(WHAT, "their bytes have an unknown format")),
    };
    let mut grid = |level| -> Result<CodeGrid> {
        let count = geometry.cell_count(level);
        // `take` bounds what is read by what the picture needs, and memory grows as bytes arrive.
        let mut planes = Vec::new();
        input
            .by_ref()
            .take(2 * count as u64)
            .read_to_end(&mut planes)
            .map_err(|_| damaged(WHAT, "their bytes are not deflated data"))?;
        if planes.len() != 2 * count {
            return Err(damaged(WHAT, "their bytes end too early"));
        }
        let (low, high) = planes.split_at(count);
        let cells = low
            .iter()
            .zip(high)
            .map(|(&low, &high)| u16::from_le_bytes([low, high]))
            .collect();
        CodeGrid::from_cells(
            geometry.grid_width(level),
            geometry.grid_height(level),
            cells,
        )
    };
    let structure = grid(Level::Structure)?;
    let detail = grid(Level::Detail)?;
    match input.read(&mut [0]) {
        Ok(0) => Ok(Codes { structure, detail }),
        _ => Err(damaged(WHAT, "they have more bytes than the picture needs")),
    }
}
