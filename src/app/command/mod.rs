//! Everything that a user can ask for, and what the window calls it.
//!
//! A command is a value: panels and keys make it, `app::apply` does it. It belongs to one of the groups below, each with a file
//! of its own that says what its commands are called, which keys give them, on which pages they work and when they are possible.
//! Menus, buttons, shortcuts and the command palette all read that.
//!
//! # Limitations
//! A command carries what it needs, but never says whether it worked: what goes wrong is told as a notice. Commands are not
//! recorded; the history of a picture is one of strokes.

mod brush;
mod code;
mod dataset;
mod document;
mod export;
mod file;
mod generate;
mod group;
mod history;
mod layer;
mod place;
mod question;
mod selection;
mod shortcuts;
mod spec;
mod tool;
mod train;
mod view;
mod window;

pub use brush::BrushCommand;
pub use code::CodeCommand;
pub use dataset::DatasetCommand;
pub use document::{DocumentCommand, NewCanvas};
pub use export::ExportCommand;
pub use file::FileCommand;
pub use generate::GenerateCommand;
pub use history::HistoryCommand;
pub use layer::LayerCommand;
pub use question::Question;
pub use selection::SelectionCommand;
pub use shortcuts::{conflicts, keys_of, keys_text, parse_keys, pressed, text_of_keys};
pub use spec::Spec;
pub use tool::ToolCommand;
pub use train::TrainCommand;
pub use view::ViewCommand;
pub use window::WindowCommand;

use group::CommandGroup;
use place::Place;

use super::state::State;

/// Something that a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    File(FileCommand),
    Dataset(DatasetCommand),
    Export(ExportCommand),
    History(HistoryCommand),
    Tool(ToolCommand),
    Selection(SelectionCommand),
    Brush(BrushCommand),
    View(ViewCommand),
    Code(CodeCommand),
    Train(TrainCommand),
    Window(WindowCommand),
    Layer(LayerCommand),
    Document(DocumentCommand),
    Generate(GenerateCommand),
}

/// Has each group answer for its commands. A group that is missing here does not compile.
macro_rules! groups {
    ($($name:ident($group:ident)),+ $(,)?) => {
        $(impl From<$group> for Command {
            fn from(command: $group) -> Self {
                Self::$name(command)
            }
        })+

        impl Command {
            /// The commands that can be given without more words: for menus, shortcuts and the command palette.
            pub fn all() -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend($group::listed().into_iter().map(Self::$name));)+
                all
            }

            /// What it is called and how it is reached; `None` for commands that carry more than a user could say in one word.
            pub fn spec(&self) -> Option<Spec> {
                match self {
                    $(Self::$name(command) => command.spec()),+
                }
            }

            /// Where it works, by its keys and in the list of commands.
            fn place(&self) -> Place {
                match self {
                    $(Self::$name(command) => command.place()),+
                }
            }

            /// Whether it can do anything now.
            pub fn is_possible(&self, state: &State) -> bool {
                self.place().has(state.workspace)
                    && match self {
                        $(Self::$name(command) => command.is_possible(state)),+
                    }
            }
        }
    };
}

// In the order in which they are listed.
groups! {
    File(FileCommand),
    Dataset(DatasetCommand),
    Export(ExportCommand),
    History(HistoryCommand),
    Tool(ToolCommand),
    Selection(SelectionCommand),
    Brush(BrushCommand),
    View(ViewCommand),
    Code(CodeCommand),
    Train(TrainCommand),
    Window(WindowCommand),
    Layer(LayerCommand),
    Document(DocumentCommand),
    Generate(GenerateCommand),
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_listed_command_has_its_own_words_and_keys() {
        let mut ids = BTreeSet::new();
        let mut keys = BTreeMap::<String, Vec<(&str, Place)>>::new();
        for command in Command::all() {
            let spec = command.spec();
            let spec = spec.unwrap_or_else(|| panic!("{command:?} is listed and has no words"));
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
