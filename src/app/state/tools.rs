//! The tools of the canvas, how they are set, and what one of them is in the middle of.

use std::path::PathBuf;
use std::sync::Arc;

use strum::IntoEnumIterator;

use crate::document::tools::{
    AreaShape, BrushStroke, GradientShape, Layout, Outline, Path, Symmetry,
};
use crate::document::{Block, Combine, Turn};
use crate::render::CellOverlay;

/// A tool of the canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::EnumIter)]
pub enum Tool {
    Brush,
    Eraser,
    Pattern,
    Clone,
    Smudge,
    Texture,
    Eyedropper,
    Bucket,
    Gradient,
    SelectRectangle,
    SelectEllipse,
    Lasso,
    Wand,
    Move,
    Pan,
}

impl Tool {
    /// All tools, in the order of the toolbar.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Whether it paints dab by dab.
    pub const fn is_brush(self) -> bool {
        matches!(
            self,
            Tool::Brush | Tool::Pattern | Tool::Clone | Tool::Smudge | Tool::Texture | Tool::Eraser
        )
    }

    /// The shape that a selection tool draws; `None` for any other tool.
    pub const fn area_shape(self) -> Option<AreaShape> {
        match self {
            Tool::SelectRectangle => Some(AreaShape::Rectangle),
            Tool::SelectEllipse => Some(AreaShape::Ellipse),
            Tool::Lasso => Some(AreaShape::Lasso),
            _ => None,
        }
    }

    /// Whether it changes the selection.
    pub const fn selects(self) -> bool {
        self.area_shape().is_some() || matches!(self, Tool::Wand)
    }

    /// The tool in effect with this input: with most painting tools Ctrl or Alt takes a code.
    pub const fn with(self, input: StrokeInput) -> Tool {
        let takes = matches!(
            self,
            Tool::Brush | Tool::Pattern | Tool::Smudge | Tool::Bucket | Tool::Gradient
        );
        if takes && (input.alt || input.command) {
            Tool::Eyedropper
        } else {
            self
        }
    }

    /// What the keys held do, for the status bar.
    pub const fn hint(self) -> &'static str {
        match self {
            Tool::Brush => {
                "Shift: a straight line  ·  Ctrl: take a code  ·  Ctrl+Shift: take a block"
            }
            Tool::Pattern => "Ctrl+Shift and drag: take a block  ·  Shift: a straight line",
            Tool::Clone => "Ctrl-click: where to clone from  ·  Shift: a straight line",
            Tool::Smudge => "Drag codes along  ·  Shift: a straight line",
            Tool::Texture => {
                "Drag: new texture that continues what lies around it  ·  Esc: take it back"
            }
            Tool::Eraser => "Shift: a straight line",
            Tool::Bucket => "Click: fill what is alike  ·  Ctrl: take a code",
            Tool::Gradient => "Drag from the first code to the second  ·  Shift: in steps of 45°",
            Tool::Eyedropper => "Click: take a code  ·  Shift and drag: take a block",
            Tool::SelectRectangle | Tool::SelectEllipse | Tool::Lasso | Tool::Wand => {
                "Shift: add  ·  Alt: subtract  ·  Shift+Alt: intersect"
            }
            Tool::Move => "Drag: move what is selected  ·  Alt: a copy of it",
            Tool::Pan => "Drag: move the view",
        }
    }
}

/// Keys held at a point of a gesture, and how hard the pen is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrokeInput {
    pub shift: bool,
    pub alt: bool,
    /// Ctrl, or Cmd on a Mac.
    pub command: bool,
    /// How hard the pen is pressed, where it tells.
    pub pressure_percent: Option<u8>,
}

impl StrokeInput {
    /// How hard the pen is pressed, from 0 to 1; a mouse presses fully.
    pub fn pressure(self) -> f32 {
        f32::from(self.pressure_percent.unwrap_or(100)) / 100.0
    }

    /// How a new area meets the selection: as these keys say, as in Krita, else `otherwise`.
    pub const fn combine(self, otherwise: Combine) -> Combine {
        match (self.shift, self.alt) {
            (true, true) => Combine::Intersect,
            (true, false) => Combine::Add,
            (false, true) => Combine::Subtract,
            (false, false) => otherwise,
        }
    }
}

/// A point of a stroke, in canvas pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StrokeStep {
    Begin((f32, f32), StrokeInput),
    To((f32, f32), StrokeInput),
    End,
    Abort,
}

/// What a tool is in the middle of.
#[derive(Debug)]
pub enum Gesture {
    Stroke {
        stroke: Box<BrushStroke>,
        path: Path,
        from: (f32, f32),
        /// Whether Shift was held from the start, so that it is not asking for an even shape.
        began_with_shift: bool,
    },
    /// Cells come from the texture lane.
    Texture {
        /// The lane's number of the stroke.
        number: u64,
        /// The pointer was let go; what is still to be made comes.
        is_ending: bool,
    },
    Gradient {
        from: (f32, f32),
        to: (f32, f32),
    },
    Outline {
        outline: Outline,
        began_with_shift: bool,
    },
    /// A block being picked up.
    Block {
        from: (f32, f32),
        to: (f32, f32),
    },
    /// Codes being taken.
    Pick,
    Move {
        from: (f32, f32),
        to: (f32, f32),
        is_copy: bool,
    },
}

/// Which pictures the new texture of a selection is copied from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FillFrom {
    /// The picture itself alone.
    #[default]
    Picture,
    /// Also [`ToolBox::texture_from`].
    File,
    /// Also all pictures of the project.
    Project,
}

/// A setting of a tool, as the strip above the canvas changes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ToolOption {
    Path(Path),
    Symmetry(Symmetry),
    Layout(Layout),
    Aligned(bool),
    SmudgePercent(u32),
    /// How freely textures choose among what fits, in percent.
    FreedomPercent(u32),
    /// Each texture stroke draws with the next seed, or all with this one.
    TextureSeed(Option<u32>),
    FillFrom(FillFrom),
    ErasesToEmpty(bool),
    TolerancePercent(u32),
    Contiguous(bool),
    GradientShape(GradientShape),
    Combine(Combine),
}

/// A colour over the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TintKind {
    /// Each code its own.
    Codes,
    /// Cells that differ from the source.
    Changed,
    /// The pictures that cells were copied from, each its own.
    Sources,
}

/// What one colour over the cells stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct LegendEntry {
    pub name: String,
    /// As it lies over the cells.
    pub rgba: [u8; 4],
    /// Of all cells, 0 to 1.
    pub share: f32,
}

/// How the tools are set, and what they hold.
pub struct ToolBox {
    pub path: Path,
    pub symmetry: Symmetry,
    /// The block that the pattern brush paints with, as it was picked up.
    pub block: Option<Arc<Block>>,
    pub turn: Turn,
    /// The block after the turn.
    laid: Option<Arc<Block>>,
    pub layout: Layout,
    pub is_aligned: bool,
    pub smudge_percent: u32,
    pub freedom_percent: u32,
    /// The seed that all textures are drawn with, where they share one.
    pub texture_seed: Option<u32>,
    /// A picture file that textures are taken from, instead of the picture itself.
    pub texture_from: Option<PathBuf>,
    pub fill_from: FillFrom,
    pub erases_to_empty: bool,
    /// How unlike codes may be that bucket and wand take together, in percent of the distance between two codes taken at random.
    pub tolerance_percent: u32,
    pub is_contiguous: bool,
    pub gradient_shape: GradientShape,
    pub combine: Combine,
    pub gesture: Option<Gesture>,
    /// Where cloning reads from, in canvas pixels, until the next stroke fixes the distance.
    pub clone_source: Option<(f32, f32)>,
    /// Cells from a painted cell to the one it is cloned from.
    pub clone_offset: Option<(i64, i64)>,
    pub tint: Option<TintKind>,
    /// Of a tint whose colours stand for something with a name, by falling share.
    pub legend: Vec<LegendEntry>,
    pub overlay: CellOverlay,
}

impl Default for ToolBox {
    fn default() -> Self {
        Self {
            path: Path::Freehand,
            symmetry: Symmetry::default(),
            block: None,
            turn: Turn::default(),
            laid: None,
            layout: Layout::Stamp,
            is_aligned: false,
            smudge_percent: 60,
            freedom_percent: 20,
            texture_seed: None,
            texture_from: None,
            fill_from: FillFrom::default(),
            erases_to_empty: false,
            tolerance_percent: 0,
            is_contiguous: true,
            gradient_shape: GradientShape::Linear,
            combine: Combine::Replace,
            gesture: None,
            clone_source: None,
            clone_offset: None,
            tint: None,
            legend: Vec::new(),
            overlay: CellOverlay::default(),
        }
    }
}

impl ToolBox {
    /// Drops what was taken from a project; how the tools are set stays.
    pub(in crate::app) fn leave_project(&mut self) {
        let mut overlay = std::mem::take(&mut self.overlay);
        overlay.set_selection(None);
        overlay.set_tint(None);
        *self = Self {
            path: self.path,
            symmetry: self.symmetry,
            layout: self.layout,
            is_aligned: self.is_aligned,
            smudge_percent: self.smudge_percent,
            freedom_percent: self.freedom_percent,
            texture_seed: self.texture_seed,
            erases_to_empty: self.erases_to_empty,
            tolerance_percent: self.tolerance_percent,
            is_contiguous: self.is_contiguous,
            gradient_shape: self.gradient_shape,
            combine: self.combine,
            tint: self.tint,
            overlay,
            ..Self::default()
        };
    }

    /// The block as it is laid: turned and mirrored.
    pub fn laid_block(&self) -> Option<&Arc<Block>> {
        self.laid.as_ref()
    }

    pub(in crate::app) fn lay(&mut self, block: Option<Arc<Block>>, turn: Turn) {
        self.laid = block.as_ref().map(|block| Arc::new(block.turned(turn)));
        (self.block, self.turn) = (block, turn);
    }

    pub(in crate::app) fn set(&mut self, option: ToolOption) {
        match option {
            ToolOption::Path(path) => self.path = path,
            ToolOption::Symmetry(symmetry) => self.symmetry = symmetry,
            ToolOption::Layout(layout) => self.layout = layout,
            ToolOption::Aligned(is_aligned) => self.is_aligned = is_aligned,
            ToolOption::SmudgePercent(percent) => self.smudge_percent = percent.clamp(5, 100),
            ToolOption::FreedomPercent(percent) => self.freedom_percent = percent.min(100),
            ToolOption::TextureSeed(seed) => self.texture_seed = seed,
            ToolOption::FillFrom(from) => self.fill_from = from,
            ToolOption::ErasesToEmpty(empties) => self.erases_to_empty = empties,
            ToolOption::TolerancePercent(percent) => self.tolerance_percent = percent.min(100),
            ToolOption::Contiguous(is_contiguous) => self.is_contiguous = is_contiguous,
            ToolOption::GradientShape(shape) => self.gradient_shape = shape,
            ToolOption::Combine(combine) => self.combine = combine,
        }
    }
}
