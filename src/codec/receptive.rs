//! How far the network reaches, computed from its config: what makes patches, halos and tiles exact.

use crate::codec::config::CodecConfig;

/// Reach of one level. It is the same in all four directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelReach {
    /// Pixels per cell side.
    pub stride_px: usize,
    /// Changing one code changes no pixel farther than this outside the cell (sRGB, with the other level's codes kept).
    pub decode_px: usize,
    /// A cell's code depends on no pixel farther than this outside the cell.
    pub encode_px: usize,
}

impl LevelReach {
    /// [`Self::decode_px`] in whole cells of this level, rounded up: the halo.
    pub fn decode_cells(&self) -> usize {
        self.decode_px.div_ceil(self.stride_px)
    }
}

/// One stage of the decoder, in the order of decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderStage {
    /// Pixels per cell side of this stage's activations.
    pub stride_px: usize,
    /// Channels of this stage's activations.
    pub width: usize,
    /// 3×3 blocks: an output cell depends on the input cells at most this far away.
    pub halo_cells: usize,
}

/// The smallest piece of the trunk that can be computed alone: into a stage, through one block, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkLink {
    /// The trunk step it belongs to.
    pub step: usize,
    /// Whether it begins with the step's resampling.
    pub enters: bool,
    /// The block it runs; it reaches one cell. Without one it reaches none.
    pub block: Option<usize>,
    /// Pixels per cell side of what it gives.
    pub stride_px: usize,
    /// Channels of what it gives.
    pub width: usize,
}

impl TrunkLink {
    fn of_step(step: usize, stage: &DecoderStage) -> Vec<Self> {
        let link = |block: Option<usize>| Self {
            step,
            enters: block.unwrap_or(0) == 0,
            block,
            stride_px: stage.stride_px,
            width: stage.width,
        };
        match stage.halo_cells {
            0 => vec![link(None)],
            blocks => (0..blocks).map(|block| link(Some(block))).collect(),
        }
    }
}

/// The finite reach of a codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceptiveField {
    pub structure: LevelReach,
    pub detail: LevelReach,
    /// Steps of the trunk, from structure vectors to T; the last step only resamples (`halo_cells` 0).
    pub trunk: Vec<DecoderStage>,
    /// The trunk once more, block by block.
    pub links: Vec<TrunkLink>,
    /// Stages of the head, from T and the detail vectors to pixels.
    pub head: Vec<DecoderStage>,
}

impl ReceptiveField {
    /// The receptive field of a codec with a valid config.
    pub fn of(config: &CodecConfig) -> Self {
        let detail_stage = config.detail_stage();
        let stage = |index: usize, halo_cells: usize| DecoderStage {
            stride_px: config.stages[index].stride,
            width: config.stages[index].width,
            halo_cells,
        };
        let trunk: Vec<_> = (detail_stage..config.stages.len())
            .rev()
            .map(|index| {
                let blocks = config.stages[index].decoder_depth;
                stage(index, if index == detail_stage { 0 } else { blocks })
            })
            .collect();
        let head: Vec<_> = (0..=detail_stage)
            .rev()
            .map(|index| stage(index, config.stages[index].decoder_depth))
            .collect();
        let head_px = reach_px(&head);
        let encoder_px = |stages: &[crate::codec::config::Stage]| -> usize {
            stages.iter().map(|s| s.stride * s.encoder_depth).sum()
        };
        let structure_encode_px = encoder_px(&config.stages);
        Self {
            structure: LevelReach {
                stride_px: config.structure.stride,
                decode_px: reach_px(&trunk) + head_px,
                encode_px: structure_encode_px,
            },
            detail: LevelReach {
                stride_px: config.detail.stride,
                decode_px: head_px,
                encode_px: encoder_px(&config.stages[..=detail_stage])
                    .max(trunk_source_px(config, &trunk) + structure_encode_px),
            },
            links: (trunk.iter().enumerate())
                .flat_map(|(step, stage)| TrunkLink::of_step(step, stage))
                .collect(),
            trunk,
            head,
        }
    }

    /// Structure cells around a structure cell that T within it depends on.
    pub fn trunk_halo_cells(&self) -> usize {
        let coarsest = self.structure.stride_px;
        reach_px(&self.trunk).div_ceil(coarsest)
    }
}

/// Pixels that a chain of decoder stages reaches beyond a changed cell: every stage's cells lie within whole cells of
/// the coarser stages, so the reaches add up.
fn reach_px(stages: &[DecoderStage]) -> usize {
    stages.iter().map(|s| s.stride_px * s.halo_cells).sum()
}

/// How far outside a detail cell the structure cells begin and end that its T depends on, at worst.
fn trunk_source_px(config: &CodecConfig, trunk: &[DecoderStage]) -> usize {
    let cell = config.detail.stride;
    let worst = |position: usize| {
        let mut low = position as isize;
        let mut high = (position + cell) as isize;
        for stage in trunk.iter().rev() {
            let stride = stage.stride_px.cast_signed();
            let halo = stride * stage.halo_cells.cast_signed();
            low = low.div_euclid(stride) * stride - halo;
            high = -(-high).div_euclid(stride) * stride + halo;
        }
        let before = position.cast_signed() - low;
        let after = high - (position + cell).cast_signed();
        before.max(after).max(0).unsigned_abs()
    };
    (0..config.structure.stride)
        .step_by(cell)
        .map(worst)
        .max()
        .unwrap_or(0)
}
