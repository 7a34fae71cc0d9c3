//! Named brushes, and packs of them as small files.
//!
//! A pack is JSON: a version, a mark of the codebook it was made for, the brushes, and the vectors of the
//! codes they use, so that they can be carried over to another codebook by nearest vector.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::document::alphabet::vectors::{Alphabet, CodeVectors};
use crate::document::edit::detail_policy::DetailPolicy;
use crate::document::grid::codes::Codebooks;
use crate::document::grid::geometry::Level;
use crate::document::grid::turn::Turn;
use crate::document::tools::Layout;
use crate::document::tools::block::Block;
use crate::document::tools::brush::{Brush, Shape};
use crate::error::{Error, Kind, Result};

/// The name extension of packs.
pub const PACK_EXTENSION: &str = "tessera-brushes";
/// The pack format written and read here.
pub const PACK_VERSION: u32 = 1;
/// Largest pack, in bytes of JSON.
pub const MAX_PACK_BYTES: usize = 8 << 20;
/// Most brushes in a pack, and in a project.
pub const MAX_BRUSHES: usize = 500;
/// Largest block of a saved brush, in cells.
pub const MAX_BRUSH_BLOCK_CELLS: u64 = 1 << 10;
/// Longest name of a brush.
pub const MAX_NAME_CHARS: usize = 100;

/// "1 brush", "7 brushes".
pub fn count_text(brushes: usize) -> String {
    match brushes {
        1 => "1 brush".into(),
        count => format!("{count} brushes"),
    }
}

/// What a saved brush paints with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BrushInk {
    Code(u16),
    Block {
        block: Block,
        #[serde(default)]
        turn: Turn,
        #[serde(default)]
        layout: Layout,
        #[serde(default)]
        is_aligned: bool,
    },
    Smudge {
        strength_percent: u32,
    },
}

/// A brush with its settings, under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedBrush {
    pub name: String,
    pub level: Level,
    pub ink: BrushInk,
    /// Cells of the level.
    pub size: u32,
    #[serde(default)]
    pub shape: Shape,
    #[serde(default)]
    pub scatter_percent: u32,
    #[serde(default)]
    pub detail: DetailPolicy,
}

impl SavedBrush {
    /// # Errors
    /// `Usage`, `Limit` or `Damaged` for values out of range and codes that there are not.
    pub fn check(&self, codebooks: Codebooks) -> Result<()> {
        let wrong = |why: String| {
            let what = "could not use the brush";
            Err(Error::new(
                Kind::Damaged,
                what,
                why,
                "Save or export it again",
            ))
        };
        if self.name.chars().count() > MAX_NAME_CHARS {
            return wrong(format!(
                "its name is longer than {MAX_NAME_CHARS} characters"
            ));
        }
        if self.scatter_percent > 95 || self.size == 0 || self.size > Brush::MAX_SIZE_CELLS {
            return wrong(format!("the settings of “{}” are out of range", self.name));
        }
        codebooks.check(Level::Detail, self.detail.code())?;
        match &self.ink {
            BrushInk::Code(code) => codebooks.check(self.level, Some(*code)),
            BrushInk::Block { block, turn, .. } => {
                if block.level != self.level || turn.quarters > 3 {
                    return wrong(format!("the block of “{}” does not fit it", self.name));
                }
                let cells = u64::from(block.width) * u64::from(block.height);
                if cells > MAX_BRUSH_BLOCK_CELLS {
                    return Err(Error::new(
                        Kind::Limit,
                        "could not save the brush",
                        format!("its block has {cells} cells; {MAX_BRUSH_BLOCK_CELLS} at most"),
                        "Pick up a smaller block",
                    ));
                }
                block.check(codebooks)
            }
            BrushInk::Smudge { strength_percent } => match strength_percent {
                1..=100 => Ok(()),
                _ => wrong(format!("the strength of “{}” is out of range", self.name)),
            },
        }
    }

    /// The codes it uses, by level.
    fn codes(&self) -> Vec<(Level, u16)> {
        let under = self.detail.code().map(|code| (Level::Detail, code));
        let mut codes = match &self.ink {
            BrushInk::Code(code) => vec![(self.level, *code)],
            BrushInk::Block { block, .. } => {
                let own = block
                    .codes
                    .iter()
                    .flatten()
                    .map(|code| (block.level, *code));
                let details = block.details.iter().flatten().flatten();
                own.chain(details.map(|code| (Level::Detail, *code)))
                    .collect()
            }
            BrushInk::Smudge { .. } => Vec::new(),
        };
        codes.extend(under);
        codes
    }

    fn with_codes(mut self, map: impl Fn(Level, u16) -> u16) -> Self {
        match &mut self.ink {
            BrushInk::Code(code) => *code = map(self.level, *code),
            BrushInk::Block { block, .. } => {
                let level = block.level;
                // What other codes look like is not what the places have lost.
                block.places = None;
                for code in block.codes.iter_mut().flatten() {
                    *code = map(level, *code);
                }
                for code in block.details.iter_mut().flatten().flatten() {
                    *code = map(Level::Detail, *code);
                }
            }
            BrushInk::Smudge { .. } => {}
        }
        if let DetailPolicy::Code(code) = &mut self.detail {
            *code = map(Level::Detail, *code);
        }
        self
    }
}

/// What a codebook is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodebookMark {
    pub codes: u32,
    /// Numbers per code vector.
    pub width: u32,
    /// BLAKE3 of the vectors, in hexadecimal digits.
    pub blake3: String,
}

impl CodebookMark {
    fn of(vectors: &CodeVectors) -> Self {
        Self {
            codes: vectors.codes() as u32,
            width: vectors.width() as u32,
            blake3: vectors.hash(),
        }
    }
}

/// Vectors by code.
type SomeVectors = BTreeMap<u16, Vec<f32>>;

/// A file of brushes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrushPack {
    pub tessera_brushes: u32,
    pub structure: CodebookMark,
    pub detail: CodebookMark,
    pub brushes: Vec<SavedBrush>,
    /// Vectors of the codes that the brushes use.
    structure_vectors: SomeVectors,
    detail_vectors: SomeVectors,
}

/// Whether a pack fits the codes in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackFit {
    Same,
    /// Why it does not, in words.
    Other(String),
}

impl BrushPack {
    /// A pack of these brushes, for the codebooks of `alphabet`.
    ///
    /// # Errors
    /// `Usage` where the vectors are not known; as [`SavedBrush::check`].
    pub fn new(brushes: Vec<SavedBrush>, alphabet: &Alphabet) -> Result<Self> {
        let vectors = [
            alphabet.vectors(Level::Structure)?,
            alphabet.vectors(Level::Detail)?,
        ];
        for brush in &brushes {
            brush.check(alphabet.codebooks)?;
        }
        let used: BTreeSet<(Level, u16)> = brushes.iter().flat_map(SavedBrush::codes).collect();
        let of = |level: Level, vectors: &CodeVectors| -> SomeVectors {
            used.iter()
                .filter(|(of, _)| *of == level)
                .map(|(_, code)| (*code, vectors.vector(*code).to_vec()))
                .collect()
        };
        Ok(Self {
            tessera_brushes: PACK_VERSION,
            structure: CodebookMark::of(vectors[0]),
            detail: CodebookMark::of(vectors[1]),
            structure_vectors: of(Level::Structure, vectors[0]),
            detail_vectors: of(Level::Detail, vectors[1]),
            brushes,
        })
    }

    /// # Errors
    /// `Limit` where it would be longer than [`MAX_PACK_BYTES`].
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(|source| {
            let what = "could not write the brushes";
            Error::new(Kind::Internal, what, source.to_string(), "")
        })?;
        check_len(text.len())?;
        Ok(text)
    }

    /// Reads a pack, which may come from a stranger.
    ///
    /// # Errors
    /// `Limit` beyond the limits, `Newer` for a later format, `Damaged` for what is no pack or does not
    /// fit together.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            tessera_brushes: u32,
        }
        check_len(text.len())?;
        let damaged = |why: String| {
            let what = "could not read the brushes";
            Error::new(Kind::Damaged, what, why, "Ask for the file again")
        };
        if let Ok(Version { tessera_brushes }) = serde_json::from_str(text)
            && tessera_brushes > PACK_VERSION
        {
            return Err(Error::new(
                Kind::Newer,
                "could not read the brushes",
                format!(
                    "the file has format {tessera_brushes}; this Tessera reads up to {PACK_VERSION}"
                ),
                "Use a newer Tessera",
            ));
        }
        let pack: Self = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if pack.tessera_brushes != PACK_VERSION || pack.brushes.len() > MAX_BRUSHES {
            return Err(damaged(format!(
                "it has more than {MAX_BRUSHES} brushes or no version"
            )));
        }
        let codebooks = Codebooks {
            structure: pack.structure.codes,
            detail: pack.detail.codes,
        };
        for brush in &pack.brushes {
            brush.check(codebooks)?;
            for (level, code) in brush.codes() {
                let vector = pack.vectors(level).get(&code);
                let width = pack.mark(level).width as usize;
                if vector.is_none_or(|v| v.len() != width || v.iter().any(|n| !n.is_finite())) {
                    return Err(damaged(format!(
                        "the vector of {level} code {code} is missing"
                    )));
                }
            }
        }
        Ok(pack)
    }

    /// Whether its codes mean the same here.
    ///
    /// # Errors
    /// `Usage` where the vectors here are not known.
    pub fn fit(&self, alphabet: &Alphabet) -> Result<PackFit> {
        for level in Level::ALL {
            let (theirs, ours) = (self.mark(level), CodebookMark::of(alphabet.vectors(level)?));
            if *theirs == ours {
                continue;
            }
            return Ok(PackFit::Other(if theirs.codes == ours.codes {
                format!(
                    "the {level} codebook has other vectors (theirs {:.8}, here {:.8}): the same numbers may look different",
                    theirs.blake3, ours.blake3
                )
            } else {
                format!(
                    "their {level} codebook has {} codes, this one {}",
                    theirs.codes, ours.codes
                )
            }));
        }
        Ok(PackFit::Same)
    }

    /// The brushes with each code replaced by the one here whose vector is nearest.
    ///
    /// # Errors
    /// `Unsupported` where the vectors have another width; `Usage` where those here are not known.
    pub fn mapped(&self, alphabet: &Alphabet) -> Result<Vec<SavedBrush>> {
        let mut nearest = BTreeMap::<(Level, u16), u16>::new();
        for level in Level::ALL {
            let ours = alphabet.vectors(level)?;
            for (code, vector) in self.vectors(level) {
                if vector.len() != ours.width() {
                    return Err(Error::new(
                        Kind::Unsupported,
                        "could not carry the brushes over",
                        format!(
                            "their {level} vectors have {} numbers, those here {}",
                            vector.len(),
                            ours.width()
                        ),
                        "Use them with a model fine-tuned from the same base",
                    ));
                }
                nearest.insert((level, *code), ours.nearest(vector));
            }
        }
        let map = |level, code| nearest.get(&(level, code)).copied().unwrap_or(code);
        (self.brushes.iter().cloned())
            .map(|brush| {
                let brush = brush.with_codes(map);
                brush.check(alphabet.codebooks).map(|()| brush)
            })
            .collect()
    }

    fn mark(&self, level: Level) -> &CodebookMark {
        match level {
            Level::Structure => &self.structure,
            Level::Detail => &self.detail,
        }
    }

    fn vectors(&self, level: Level) -> &SomeVectors {
        match level {
            Level::Structure => &self.structure_vectors,
            Level::Detail => &self.detail_vectors,
        }
    }
}

fn check_len(bytes: usize) -> Result<()> {
    if bytes <= MAX_PACK_BYTES {
        return Ok(());
    }
    Err(Error::new(
        Kind::Limit,
        "could not use the brushes",
        format!("the file has {bytes} bytes; {MAX_PACK_BYTES} at most"),
        "Make a pack of fewer brushes",
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::document::alphabet::vectors::Vectors;
    use crate::document::grid::codes::Codes;
    use crate::document::grid::geometry::{Geometry, Rect};

    /// 16 codes on a line, `step` apart, from the last to the first where it is below 0.
    fn alphabet(step: f32) -> Alphabet {
        let line = || CodeVectors::new(1, (0..16).map(|i| i as f32 * step).collect()).unwrap();
        Alphabet::new(Arc::new(Vectors {
            structure: line(),
            detail: line(),
        }))
    }

    fn brushes() -> Vec<SavedBrush> {
        let mut codes = Codes::blank(Geometry::new(64, 32).unwrap());
        codes.structure.set(1, Some(7));
        codes.detail.set(4, Some(9));
        let block = Block::take(&codes, Level::Structure, Rect::new(0, 0, 2, 1))
            .unwrap()
            .unwrap();
        let brush = |name: &str, ink| SavedBrush {
            name: name.into(),
            level: Level::Structure,
            ink,
            size: 3,
            shape: Shape::Square,
            scatter_percent: 20,
            detail: DetailPolicy::Keep,
        };
        let ink = BrushInk::Block {
            block,
            turn: Turn::default(),
            layout: Layout::Tile,
            is_aligned: true,
        };
        vec![
            brush("sky", BrushInk::Code(4)),
            brush("leaves", ink),
            brush(
                "blend",
                BrushInk::Smudge {
                    strength_percent: 40,
                },
            ),
        ]
    }

    #[test]
    fn a_pack_is_read_back_and_fits_the_codebook_it_was_made_for() {
        let pack = BrushPack::new(brushes(), &alphabet(1.0)).unwrap();
        let back = BrushPack::from_json(&pack.to_json().unwrap()).unwrap();
        assert_eq!(back, pack);
        assert_eq!(back.fit(&alphabet(1.0)).unwrap(), PackFit::Same);
        assert_eq!(back.mapped(&alphabet(1.0)).unwrap(), brushes());
    }

    #[test]
    fn another_codebook_is_told_and_codes_go_to_the_nearest_vector() {
        let pack = BrushPack::new(brushes(), &alphabet(1.0)).unwrap();
        let other = alphabet(0.5);
        let PackFit::Other(why) = pack.fit(&other).unwrap() else {
            panic!("it is another codebook")
        };
        assert!(why.contains("other vectors"), "{why}");
        let mapped = pack.mapped(&other).unwrap();
        assert_eq!(mapped[0].ink, BrushInk::Code(8));
        let BrushInk::Block { block, .. } = &mapped[1].ink else {
            panic!("the second is a block")
        };
        assert_eq!(block.codes, [Some(0), Some(14)]);
        // Beyond what the other codebook has: the nearest there is. Empty stays empty.
        let details = block.details.as_ref().unwrap();
        assert_eq!(details[4..6], [Some(15), None]);
        let wide = || CodeVectors::new(2, vec![0.0; 32]).unwrap();
        let wider = Alphabet::new(Arc::new(Vectors {
            structure: wide(),
            detail: wide(),
        }));
        assert_eq!(pack.mapped(&wider).unwrap_err().kind, Kind::Unsupported);
        assert!(pack.fit(&Alphabet::plain(other.codebooks)).is_err());
    }

    #[test]
    fn packs_from_strangers_are_checked() {
        let pack = BrushPack::new(brushes(), &alphabet(1.0)).unwrap();
        let text = pack.to_json().unwrap();
        let spoiled = [
            (
                text.replace("\"tessera_brushes\":1", "\"tessera_brushes\":2"),
                Kind::Newer,
            ),
            (text.replace("\"size\":3", "\"size\":0"), Kind::Damaged),
            (text.replace("\"code\":4", "\"code\":40"), Kind::Usage),
            (
                text.replace("\"width\":2", "\"width\":4000000000"),
                Kind::Limit,
            ),
            (
                text.replace(
                    "\"structure_vectors\":{",
                    "\"structure_vectors\":{\"3\":[],",
                ),
                Kind::Damaged,
            ),
            (text.replace("\"4\":[4.0]", "\"5\":[4.0]"), Kind::Damaged),
            (
                text.replace("\"4\":[4.0]", "\"4\":[4.0,1.0]"),
                Kind::Damaged,
            ),
            ("[]".into(), Kind::Damaged),
            (" ".repeat(MAX_PACK_BYTES + 1), Kind::Limit),
        ];
        for (text, kind) in spoiled {
            if let Err(error) = BrushPack::from_json(&text) {
                assert_eq!(error.kind, kind, "{error}");
            } else {
                // An unused vector more does no harm.
                assert!(text.contains("\"3\":[]"));
            }
        }
    }
}
