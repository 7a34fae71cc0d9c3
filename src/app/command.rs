//! Everything a user can do, one variant each.

use std::ops::Range;
use std::path::PathBuf;

use super::dialogs::Question;
use super::document_command::DocumentCommand;
use super::layer_command::LayerCommand;
use super::state::{ExportForm, Overlay, TrainForm, Workspace};
use super::tools::{StrokeStep, Tool, ToolOption};
use crate::document::{DetailPolicy, Level, Rect, Shape};
use crate::engine::{CheckpointChoice, Preset};
use crate::project::{CheckpointId, DocumentId, PictureFilter, PictureId, RunId};
use crate::render::{Compare, View};
use crate::settings::ThemeChoice;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    // Projects and files
    NewProject,
    OpenProject,
    OpenProjectAt(PathBuf),
    CreateProjectAt(PathBuf),
    SaveCopy,
    SaveCopyAs(PathBuf),
    Save,
    OpenPicture,
    OpenPath,
    /// A path that was typed; the field stays until something is found there.
    OpenTyped(PathBuf),
    /// The system has no dialog for this question.
    DialogFailed(Question),
    /// Files of any sort, dropped, picked or named: pictures, folders, projects.
    OpenFiles(Vec<PathBuf>),
    OpenSample(&'static str),
    OpenDocument(DocumentId),
    RenameDocument(DocumentId, String),
    DeleteDocument(DocumentId),
    RevealInFolder(PathBuf),
    Quit,

    // Dataset
    ImportFolder,
    ImportFiles,
    Import(Vec<PathBuf>),
    ImportSamples,
    FilterPictures(PictureFilter),
    /// Rows of the gallery that are on the screen, and their pictures, most wanted first.
    ShowRows(std::ops::Range<u64>),
    Exclude(Vec<PictureId>, bool),
    /// The picture that was chosen is not learned from.
    LeaveOut,
    RemoveFromProject(Vec<PictureId>),
    /// Shows a picture beside the gallery, with what training does to it.
    SelectPicture(Option<PictureId>),
    /// Other crops of the picture shown.
    OtherCrops,
    /// Asks where the missing pictures are now.
    FindPictures,

    // Fine-tuning
    SetTraining(TrainForm),
    SetPreset(Preset),
    StartTraining,
    PauseTraining,
    ResumeTraining,
    CancelTraining,
    SelectRun(RunId),
    RenameRun(RunId, String),
    DeleteRun(RunId),
    PinCheckpoint(CheckpointId, bool),
    /// New documents are opened with this model from now on.
    UseModel(CheckpointChoice),
    /// The open picture once more, as a new document under the chosen model, with its edits.
    ReopenWithModel,
    /// The codes of the last fine-tune are not offered any more.
    DismissNews,

    // Canvas
    Undo,
    Redo,
    /// To the state after this many strokes.
    GoToHistory(usize),
    /// Gives the present state a name.
    TakeSnapshot,
    /// Back to a state with a name, by its number; one step of the history.
    BackToSnapshot(u32),
    RenameSnapshot(u32, String),
    DeleteSnapshot(u32),
    SetTool(Tool),
    SetLevel(Level),
    ToggleLevel,
    SetBrushSize(u32),
    BrushLarger,
    BrushSmaller,
    /// Share of cells left out, in percent.
    SetScatter(u32),
    SetShape(Shape),
    SetDetailPolicy(DetailPolicy),
    SelectCode(Level, u16),
    SwapCodes,
    Stroke(StrokeStep),
    SetOption(ToolOption),
    ChooseTexture,
    /// The picture file that textures are taken from; the picture itself where there is none.
    TextureFrom(Option<PathBuf>),
    SelectAll,
    SelectNone,
    Reselect,
    InvertSelection,
    GrowSelection,
    ShrinkSelection,
    FillSelection,
    EraseSelection,
    ToggleMirrorX,
    ToggleMirrorY,
    TurnBlock,
    MirrorBlock,
    ToggleCodeTint,
    ToggleChangedCells,

    // Named brushes
    SaveBrush,
    UseBrush(usize),
    RenameBrush(usize, String),
    DeleteBrush(usize),
    ExportBrushes,
    ExportBrushesTo(PathBuf),
    ImportBrushes,
    ImportBrushesFrom(PathBuf),
    /// Takes a pack for another codebook, with the nearest codes.
    MapBrushes,
    SetView(View),
    /// The canvas pixels on the screen.
    LookAt(Rect),
    /// What the history shows of its strokes, from 0.
    ShowHistory(Range<usize>),
    ZoomFit,
    ZoomTo(u32),
    ZoomIn,
    ZoomOut,
    ToggleGrid,
    SetCompare(Compare),
    ToggleSplit,
    ToggleDifference,
    /// Cells that hold the chosen code stay bright.
    ToggleWhereUsed,
    ReplaceEverywhere {
        level: Level,
        from: u16,
        to: u16,
    },
    /// In all pictures of the project, those that are not open included.
    ReplaceInProject {
        level: Level,
        from: u16,
        to: u16,
    },

    // Whole pictures
    Document(DocumentCommand),

    // Layers
    Layer(LayerCommand),
    ToggleLayers,

    // Codebook
    CountUsage,
    NameCode(Level, u16, String),
    /// Words with commas between them.
    TagCode(Level, u16, String),
    ToggleFavourite(Level, u16),
    /// A muted code is not offered any more.
    ToggleMuted(Level, u16),

    // Export
    SetExport(ExportForm),
    ChooseExportFolder,
    ExportFolder(PathBuf),
    Export,

    // Window
    Show(Workspace),
    Open(Overlay),
    CloseOverlay,
    ToggleDock,
    ToggleHistory,
    SetTheme(ThemeChoice),
    ToggleTheme,
    SetScale(f32),
    ScaleUp,
    ScaleDown,
    SetDevice(String),
    /// The id of a command and its new keys; empty takes the shortcut away, none brings the usual one back.
    BindKey(String, Option<String>),
    DismissNotice(u64),
    CancelJob,
}

impl Command {
    /// The commands that can be given without more words: for menus, shortcuts and the command palette.
    pub fn all() -> Vec<Command> {
        use Command as C;
        let layers = LayerCommand::LISTED.map(C::Layer);
        let mut all = vec![
            C::OpenPicture,
            C::OpenPath,
            C::ImportFolder,
            C::ImportFiles,
            C::ImportSamples,
            C::FindPictures,
            C::LeaveOut,
            C::NewProject,
            C::OpenProject,
            C::Save,
            C::SaveCopy,
            C::Export,
            C::ChooseExportFolder,
            C::Undo,
            C::Redo,
            C::SetTool(Tool::Brush),
            C::SetTool(Tool::Eraser),
            C::SetTool(Tool::Pattern),
            C::SetTool(Tool::Clone),
            C::SetTool(Tool::Smudge),
            C::SetTool(Tool::Texture),
            C::SetTool(Tool::Eyedropper),
            C::SetTool(Tool::Bucket),
            C::SetTool(Tool::Gradient),
            C::SetTool(Tool::SelectRectangle),
            C::SetTool(Tool::SelectEllipse),
            C::SetTool(Tool::Lasso),
            C::SetTool(Tool::Wand),
            C::SetTool(Tool::Move),
            C::SetTool(Tool::Pan),
            C::SelectAll,
            C::SelectNone,
            C::Reselect,
            C::InvertSelection,
            C::GrowSelection,
            C::ShrinkSelection,
            C::FillSelection,
            C::EraseSelection,
            C::ToggleMirrorX,
            C::ToggleMirrorY,
            C::TurnBlock,
            C::MirrorBlock,
            C::ToggleCodeTint,
            C::ToggleChangedCells,
            C::ChooseTexture,
            C::SaveBrush,
            C::ExportBrushes,
            C::ImportBrushes,
            C::ToggleLevel,
            C::BrushLarger,
            C::BrushSmaller,
            C::SwapCodes,
            C::ToggleWhereUsed,
            C::ZoomFit,
            C::ZoomTo(100),
            C::ZoomTo(200),
            C::ZoomTo(400),
            C::ZoomTo(800),
            C::ZoomIn,
            C::ZoomOut,
            C::ToggleGrid,
            C::ToggleSplit,
            C::ToggleDifference,
            C::CountUsage,
            C::StartTraining,
            C::PauseTraining,
            C::ResumeTraining,
            C::CancelTraining,
            C::ReopenWithModel,
            C::Show(Workspace::Dataset),
            C::Show(Workspace::FineTune),
            C::Show(Workspace::Codebook),
            C::Show(Workspace::Paint),
            C::Show(Workspace::Export),
            C::ToggleDock,
            C::ToggleHistory,
            C::ToggleTheme,
            C::ScaleUp,
            C::ScaleDown,
            C::SetScale(1.0),
            C::Open(Overlay::NewCanvas),
            C::Open(Overlay::CanvasSize),
            C::Open(Overlay::Commands),
            C::Open(Overlay::Notices),
            C::Open(Overlay::Settings),
            C::Open(Overlay::Welcome),
            C::Open(Overlay::Help),
            C::Open(Overlay::About),
            C::CancelJob,
            C::ToggleLayers,
            C::TakeSnapshot,
            C::Quit,
        ];
        all.extend(layers);
        all.extend(DocumentCommand::LISTED.map(C::Document));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::place::Place;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_listed_command_has_its_own_words_and_keys() {
        let mut ids = BTreeSet::new();
        let mut keys = BTreeMap::<String, Vec<(&str, Place)>>::new();
        for command in Command::all() {
            let spec = command.spec().expect("listed commands have words");
            assert!(ids.insert(spec.id), "{} twice", spec.id);
            assert!(!spec.label.is_empty() && !spec.tooltip.is_empty());
            for text in [spec.label, spec.tooltip] {
                assert!(!text.contains('!'), "{text}");
            }
            for shortcut in [spec.shortcut, spec.alternative].into_iter().flatten() {
                // Keys may mean something else on another page.
                let others = keys.entry(format!("{shortcut:?}")).or_default();
                let taken = others.iter().find(|(_, at)| at.meets(command.place()));
                assert_eq!(taken, None, "{shortcut:?} of {}", spec.id);
                others.push((spec.id, command.place()));
            }
        }
    }
}
