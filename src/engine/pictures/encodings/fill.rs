//! Filling the index: only what is missing is encoded, and every batch is kept, so that it can be stopped at any time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;

use crate::engine::lanes::background::in_background;
use crate::engine::models::loading::{MODEL_HASH, Model};
use crate::engine::pictures::encodings::encode::{encode_source, load_source};
use crate::engine::pictures::encodings::{Encodings, IDS_AT_ONCE};
use crate::error::{Error, Notice, Result};
use crate::progress::Observer;
use crate::project::{ContentHash, EncodingsOf, NewEncoding, PictureId, Project, Unencoded};

/// A batch is kept as soon as it has so many pictures, …
const BATCH_PICTURES: usize = 64;
/// … or has taken so long.
const BATCH_TIME: Duration = Duration::from_secs(5);
/// Pictures up to this size are encoded several at a time, px.
const SMALL_PIXELS: u64 = 1 << 16;
/// Failures that are told one by one.
const MAX_FAILURES: usize = 1_000;

/// What filling the index did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FillReport {
    /// Pictures that had no codes of this model.
    pub new: u64,
    /// Pictures that had codes of other content.
    pub stale: u64,
    /// Pictures whose codes did not fit the model.
    pub damaged: u64,
    /// Pictures whose codes were there.
    pub kept: u64,
    /// Pictures that could not be encoded.
    pub failed: u64,
    /// The first 1,000 of them, each with its reason.
    pub failures: Vec<Notice>,
}

/// Encodes the pictures whose codes are missing, on threads that give way to painting. `verify`: rows that are there are read
/// and checked too, else only those that are read later are.
///
/// # Errors
/// `Cancelled`, with what was done kept; those of the project. A picture that cannot be encoded is no error.
pub fn fill(
    encodings: &Encodings,
    model: &Model,
    asked: impl IntoIterator<Item = EncodingsOf>,
    verify: bool,
    observer: &dyn Observer,
) -> Result<FillReport> {
    let asked: Vec<EncodingsOf> = asked.into_iter().collect();
    let mut filling = Filling {
        encodings,
        model,
        observer,
        report: FillReport::default(),
        damaged: BTreeSet::new(),
        total: 0,
        waiting: Vec::new(),
        since: Instant::now(),
    };
    for of in &asked {
        if verify {
            filling.verify(of)?;
        }
        filling.count(of)?;
    }
    if filling.total > 0 {
        in_background(|| asked.iter().try_for_each(|of| filling.encode_all(of)))?;
    }
    Ok(filling.report)
}

struct Filling<'a> {
    encodings: &'a Encodings,
    model: &'a Model,
    observer: &'a dyn Observer,
    report: FillReport,
    /// Pictures whose rows were damaged.
    damaged: BTreeSet<PictureId>,
    total: u64,
    waiting: Vec<(NewEncoding, Was)>,
    /// The last time that a batch was kept.
    since: Instant,
}

#[derive(Clone, Copy)]
enum Was {
    Missing,
    Stale,
    Damaged,
}

impl Filling<'_> {
    fn verify(&mut self, of: &EncodingsOf) -> Result<()> {
        let mut after = PictureId::MIN;
        loop {
            self.observer.check()?;
            let (model, of) = (self.encodings.model, of.clone());
            let page = (self.encodings.project)
                .call(move |project| project.encodings_after(&model, &of, after))?;
            let Some(last) = page.last else { return Ok(()) };
            after = last;
            self.damaged.extend(&page.damaged);
            self.encodings.forget(page.damaged)?;
        }
    }

    fn count(&mut self, of: &EncodingsOf) -> Result<()> {
        let (model, of) = (self.encodings.model, of.clone());
        let counts =
            (self.encodings.project).call(move |project| project.encoding_counts(&model, &of))?;
        self.report.kept += counts.current;
        self.total += counts.stale + counts.missing;
        Ok(())
    }

    fn encode_all(&mut self, of: &EncodingsOf) -> Result<()> {
        let mut after = PictureId::MIN;
        loop {
            let (model, of) = (self.encodings.model, of.clone());
            let page = self.encodings.project.call(move |project| {
                project.unencoded_after(&model, &of, after, IDS_AT_ONCE as u64)
            })?;
            let Some(last) = page.last() else {
                return self.keep();
            };
            after = last.picture;
            let mut rest = page.as_slice();
            while !rest.is_empty() {
                let (together, others) = rest.split_at(self.together(rest));
                rest = others;
                self.encode(together)?;
            }
        }
    }

    /// How many of the next pictures are encoded at the same time: small ones do not fill the threads by themselves.
    fn together(&self, pictures: &[Unencoded]) -> usize {
        if !self.model.codec.device().is_cpu() {
            return 1;
        }
        let is_small = |picture: &&Unencoded| {
            u64::from(picture.width) * u64::from(picture.height) <= SMALL_PIXELS
        };
        let small = pictures.iter().take_while(is_small).count();
        small.clamp(1, rayon::current_num_threads())
    }

    fn encode(&mut self, pictures: &[Unencoded]) -> Result<()> {
        let (model, observer) = (self.model, self.observer);
        let found: Vec<Result<NewEncoding>> = match pictures {
            [alone] => vec![encode_one(model, alone, observer)],
            many => many
                .par_iter()
                .map(|picture| encode_one(model, picture, observer))
                .collect(),
        };
        let mut stopped = None;
        for (asked, found) in pictures.iter().zip(found) {
            match found {
                Ok(new) => {
                    let was = match (self.damaged.contains(&asked.picture), asked.is_stale) {
                        (true, _) => Was::Damaged,
                        (false, true) => Was::Stale,
                        (false, false) => Was::Missing,
                    };
                    self.waiting.push((new, was));
                }
                Err(error) if error.is_cancelled() => stopped = Some(error),
                Err(error) => {
                    observer.warning((*error.notice).clone());
                    self.report.failed += 1;
                    if self.report.failures.len() < MAX_FAILURES {
                        self.report.failures.push(*error.notice);
                    }
                }
            }
        }
        let is_due = self.waiting.len() >= BATCH_PICTURES || self.since.elapsed() >= BATCH_TIME;
        if is_due || stopped.is_some() {
            self.keep()?;
        }
        if let Some(error) = stopped {
            return Err(self.stopped(error));
        }
        let report = &self.report;
        let kept = report.new + report.stale + report.damaged;
        let done = kept + report.failed + self.waiting.len() as u64;
        observer.progress(done, self.total.max(done));
        Ok(())
    }

    fn stopped(&self, mut error: Error) -> Error {
        let report = &self.report;
        let there = report.kept + report.new + report.stale + report.damaged;
        let pictures = if there == 1 {
            "picture is"
        } else {
            "pictures are"
        };
        error.notice.next = format!("{there} {pictures} in the index; the rest follows next time");
        error
    }

    /// Writes what waits.
    fn keep(&mut self) -> Result<()> {
        self.since = Instant::now();
        let (new, was): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        if new.is_empty() {
            return Ok(());
        }
        let model = self.encodings.model;
        (self.encodings.project).call(move |project| project.add_encodings(&model, &new))?;
        for was in was {
            match was {
                Was::Missing => self.report.new += 1,
                Was::Stale => self.report.stale += 1,
                Was::Damaged => self.report.damaged += 1,
            }
        }
        Ok(())
    }
}

fn encode_one(model: &Model, asked: &Unencoded, observer: &dyn Observer) -> Result<NewEncoding> {
    observer.check()?;
    let source = load_source(&asked.path, asked.content_hash)?;
    let found = encode_source(model, &source, observer);
    let (codes, embedding) = found.map_err(|error| error.at(&asked.path))?;
    Ok(NewEncoding {
        picture: asked.picture,
        content_hash: asked.content_hash,
        geometry: source.geometry(),
        codes,
        embedding,
    })
}

/// Forgets the codes of models that nothing asks for any more: all but `encodings`' own and those of the project's documents.
/// Returns how many pictures' codes went.
///
/// # Errors
/// `Cancelled`; those of the project.
pub fn forget_superseded(encodings: &Encodings, observer: &dyn Observer) -> Result<u64> {
    let mut kept = encodings.project.call(models_of_documents)?;
    kept.push(encodings.model.hash);
    let mut forgotten = 0;
    loop {
        observer.check()?;
        let kept = kept.clone();
        let count = (encodings.project)
            .call(move |project| project.delete_encodings_of_other_models(&kept))?;
        if count == 0 {
            return Ok(forgotten);
        }
        forgotten += count;
    }
}

fn models_of_documents(project: &mut Project) -> Result<Vec<ContentHash>> {
    let used: BTreeSet<ContentHash> = (project.documents()?.into_iter())
        .map(|row| row.checkpoint)
        .collect();
    let checkpoints = project.checkpoints()?;
    let hashes = (checkpoints.iter())
        .filter(|row| used.contains(&row.hash))
        .filter_map(|row| row.metrics.get(MODEL_HASH)?.as_str()?.parse().ok());
    Ok(hashes.collect())
}
