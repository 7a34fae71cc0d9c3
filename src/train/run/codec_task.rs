//! Training a [`Codec`]: what one step is, and how a codec is scored and kept.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::codec::checkpoint::Precision;
use crate::codec::{CodebookSums, Codec, CodecConfig, DetailMask, LevelForward, TrainOptions};
use crate::dataset::{BatchSource, CropsConfig, PixelWindow};
use crate::error::{Error, Kind, Result};
use crate::kernels::{AdamW, Grads, Padding, read_scalars};
use crate::train::loss::contrast::{TEMPERATURE, second_view};
use crate::train::loss::critic::Critic;
use crate::train::loss::losses::{info_nce, opponent, pyramid_loss, texture_loss};
use crate::train::measure::evaluate::{Evaluation, Preview, evaluate};
use crate::train::run::config::TrainConfig;
use crate::train::run::report::Report;
use crate::train::run::schedule::Budget;
use crate::train::run::sink::{ReseededCodes, StepFigures};
use crate::train::run::state;
use crate::train::run::sync::Shared;
use crate::train::run::task::{Origin, Pacing, Score, Settings, StepInput, Task, Told};

/// A codec with its optimiser, and while sharpening its discriminator.
pub struct CodecTask {
    config: TrainConfig,
    codec: Codec,
    optimizer: AdamW,
    critic: Option<Critic>,
    report: Report,
}

/// What a step found; scalars stay where they are until [`Task::apply`] reads them all at once.
pub struct CodecStep {
    learning_rate: f64,
    grads: Grads,
    loss: Tensor,
    reconstruction: Tensor,
    commitment: Tensor,
    structure_loss: Option<Tensor>,
    contrast: Option<Tensor>,
    critic: Option<Tensor>,
    structure: LevelForward,
    detail: LevelForward,
    sums: Option<[CodebookSums; 2]>,
}

/// What a step told, as numbers.
pub(crate) struct Outcome {
    pub learning_rate: f64,
    pub loss: f64,
    pub reconstruction: f64,
    pub structure: f64,
    pub commitment: f64,
    pub gradient_norm: f64,
    /// Loss of the contrastive embedding, nats, where it is trained.
    pub contrast: Option<f64>,
    /// The discriminator's hinge loss, where there is one.
    pub critic: Option<f64>,
    /// Structure and detail codes of the batch, `u32` `[m]`.
    pub codes: Option<[Tensor; 2]>,
}

impl CodecTask {
    /// # Errors
    /// When tensors cannot be made.
    pub fn new(codec: Codec, config: TrainConfig) -> Result<Self> {
        let critic = (config.sharpening)
            .map(|settings| Critic::new(settings, config.seed, codec.device()))
            .transpose()?;
        Ok(Self {
            optimizer: AdamW::new(codec.params(), &config.optimizer.adamw())?,
            critic,
            codec,
            config,
            report: Report::default(),
        })
    }

    pub fn codec(&self) -> &Codec {
        &self.codec
    }
}

impl Task for CodecTask {
    type Config = TrainConfig;
    type Layout = CodecConfig;
    type Model = Codec;
    type Evaluation = Evaluation;
    type Figures = StepFigures;
    type Step = CodecStep;

    const NAME: &'static str = "codec";

    fn config(&self) -> &TrainConfig {
        &self.config
    }

    fn layout(&self) -> &CodecConfig {
        self.codec.config()
    }

    fn begin(&mut self, step: u64, share: f64, source: &dyn BatchSource) -> Result<bool> {
        let start = self.config.codebook_start;
        if !start.is_due(step, share) {
            return Ok(false);
        }
        let side = self.config.crop_px as usize;
        let shape = (self.config.batch as usize, side, side, 4);
        let batches = (step..step + start.batches)
            .map(|step| {
                let pixels = source.batch(step)?;
                Ok(Tensor::from_vec(pixels, shape, self.codec.device())?)
            })
            .collect::<Result<Vec<_>>>()?;
        // It takes seconds, and half a start is none: it is not interrupted.
        self.codec
            .start_codebooks(&batches, start.iterations, &())?;
        Ok(true)
    }

    fn step(&mut self, input: StepInput) -> Result<CodecStep> {
        self.report.begin();
        let (codec, config) = (&self.codec, &self.config);
        let side = config.crop_px as usize;
        let batch = config.batch as usize;
        let losses = &config.losses;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(input.step);
        let mut view = None;
        if losses.contrast > 0.0 {
            let (values, side) = second_view(&input.pixels, side, &mut rng);
            view = Some(Tensor::from_vec(
                values,
                (batch, side, side, 4),
                codec.device(),
            )?);
        }
        let pixels = Tensor::from_vec(input.pixels, (batch, side, side, 4), codec.device())?;
        let cells = side / codec.config().detail.stride;
        let mask = DetailMask::sample(
            (batch, cells, cells),
            &config.detail_dropout,
            &mut rng,
            codec.device(),
        )?;
        let options = TrainOptions {
            structure_alone: losses.structure > 0.0,
            embedding: view.is_some(),
            quantize: input.has_begun,
            padding: Padding::Zero,
        };
        let pass = codec.forward_train(&pixels, &mask, &options)?;

        let weights = losses.reconstruction();
        let reconstruction = pyramid_loss(&pass.recon, &pixels, weights)?;
        let mut loss = reconstruction.clone();
        if losses.texture > 0.0 {
            let cell_px = codec.config().detail.stride;
            let term = texture_loss(&pass.recon, &pixels, cell_px, &mask.kept()?)?;
            loss = (loss + (term * losses.texture)?)?;
        }
        let mut structure_loss = None;
        if let Some(recon) = &pass.structure_recon {
            let chroma = losses.structure_chroma;
            let (recon, target) = (opponent(recon, chroma)?, opponent(&pixels, chroma)?);
            let term = pyramid_loss(&recon, &target, weights)?;
            loss = (loss + (&term * losses.structure)?)?;
            structure_loss = Some(term);
        }
        if input.has_begun && losses.commitment > 0.0 {
            loss = (loss + (&pass.commit_loss * losses.commitment)?)?;
        }
        let mut contrast = None;
        if let (Some(view), Some(embedding)) = (&view, &pass.embedding)
            && let Some(other) = codec.embed_train(view, options.padding)?
        {
            let term = info_nce(embedding, &other, TEMPERATURE)?;
            loss = (loss + (&term * losses.contrast)?)?;
            contrast = Some(term);
        }
        // Told apart from the pull, whose value means nothing.
        let value = loss.detach();
        let mut critic_loss = None;
        if let Some(critic) = &mut self.critic {
            let own_loss = |x: &Tensor| pyramid_loss(x, &pixels, weights);
            let opinion = critic.step(
                input.step,
                input.rate_factor,
                &pixels,
                &pass.recon,
                own_loss,
            )?;
            critic_loss = Some(opinion.loss);
            if let Some(pull) = opinion.pull {
                loss = (loss + pull)?;
            }
        }
        Ok(CodecStep {
            learning_rate: config.learning_rate * input.rate_factor,
            grads: codec.params().backward(&loss)?,
            loss: value,
            reconstruction,
            commitment: pass.commit_loss.clone(),
            structure_loss,
            contrast,
            critic: critic_loss,
            sums: codec.codebook_sums(&pass)?,
            structure: pass.structure,
            detail: pass.detail,
        })
    }

    fn shared<'a>(&self, step: &'a mut CodecStep) -> Shared<'a> {
        let told = [
            &mut step.loss,
            &mut step.reconstruction,
            &mut step.commitment,
        ];
        let optional = [
            &mut step.structure_loss,
            &mut step.contrast,
            &mut step.critic,
        ];
        Shared {
            grads: &mut step.grads,
            figures: (told.into_iter())
                .chain(optional.into_iter().flatten())
                .collect(),
            codebooks: step.sums.iter_mut().flatten().collect(),
        }
    }

    fn apply(&mut self, step: CodecStep) -> Result<()> {
        let norm = self.optimizer.norm(&step.grads)?;
        // An accelerator has to wait for the host once in a step: here, where it is said whether the step is taken.
        let told = [&norm, &step.loss, &step.reconstruction, &step.commitment];
        let optional = [&step.structure_loss, &step.contrast, &step.critic];
        let scalars: Vec<&Tensor> = (told.into_iter())
            .chain(optional.into_iter().flatten())
            .collect();
        let mut values = read_scalars(&scalars)?.into_iter();
        let mut next = || values.next().unwrap_or(f64::NAN);
        let [gradient_norm, loss, reconstruction, commitment] = told.map(|_| next());
        let [structure, contrast, critic] = optional.map(|scalar| scalar.as_ref().map(|_| next()));
        if !loss.is_finite() {
            return Err(not_finite(format!("the loss is {loss}")));
        }
        if let Some(critic) = critic.filter(|loss| !loss.is_finite()) {
            return Err(not_finite(format!("the discriminator's loss is {critic}")));
        }
        if !gradient_norm.is_finite() {
            let whose = bad_gradient(&step.grads)?;
            let whose = whose.unwrap_or_else(|| "all parameters together".to_owned());
            return Err(not_finite(format!("the gradient of {whose} is not finite")));
        }
        (self.optimizer).step_with_norm(&step.grads, step.learning_rate, gradient_norm)?;
        if let Some(sums) = &step.sums {
            let (structure, detail) = (&step.structure, &step.detail);
            (self.codec).follow_sums([structure, detail], sums, &self.config.codebooks)?;
        }
        let codes = step.structure.codes.zip(step.detail.codes);
        let outcome = Outcome {
            learning_rate: step.learning_rate,
            loss,
            reconstruction,
            structure: structure.unwrap_or(0.0),
            commitment,
            gradient_norm,
            contrast,
            critic,
            codes: codes.map(|(structure, detail)| [structure, detail]),
        };
        self.report.add(&outcome, self.codec.config())
    }

    fn figures(&mut self, told: Told) -> Result<StepFigures> {
        (self.report).take(told, &self.config, self.codec.config())
    }

    fn model(&self, origin: &Origin<'_, Evaluation>) -> Result<Codec> {
        let mut codec = self.codec.with_parameters(self.optimizer.ema_tensors()?)?;
        codec.info.training = json!({
            "steps": origin.steps,
            "pictures": origin.pictures,
            "pictures_blake3": origin.pictures_blake3,
            "config": self.config,
        });
        codec.info.metrics = json!(origin.evaluation);
        Ok(codec)
    }

    fn evaluate(
        &self,
        model: &Codec,
        held_out: &[PixelWindow],
    ) -> Result<(Evaluation, Vec<Preview>)> {
        let scores = evaluate(model, held_out, self.config.evaluation.previews, &())?;
        Ok((scores.evaluation, scores.previews))
    }

    fn publish(&self, model: &Codec) -> Result<Vec<u8>> {
        model.save_bytes(Precision::F32)
    }

    fn remarks(&self) -> BTreeMap<&'static str, serde_json::Value> {
        let reseeded = ReseededCodes {
            structure: self.codec.structure.reseeded(),
            detail: self.codec.detail.reseeded(),
        };
        [("reseeded", json!(reseeded))].into()
    }

    fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        let mut put = |prefix: &str, part: BTreeMap<String, Tensor>| {
            tensors.extend(
                part.into_iter()
                    .map(|(name, t)| (format!("{prefix}.{name}"), t)),
            );
        };
        put("model", self.codec.tensors());
        put("codebook", self.codec.structure.state_tensors()?);
        put("codebook", self.codec.detail.state_tensors()?);
        put("optimizer", self.optimizer.state_tensors()?);
        if let Some(critic) = &self.critic {
            let [parameters, optimizer] = critic.state_tensors()?;
            put("critic", parameters);
            put("critic_optimizer", optimizer);
        }
        Ok(tensors)
    }

    fn restore(
        config: TrainConfig,
        layout: CodecConfig,
        mut tensors: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let mut part = |prefix: &str| {
            let (found, rest) = std::mem::take(&mut tensors)
                .into_iter()
                .partition(|(name, _)| name.starts_with(prefix));
            tensors = rest;
            let found: BTreeMap<String, Tensor> = found;
            found
                .into_iter()
                .map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor))
                .collect()
        };
        let mut codec = Codec::from_tensors(layout, part("model."), device)?;
        let codebooks = part("codebook.");
        codec.structure.restore(&codebooks)?;
        codec.detail.restore(&codebooks)?;
        let mut task = Self::new(codec, config)?;
        task.optimizer
            .restore(part("optimizer."))
            .map_err(|error| state::damaged(error.to_string()))?;
        if let Some(settings) = task.config.sharpening {
            let (parameters, optimizer) = (part("critic."), part("critic_optimizer."));
            let seed = task.config.seed;
            let critic = Critic::restore(settings, seed, parameters, optimizer, device);
            task.critic = Some(critic.map_err(|error| state::damaged(error.to_string()))?);
        }
        Ok(task)
    }

    fn averages(model: &[u8]) -> Result<BTreeMap<String, Tensor>> {
        let codec = Codec::load_bytes(model, &Device::Cpu)?;
        let params = codec.params().params();
        let named = params
            .iter()
            .map(|param| (param.name().to_owned(), param.tensor().detach()));
        Ok(named.collect())
    }

    fn is_better(&self, new: f64, old: f64) -> bool {
        // Sharpening pays with PSNR: what it gains shows at its end.
        self.config.sharpening.is_some() || new > old
    }
}

impl Settings for TrainConfig {
    fn validate(&self) -> Result<()> {
        TrainConfig::validate(self)
    }

    fn pacing(&self) -> Pacing {
        Pacing {
            budget: self.budget,
            schedule: self.schedule,
            report_every: self.report_every,
            evaluate_every: self.evaluate_every,
            checkpoint_seconds: self.checkpoint_seconds,
            checkpoint_every: self.checkpoint_every,
            evaluation: self.evaluation,
            early_stop: self.early_stop,
        }
    }

    fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    fn crops(&self, working_side_px: Option<u32>) -> CropsConfig {
        TrainConfig::crops(self, working_side_px)
    }
}

impl Score for Evaluation {
    fn score(&self) -> f64 {
        self.psnr_db
    }

    fn step(&self) -> u64 {
        self.step
    }

    fn at(self, step: u64, is_held_out: bool) -> Self {
        Self {
            step,
            is_held_out,
            ..self
        }
    }
}

/// The first parameter whose gradient is not finite.
fn bad_gradient(grads: &Grads) -> Result<Option<String>> {
    for name in grads.names() {
        if let Some(grad) = grads.get(name)?
            && !read_scalars(&[&grad.abs()?.sum_all()?])?[0].is_finite()
        {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

fn not_finite(why: String) -> Error {
    Error::new(
        Kind::NotFinite,
        "the model's numbers got out of hand",
        why,
        "Lower the learning rate",
    )
}
