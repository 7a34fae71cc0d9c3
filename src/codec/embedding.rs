//! What pictures are compared by: one vector each, trained so that parts of one picture are near each other.

use candle_core::{D, Result as CandleResult, Tensor};
use candle_nn::{Module, VarBuilder};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::config::{CodecConfig, EmbeddingHead, PIXEL_CHANNELS, WordsHead};
use super::features::Features;
use super::kmeans::KMeans;
use super::{Codec, check_pixels};
use crate::error::{Error, Kind, Result};
use crate::kernels::{Linear, Padding, Param, no_grad};
use crate::progress::Observer;

/// Width of a word around its colour at the start, in units of the pixels: far less, and neighbouring colours share nothing; far
/// more, and all do.
const START_WIDTH: f32 = 0.05;
const START_ITERATIONS: usize = 12;
/// Cells whose words are told at a time.
const MAX_CELLS: usize = 1 << 16;
/// Keeps the square root's gradient finite where a picture has nothing of a word.
const LEAST_SHARE: f64 = 1e-6;

#[derive(Debug, Clone)]
pub(crate) enum Embedding {
    Pooled(Linear),
    Words(Words),
}

/// ```text
/// cell:     (features of the detail stage, mean premultiplied RGBA) → Linear → softmax = how much it is of each word
/// picture:  √(mean over all cells), √(mean over each band's cells) / √bands
/// ```
/// Products of such vectors are Bhattacharyya coefficients, as those of histograms.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    tell: Linear,
    bands: usize,
}

impl Embedding {
    pub fn new(config: &CodecConfig, vb: &VarBuilder<'_>) -> CandleResult<Option<Self>> {
        Ok(match config.embedding {
            None => None,
            Some(EmbeddingHead::Pooled(length)) => {
                let coarsest = config.stages[config.stages.len() - 1].width;
                Some(Self::Pooled(Linear::new(coarsest, length, vb.clone())?))
            }
            Some(EmbeddingHead::Words(WordsHead { words, bands })) => {
                let inputs = config.stages[config.detail_stage()].width + PIXEL_CHANNELS;
                let tell = Linear::new(inputs, words, vb.pp("words"))?;
                Some(Self::Words(Words { tell, bands }))
            }
        })
    }

    /// `[n, length]`, not normalised.
    pub fn of_features(&self, pixels: &Tensor, features: &Features) -> CandleResult<Tensor> {
        match self {
            Self::Pooled(linear) => linear.forward(&features.coarsest.mean((1, 2))?),
            Self::Words(words) => words.of_detail(pixels, &features.detail),
        }
    }
}

impl Words {
    /// The embedding of pixels and their features `[n, h, w, c]` at the detail stage: `[n, length]`, not normalised.
    pub fn of_detail(&self, pixels: &Tensor, detail: &Tensor) -> CandleResult<Tensor> {
        self.of_cells(&cells(pixels, detail)?)
    }

    /// `[n, h, w, inputs]` → `[n, words · (1 + bands)]`
    fn of_cells(&self, cells: &Tensor) -> CandleResult<Tensor> {
        let (n, rows, columns, _) = cells.dims4()?;
        // In strips: a large picture's cells times all words would be many times the picture.
        let strip = (MAX_CELLS / (n * columns)).clamp(1, rows);
        let strips = (0..rows).step_by(strip).map(|top| {
            let cells = cells.narrow(1, top, strip.min(rows - top))?;
            self.shares(&cells.contiguous()?)?.mean(2)
        });
        let of_rows = Tensor::cat(&strips.collect::<CandleResult<Vec<_>>>()?, 1)?;
        let root = |part: &Tensor| (part.mean(1)? + LEAST_SHARE)?.sqrt();
        let mut parts = vec![root(&of_rows)?];
        for band in 0..self.bands {
            // Every band has a row, also where there are fewer rows than bands.
            let from = (rows * band / self.bands).min(rows - 1);
            let to = (rows * (band + 1) / self.bands).max(from + 1);
            let part = root(&of_rows.narrow(1, from, to - from)?)?;
            parts.push((part / (self.bands as f64).sqrt())?);
        }
        Tensor::cat(&parts, 1)
    }

    /// How much each cell is of each word, `[n, h, w, words]`; a cell's add up to 1.
    fn shares(&self, cells: &Tensor) -> CandleResult<Tensor> {
        let logits = self.tell.forward(cells)?;
        let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
        let shares = shifted.exp()?;
        shares.broadcast_div(&shares.sum_keepdim(D::Minus1)?)
    }
}

/// Features `[n, h, w, c]` and the mean of each cell's pixels: `[n, h, w, c + 4]`.
fn cells(pixels: &Tensor, features: &Tensor) -> CandleResult<Tensor> {
    let (n, h, w, _) = features.dims4()?;
    let side = pixels.dim(1)? / h;
    let colours = pixels
        .reshape((n * h, side, w * side * PIXEL_CHANNELS))?
        .sum(1)?
        .reshape((n * h * w, side, PIXEL_CHANNELS))?
        .sum(1)?;
    let colours = (colours / (side * side) as f64)?.reshape((n, h, w, PIXEL_CHANNELS))?;
    Tensor::cat(&[features, &colours], 3)
}

impl Codec {
    /// The embedding of pixels, `[n, length]`, each of length 1; `None` where the codec has no such head.
    ///
    /// # Errors
    /// [`Kind::Usage`] for pixels of a wrong shape.
    pub fn embed(&self, pixels: &Tensor, padding: Padding) -> Result<Option<Tensor>> {
        no_grad(|| {
            let Some(embedding) = self.embed_train(pixels, padding)? else {
                return Ok(None);
            };
            let length = (embedding.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?;
            Ok(Some(embedding.broadcast_div(&length)?))
        })
    }

    /// The embedding for training: differentiable, not normalised.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_train(&self, pixels: &Tensor, padding: Padding) -> Result<Option<Tensor>> {
        check_pixels(pixels)?;
        Ok(self.network.embed(pixels, padding)?)
    }

    /// This codec with an untrained head of words in place of its own.
    ///
    /// # Errors
    /// [`Kind::Limit`] for a head out of bounds.
    pub fn with_words(&self, head: WordsHead, seed: u64) -> Result<Self> {
        let mut config = self.config.clone();
        config.embedding = Some(EmbeddingHead::Words(head));
        let mut tensors = Self::new(config.clone(), seed, self.device())?.tensors();
        let own = self.tensors().into_iter();
        tensors.extend(own.filter(|(name, _)| !name.starts_with("embedding.")));
        let mut codec = Self::from_tensors(config, tensors, self.device())?;
        codec.info = self.info.clone();
        Ok(codec)
    }

    /// What the words are told from, outside the graph: `[n, h, w, c + 4]`.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn word_cells(&self, pixels: &Tensor) -> Result<Tensor> {
        check_pixels(pixels)?;
        let found = no_grad(|| {
            let features = self.network.encode_to_detail(pixels, Padding::Zero)?;
            cells(pixels, &features)
        });
        Ok(found?.detach())
    }

    /// [`Self::embed_train`] from there: only the words learn.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a codec without words.
    pub fn embed_words(&self, cells: &Tensor) -> Result<Tensor> {
        Ok(self.words()?.of_cells(cells)?)
    }

    /// Starts the words as the colours that k-means finds in `cells` ([`Self::word_cells`]): a cell is of the nearest colours'
    /// words, whatever its features are.
    ///
    /// # Errors
    /// [`Kind::Internal`] for a codec without words; [`Kind::Cancelled`].
    pub fn start_words(&self, cells: &Tensor, seed: u64, observer: &dyn Observer) -> Result<()> {
        let tell = &self.words()?.tell;
        let (words, inputs) = tell.weight.tensor().dims2()?;
        let features = inputs - PIXEL_CHANNELS;
        let colours = cells.narrow(D::Minus1, features, PIXEL_CHANNELS)?;
        let found = KMeans {
            dim: PIXEL_CHANNELS,
            clusters: words,
            iterations: START_ITERATIONS,
            cosine: false,
            device: self.device(),
        }
        .run(
            &colours.flatten_all()?.to_vec1::<f32>()?,
            &mut ChaCha8Rng::seed_from_u64(seed),
            observer,
        )?;
        // -|x - c|² / 2s² without |x|², which is the same for all words.
        let scale = START_WIDTH.powi(-2);
        let mut weight = Vec::with_capacity(words * inputs);
        let mut bias = Vec::with_capacity(words);
        for centre in found.centres.as_chunks::<PIXEL_CHANNELS>().0 {
            weight.resize(weight.len() + features, 0.0);
            weight.extend(centre.map(|value| value * scale));
            bias.push(-0.5 * scale * centre.iter().map(|value| value * value).sum::<f32>());
        }
        let set = |param: &Param, values: Vec<f32>| -> Result<()> {
            let shape = param.tensor().shape().clone();
            Ok(param.set(&Tensor::from_vec(values, shape, self.device())?)?)
        };
        set(&tell.weight, weight)?;
        set(&tell.bias, bias)
    }

    fn words(&self) -> Result<&Words> {
        match self.network.embedding_head() {
            Some(Embedding::Words(words)) => Ok(words),
            _ => Err(Error::new(
                Kind::Internal,
                "could not embed the picture",
                "the model has no words",
                "",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn with_words() -> Codec {
        let codec = Codec::new(CodecConfig::tiny(), 3, &Device::Cpu).unwrap();
        let head = WordsHead { words: 6, bands: 2 };
        codec.with_words(head, 4).unwrap()
    }

    /// Upper and lower half of one colour each.
    fn picture(upper: [f32; 4], lower: [f32; 4]) -> Tensor {
        let values: Vec<f32> = [upper.repeat(16 * 32), lower.repeat(16 * 32)].concat();
        Tensor::from_vec(values, (1, 32, 32, 4), &Device::Cpu).unwrap()
    }

    fn likeness(codec: &Codec, a: &Tensor, b: &Tensor) -> f32 {
        let of = |x: &Tensor| codec.embed(x, Padding::Zero).unwrap().unwrap();
        let product = (of(a) * of(b)).unwrap().sum_all().unwrap();
        product.to_scalar().unwrap()
    }

    const RED: [f32; 4] = [0.8, -0.9, -0.9, 1.0];
    const BLUE: [f32; 4] = [-0.9, -0.9, 0.8, 1.0];
    const GREEN: [f32; 4] = [-0.9, 0.7, -0.8, 1.0];

    #[test]
    fn words_start_as_the_colours_there_are_and_see_what_is_above() {
        let codec = with_words();
        let pictures = [
            picture(RED, BLUE),
            picture(BLUE, RED),
            picture(GREEN, GREEN),
        ];
        let cells: Vec<Tensor> = (pictures.iter())
            .map(|picture| codec.word_cells(picture).unwrap())
            .collect();
        let cells = Tensor::cat(&cells, 0).unwrap();
        assert_eq!(cells.dims(), [3, 8, 8, 8 + 4]);
        codec.start_words(&cells, 1, &()).unwrap();
        let [a, b, c] = &pictures;
        assert!((likeness(&codec, a, a) - 1.0).abs() < 1e-5);
        // The same colours over all, in other places: alike by half.
        let turned = likeness(&codec, a, b);
        assert!((turned - 0.5).abs() < 0.01, "{turned}");
        assert!(likeness(&codec, a, c) < 0.02);
    }

    #[test]
    fn the_rest_of_the_codec_stays_and_the_head_survives_a_file() {
        let plain = Codec::new(CodecConfig::tiny(), 3, &Device::Cpu).unwrap();
        let codec = with_words();
        let bytes = codec.save_bytes(super::super::checkpoint::Precision::F32);
        let again = Codec::load_bytes(&bytes.unwrap(), &Device::Cpu).unwrap();
        assert_eq!(again.config(), codec.config());
        let pixels = picture(RED, GREEN);
        let of = |codec: &Codec| -> Vec<f32> {
            let found = codec.embed(&pixels, Padding::Zero).unwrap().unwrap();
            found.flatten_all().unwrap().to_vec1().unwrap()
        };
        assert_eq!(of(&again), of(&codec));
        assert_eq!(of(&codec).len(), codec.config().embedding.unwrap().length());
        let codes = |codec: &Codec| {
            let (structure, detail) = codec.encode(&pixels, Padding::Zero).unwrap();
            let flat = |codes: Tensor| codes.flatten_all().unwrap().to_vec1::<u32>().unwrap();
            (flat(structure), flat(detail))
        };
        assert_eq!(codes(&codec), codes(&plain));
        assert!(plain.embed_words(&pixels).is_err());
    }

    #[test]
    fn a_picture_lower_than_its_bands_is_embedded() {
        let codec = Codec::new(CodecConfig::tiny(), 3, &Device::Cpu).unwrap();
        let codec = codec
            .with_words(WordsHead { words: 6, bands: 7 }, 4)
            .unwrap();
        let pixels = Tensor::zeros((2, 16, 48, 4), DType::F32, &Device::Cpu).unwrap();
        let found = codec.embed(&pixels, Padding::Zero).unwrap().unwrap();
        assert_eq!(found.dims(), [2, 6 * 8]);
    }

    #[test]
    fn strips_of_a_large_picture_give_what_the_whole_gives() {
        let codec = with_words();
        let words = codec.words().unwrap();
        let (rows, columns) = (19, MAX_CELLS / 8);
        let values = (0..rows * columns * 12).map(|i| (i as f32 * 0.37).sin());
        let shape = (1, rows, columns, 12);
        let cells = Tensor::from_vec(values.collect(), shape, &Device::Cpu).unwrap();
        let shares = words.shares(&cells).unwrap().mean((1, 2)).unwrap();
        let found = words.of_cells(&cells).unwrap().narrow(1, 0, 6).unwrap();
        let of = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (share, root) in of(&shares).iter().zip(of(&found)) {
            assert!((share - root * root).abs() < 1e-4, "{share} {root}");
        }
    }

    #[test]
    fn the_gradient_of_the_words_is_that_of_finite_differences() {
        let codec = with_words();
        let cells = codec.word_cells(&picture(RED, GREEN)).unwrap();
        let weights = Tensor::arange(0f32, 18.0, &Device::Cpu).unwrap();
        let value = || {
            let found = codec.embed_words(&cells).unwrap();
            found.broadcast_mul(&weights).unwrap().sum_all().unwrap()
        };
        let grads = codec.params().backward(&value()).unwrap();
        let weight = &codec.words().unwrap().tell.weight;
        let grad = grads.get("embedding.words.weight").unwrap().unwrap();
        let grad = grad.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let start = weight.tensor().flatten_all().unwrap();
        let start = start.to_vec1::<f32>().unwrap();
        for at in (0..start.len()).step_by(5) {
            let moved = |by: f32| -> f32 {
                let mut values = start.clone();
                values[at] += by;
                let shape = weight.tensor().shape().clone();
                let values = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
                weight.set(&values).unwrap();
                no_grad(value).to_scalar().unwrap()
            };
            let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!(
                (slope - grad[at]).abs() < 2e-2,
                "{at}: {slope} {}",
                grad[at]
            );
        }
    }
}
