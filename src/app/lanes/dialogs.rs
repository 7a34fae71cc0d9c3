//! File dialogs: they block, so each has a thread of its own, and the answer comes back as a command.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::app::command::{
    BrushCommand, Command, DatasetCommand, ExportCommand, FileCommand, Question, ToolCommand,
};
use crate::app::state::SessionId;
use crate::dataset::readable_endings;
use crate::document::tools::brushes::PACK_EXTENSION;
use crate::engine::{Existing, Wake};
use crate::error::{Error, Result};
use crate::project::EXTENSION;

/// Nobody sees a dialog and cancels it so fast: the system could not show one, and says no more than that.
const TOO_FAST: Duration = Duration::from_millis(150);

/// Who answers: the system's dialogs, or a script in tests. Runs on a thread of its own; `None` is a cancel.
pub type Picker = Arc<dyn Fn(&Question) -> Option<Vec<PathBuf>> + Send + Sync>;

/// What was answered, and in which session it was asked.
type Answer = (SessionId, Command);

/// The file dialogs of a window.
pub struct Dialogs {
    picker: Picker,
    wake: Wake,
    answers: (Sender<Answer>, Receiver<Answer>),
}

impl Dialogs {
    pub fn new(picker: Picker, wake: Wake) -> Self {
        Self {
            picker,
            wake,
            answers: bounded(16),
        }
    }

    /// Opens a dialog; [`take`](Self::take) gives its answer.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn ask(&self, session: SessionId, question: Question) -> Result<()> {
        let (picker, wake, sender) = (
            self.picker.clone(),
            self.wake.clone(),
            self.answers.0.clone(),
        );
        std::thread::Builder::new()
            .name("tessera-dialog".into())
            .spawn(move || {
                let asked = Instant::now();
                let command = match picker(&question) {
                    Some(paths) => command_for(&question, paths),
                    None if asked.elapsed() < TOO_FAST => {
                        Some(FileCommand::DialogFailed(question).into())
                    }
                    None => None,
                };
                if let Some(command) = command {
                    // Nobody is left to answer when the window has closed.
                    let _ = sender.send((session, command));
                    wake();
                }
            })
            .map(drop)
            .map_err(|source| Error::io("could not open the file dialog", "", &source))
    }

    /// The answers since the last call. Those that were asked for another project than the one of `session` are left out, unless they are of
    /// none.
    pub fn take(&self, session: SessionId) -> Vec<Command> {
        let answers = self.answers.1.try_iter();
        let answers =
            answers.filter(|(asked_in, command)| *asked_in == session || !is_of_project(command));
        answers.map(|(_, command)| command).collect()
    }
}

/// Whether an answer is meant for the project that was open when the question was asked.
fn is_of_project(command: &Command) -> bool {
    !matches!(
        command,
        Command::File(
            FileCommand::OpenProjectAt(_)
                | FileCommand::CreateProjectAt(_)
                | FileCommand::DialogFailed(_)
        ) | Command::Export(ExportCommand::SetFolder(_))
    )
}

fn command_for(question: &Question, paths: Vec<PathBuf>) -> Option<Command> {
    let first = paths.first()?.clone();
    Some(match question {
        Question::Picture => FileCommand::OpenFiles(vec![first]).into(),
        Question::Texture => ToolCommand::TextureFrom(Some(first)).into(),
        Question::ImportFolder | Question::ImportFiles | Question::FindPictures => {
            DatasetCommand::Import(paths).into()
        }
        Question::OpenProject => FileCommand::OpenProjectAt(first).into(),
        Question::NewProject => FileCommand::CreateProjectAt(named(first, EXTENSION).0).into(),
        Question::SaveCopy { .. } => {
            let (path, existing) = named(first, EXTENSION);
            FileCommand::SaveCopyAs(path, existing).into()
        }
        Question::ExportFolder => ExportCommand::SetFolder(first).into(),
        Question::ImportBrushes => BrushCommand::ImportFrom(first).into(),
        Question::ExportBrushes { .. } => {
            let (path, existing) = named(first, PACK_EXTENSION);
            BrushCommand::ExportTo(path, existing).into()
        }
    })
}

/// The file that an answer names, with the ending that its kind has. The dialog has asked before replacing the file that it
/// gave; one of another name nobody was asked about, so that it stays.
fn named(answer: PathBuf, extension: &str) -> (PathBuf, Existing) {
    let has_it = (answer.extension()).is_some_and(|own| own.eq_ignore_ascii_case(extension));
    if has_it {
        return (answer, Existing::Replace);
    }
    // Added, not put in place of another one: the end of "Castle v1.2" is no ending.
    let mut name = answer.into_os_string();
    name.push(".");
    name.push(extension);
    (name.into(), Existing::Refuse)
}

/// The system's own dialogs.
pub fn system_picker() -> Picker {
    Arc::new(|question| {
        let dialog = rfd::AsyncFileDialog::new();
        let one = |handle: rfd::FileHandle| vec![handle.path().to_path_buf()];
        let many = |handles: Vec<rfd::FileHandle>| {
            handles
                .iter()
                .map(|handle| handle.path().to_path_buf())
                .collect()
        };
        pollster::block_on(async {
            match question {
                Question::Picture => dialog
                    .set_title("Open a picture")
                    .add_filter("Pictures", &readable_endings())
                    .pick_file()
                    .await
                    .map(one),
                Question::Texture => dialog
                    .set_title("Choose a picture to take texture from")
                    .add_filter("Pictures", &readable_endings())
                    .pick_file()
                    .await
                    .map(one),
                Question::ImportFolder => dialog
                    .set_title("Import folders of pictures")
                    .pick_folders()
                    .await
                    .map(many),
                Question::FindPictures => dialog
                    .set_title("Where are the pictures now?")
                    .pick_folders()
                    .await
                    .map(many),
                Question::ImportFiles => dialog
                    .set_title("Import pictures")
                    .add_filter("Pictures", &readable_endings())
                    .pick_files()
                    .await
                    .map(many),
                Question::OpenProject => dialog
                    .set_title("Open a project")
                    .add_filter("Tessera projects", &[EXTENSION])
                    .pick_file()
                    .await
                    .map(one),
                Question::NewProject => dialog
                    .set_title("Make a new project")
                    .set_file_name(format!("Untitled.{EXTENSION}"))
                    .save_file()
                    .await
                    .map(one),
                Question::SaveCopy { name } => dialog
                    .set_title("Save a copy of the project")
                    .set_file_name(format!("{name}.{EXTENSION}"))
                    .save_file()
                    .await
                    .map(one),
                Question::ImportBrushes => dialog
                    .set_title("Import brushes")
                    .add_filter("Brush packs", &[PACK_EXTENSION])
                    .pick_file()
                    .await
                    .map(one),
                Question::ExportBrushes { name } => dialog
                    .set_title("Export brushes")
                    .set_file_name(format!("{name}.{PACK_EXTENSION}"))
                    .save_file()
                    .await
                    .map(one),
                Question::ExportFolder => dialog
                    .set_title("Choose where exported pictures go")
                    .pick_folder()
                    .await
                    .map(one),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_dialog_did_not_ask_about_is_not_replaced() {
        let replaces = |name: &str| named(name.into(), EXTENSION);
        for name in ["/a/backup.tessera", "/a/backup.TESSERA", "b.x.tessera"] {
            assert_eq!(replaces(name), (name.into(), Existing::Replace));
        }
        for (given, file) in [
            ("/a/backup", "/a/backup.tessera"),
            ("/a/Castle v1.2", "/a/Castle v1.2.tessera"),
            ("/a.tessera/b", "/a.tessera/b.tessera"),
            ("/a/.tessera", "/a/.tessera.tessera"),
            ("/a/b.", "/a/b..tessera"),
        ] {
            assert_eq!(replaces(given), (file.into(), Existing::Refuse));
        }
    }

    #[test]
    fn every_answer_that_gets_an_ending_is_such_a_file() {
        let name = String::new;
        let answer = |question| command_for(&question, vec!["/a/x.y".into()]).unwrap();
        assert_eq!(
            answer(Question::SaveCopy { name: name() }),
            FileCommand::SaveCopyAs("/a/x.y.tessera".into(), Existing::Refuse).into()
        );
        assert_eq!(
            answer(Question::ExportBrushes { name: name() }),
            BrushCommand::ExportTo(format!("/a/x.y.{PACK_EXTENSION}").into(), Existing::Refuse)
                .into()
        );
        assert_eq!(
            answer(Question::NewProject),
            FileCommand::CreateProjectAt("/a/x.y.tessera".into()).into()
        );
    }
}
