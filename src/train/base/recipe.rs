//! How the base model is made: one file that fixes the data, its shares, the network and every training setting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::codec::CodecConfig;
use crate::dataset::decode::{Limits, probe_bytes};
use crate::dataset::{BatchSource, CropSource, Crops, CropsConfig, Mixture};
use crate::error::{Error, Kind, Notice, Result};
use crate::progress::Observer;
use crate::train::base::embedding::EmbeddingTraining;
use crate::train::run::config::TrainConfig;
use crate::train::run::training::Pictures;

/// The list of origins in each picture folder.
const ATTRIBUTION: &str = "ATTRIBUTION.csv";
/// A recipe is a page, not a book, bytes.
const MAX_RECIPE_BYTES: u64 = 1 << 20;
/// Lists of origins, bytes.
const MAX_ATTRIBUTION_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub name: String,
    pub data: DataRecipe,
    pub codec: CodecConfig,
    pub training: TrainConfig,
    /// Further stages; each goes on from the model of the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sharpening: Vec<TrainConfig>,
    /// The last stage: a head of words in place of the one trained so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingTraining>,
}

/// Which pictures, in which shares. Only pictures that the folder's `ATTRIBUTION.csv` names are used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Below the data folder.
    pub folder: String,
    pub groups: Vec<Group>,
    /// Share of the procedural crops, beside the groups' weights.
    pub procedural_weight: f64,
    /// Pictures made from these are not used.
    pub excluded: Vec<Origin>,
    /// Nor those made from anything that the `ATTRIBUTION.csv` of these folders, below the data folder, names.
    pub excluded_folders: Vec<String>,
    /// Share of the origins that is held out of training, in percent, with all pictures made from them.
    pub held_out_percent: u32,
    /// Longer side of the working copies, px.
    pub working_side_px: u32,
}

/// Pictures of one licence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Below the recipe's folder.
    pub folder: String,
    pub licence: String,
    /// Share of the crops, beside the other weights.
    pub weight: f64,
}

/// What a picture was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    pub repo: String,
    pub path: String,
}

/// A line of `ATTRIBUTION.csv`.
#[derive(Debug)]
struct Attribution {
    file: String,
    source_repo: String,
    source_path: String,
}

impl Attribution {
    fn origin(&self) -> Origin {
        // Some lists add the version: `path@blob …`.
        let path = self.source_path.split('@').next();
        Origin {
            repo: self.source_repo.clone(),
            path: path.unwrap_or_default().to_owned(),
        }
    }
}

/// What came of a recipe's data.
pub struct Prepared {
    pub pictures: Pictures,
    pub batches: Arc<dyn BatchSource>,
    /// Batches for [`Recipe::embedding`].
    pub embedding_batches: Option<Arc<dyn BatchSource>>,
    /// By group folder, in the recipe's order.
    pub counts: Vec<GroupCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCount {
    pub folder: String,
    pub licence: String,
    pub trained: usize,
    pub held_out: usize,
    /// Shipped as samples, or kept for measuring.
    pub excluded: usize,
}

impl Recipe {
    /// # Errors
    /// What reading the file returns; `Usage` for one that is no recipe or asks for what makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, MAX_RECIPE_BYTES)?;
        let recipe: Self = serde_json::from_str(&text).map_err(|source| {
            Error::usage(
                "could not read the recipe",
                source.to_string(),
                "Correct the file",
            )
            .at(path)
        })?;
        recipe.validate().map_err(|error| error.at(path))?;
        Ok(recipe)
    }

    fn validate(&self) -> Result<()> {
        self.codec.validate()?;
        self.training.validate()?;
        for sharpening in &self.sharpening {
            sharpening.validate()?;
        }
        if let Some(embedding) = &self.embedding {
            embedding.validate()?;
        }
        if self.data.held_out_percent == 0 || self.data.held_out_percent > 50 {
            return Err(Error::usage(
                "could not use the recipe",
                format!(
                    "held_out_percent is {}, it must be from 1 to 50",
                    self.data.held_out_percent
                ),
                "Correct the recipe",
            ));
        }
        Ok(())
    }

    /// Finds the pictures below `data_folder` and splits them by origin: the same data give the same split anywhere.
    ///
    /// # Errors
    /// What reading the lists of origins returns; `NoPictures` where nothing is left to train on or to measure with;
    /// `Cancelled`.
    pub fn prepare(&self, data_folder: &Path, observer: &dyn Observer) -> Result<Prepared> {
        let data = &self.data;
        let root = data_folder.join(&data.folder);
        let mut excluded: BTreeSet<Origin> = data.excluded.iter().cloned().collect();
        for folder in &data.excluded_folders {
            let lines = read_attribution(&data_folder.join(folder))?;
            excluded.extend(lines.iter().map(Attribution::origin));
        }
        let mut by_group: BTreeMap<&str, Vec<&Attribution>> = BTreeMap::new();
        let lines = read_attribution(&root)?;
        for line in &lines {
            let group = line.file.split('/').next().unwrap_or_default();
            by_group.entry(group).or_default().push(line);
        }

        let mut pictures = Pictures {
            is_separate: true,
            ..Pictures::default()
        };
        let mut held_out = Vec::new();
        let (mut groups, mut counts) = (Vec::new(), Vec::new());
        for (index, group) in data.groups.iter().enumerate() {
            observer.check()?;
            let lines = by_group
                .get(group.folder.as_str())
                .map_or(&[][..], Vec::as_slice);
            let found = Self::sources_of(&root, lines, observer);
            let mut count = GroupCount {
                folder: group.folder.clone(),
                licence: group.licence.clone(),
                trained: 0,
                held_out: 0,
                excluded: 0,
            };
            let mut trained = Vec::new();
            for (line, source) in found {
                let origin = line.origin();
                if excluded.contains(&origin) {
                    count.excluded += 1;
                } else if let Some(rank) = held_out_rank(&origin, data.held_out_percent) {
                    count.held_out += 1;
                    held_out.push((rank, line.file.clone(), source));
                } else {
                    count.trained += 1;
                    trained.push(source);
                }
            }
            counts.push(count);
            if trained.is_empty() {
                observer.warning(
                    Notice::new(
                        "a group of the recipe gives nothing to train on",
                        "its folder has no pictures that ATTRIBUTION.csv names",
                        "Its share goes to the others",
                    )
                    .at(root.join(&group.folder)),
                );
                continue;
            }
            pictures.train.extend(trained.iter().cloned());
            groups.push((group.weight, index as u64, trained));
        }
        // In an order without meaning, so that any first few are of all groups.
        held_out.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        pictures.held_out = held_out.into_iter().map(|(_, _, source)| source).collect();
        if pictures.held_out.is_empty() || pictures.train.is_empty() {
            return Err(Error::new(
                Kind::NoPictures,
                "could not prepare the training pictures",
                format!(
                    "{} are left to train on and {} to measure with",
                    pictures.train.len(),
                    pictures.held_out.len()
                ),
                "Check the recipe's folder and groups",
            )
            .at(root));
        }
        let training = &self.training;
        let batches = self.mixture(&groups, training.crop_px, training.batch, training.seed)?;
        let embedding_batches = (self.embedding.as_ref())
            .map(|settings| self.mixture(&groups, settings.crop_px, settings.batch, settings.seed))
            .transpose()?;
        Ok(Prepared {
            pictures,
            batches,
            embedding_batches,
            counts,
        })
    }

    /// Crops of the groups in their shares. A group is its weight, its number in the recipe, and its pictures.
    fn mixture(
        &self,
        groups: &[(f64, u64, Vec<CropSource>)],
        crop_px: u32,
        batch: u32,
        seed: u64,
    ) -> Result<Arc<dyn BatchSource>> {
        let crops = |group: u64, sources: &[CropSource]| {
            let config = CropsConfig {
                side_px: crop_px,
                batch_size: batch,
                seed: seed.wrapping_add(group),
                augment: self.training.augment.clone(),
                cache_bytes: self.training.cache_bytes,
                working_side_px: Some(self.data.working_side_px),
                ..CropsConfig::default()
            };
            Crops::new(sources.to_vec(), config)
        };
        let groups = (groups.iter())
            .map(|(weight, group, sources)| Ok((*weight, crops(*group, sources)?)))
            .collect::<Result<_>>()?;
        let procedural = self.data.procedural_weight;
        let mixture = Mixture::new(groups, procedural, crop_px, batch, seed)?;
        Ok(Arc::new(mixture))
    }

    /// The pictures that can be read, in the order of the list; the others with a warning each.
    fn sources_of<'a>(
        root: &Path,
        lines: &[&'a Attribution],
        observer: &dyn Observer,
    ) -> Vec<(&'a Attribution, CropSource)> {
        let limits = Limits::default();
        let read = |line: &Attribution| -> Result<CropSource> {
            let path = root.join(&line.file);
            let bytes = read_bounded(&path, limits.max_file_bytes)?;
            let header = probe_bytes(&bytes, &limits).map_err(|error| error.at(&path))?;
            Ok(CropSource {
                content_hash: *blake3::hash(&bytes).as_bytes(),
                // As stored: turned or not, the longer side is the same, and only that is used here.
                width: header.stored_width,
                height: header.stored_height,
                path,
            })
        };
        let found: Vec<_> = lines.par_iter().map(|line| (*line, read(line))).collect();
        let mut sources = Vec::new();
        for (line, source) in found {
            match source {
                Ok(source) => sources.push((line, source)),
                Err(error) => observer.warning(*error.notice),
            }
        }
        sources
    }
}

/// A place in the order of held-out pictures, if the origin is one of the `percent`.
fn held_out_rank(origin: &Origin, percent: u32) -> Option<u64> {
    let mut hasher = blake3::Hasher::new_derive_key("tessera base model split v1");
    hasher.update(origin.repo.as_bytes());
    hasher.update(&[0]);
    hasher.update(origin.path.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    let hash = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    (hash % 100 < u64::from(percent)).then_some(hash / 100)
}

fn read_attribution(folder: &Path) -> Result<Vec<Attribution>> {
    let path = folder.join(ATTRIBUTION);
    let text = read_text(&path, MAX_ATTRIBUTION_BYTES)?;
    attributions(&text).map_err(|why| {
        Error::new(
            Kind::Damaged,
            "could not read the list of origins",
            why,
            "Correct the file",
        )
        .at(&path)
    })
}

/// The lines of a list of origins, which begins with the names of its columns.
fn attributions(text: &str) -> std::result::Result<Vec<Attribution>, String> {
    let mut records = csv_records(text).into_iter();
    let heads = records.next().unwrap_or_default();
    let column = |name: &str| {
        let found = heads.iter().position(|head| head == name);
        found.ok_or_else(|| format!("it has no column `{name}`"))
    };
    let (file, repo, path) = (
        column("file")?,
        column("source_repo")?,
        column("source_path")?,
    );
    records
        .map(|fields| {
            let field = |at: usize| {
                let found = fields.get(at).cloned();
                found.ok_or_else(|| format!("a line has only {} fields: {fields:?}", fields.len()))
            };
            Ok(Attribution {
                file: field(file)?,
                source_repo: field(repo)?,
                source_path: field(path)?,
            })
        })
        .collect()
}

/// Fields separated by commas, quoted where they hold one (RFC 4180); empty lines are left out.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field) = (Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = text.chars().filter(|c| *c != '\r').chain(['\n']).peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => record.push(std::mem::take(&mut field)),
            '\n' if !is_quoted => {
                if !(record.is_empty() && field.is_empty()) {
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
            }
            other => field.push(other),
        }
    }
    records
}

fn read_text(path: &Path, max_bytes: u64) -> Result<String> {
    String::from_utf8(read_bounded(path, max_bytes)?).map_err(|source| {
        Error::new(
            Kind::Damaged,
            "could not read the file",
            source.to_string(),
            "Check that it is the right file",
        )
        .at(path)
    })
}

fn read_bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let failed = |source: std::io::Error| Error::io("could not read the file", path, &source);
    let bytes = std::fs::metadata(path).map_err(failed)?.len();
    if bytes > max_bytes {
        return Err(Error::new(
            Kind::Limit,
            "could not read the file",
            format!("it has {bytes} bytes, at most {max_bytes} are read"),
            "Check that it is the right file",
        )
        .at(path));
    }
    std::fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_origins_are_read_by_their_heads() {
        let text = "file,licence,source_repo,source_path,change\r\n\
                    a/1.png,CC0,me/pictures,x/1.png@blob 12,\"75 %, \"\"crop\"\"\"\n\n\
                    a/2.png,CC0,me/pictures,x/1.png,\n";
        let lines = attributions(text).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].file, "a/2.png");
        assert_eq!(lines[0].origin(), lines[1].origin());
        assert_eq!(csv_records(text)[1][4], "75 %, \"crop\"");
        assert!(
            attributions("file,licence\na,b\n")
                .unwrap_err()
                .contains("source_repo")
        );
        assert!(attributions("file,source_repo,source_path\na\n").is_err());
    }

    /// A data folder of two groups, ten origins each with two pictures, and a list of what is to be left out.
    fn data_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut list = "file,source_repo,source_path\n".to_owned();
        for group in ["photos", "icons"] {
            std::fs::create_dir_all(folder.path().join("set").join(group)).unwrap();
            for i in 0..20u8 {
                let file = format!("{group}/{i}.png");
                let picture = image::RgbImage::from_pixel(20, 20, image::Rgb([i; 3]));
                picture.save(folder.path().join("set").join(&file)).unwrap();
                list += &format!("{file},repo/{group},origin {}\n", i / 2);
            }
        }
        std::fs::write(folder.path().join("set").join(ATTRIBUTION), list).unwrap();
        std::fs::create_dir(folder.path().join("test")).unwrap();
        let test = "file,source_repo,source_path\nx.png,repo/icons,origin 3\n";
        std::fs::write(folder.path().join("test").join(ATTRIBUTION), test).unwrap();
        folder
    }

    fn recipe() -> Recipe {
        let group = |folder: &str| Group {
            folder: folder.to_owned(),
            licence: "CC0".to_owned(),
            weight: 1.0,
        };
        Recipe {
            name: "test".to_owned(),
            data: DataRecipe {
                folder: "set".to_owned(),
                groups: vec![group("photos"), group("icons")],
                procedural_weight: 1.0,
                excluded: vec![Origin {
                    repo: "repo/photos".to_owned(),
                    path: "origin 7".to_owned(),
                }],
                excluded_folders: vec!["test".to_owned()],
                held_out_percent: 30,
                working_side_px: 128,
            },
            codec: CodecConfig::tiny(),
            training: TrainConfig {
                crop_px: 32,
                batch: 4,
                ..TrainConfig::default()
            },
            sharpening: Vec::new(),
            embedding: None,
        }
    }

    #[test]
    fn pictures_of_one_origin_stay_together() {
        let folder = data_folder();
        let prepared = recipe().prepare(folder.path(), &()).unwrap();
        let sizes: Vec<_> = (prepared.counts.iter())
            .map(|c| (c.trained, c.held_out, c.excluded))
            .collect();
        for (trained, held_out, excluded) in &sizes {
            assert_eq!(trained + held_out + excluded, 20);
            assert_eq!(*excluded, 2, "one origin of two pictures: {sizes:?}");
        }
        let origin = |source: &CropSource| {
            let number: u32 = source
                .path
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            (source.path.parent().unwrap().to_owned(), number / 2)
        };
        let trained: BTreeSet<_> = prepared.pictures.train.iter().map(origin).collect();
        let held_out: BTreeSet<_> = prepared.pictures.held_out.iter().map(origin).collect();
        assert!(!held_out.is_empty() && trained.is_disjoint(&held_out));
        let again = recipe().prepare(folder.path(), &()).unwrap();
        assert_eq!(again.pictures.held_out, prepared.pictures.held_out);
        let batch = prepared.batches.batch(5).unwrap();
        assert_eq!(batch.len(), 4 * 32 * 32 * 4);
        assert_eq!(batch, again.batches.batch(5).unwrap());
    }

    #[test]
    fn the_shipped_recipe_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/recipe.json");
        let recipe = Recipe::read(&path).unwrap();
        assert!(
            recipe
                .data
                .excluded_folders
                .iter()
                .any(|f| f == "photos-test")
        );
        assert_eq!(recipe.data.held_out_percent, 1);
    }

    #[test]
    fn nonsense_is_refused() {
        let folder = data_folder();
        let mut wrong = recipe();
        wrong.data.folder = "nowhere".to_owned();
        assert_eq!(
            wrong.prepare(folder.path(), &()).err().unwrap().kind,
            Kind::NotFound
        );
        let mut wrong = recipe();
        wrong.data.groups.clear();
        assert_eq!(
            wrong.prepare(folder.path(), &()).err().unwrap().kind,
            Kind::NoPictures
        );
        let path = folder.path().join("recipe.json");
        std::fs::write(&path, "{\"name\": \"x\"}").unwrap();
        assert_eq!(Recipe::read(&path).unwrap_err().kind, Kind::Usage);
    }
}
