//! Import, fine-tuning and painting together: the window's thread does none of the work.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{DatasetCommand, ImportJob, Preset, TrainCommand, TrainForm, Workspace};
use tessera::window_thread::blocking_calls;

use crate::support::Window;

#[test]
fn no_frame_does_file_or_model_work_while_everything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let before = blocking_calls();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();

    window
        .app()
        .apply(DatasetCommand::Import(vec![pictures.clone()]));
    window.until("the imported pictures", |state| {
        !state.has_job::<ImportJob>() && state.why_no_training().is_none()
    });
    let form = TrainForm {
        preset: Preset::Quick,
        minutes: Some(2.0),
        ..window.state().session.training.form
    };
    window.app().apply(TrainCommand::SetForm(form));
    window.click("Fine-tune");
    window.click("Start");
    assert!(window.state().session.training.is_running());

    // Painting, looking at pictures and exporting go on meanwhile.
    window.click("Paint");
    for stroke in 0..3 {
        let y = 0.3 + 0.1 * stroke as f32;
        window.drag(&[(0.3, y), (0.6, y)]);
    }
    window.until("the new pixels", |state| {
        let canvas = state.session.canvas.as_ref().unwrap();
        canvas.shown_revision >= canvas.document.revision()
    });
    window.key(Modifiers::COMMAND, Key::E);
    window.until("the exported file", |state| {
        state.session.last_export.is_some()
    });
    window.click("Pictures");
    window.until("the thumbnails", |state| {
        let first = state.session.gallery.row(0).map(|row| row.id);
        first.is_some_and(|id| state.session.gallery.thumbnail(id).is_some())
    });

    // Pause keeps the run; it can be resumed and stopped.
    assert!(
        window.state().session.training.is_running(),
        "painting did not wait for it"
    );
    window.click("Fine-tune");
    assert_eq!(window.state().workspace, Workspace::FineTune);
    window.until("the first figures", |state| {
        !state.session.training.figures.is_empty()
    });
    window.click("Pause");
    window.until("the pause", |state| {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        !state.session.training.is_running() && overview.is_some_and(|o| o.resumable_run.is_some())
    });
    window.click("Resume");
    window.until("figures of the resumed run", |state| {
        state.session.training.is_running() && !state.session.training.figures.is_empty()
    });
    window.click("Stop");
    window.until("the end", |state| !state.session.training.is_running());
    let failures: Vec<String> = (window.state().notices.history())
        .filter(|entry| entry.severity == tessera::app::Severity::Error)
        .map(|entry| entry.text())
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert!(window.harness.query_by_label("Run 1").is_some());
    assert_eq!(blocking_calls(), before, "see the log for what was done");
}
