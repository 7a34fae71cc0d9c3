//! One training step.

use candle_core::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::codec::{Codec, DetailMask, TrainOptions};
use crate::error::{Error, Kind, Result};
use crate::kernels::{AdamW, Grads, Padding, read_scalars};

use super::config::TrainConfig;
use super::contrast::{TEMPERATURE, second_view};
use super::critic::Critic;
use super::losses::{info_nce, opponent, pyramid_loss, texture_loss};

pub(super) struct Input {
    /// From 0.
    pub step: u64,
    /// Of the schedule, in `[0, 1]`.
    pub rate_factor: f64,
    /// False while a new network has no codebooks yet.
    pub quantize: bool,
    /// `batch × side × side × 4`.
    pub pixels: Vec<f32>,
}

pub(super) struct Outcome {
    pub learning_rate: f64,
    pub loss: f64,
    pub reconstruction: f64,
    pub structure: f64,
    pub commitment: f64,
    pub gradient_norm: f64,
    /// Of the contrastive embedding, where it is trained.
    pub contrast: Option<f64>,
    /// The discriminator's hinge loss, where there is one.
    pub critic: Option<f64>,
    /// Structure and detail codes of the batch, `u32` `[m]`.
    pub codes: Option<[Tensor; 2]>,
}

/// Forward, backward, update of weights and codebooks.
///
/// # Errors
/// `NotFinite` if a loss or gradient is; the weights are then as before.
pub(super) fn train_step(
    codec: &mut Codec,
    optimizer: &mut AdamW,
    critic: Option<&mut Critic>,
    config: &TrainConfig,
    input: Input,
) -> Result<Outcome> {
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
        quantize: input.quantize,
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
    let mut structure = None;
    if let Some(recon) = &pass.structure_recon {
        let chroma = losses.structure_chroma;
        let (recon, target) = (opponent(recon, chroma)?, opponent(&pixels, chroma)?);
        let term = pyramid_loss(&recon, &target, weights)?;
        loss = (loss + (&term * losses.structure)?)?;
        structure = Some(term);
    }
    if input.quantize && losses.commitment > 0.0 {
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
    if let Some(critic) = critic {
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
    let grads = codec.params().backward(&loss)?;
    let norm = optimizer.norm(&grads)?;
    // An accelerator has to wait for the host once in a step: here, where it is said whether the step is taken.
    let told = [&norm, &value, &reconstruction, &pass.commit_loss];
    let optional = [&structure, &contrast, &critic_loss];
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
    if !gradient_norm.is_finite() {
        let whose = bad_gradient(&grads)?.unwrap_or_else(|| "all parameters together".to_owned());
        return Err(not_finite(format!("the gradient of {whose} is not finite")));
    }
    let learning_rate = config.learning_rate * input.rate_factor;
    optimizer.step_with_norm(&grads, learning_rate, gradient_norm)?;
    codec.update_codebooks(&pass, &config.codebooks)?;
    let codes = pass.structure.codes.zip(pass.detail.codes);
    Ok(Outcome {
        learning_rate,
        loss,
        reconstruction,
        structure: structure.unwrap_or(0.0),
        commitment,
        gradient_norm,
        contrast,
        critic,
        codes: codes.map(|(structure, detail)| [structure, detail]),
    })
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
