//! One project after another: nothing of the one that is left is shown in, or written into, the next.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use eframe::egui::{Key, Modifiers};
use tessera::app::{
    CheckpointChoice, DatasetCommand, DocumentCommand, FileCommand, Preset, RunStatus, State,
    ToolCommand, TrainCommand, TrainForm, WindowCommand, Workspace,
};
use tessera::document::{Level, Wrap};
use tessera::engine::Storage;

use crate::support::Window;

/// A window with a first project, and where the second will be.
fn open(folder: &Path) -> (Window, PathBuf, PathBuf) {
    let mut window = Window::open(folder, &[]);
    window.until_paintable();
    window.until("the palette's end", State::is_idle);
    let project = window.state().session.project.as_ref();
    let first = project.expect("a project is open").path.clone();
    (window, first, folder.join("second.tessera"))
}

fn is_open(state: &State, path: &Path) -> bool {
    let project = state.session.project.as_ref();
    project.is_some_and(|project| project.path == path && project.overview.is_some())
}

fn import_samples(window: &mut Window, folder: &Path) {
    let pictures = folder.join("pictures");
    tessera::engine::write_samples(&pictures).expect("a folder to write to");
    let import = DatasetCommand::Import(vec![pictures]);
    window.app().apply(import);
}

/// What the file says once nobody has it open.
fn in_file<T: Send + 'static>(
    path: &Path,
    read: impl Fn(&mut tessera::project::Project) -> tessera::error::Result<T> + Send + Copy + 'static,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match Storage::open(path) {
            Ok(storage) => return storage.call(read).expect("a sound project"),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_import_goes_on_into_the_project_that_was_left_and_shows_nothing_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, first, second) = open(folder.path());
    import_samples(&mut window, folder.path());
    let create = FileCommand::CreateProjectAt(second.clone());
    window.app().apply(create);
    window.until("the second project", |state| is_open(state, &second));
    assert!(window.state().session.import_report.is_none());
    window.until("the end of the import", State::is_idle);
    let state = window.state();
    assert!(is_open(state, &second));
    assert!(state.session.import_report.is_none());
    let overview = state.session.project.as_ref().unwrap().overview.as_ref();
    assert_eq!(overview.unwrap().counts.total, 0);
    let told: Vec<String> = state.notices.history().map(|entry| entry.text()).collect();
    assert!(
        !told.iter().any(|text| text.contains("Imported")),
        "{told:?}"
    );
    drop(window);
    let pictures = |path: &Path| in_file(path, |project| Ok(project.picture_counts()?.total));
    assert_eq!((pictures(&first), pictures(&second)), (22, 0));
}

#[test]
fn a_picture_that_arrives_late_is_not_shown_in_the_next_project() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, first, second) = open(folder.path());
    // On one lane: the project is open when the picture comes.
    let app = window.app();
    app.apply(FileCommand::CreateProjectAt(second.clone()));
    let id = app.state.session.canvas.as_ref().unwrap().id;
    let wrap = Wrap { x: true, y: true };
    app.apply(DocumentCommand::Rewrap(id, wrap));
    window.until("the second project", |state| {
        is_open(state, &second) && state.session.canvas.is_some() && state.is_idle()
    });
    let session = &window.state().session;
    let canvas = window.canvas();
    assert_eq!(canvas.document.wrap(), Wrap::default());
    assert_eq!(session.tabs.order, [canvas.id]);
    // What is painted now is the second project's.
    window.drag(&[(0.3, 0.3), (0.6, 0.3)]);
    assert_eq!(window.strokes(), 1);
    window.close();
    let strokes = |path: &Path| {
        in_file(path, |project| {
            let rows = project.documents()?;
            Ok(rows.iter().map(|row| row.strokes).collect::<Vec<_>>())
        })
    };
    assert_eq!(strokes(&second), [1]);
    assert_eq!(strokes(&first), [0]);
}

#[test]
fn a_fine_tune_is_paused_when_its_project_is_left_and_shows_nothing_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, first, second) = open(folder.path());
    import_samples(&mut window, folder.path());
    window.until("the pictures", |state| {
        state.is_idle() && state.why_no_training().is_none()
    });
    let form = TrainForm {
        preset: Preset::Quick,
        minutes: Some(5.0),
        seed: 3,
        starts_from: CheckpointChoice::Best,
    };
    let app = window.app();
    app.apply(TrainCommand::SetForm(form));
    app.apply(TrainCommand::Start);
    window.until("the first look", |state| {
        !state.session.training.previews.is_empty()
    });
    let create = FileCommand::CreateProjectAt(second.clone());
    window.app().apply(create);
    window.until("the second project", |state| is_open(state, &second));
    let nothing = |state: &State| {
        let training = &state.session.training;
        !training.is_running()
            && training.figures.is_empty()
            && training.previews.is_empty()
            && training.metrics.is_empty()
            && !training.has_news
            && training.model == CheckpointChoice::Best
    };
    assert!(nothing(window.state()));
    assert_eq!(window.state().session.training.form, form);
    window.until("the pause", State::is_idle);
    assert!(is_open(window.state(), &second) && nothing(window.state()));
    let told = window.state().notices.history();
    assert!(
        !told
            .into_iter()
            .any(|entry| entry.text().contains("Trained"))
    );

    // Back in the first, the run can go on.
    let open = FileCommand::OpenProjectAt(first.clone());
    window.app().apply(open);
    window.until("the first project again", |state| is_open(state, &first));
    let session = &window.state().session;
    let overview = session.project.as_ref().unwrap().overview.as_ref().unwrap();
    assert_eq!(overview.runs[0].status, RunStatus::Paused);
    assert_eq!(overview.resumable_run, Some(overview.runs[0].id));
    drop(window);
    assert!(in_file(&second, |project| Ok(project.runs()?.is_empty())));
}

#[test]
fn a_project_is_opened_again_while_its_job_is_still_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, first, second) = open(folder.path());
    import_samples(&mut window, folder.path());
    let app = window.app();
    app.apply(FileCommand::CreateProjectAt(second.clone()));
    app.apply(FileCommand::OpenProjectAt(first.clone()));
    window.until("the first project again", |state| {
        is_open(state, &first) && !state.has_job::<tessera::app::OpenProjectJob>()
    });
    // What the job of before finds is seen all the same.
    window.until("the pictures", |state| {
        let overview = state.session.project.as_ref().unwrap().overview.as_ref();
        state.is_idle() && overview.is_some_and(|overview| overview.counts.total == 22)
    });
    let failures = window.state().notices.history();
    let failures: Vec<String> = failures
        .filter(|entry| entry.severity == tessera::app::Severity::Error)
        .map(|entry| entry.text())
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn what_was_in_hand_stays_with_its_project() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, first, second) = open(folder.path());
    window.key(Modifiers::COMMAND, Key::A);
    let code = window.unused_code(Level::Structure);
    let app = window.app();
    app.apply(ToolCommand::SelectCode(Level::Structure, code));
    app.apply(TrainCommand::UseModel(CheckpointChoice::Last));
    app.apply(WindowCommand::Show(Workspace::Paint));
    window.key(Modifiers::NONE, Key::M);
    window.key(Modifiers::NONE, Key::B);
    assert_eq!(window.state().paint.current_code(), code);
    // A stroke that is still pressed when the next project opens is kept in its own.
    let from = window.on_picture(0.3, 0.5);
    window.harness.hover_at(from);
    window.harness.run_steps(2);
    window.harness.drag_at(from);
    window.harness.run_steps(2);
    assert!(window.canvas().document.is_stroke_open());
    let create = FileCommand::CreateProjectAt(second.clone());
    window.app().apply(create);
    window.until("the second project", |state| {
        is_open(state, &second) && state.session.canvas.is_some() && state.is_idle()
    });
    window.harness.drop_at(from);
    window.harness.run_steps(2);
    let state = window.state();
    let session = &state.session;
    assert!(session.selection(window.canvas().id).is_none());
    assert!(state.tools.gesture.is_none() && state.paint.recent.is_empty());
    assert_eq!(session.training.model, CheckpointChoice::Best);
    assert_eq!(window.strokes(), 0);
    window.close();
    let strokes = |path: &Path| {
        in_file(path, |project| {
            let rows = project.documents()?;
            Ok(rows.iter().map(|row| row.strokes).collect::<Vec<_>>())
        })
    };
    assert_eq!((strokes(&first), strokes(&second)), (vec![1], vec![0]));
}
