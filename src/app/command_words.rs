//! What commands are called and how they are reached. Menus, buttons, shortcuts and the command palette read the
//! same words, icon and keys from here.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};
use lucide_icons::Icon;

use super::command::Command;
use super::spec::{Spec, ctrl, ctrl_shift, plain};
use super::state::{Overlay, Workspace};
use super::tool_command;

impl Command {
    /// `None` for commands that carry more than a user could say in one word.
    pub fn spec(&self) -> Option<Spec> {
        use Command as C;
        let spec = |id, label, tooltip, icon, shortcut| {
            Some(Spec::new(id, label, tooltip, icon, shortcut))
        };
        match self {
            C::OpenPicture => spec(
                "file.open_picture",
                "Open picture…",
                "Open a picture to paint on. An exported PNG comes back with its edits",
                Icon::ImagePlus,
                ctrl(Key::O),
            ),
            C::OpenPath => spec(
                "file.open_path",
                "Open by path…",
                "Type where a picture, a folder or a project is",
                Icon::TextCursorInput,
                ctrl(Key::L),
            ),
            C::ImportFolder => spec(
                "dataset.import_folder",
                "Import folder…",
                "Add all pictures of a folder to the project; your files are never changed",
                Icon::FolderPlus,
                ctrl(Key::I),
            ),
            C::ImportFiles => spec(
                "dataset.import_files",
                "Import pictures…",
                "Add single pictures to the project",
                Icon::Images,
                None,
            ),
            C::LeaveOut => spec(
                "dataset.leave_out",
                "Leave out the chosen picture",
                "It stays in the project and is not learned from",
                Icon::EyeOff,
                plain(Key::Delete),
            ),
            C::FindPictures => spec(
                "dataset.find",
                "Find missing pictures…",
                "Show Tessera where moved pictures are now; it knows them by their content",
                Icon::FolderSearch,
                None,
            ),
            C::ImportSamples => spec(
                "dataset.import_samples",
                "Import the sample pictures",
                "22 free pictures that come with Tessera, to try everything out",
                Icon::Shapes,
                None,
            ),
            C::NewProject => spec(
                "file.new_project",
                "New project…",
                "Make an empty project file",
                Icon::FilePlus,
                ctrl(Key::N),
            ),
            C::OpenProject => spec(
                "file.open_project",
                "Open project…",
                "Open a .tessera file",
                Icon::FolderOpen,
                ctrl_shift(Key::O),
            ),
            C::Save => spec(
                "file.save",
                "Save",
                "Every stroke is saved as you make it; this says so",
                Icon::Save,
                ctrl(Key::S),
            ),
            C::SaveCopy => spec(
                "file.save_copy",
                "Save a copy…",
                "Write a copy of the whole project to another place",
                Icon::Copy,
                ctrl_shift(Key::S),
            ),
            C::Export => spec(
                "export.run",
                "Export",
                "Write the picture as a file, as the Export page says",
                Icon::Download,
                ctrl(Key::E),
            ),
            C::ChooseExportFolder => spec(
                "export.folder",
                "Choose export folder…",
                "Where exported pictures go",
                Icon::FolderOutput,
                None,
            ),
            C::RevealInFolder(_) => spec(
                "export.reveal",
                "Show in folder",
                "Open the folder in your file manager",
                Icon::FolderOpen,
                None,
            ),
            C::Undo => spec(
                "edit.undo",
                "Undo",
                "Take the last stroke back",
                Icon::Undo2,
                ctrl(Key::Z),
            ),
            C::Redo => spec(
                "edit.redo",
                "Redo",
                "Do the undone stroke again",
                Icon::Redo2,
                ctrl_shift(Key::Z),
            )
            .map(|spec| Spec {
                alternative: ctrl(Key::Y),
                ..spec
            }),
            C::ToggleLevel => spec(
                "canvas.level",
                "Switch level",
                "Structure: layout and colour, 16 px cells. Detail: texture, 4 px cells",
                Icon::Layers2,
                plain(Key::D),
            ),
            C::BrushLarger => spec(
                "brush.larger",
                "Larger brush",
                "One cell more",
                Icon::Plus,
                plain(Key::CloseBracket),
            ),
            C::BrushSmaller => spec(
                "brush.smaller",
                "Smaller brush",
                "One cell less",
                Icon::Minus,
                plain(Key::OpenBracket),
            ),
            C::SwapCodes => spec(
                "brush.swap",
                "Swap codes",
                "Exchange the first and the second code",
                Icon::ArrowLeftRight,
                plain(Key::X),
            ),
            C::ToggleWhereUsed => spec(
                "canvas.where_used",
                "Where is it used",
                "Dim all cells but those with the chosen code",
                Icon::ScanSearch,
                plain(Key::U),
            ),
            C::ZoomFit => spec(
                "view.fit",
                "Fit",
                "Show the whole picture",
                Icon::Maximize,
                ctrl(Key::Num0),
            ),
            C::ZoomTo(100) => spec(
                "view.100",
                "100 %",
                "One picture pixel is one screen pixel",
                Icon::ZoomIn,
                ctrl(Key::Num1),
            ),
            C::ZoomTo(200) => spec(
                "view.200",
                "200 %",
                "Zoom to 200 %",
                Icon::ZoomIn,
                ctrl(Key::Num2),
            ),
            C::ZoomTo(400) => spec(
                "view.400",
                "400 %",
                "Zoom to 400 %",
                Icon::ZoomIn,
                ctrl(Key::Num3),
            ),
            C::ZoomTo(800) => spec(
                "view.800",
                "800 %",
                "Zoom to 800 %",
                Icon::ZoomIn,
                ctrl(Key::Num4),
            ),
            C::ZoomIn => spec(
                "view.zoom_in",
                "Zoom in",
                "Closer; so does the wheel",
                Icon::ZoomIn,
                plain(Key::Plus),
            )
            .map(|spec| Spec {
                alternative: plain(Key::Equals),
                ..spec
            }),
            C::ZoomOut => spec(
                "view.zoom_out",
                "Zoom out",
                "Farther; so does the wheel",
                Icon::ZoomOut,
                plain(Key::Minus),
            ),
            C::ToggleGrid => spec(
                "view.grid",
                "Cell grid",
                "Show the cells of the current level",
                Icon::Grid3x3,
                ctrl(Key::Quote),
            ),
            C::ToggleSplit => spec(
                "view.split",
                "Split before and after",
                "Original on the left, edited on the right; drag the line. Hold C to see the original alone",
                Icon::Columns2,
                plain(Key::S),
            ),
            C::ToggleDifference => spec(
                "view.difference",
                "Difference",
                "Show only what has changed",
                Icon::Contrast,
                None,
            ),
            C::CountUsage => spec(
                "codebook.count",
                "Count use in my pictures",
                "Encode the project's pictures and count their codes",
                Icon::ChartBarBig,
                None,
            ),
            C::StartTraining => spec(
                "train.start",
                "Start fine-tuning",
                "Let the model learn from the project's pictures",
                Icon::Play,
                ctrl(Key::Enter),
            ),
            C::PauseTraining => spec(
                "train.pause",
                "Pause",
                "Keep everything and go on later; painting is not affected",
                Icon::Pause,
                None,
            ),
            C::ResumeTraining => spec(
                "train.resume",
                "Resume",
                "Go on with the interrupted run",
                Icon::Play,
                None,
            ),
            C::CancelTraining => spec(
                "train.cancel",
                "Stop",
                "End the run; its best model is kept",
                Icon::Square,
                None,
            ),
            C::ReopenWithModel => spec(
                "canvas.reopen",
                "Open a copy with the newest codes",
                "A new document beside this one: your edits come along, each with the nearest of the newest codes",
                Icon::RefreshCw,
                None,
            ),
            C::Show(Workspace::Dataset) => spec(
                "show.dataset",
                "Pictures",
                "The pictures the model learns from",
                Icon::Images,
                plain(Key::F5),
            ),
            C::Show(Workspace::FineTune) => spec(
                "show.train",
                "Fine-tune",
                "Let the model learn from your pictures",
                Icon::Sparkles,
                plain(Key::F6),
            ),
            C::Show(Workspace::Codebook) => spec(
                "show.codebook",
                "Codebook",
                "Every code the model knows",
                Icon::LayoutGrid,
                plain(Key::F7),
            ),
            C::Show(Workspace::Paint) => spec(
                "show.paint",
                "Paint",
                "Change codes, and the picture follows",
                Icon::Brush,
                plain(Key::F8),
            ),
            C::Show(Workspace::Export) => spec(
                "show.export",
                "Export",
                "Write pictures to files",
                Icon::Download,
                plain(Key::F9),
            ),
            C::ToggleDock => spec(
                "view.dock",
                "Hide panels",
                "Nothing but the canvas",
                Icon::PanelRight,
                ctrl(Key::Tab),
            )
            .map(|spec| Spec {
                alternative: plain(Key::F11),
                ..spec
            }),
            C::TakeSnapshot => spec(
                "edit.snapshot",
                "Take a snapshot",
                "Keep the present state under a name, whatever is undone later",
                Icon::Bookmark,
                None,
            ),
            C::Layer(command) => command.spec(),
            C::Document(command) => command.spec(),
            C::Open(Overlay::NewCanvas) => spec(
                "file.new_canvas",
                "New canvas…",
                "An empty canvas filled with the chosen structure code",
                Icon::SquarePlus,
                ctrl_shift(Key::N),
            ),
            C::Open(Overlay::CanvasSize) => spec(
                "picture.size",
                "Canvas size…",
                "Crop, extend or scale the picture, as a new one",
                Icon::Scaling,
                None,
            ),
            C::ToggleLayers => spec(
                "view.layers",
                "Layers list",
                "Show or hide the list of layers",
                Icon::Layers,
                None,
            ),
            C::ToggleHistory => spec(
                "view.history",
                "History list",
                "Show or hide the list of strokes",
                Icon::History,
                None,
            ),
            C::ToggleTheme => spec(
                "view.theme",
                "Dark or light",
                "Switch between the dark and the light theme",
                Icon::SunMoon,
                None,
            ),
            C::ScaleUp => spec(
                "view.scale_up",
                "Larger interface",
                "Bigger text and buttons",
                Icon::AArrowUp,
                ctrl_shift(Key::Plus),
            ),
            C::ScaleDown => spec(
                "view.scale_down",
                "Smaller interface",
                "Smaller text and buttons",
                Icon::AArrowDown,
                ctrl_shift(Key::Minus),
            ),
            C::SetScale(_) => spec(
                "view.scale_reset",
                "Usual interface size",
                "Text and buttons as the system has them",
                Icon::CaseSensitive,
                None,
            ),
            C::Open(Overlay::Commands) => spec(
                "help.commands",
                "Command palette",
                "Find any command by typing",
                Icon::Search,
                ctrl_shift(Key::P),
            ),
            C::Open(Overlay::Notices) => spec(
                "view.notices",
                "Messages",
                "What has happened so far",
                Icon::Bell,
                None,
            ),
            C::Open(Overlay::Settings) => spec(
                "file.settings",
                "Preferences",
                "Theme, size, device and keys",
                Icon::Settings,
                ctrl(Key::Comma),
            ),
            C::Open(Overlay::Welcome) => spec(
                "help.welcome",
                "Welcome",
                "The four steps",
                Icon::Sparkle,
                None,
            ),
            C::Open(Overlay::Help) => spec(
                "help.keys",
                "Keys",
                "All keys and mouse gestures",
                Icon::Keyboard,
                plain(Key::F1),
            ),
            C::Open(Overlay::About) => spec(
                "help.about",
                "About Tessera",
                "Version, licences and the base model",
                Icon::Info,
                None,
            ),
            C::CancelJob => spec(
                "job.cancel",
                "Cancel the running job",
                "Stops what the status bar shows; what is finished is kept",
                Icon::CircleX,
                Some(KeyboardShortcut::new(Modifiers::SHIFT, Key::Escape)),
            ),
            C::Quit => spec(
                "file.quit",
                "Quit",
                "Everything is saved already",
                Icon::LogOut,
                ctrl(Key::Q),
            ),
            _ => tool_command::spec(self),
        }
    }
}
