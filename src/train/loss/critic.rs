//! Sharpening: a patch discriminator (Isola et al., arXiv 1611.07004) that learns to tell crops from their reconstructions,
//! and whose opinion pulls the decoder towards fine texture where the other losses settle for its mean.
//!
//! ```text
//! critic:  space-to-depth 4 → Linear → 2 Blocks → space-to-depth 2 → Linear → 2 Blocks → RMSNorm → Linear → one score per 8×8 px
//! learns:  mean(relu(1 − score(crop))) + mean(relu(1 + score(reconstruction)))          (hinge: Lim & Ye, arXiv 1705.02894)
//! pulls:   weight · (|∂rec| / |∂adv|) · adv,   adv = −mean(score(reconstruction))
//! ```
//! The two gradients are measured at the pixels (VQGAN, arXiv 2012.09841, measures them at its last layer), so `weight`
//! is the pull's share of the reconstruction's own and does not depend on how sure the critic is. Both see the same
//! window, moved at random against the cell grid: a critic that always stood on it could not see the grid in a picture.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use candle_nn::{Module, VarBuilder};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::kernels::{
    AdamW, AdamWConfig, Block, Linear, Padding, ParamStore, RmsNorm, blocks, space_to_depth,
};

/// Sides of the crops that a critic sees are multiples of this, px.
const STRIDE_PX: usize = 8;
const CHANNELS: usize = 4;
/// Keeps the ratio of two gradients finite where the critic has no opinion yet.
const MIN_NORM: f64 = 1e-12;
/// Nor may the pull grow without bound where it has hardly any.
const MAX_PULL: f64 = 1e6;
/// Draws of the critic do not repeat those of the detail dropout, which has the same seed and step.
const STREAM: u64 = 1 << 40;

/// Settings of the sharpening.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sharpening {
    /// The pull's gradient at the pixels, as a share of the reconstruction loss's.
    pub weight: f64,
    /// The critic's learning rate at the schedule's highest; it follows the run's schedule.
    pub learning_rate: f64,
    /// Channels of the critic at stride 4; at stride 8 it has half as many again.
    pub width: usize,
    /// Steps in which only the critic learns.
    pub warmup_steps: u64,
}

impl Sharpening {
    /// The first setting that makes no sense, in words.
    pub(crate) fn wrong(&self) -> Option<String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.weight) {
            return Some(format!(
                "sharpening.weight is {}, it must be above 0",
                self.weight
            ));
        }
        if !positive(self.learning_rate) {
            let rate = self.learning_rate;
            return Some(format!(
                "sharpening.learning_rate is {rate}, it must be above 0"
            ));
        }
        (!(8..=512).contains(&self.width)).then(|| {
            format!(
                "sharpening.width is {}, it must be from 8 to 512",
                self.width
            )
        })
    }
}

#[derive(Debug)]
struct Network {
    fine_in: Linear,
    fine: Vec<Block>,
    coarse_in: Linear,
    coarse: Vec<Block>,
    norm: RmsNorm,
    out: Linear,
}

impl Network {
    fn new(width: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let coarse = width + width / 2;
        let stack = |channels, name: &str| {
            (0..2)
                .map(|i| Block::new(channels, vb.pp(name).pp(i)))
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            fine_in: Linear::new(16 * CHANNELS, width, vb.pp("fine_in"))?,
            fine: stack(width, "fine")?,
            coarse_in: Linear::new(4 * width, coarse, vb.pp("coarse_in"))?,
            coarse: stack(coarse, "coarse")?,
            norm: RmsNorm::new(coarse, vb.pp("norm"))?,
            out: Linear::new(coarse, 1, vb.pp("out"))?,
        })
    }

    /// `[n, h, w, 4]` → `[n, h/8, w/8, 1]`
    fn score(&self, pixels: &Tensor) -> Result<Tensor> {
        let x = self.fine_in.forward(&space_to_depth(pixels, 4)?)?;
        let x = blocks(&self.fine, &x, Padding::Zero)?;
        let x = self.coarse_in.forward(&space_to_depth(&x, 2)?)?;
        let x = blocks(&self.coarse, &x, Padding::Zero)?;
        self.out.forward(&self.norm.forward(&x)?)
    }
}

/// The discriminator with its optimiser.
pub(crate) struct Critic {
    store: ParamStore,
    network: Network,
    optimizer: AdamW,
    settings: Sharpening,
    seed: u64,
}

/// What one step of the critic said.
pub(crate) struct Opinion {
    /// The hinge loss, a scalar: 2 where it knows nothing, 0 where it is always right.
    pub loss: Tensor,
    /// To be added to the codec's loss; `None` while only the critic learns.
    pub pull: Option<Tensor>,
}

impl Critic {
    pub fn new(settings: Sharpening, seed: u64, device: &Device) -> Result<Self> {
        Self::from_store(settings, seed, ParamStore::new(seed, device))
    }

    /// As [`Self::state_tensors`] left it.
    pub fn restore(
        settings: Sharpening,
        seed: u64,
        parameters: BTreeMap<String, Tensor>,
        optimizer: BTreeMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self> {
        let store = ParamStore::from_tensors(parameters, device);
        let mut critic = Self::from_store(settings, seed, store)?;
        critic.optimizer.restore(optimizer)?;
        Ok(critic)
    }

    fn from_store(settings: Sharpening, seed: u64, store: ParamStore) -> Result<Self> {
        let network = Network::new(settings.width, &store.root())?;
        let config = AdamWConfig {
            beta1: 0.5,
            beta2: 0.9,
            weight_decay: 0.0,
            clip_norm: Some(1.0),
            ..AdamWConfig::default()
        };
        Ok(Self {
            optimizer: AdamW::new(&store, &config)?,
            network,
            store,
            settings,
            seed,
        })
    }

    /// Parameters and optimiser, for a state.
    pub fn state_tensors(&self) -> Result<[BTreeMap<String, Tensor>; 2]> {
        let parameters = self.store.params().into_iter();
        let parameters = parameters.map(|p| (p.name().to_owned(), p.tensor().detach()));
        Ok([parameters.collect(), self.optimizer.state_tensors()?])
    }

    /// Learns from a batch, and says where it would have the reconstructions go. `own_loss` is the reconstruction loss
    /// in its first argument; `rate_factor` is that of the run's schedule.
    ///
    /// # Errors
    /// When a tensor operation fails or a gradient is not finite.
    pub fn step(
        &mut self,
        step: u64,
        rate_factor: f64,
        pixels: &Tensor,
        recon: &Tensor,
        own_loss: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Opinion> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(STREAM + step);
        let mut offset = || (rng.next_u32() as usize) % STRIDE_PX;
        let (top, left) = (offset(), offset());
        let fake = Var::from_tensor(&recon.detach())?;
        let real = window(pixels, top, left)?;
        let seen = window(fake.as_detached_tensor().as_ref(), top, left)?;

        let real_score = self.network.score(&real)?;
        let fake_score = self.network.score(&seen)?;
        let loss =
            ((1.0 - real_score)?.relu()?.mean_all()? + (fake_score + 1.0)?.relu()?.mean_all()?)?;
        let grads = self.store.backward(&loss)?;
        self.optimizer
            .step(&grads, self.settings.learning_rate * rate_factor)?;
        drop(grads);
        let loss = loss.detach();
        if self.optimizer.steps() <= self.settings.warmup_steps {
            return Ok(Opinion { loss, pull: None });
        }

        let score = self.network.score(&window(fake.as_tensor(), top, left)?)?;
        let towards = gradient(&score.mean_all()?.neg()?, &fake)?;
        let own = gradient(&own_loss(fake.as_tensor())?, &fake)?;
        let scale = (norm(&own)? / norm(&towards)?.maximum(MIN_NORM)?)?;
        let scale = (scale * self.settings.weight)?.minimum(MAX_PULL)?;
        // Its value means nothing; its gradient is the critic's, scaled.
        let pull = ((recon * towards)?.sum_all()? * scale)?;
        Ok(Opinion {
            loss,
            pull: Some(pull),
        })
    }
}

fn window(x: &Tensor, top: usize, left: usize) -> Result<Tensor> {
    let (_, height, width, _) = x.dims4()?;
    let side = |length: usize| length.saturating_sub(STRIDE_PX) / STRIDE_PX * STRIDE_PX;
    x.narrow(1, top, side(height))?
        .narrow(2, left, side(width))?
        .contiguous()
}

fn gradient(loss: &Tensor, of: &Var) -> Result<Tensor> {
    let mut grads = loss.backward()?;
    match grads.remove(of) {
        Some(gradient) => Ok(gradient),
        None => of.as_detached_tensor().zeros_like(),
    }
}

fn norm(x: &Tensor) -> Result<Tensor> {
    x.sqr()?.sum_all()?.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Sharpening = Sharpening {
        weight: 0.5,
        learning_rate: 2e-3,
        width: 16,
        warmup_steps: 0,
    };

    fn l1(target: &Tensor) -> impl Fn(&Tensor) -> Result<Tensor> + '_ {
        move |x| (x - target)?.abs()?.mean_all()
    }

    /// Fine stripes, and their mean: what a codec makes of texture it cannot place.
    fn texture_and_smear(step: u64) -> (Tensor, Tensor) {
        let value = |i: usize| {
            let (x, y) = (i / 4 % 48, i / 4 / 48);
            let phase = x + y * (1 + step as usize % 3);
            if phase % 4 < 2 { 0.4f32 } else { -0.4 }
        };
        let texture = (0..2 * 48 * 48 * 4).map(value).collect();
        let texture = Tensor::from_vec(texture, (2, 48, 48, 4), &Device::Cpu).unwrap();
        let smear = (&texture * 0.1).unwrap();
        (texture, smear)
    }

    #[test]
    fn a_critic_learns_to_tell_texture_from_smear_and_pulls_towards_it() {
        let mut critic = Critic::new(SETTINGS, 3, &Device::Cpu).unwrap();
        let mut last = f32::NAN;
        for step in 0..60 {
            let (texture, smear) = texture_and_smear(step);
            let opinion = critic.step(step, 1.0, &texture, &smear, l1(&texture));
            last = opinion.unwrap().loss.to_scalar::<f32>().unwrap();
        }
        assert!(last < 0.5, "{last}");
        let (texture, smear) = texture_and_smear(0);
        let smear = Var::from_tensor(&smear).unwrap();
        let opinion = critic
            .step(60, 1.0, &texture, smear.as_tensor(), l1(&texture))
            .unwrap();
        let pull = gradient(&opinion.pull.unwrap(), &smear).unwrap();
        // Against the gradient lies more contrast.
        let contrast = (&pull * &texture).unwrap().sum_all().unwrap();
        assert!(contrast.to_scalar::<f32>().unwrap() < 0.0);
        let own = gradient(&l1(&texture)(smear.as_tensor()).unwrap(), &smear).unwrap();
        let share = (norm(&pull).unwrap() / norm(&own).unwrap()).unwrap();
        let share = share.to_scalar::<f32>().unwrap();
        assert!((share - 0.5).abs() < 1e-3, "{share}");
    }

    #[test]
    fn warming_up_it_only_learns_and_a_restored_one_goes_on_bit_for_bit() {
        let settings = Sharpening {
            warmup_steps: 2,
            ..SETTINGS
        };
        let mut critic = Critic::new(settings, 3, &Device::Cpu).unwrap();
        let step = |critic: &mut Critic, step: u64| {
            let (texture, smear) = texture_and_smear(step);
            critic
                .step(step, 1.0, &texture, &smear, l1(&texture))
                .unwrap()
        };
        assert!(step(&mut critic, 0).pull.is_none());
        assert!(step(&mut critic, 1).pull.is_none());
        let [parameters, optimizer] = critic.state_tensors().unwrap();
        let copy = |tensors: BTreeMap<String, Tensor>| -> BTreeMap<String, Tensor> {
            let copied = tensors
                .into_iter()
                .map(|(name, t)| (name, t.copy().unwrap()));
            copied.collect()
        };
        let (parameters, optimizer) = (copy(parameters), copy(optimizer));
        let first = step(&mut critic, 2);
        assert!(first.pull.is_some());
        let mut restored =
            Critic::restore(settings, 3, parameters, optimizer, &Device::Cpu).unwrap();
        let second = step(&mut restored, 2);
        let value = |opinion: &Opinion| {
            let pull = opinion.pull.as_ref().unwrap();
            [&opinion.loss, pull].map(|value| value.to_scalar::<f32>().unwrap().to_bits())
        };
        assert_eq!(value(&first), value(&second));
    }
}
