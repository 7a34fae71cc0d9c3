//! Pages, what lies over them, looks and preferences.

use eframe::egui::Key;
use lucide_icons::Icon;

use super::group::CommandGroup;
use super::place::Place;
use super::spec::{Spec, ctrl, ctrl_shift, plain, shift};
use crate::app::state::{Overlay, State, Workspace};
use crate::settings::ThemeChoice;
use strum::IntoEnumIterator;

/// What can be done with the window itself.
#[derive(Debug, Clone, PartialEq, strum::EnumIter)]
pub enum WindowCommand {
    /// Hides all panels but the canvas, or shows them.
    ToggleDock,
    /// Shows or hides the list of layers.
    ToggleLayers,
    /// Shows or hides the list of strokes.
    ToggleHistory,
    ToggleTheme,
    ScaleUp,
    ScaleDown,
    /// Sets text and buttons to the size that the system has them.
    ResetScale,
    /// Cancels the job that the status bar shows.
    CancelJob,
    Quit,
    /// Shows a page.
    #[strum(disabled)]
    Show(Workspace),
    /// Opens what lies over the page; closes it where it is open.
    #[strum(disabled)]
    Open(Overlay),
    /// Closes what lies over the page.
    #[strum(disabled)]
    CloseOverlay,
    #[strum(disabled)]
    SetTheme(ThemeChoice),
    /// Sets the device that jobs compute on, by its name in the preferences.
    #[strum(disabled)]
    SetDevice(String),
    /// Gives the command with this id new keys; empty takes them away, none brings the usual ones back.
    #[strum(disabled)]
    BindKey(String, Option<String>),
    /// Takes a notice off the screen.
    #[strum(disabled)]
    DismissNotice(u64),
}

impl CommandGroup for WindowCommand {
    fn spec(&self) -> Option<Spec> {
        Some(match self {
            Self::Show(Workspace::Dataset) => Spec::new(
                "show.dataset",
                "Pictures",
                "The pictures the model learns from",
                Icon::Images,
            )
            .with_keys(plain(Key::F5)),
            Self::Show(Workspace::FineTune) => Spec::new(
                "show.train",
                "Fine-tune",
                "Let the model learn from your pictures",
                Icon::Sparkles,
            )
            .with_keys(plain(Key::F6)),
            Self::Show(Workspace::Codebook) => Spec::new(
                "show.codebook",
                "Codebook",
                "Every code the model knows",
                Icon::LayoutGrid,
            )
            .with_keys(plain(Key::F7)),
            Self::Show(Workspace::Paint) => Spec::new(
                "show.paint",
                "Paint",
                "Change codes, and the picture follows",
                Icon::Brush,
            )
            .with_keys(plain(Key::F8)),
            Self::Show(Workspace::Generate) => Spec::new(
                "show.generate",
                "Generate",
                "New pictures, tiles and variations from your own pictures",
                Icon::WandSparkles,
            )
            .with_keys(plain(Key::F10)),
            Self::Show(Workspace::Export) => Spec::new(
                "show.export",
                "Export",
                "Write pictures to files",
                Icon::Download,
            )
            .with_keys(plain(Key::F9)),
            Self::Open(Overlay::NewCanvas) => Spec::new(
                "file.new_canvas",
                "New canvas…",
                "An empty canvas filled with the chosen structure code",
                Icon::SquarePlus,
            )
            .with_keys(ctrl_shift(Key::N)),
            Self::Open(Overlay::CanvasSize) => Spec::new(
                "picture.size",
                "Canvas size…",
                "Crop, extend or scale the picture, as a new one",
                Icon::Scaling,
            ),
            Self::Open(Overlay::Commands) => Spec::new(
                "help.commands",
                "Command palette",
                "Find any command by typing",
                Icon::Search,
            )
            .with_keys(ctrl_shift(Key::P)),
            Self::Open(Overlay::Notices) => Spec::new(
                "view.notices",
                "Messages",
                "What has happened so far",
                Icon::Bell,
            ),
            Self::Open(Overlay::Settings) => Spec::new(
                "file.settings",
                "Preferences",
                "Theme, size, device and keys",
                Icon::Settings,
            )
            .with_keys(ctrl(Key::Comma)),
            Self::Open(Overlay::Welcome) => {
                Spec::new("help.welcome", "Welcome", "The four steps", Icon::Sparkle)
            }
            Self::Open(Overlay::Help) => Spec::new(
                "help.keys",
                "Keys",
                "All keys and mouse gestures",
                Icon::Keyboard,
            )
            .with_keys(plain(Key::F1)),
            Self::Open(Overlay::About) => Spec::new(
                "help.about",
                "About Tessera",
                "Version, licences and the base model",
                Icon::Info,
            ),
            Self::ToggleDock => Spec::new(
                "view.dock",
                "Hide panels",
                "Nothing but the canvas",
                Icon::PanelRight,
            )
            .with_keys(ctrl(Key::Tab))
            .or(plain(Key::F11)),
            Self::ToggleLayers => Spec::new(
                "view.layers",
                "Layers list",
                "Show or hide the list of layers",
                Icon::Layers,
            ),
            Self::ToggleHistory => Spec::new(
                "view.history",
                "History list",
                "Show or hide the list of strokes",
                Icon::History,
            ),
            Self::ToggleTheme => Spec::new(
                "view.theme",
                "Dark or light",
                "Switch between the dark and the light theme",
                Icon::SunMoon,
            ),
            Self::ScaleUp => Spec::new(
                "view.scale_up",
                "Larger interface",
                "Bigger text and buttons",
                Icon::AArrowUp,
            )
            .with_keys(ctrl_shift(Key::Plus)),
            Self::ScaleDown => Spec::new(
                "view.scale_down",
                "Smaller interface",
                "Smaller text and buttons",
                Icon::AArrowDown,
            )
            .with_keys(ctrl_shift(Key::Minus)),
            Self::ResetScale => Spec::new(
                "view.scale_reset",
                "Usual interface size",
                "Text and buttons as the system has them",
                Icon::CaseSensitive,
            ),
            Self::CancelJob => Spec::new(
                "job.cancel",
                "Cancel the running job",
                "Stops what the status bar shows; what is finished is kept",
                Icon::CircleX,
            )
            .with_keys(shift(Key::Escape)),
            Self::Quit => Spec::new(
                "file.quit",
                "Quit",
                "Everything is saved already",
                Icon::LogOut,
            )
            .with_keys(ctrl(Key::Q)),
            Self::CloseOverlay
            | Self::SetTheme(_)
            | Self::SetDevice(_)
            | Self::BindKey(..)
            | Self::DismissNotice(_)
            | Self::Open(Overlay::OpenPath | Overlay::BrushPack) => return None,
        })
    }

    fn place(&self) -> Place {
        Place::Everywhere
    }

    fn is_possible(&self, state: &State) -> bool {
        match self {
            Self::Open(Overlay::CanvasSize) => state.session.canvas.is_some(),
            Self::Open(_) => true,
            Self::CancelJob => !state.shown_jobs().is_empty(),
            Self::ToggleDock
            | Self::ToggleLayers
            | Self::ToggleHistory
            | Self::ToggleTheme
            | Self::ScaleUp
            | Self::ScaleDown
            | Self::ResetScale
            | Self::Quit
            | Self::Show(_)
            | Self::CloseOverlay
            | Self::SetTheme(_)
            | Self::SetDevice(_)
            | Self::BindKey(..)
            | Self::DismissNotice(_) => true,
        }
    }

    fn listed() -> Vec<Self> {
        let pages = Workspace::iter().map(Self::Show);
        // Some overlays are opened by what they belong to, not by name.
        let overlays = Overlay::iter().map(Self::Open);
        let overlays = overlays.filter(|command| command.spec().is_some());
        pages.chain(Self::iter()).chain(overlays).collect()
    }
}
