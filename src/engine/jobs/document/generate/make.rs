//! Results: quilted, put onto their document, shown, written and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::base::{Base, blank, own_bytes, placed};
use super::gather::Gathered;
use super::look::{self, GenerateLook};
use super::origins::{self, Origins};
use super::recipe::{Recipe, What, runs};
use super::{Generated, GeneratedPicture, Plan, beside, stem};
use crate::canvas;
use crate::document::tools::{Easel, Generated as Cells, put_generated};
use crate::document::{
    Document, Level, Raster, Samples, Source, SourcePicture, SourcePictures, SourceRef, Sources,
    Stroke, Vectors,
};
use crate::engine::lanes::storage::Storage;
use crate::engine::lanes::worker::JobContext;
use crate::engine::models::loading::Model;
use crate::engine::pictures::documents;
use crate::engine::pictures::quilting::{self, Both, Laid};
use crate::engine::pictures::read;
use crate::error::{Error, Notice, Result};
use crate::export::{Metadata, Provenance, Sheet, SheetItem, render_sheet, write_bytes, write_png};
use crate::progress::{Observer, Stop};
use crate::project::{ContentHash, DocumentId};
use crate::quilt::{self, Canvas, Controls, Home, Kept, Quilt, Request, Start};

/// What results are made of.
pub struct Maker<'a> {
    /// Where results are kept as documents.
    pub project: Option<&'a Storage>,
    /// The document that a fill is put onto.
    pub stored: Option<DocumentId>,
    /// As it is before a result is put onto it.
    pub document: Document,
    /// Structure cells that are made; `None`: all.
    pub made: Option<Vec<bool>>,
    pub gathered: Gathered,
    /// Without sources and seed.
    pub recipe: Recipe,
    pub look: &'a GenerateLook,
    pub model: &'a Model,
    pub context: &'a JobContext,
}

/// What all results of a job share, worked out once.
struct Shared {
    sources: Vec<quilt::Source>,
    controls: Controls,
    vectors: Vectors,
    maps: Vec<Source>,
    gathered: Arc<Gathered>,
}

/// A result.
struct Made {
    quilt: Quilt,
    quilt_s: f64,
    document: Document,
    stroke: Option<Arc<Stroke>>,
    recipe: Recipe,
}

impl<'a> Maker<'a> {
    /// Of results that begin with `base`.
    pub fn of(
        base: Base,
        gathered: Gathered,
        project: Option<&'a Storage>,
        look: &'a GenerateLook,
        model: &'a Model,
        context: &'a JobContext,
    ) -> Result<Self> {
        let size = (base.document.geometry(), base.document.wrap());
        let mut recipe = Recipe::new(base.what, size, look, &model.hash)?;
        recipe.reach = base.reach;
        recipe.made = base.made.as_deref().map(runs).unwrap_or_default();
        Ok(Self {
            project,
            stored: base.stored.as_ref().map(|kept| kept.id),
            made: base.made,
            document: base.document,
            gathered,
            recipe,
            look,
            model,
            context,
        })
    }
}

impl Maker<'_> {
    /// Makes and writes all that a plan says.
    pub fn all(mut self, plan: &Plan) -> Result<Generated> {
        let shared = self.share(&plan.maps)?;
        let mut generated = Generated {
            pictures: Vec::new(),
            model: self.model.hash.clone(),
            files: Vec::new(),
        };
        let mut rasters = Vec::new();
        for (number, out) in plan.outs.iter().enumerate() {
            let seed = self.look.seed.wrapping_add(number as u64);
            let made = self.make(&shared, seed, self.context)?;
            let raster = self.shown(&shared, &made)?;
            self.write(plan, &shared, (out, &raster), &made, &mut generated)?;
            let name = match plan.outs.len() {
                1 => stem(out),
                _ => format!("{} {}", stem(out.parent().unwrap_or(out)), stem(out)),
            };
            let document = self.keep(&shared.gathered, &name, &made)?;
            if let Some(picture) = generated.pictures.last_mut() {
                picture.document = document;
            }
            rasters.push(raster);
        }
        if plan.has_sheet {
            let path = beside(&plan.outs[0], "sheet.png");
            let sheet = self.sheet(&shared.gathered, &rasters)?;
            write_png(&path, plan.existing, &sheet, &Metadata::default())?;
            generated.files.push(path);
        }
        Ok(generated)
    }

    /// Works out what all results share; the pictures move there.
    fn share(&mut self, maps: &[PathBuf]) -> Result<Shared> {
        let gathered = std::mem::replace(&mut self.gathered, Gathered::new(self.look));
        let result = self.document.geometry();
        let (controls, labels) = look::controls(self.look, &gathered, result)?;
        Ok(Shared {
            sources: gathered.sources(&labels),
            controls,
            vectors: self.model.vectors()?,
            maps: self.read_maps(maps, &gathered)?,
            gathered: Arc::new(gathered),
        })
    }

    /// The cells of one result, for whoever has the document, and what they are made of. The pictures that they come from are
    /// kept in the project.
    pub fn cells(mut self) -> Result<(Cells, GeneratedPicture)> {
        let shared = self.share(&[])?;
        let (quilt, quilt_s, recipe, cells) = self.lay(&shared, self.look.seed, self.context)?;
        let told = self.told(&shared, &quilt, (recipe.seed, quilt_s));
        if let Some(project) = self.project {
            keep_pictures(project, pictures_of(&cells.sources, &shared.gathered))?;
        }
        Ok((cells, told))
    }

    /// Each result as a document of its own, called `name` and its seed.
    pub fn documents(mut self, name: &str, count: u32) -> Result<Vec<GeneratedPicture>> {
        let shared = self.share(&[])?;
        let mut pictures = Vec::new();
        for number in 0..count {
            let seed = self.look.seed.wrapping_add(number.into());
            self.context.check()?;
            let part = Part {
                of: self.context,
                number: number.into(),
                count: count.into(),
            };
            let made = self.make(&shared, seed, &part)?;
            let mut picture = self.told(&shared, &made.quilt, (seed, made.quilt_s));
            picture.document = self.keep(&shared.gathered, &format!("{name} {seed}"), &made)?;
            pictures.push(picture);
        }
        Ok(pictures)
    }

    fn canvas(&self) -> Canvas {
        let document = &self.document;
        Canvas {
            width: document.geometry().grid_width(Level::Structure),
            height: document.geometry().grid_height(Level::Structure),
            wrap: document.wrap(),
            kept: self.made.clone().map(|fill| Kept {
                codes: Arc::clone(document.edited()),
                fill,
                home: Some(Home {
                    source: 0,
                    y: 0,
                    x: 0,
                }),
            }),
        }
    }

    /// Quilts, and says which cells the document gets of it.
    fn lay(
        &self,
        shared: &Shared,
        seed: u64,
        observer: &dyn Observer,
    ) -> Result<(Quilt, f64, Recipe, Cells)> {
        let controls = Controls {
            seed,
            ..shared.controls.clone()
        };
        let is_free = controls.sketch.is_none()
            && controls.labels.is_none()
            && controls.height == 0.0
            && self.made.is_none();
        let request = Request {
            sources: shared.sources.clone(),
            canvas: self.canvas(),
            start: match self.recipe.what {
                What::Tile | What::New => Start::Blocks,
                What::Fill | What::Extend => Start::Grown,
                What::Vary => Start::Moved {
                    source: 0,
                    reach: self.recipe.reach,
                },
            },
            controls,
        };
        let started = Instant::now();
        let mut quilt = quilt::quilt(&request, &shared.vectors, observer, &mut |_| {})?;
        if is_free {
            // A tile has no first row: it is cut where the cut is least remarkable.
            let (down, right) =
                origins::quietest_cut(&shared.gathered, &quilt, self.document.wrap());
            quilt = quilt.rolled(down, right);
        }
        let quilt_s = started.elapsed().as_secs_f64();
        let recipe = Recipe {
            seed,
            sources: shared.gathered.listed(&quilt.shares),
            ..self.recipe.clone()
        };
        let references = shared.gathered.references();
        let laid = Laid {
            corner: (0, 0),
            own: shared.gathered.own().map(|own| (own, (0, 0))),
            references: &references,
            made: self.made.as_deref(),
            settings: Some(recipe.text(false)?),
        };
        let cells = quilting::generated(&self.document, &quilt, &laid);
        Ok((quilt, quilt_s, recipe, cells))
    }

    fn make(&self, shared: &Shared, seed: u64, observer: &dyn Observer) -> Result<Made> {
        let (quilt, quilt_s, recipe, cells) = self.lay(shared, seed, observer)?;
        let mut document = self.document.clone();
        // Pictures that other strokes have brought are found where they were, new ones here.
        let both = Both(Arc::clone(&shared.gathered), document.sources().clone());
        document.find_sources_in(Arc::new(both));
        let alphabet = self.model.alphabet()?;
        let mut easel = Easel::new(&mut document, None, &alphabet);
        let stroke = put_generated(&mut easel, recipe.what.label(), &cells)?;
        Ok(Made {
            quilt,
            quilt_s,
            document,
            stroke,
            recipe,
        })
    }

    /// A result as the canvas shows it.
    fn shown(&self, shared: &Shared, made: &Made) -> Result<Raster> {
        let depth = match self.recipe.what.has_surroundings() {
            true => made.document.source().depth_bits(),
            false => 8,
        };
        let codec = &self.model.codec;
        let raster = canvas::render_document(codec, &made.document, depth, self.context)?;
        for notice in shared.gathered.take_lost() {
            self.context.warning(notice);
        }
        Ok(raster)
    }

    /// The files of a result.
    fn write(
        &self,
        plan: &Plan,
        shared: &Shared,
        (out, raster): (&Path, &Raster),
        made: &Made,
        generated: &mut Generated,
    ) -> Result<()> {
        let notes = made.recipe.text(true)?;
        let metadata = Metadata {
            provenance: Some(match self.made {
                Some(_) => Provenance::Edited,
                None => Provenance::Generated,
            }),
            notes: Some(&notes),
            restore: None,
        };
        write_png(out, plan.existing, raster, &metadata)?;
        generated.files.push(out.to_path_buf());
        for (path, map) in plan.maps.iter().zip(&shared.maps) {
            let to = beside(out, &format!("{}.png", stem(path)));
            let metadata = Metadata {
                notes: Some(&notes),
                ..Metadata::default()
            };
            let raster = self.render_map(&made.document, map)?;
            write_png(&to, plan.existing, &raster, &metadata)?;
            generated.files.push(to);
        }
        let origins = Origins::new(&shared.gathered, &made.quilt, self.made.as_deref());
        if plan.has_origins {
            let path = beside(out, "origins.png");
            let picture = origins.picture(&made.quilt)?;
            write_png(&path, plan.existing, &picture, &Metadata::default())?;
            generated.files.push(path);
            let path = beside(out, "origins.json");
            write_bytes(&path, plan.existing, &origins.json(&made.quilt, &notes)?)?;
            generated.files.push(path);
        }
        let mut picture = self.told(shared, &made.quilt, (made.recipe.seed, made.quilt_s));
        picture.file = out.to_string_lossy().into_owned();
        generated.pictures.push(picture);
        Ok(())
    }

    /// What is said of a result: its seed, the seconds that it took, its sources and its largest piece.
    fn told(
        &self,
        shared: &Shared,
        quilt: &Quilt,
        (seed, quilt_s): (u64, f64),
    ) -> GeneratedPicture {
        let piece = quilt.largest_piece;
        let cells = match &self.made {
            Some(made) => made.iter().filter(|made| **made).count(),
            None => quilt.structure_at.len(),
        };
        GeneratedPicture {
            file: String::new(),
            document: None,
            seed,
            quilt_s,
            largest_piece_px: [piece.from.width * 4, piece.from.height * 4],
            largest_piece_share: piece.cells as f32 / (cells * 16).max(1) as f32,
            largest_piece_from: shared.gathered.name_of(piece.source),
            seam_share: quilt.seam_share,
            shares: Origins::new(&shared.gathered, quilt, self.made.as_deref()).shares,
        }
    }

    /// Keeps a result in the project: as a stroke of the document that was filled, else as a document of its own.
    fn keep(&self, gathered: &Gathered, name: &str, made: &Made) -> Result<Option<DocumentId>> {
        let (Some(project), Some(stroke)) = (self.project, &made.stroke) else {
            return Ok(self.stored);
        };
        let listed: Vec<_> = (stroke.sources.iter())
            .map(|(_, source)| source.clone())
            .collect();
        let pictures = pictures_of(&listed, gathered);
        let stroke = Arc::clone(stroke);
        let append = move |id: DocumentId| {
            move |project: &mut crate::project::Project| {
                pictures
                    .iter()
                    .try_for_each(|bytes| project.keep_picture(bytes))?;
                project.append_stroke(id, &stroke).map(drop)
            }
        };
        if let Some(id) = self.stored {
            project.call(append(id))?;
            return Ok(Some(id));
        }
        let checkpoint = self.model.keep_in(project)?;
        let bytes = own_bytes(&self.document)?;
        let fresh = self.document.clone();
        let stored = documents::store(project, name, fresh, bytes, self.model, checkpoint)?;
        let id = stored.id;
        if let Err(error) = project.call(append(id)) {
            // Nobody wants a blank canvas in its place.
            if let Err(other) = project.call(move |project| project.delete_document(id)) {
                self.context.warning(*other.notice);
            }
            return Err(error);
        }
        Ok(Some(id))
    }

    /// Further maps of the source.
    fn read_maps(&self, maps: &[PathBuf], gathered: &Gathered) -> Result<Vec<Source>> {
        let one = |path: &std::path::PathBuf| {
            let map = read::load_source(path)?;
            let is_of_source = match self.recipe.what {
                What::Extend => gathered.count() == 1,
                _ => gathered.only_source() == Some(map.geometry()),
            };
            if !is_of_source {
                return Err(Error::usage(
                    "could not put the map together",
                    "maps go with a single source of the same size",
                    "Take from one picture, and give maps of its size",
                )
                .at(path));
            }
            Ok(map)
        };
        maps.iter().map(one).collect()
    }

    fn render_map(&self, document: &Document, map: &Source) -> Result<Raster> {
        let own = match self.recipe.what {
            What::Fill => map.clone(),
            What::Extend => {
                let canvas = document.geometry();
                let wide = canvas.grid_width(Level::Structure);
                let first = (self.made.iter().flatten())
                    .position(|made| !made)
                    .unwrap_or(0) as u32;
                placed(map, canvas, (first / wide, first % wide))?
            }
            _ => blank(
                self.model,
                document.geometry(),
                document.wrap(),
                self.context,
            )?
            .source()
            .clone(),
        };
        let maps = Arc::new(Map(map.clone()));
        let others = Sources::new(document.sources().list().to_vec(), maps)?;
        canvas::render_map(document, &own, &others, self.context)
    }

    fn sheet(&self, gathered: &Gathered, rasters: &[Raster]) -> Result<Raster> {
        let first = gathered.first_picture()?;
        let wrap = self.document.wrap();
        let repeats = match (self.recipe.what, rasters.first()) {
            (What::Tile, Some(raster)) => Some(repeated(
                raster,
                if wrap.x { 3 } else { 1 },
                if wrap.y { 3 } else { 1 },
            )?),
            _ => None,
        };
        let item = |picture, label| SheetItem {
            picture,
            label,
            note: "",
        };
        let mut items = vec![item(&first, "source")];
        items.extend((rasters.iter()).map(|picture| item(picture, self.recipe.what.name())));
        items.extend(repeats.iter().map(|picture| item(picture, "repeated")));
        let sheet = Sheet {
            title: "",
            subtitle: "",
            column_heads: &[],
            columns: items.len().min(5) as u32,
            box_px: 384,
        };
        render_sheet(&sheet, &items)
    }
}

/// The progress of one of several results.
struct Part<'a> {
    of: &'a JobContext,
    number: u64,
    count: u64,
}

impl Observer for Part<'_> {
    fn stop(&self) -> Option<Stop> {
        self.of.stop()
    }

    fn progress(&self, done: u64, total: u64) {
        const STEPS: u64 = 100;
        let share = (done * STEPS).checked_div(total).unwrap_or(0);
        (self.of).progress(self.number * STEPS + share, self.count * STEPS);
    }

    fn warning(&self, notice: Notice) {
        self.of.warning(notice);
    }
}

/// The files of these pictures, as far as they can be read.
fn pictures_of(listed: &[SourceRef], gathered: &Gathered) -> Vec<Vec<u8>> {
    (listed.iter())
        .filter_map(|source| source.content_hash.parse::<ContentHash>().ok())
        .filter_map(|hash| gathered.bytes(hash))
        .collect()
}

fn keep_pictures(project: &Storage, pictures: Vec<Vec<u8>>) -> Result<()> {
    project.call(move |project| (pictures.iter()).try_for_each(|bytes| project.keep_picture(bytes)))
}

/// Stands for every picture of its size.
#[derive(Debug)]
struct Map(Source);

impl SourcePictures for Map {
    fn picture(&self, of: &SourceRef) -> Option<Arc<SourcePicture>> {
        let geometry = self.0.geometry();
        let is_it = (of.width, of.height) == (geometry.width(), geometry.height());
        is_it.then(|| {
            Arc::new(SourcePicture {
                source: self.0.clone(),
                codes: Arc::new(crate::document::Codes::blank(geometry)),
                wrap: crate::document::Wrap::default(),
            })
        })
    }
}

/// `columns` × `rows` times the picture.
fn repeated(raster: &Raster, columns: u32, rows: u32) -> Result<Raster> {
    let rgba8 = raster.rgba8();
    let line = raster.width() as usize * 4;
    let one: Vec<u8> = (rgba8.chunks_exact(line))
        .flat_map(|row| row.repeat(columns as usize))
        .collect();
    let all = one.repeat(rows as usize);
    Raster::new(
        raster.width() * columns,
        raster.height() * rows,
        Samples::Rgba8(all),
    )
}
