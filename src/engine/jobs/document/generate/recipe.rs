//! What a picture was generated with, as its stroke keeps it: enough to do it again.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::look::{GenerateLook, code_text, parse_code};
use crate::dataset::{Limits, read_file};
use crate::document::{Geometry, SourceRef, Stroke, Turn, Wrap};
use crate::error::{Error, Kind, Result};
use crate::project::ContentHash;

/// The version of these settings.
const VERSION: u32 = 1;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Tile,
    New,
    Fill,
    Extend,
    Vary,
}

impl What {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tile => "tile",
            Self::New => "new",
            Self::Fill => "fill",
            Self::Extend => "extend",
            Self::Vary => "vary",
        }
    }

    /// Its name in a history.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Tile => "Generate a tile",
            Self::New => "Generate a picture",
            Self::Fill => "Fill from pictures",
            Self::Extend => "Extend",
            Self::Vary => "Vary",
        }
    }

    /// Whether a part of a document is made from what it shows around it, which then is the first source.
    pub const fn has_surroundings(self) -> bool {
        matches!(self, Self::Fill | Self::Extend)
    }
}

/// A picture to take from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeSource {
    /// Its name, for people.
    pub picture: String,
    /// BLAKE3 of its file.
    pub content: String,
    /// Pixels, as it was taken from.
    pub width: u32,
    pub height: u32,
    #[serde(default, skip_serializing_if = "Turn::is_none")]
    pub turn: Turn,
    /// Where its file was; kept in the project alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Share of the cells that were made, 0 to 1.
    pub share: f32,
}

impl RecipeSource {
    pub fn reference(&self) -> SourceRef {
        SourceRef {
            content_hash: self.content.clone(),
            width: self.width,
            height: self.height,
            name: self.picture.clone(),
            turn: self.turn,
        }
    }
}

/// A picture file that steers a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steering {
    /// BLAKE3 of its file.
    pub content: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl Steering {
    pub fn of(path: &std::path::Path) -> Result<Self> {
        let bytes = read_file(path, &Limits::default())?;
        Ok(Self {
            content: ContentHash::of(&bytes).to_string(),
            path: Some(super::picture::absolute(path)),
        })
    }

    /// The file, as long as it is what it was.
    ///
    /// # Errors
    /// `NotFound` where it is gone or has changed.
    pub fn found(&self) -> Result<PathBuf> {
        let is_it = |path: &PathBuf| {
            std::fs::read(path)
                .is_ok_and(|bytes| ContentHash::of(&bytes).to_string() == self.content)
        };
        (self.path.clone().filter(is_it)).ok_or_else(|| {
            let mut error = Error::new(
                Kind::NotFound,
                "could not make the picture again",
                "the guide or label map that it was made with is gone or has changed",
                "Put the file back where it was",
            );
            if let Some(path) = &self.path {
                error = error.at(path);
            }
            error
        })
    }
}

/// All settings of one result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of these settings.
    pub generation: u32,
    pub made_by: String,
    pub what: What,
    pub seed: u64,
    pub width: u32,
    pub height: u32,
    pub wrap: Wrap,
    /// Of a variation: 0 to 1.
    pub reach: f32,
    /// Structure cells that were made, as runs row by row: the first and how many. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<(u32, u32)>,
    pub freedom: f32,
    pub variety: f32,
    pub largest_piece_px: Option<u32>,
    /// How strongly cells stay as high up as in their source.
    pub height_weight: f32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boosted: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guide: Option<Steering>,
    pub guide_weight: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Steering>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<Steering>,
    /// Hash of the model.
    pub model: String,
    /// In the order in which they were searched.
    pub sources: Vec<RecipeSource>,
}

impl Recipe {
    /// Settings without sources and seed.
    ///
    /// # Errors
    /// Those of reading what steers it.
    pub fn new(
        what: What,
        (geometry, wrap): (Geometry, Wrap),
        look: &GenerateLook,
        model: &str,
    ) -> Result<Self> {
        Ok(Self {
            generation: VERSION,
            made_by: crate::version::line().to_owned(),
            what,
            seed: look.seed,
            width: geometry.width(),
            height: geometry.height(),
            wrap,
            reach: 0.0,
            made: Vec::new(),
            freedom: look.freedom,
            variety: look.variety,
            largest_piece_px: look.largest_piece_px,
            height_weight: look.height,
            muted: look.muted.iter().map(|code| code_text(*code)).collect(),
            boosted: look.boosted.iter().map(|code| code_text(*code)).collect(),
            guide: look.guide.as_deref().map(Steering::of).transpose()?,
            guide_weight: look.guide_weight,
            labels: look.labels.as_deref().map(Steering::of).transpose()?,
            source_labels: (look.source_labels.iter())
                .map(|path| Steering::of(path))
                .collect::<Result<_>>()?,
            model: model.to_owned(),
            sources: Vec::new(),
        })
    }

    /// The look that gives this result again.
    ///
    /// # Errors
    /// `NotFound` where a guide or label map is gone; `Damaged` for codes that are none.
    pub fn look(&self) -> Result<GenerateLook> {
        let codes = |list: &[String]| {
            list.iter()
                .map(|text| parse_code(text).map_err(|_| damaged("a code in it is none")))
                .collect::<Result<Vec<_>>>()
        };
        Ok(GenerateLook {
            seed: self.seed,
            freedom: self.freedom,
            variety: self.variety,
            largest_piece_px: self.largest_piece_px,
            height: self.height_weight,
            guide: (self.guide.as_ref()).map(Steering::found).transpose()?,
            guide_weight: self.guide_weight,
            labels: (self.labels.as_ref()).map(Steering::found).transpose()?,
            source_labels: (self.source_labels.iter())
                .map(Steering::found)
                .collect::<Result<_>>()?,
            muted: codes(&self.muted)?,
            boosted: codes(&self.boosted)?,
            is_mirrored: false,
            is_turned: false,
        })
    }

    /// The settings that the stroke of a document keeps; `None` for one that was not generated.
    ///
    /// # Errors
    /// `Damaged` for settings that are none, `Newer` for those of a later version.
    pub fn of(stroke: &Stroke) -> Result<Option<Self>> {
        let Some(text) = &stroke.settings else {
            return Ok(None);
        };
        #[derive(Deserialize)]
        struct Version {
            generation: Option<u32>,
        }
        let version: Version =
            serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        match version.generation {
            Some(VERSION) => {}
            Some(_) => {
                return Err(Error::new(
                    Kind::Newer,
                    "could not make the picture again",
                    "a later Tessera made it",
                    "Use a newer Tessera",
                ));
            }
            // A texture stroke: it depends on every dab.
            None => return Ok(None),
        }
        serde_json::from_str(text)
            .map(Some)
            .map_err(|error| damaged(&error.to_string()))
    }

    /// As a stroke of the project keeps it, and as a picture may leave with it: without places on this machine.
    pub fn text(&self, is_public: bool) -> Result<Arc<str>> {
        let mut settings = self.clone();
        if is_public {
            (settings.sources.iter_mut()).for_each(|source| source.path = None);
            let steering = settings.guide.iter_mut().chain(&mut settings.labels);
            (steering.chain(&mut settings.source_labels)).for_each(|file| file.path = None);
        }
        serde_json::to_string(&settings)
            .map(Into::into)
            .map_err(|source| {
                Error::new(
                    Kind::Internal,
                    "could not keep the settings",
                    source.to_string(),
                    "",
                )
            })
    }

    /// Per structure cell, whether it was made; `None`: all were.
    ///
    /// # Errors
    /// `Damaged` for runs that leave the picture.
    pub fn made_cells(&self, cells: usize) -> Result<Option<Vec<bool>>> {
        if self.made.is_empty() {
            return Ok(None);
        }
        let mut made = vec![false; cells];
        for &(first, count) in &self.made {
            let end = u64::from(first) + u64::from(count);
            if end > cells as u64 {
                return Err(damaged("it names cells that the picture does not have"));
            }
            made[first as usize..end as usize].fill(true);
        }
        Ok(Some(made))
    }
}

/// Cells as runs: the first and how many.
pub fn runs(made: &[bool]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (index, _) in (0u32..).zip(made).filter(|(_, made)| **made) {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == index => *count += 1,
            _ => runs.push((index, 1)),
        }
    }
    runs
}

fn damaged(why: &str) -> Error {
    Error::new(
        Kind::Damaged,
        "could not make the picture again",
        format!("the settings that it was made with cannot be read: {why}"),
        "",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_say_which_cells_were_made() {
        let made = [false, true, true, false, true];
        let recipe = |made| Recipe {
            made,
            ..Recipe::new(
                What::Fill,
                (Geometry::new(80, 16).unwrap(), Wrap::default()),
                &GenerateLook::default(),
                "m",
            )
            .unwrap()
        };
        assert_eq!(runs(&made), [(1, 2), (4, 1)]);
        let kept = recipe(runs(&made));
        assert_eq!(kept.made_cells(5).unwrap().unwrap(), made);
        assert_eq!(kept.made_cells(4).unwrap_err().kind, Kind::Damaged);
        assert_eq!(
            recipe(vec![(u32::MAX, u32::MAX)])
                .made_cells(5)
                .unwrap_err()
                .kind,
            Kind::Damaged
        );
        assert_eq!(recipe(Vec::new()).made_cells(5).unwrap(), None);
    }

    #[test]
    fn settings_from_a_file_are_checked() {
        let stroke = |text: &str| Stroke {
            settings: Some(text.into()),
            ..Stroke::new("x", Vec::new())
        };
        let kind = |text| Recipe::of(&stroke(text)).unwrap_err().kind;
        assert_eq!(kind("{"), Kind::Damaged);
        assert_eq!(kind("[]"), Kind::Damaged);
        assert_eq!(kind(r#"{"generation": 1}"#), Kind::Damaged);
        assert_eq!(kind(r#"{"generation": 2}"#), Kind::Newer);
        assert_eq!(Recipe::of(&Stroke::new("x", Vec::new())).unwrap(), None);
        let geometry = Geometry::new(80, 16).unwrap();
        let look = GenerateLook {
            seed: u64::MAX,
            freedom: 0.1,
            muted: vec![(crate::document::Level::Detail, 7)],
            ..GenerateLook::default()
        };
        let recipe = Recipe::new(
            What::Tile,
            (geometry, Wrap { x: true, y: true }),
            &look,
            "m",
        )
        .unwrap();
        let text = recipe.text(false).unwrap();
        let read = Recipe::of(&stroke(&text)).unwrap().unwrap();
        assert_eq!(read, recipe);
        assert_eq!(read.look().unwrap().muted, look.muted);
    }
}
