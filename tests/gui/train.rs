//! The Fine-tune page: what a run shows from its first moment, and what can be done with runs.

use egui_kittest::kittest::Queryable;
use tessera::app::{
    DatasetCommand, Preset, RunStatus, State, TrainCommand, TrainForm, WindowCommand,
};
use tessera::engine::{
    CheckpointChoice, DeviceChoice, IndexJob, IndexReport, Lane, ModelSource, Worker,
};

use crate::support::Window;

fn overview(window: &Window) -> &tessera::app::Overview {
    let project = window.state().session.project.as_ref();
    let overview = project.and_then(|project| project.overview.as_ref());
    overview.expect("the project was read")
}

#[test]
fn a_run_shows_what_it_began_with_and_is_renamed_compared_pinned_used_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.app().apply(DatasetCommand::Import(vec![pictures]));
    window.until("the imported pictures", |state| {
        state.is_idle() && state.why_no_training().is_none()
    });
    let form = TrainForm {
        preset: Preset::Quick,
        minutes: Some(0.1),
        ..window.state().session.training.form
    };
    window.app().apply(TrainCommand::SetForm(form));
    window.click("Fine-tune");
    assert!(window.harness.query_by_label("Takes about 6 s").is_some());
    window.click("Start");
    window.until("the first look", |state| {
        !state.session.training.previews.is_empty()
    });
    assert_eq!(window.state().session.training.previews[0].step, 0);
    let at_start = window.state().session.training.figures["eval.psnr_db"][0];
    assert!(at_start[0] == 0.0 && at_start[1] > 10.0, "{at_start:?}");
    assert!(window.harness.query_by_label("Before").is_some());
    window.until("the end", |state| !state.session.training.is_running());
    window.until("the run in the list", |state| {
        let overview = state
            .session
            .project
            .as_ref()
            .and_then(|p| p.overview.as_ref());
        overview.is_some_and(|o| o.runs.iter().any(|run| run.status == RunStatus::Finished))
    });
    for column in ["Original", "Before", "Now", "Structure alone"] {
        assert!(window.harness.query_by_label(column).is_some(), "{column}");
    }

    window.click("Rename the run");
    window.write("Name of the run", "Meadows");
    window.until("the new name", |state| {
        let overview = state.session.project.as_ref().unwrap().overview.as_ref();
        overview.is_some_and(|overview| overview.runs[0].name == "Meadows")
    });
    window.click("Compare Meadows");
    let run = overview(&window).runs[0].id;
    window.until("its figures", |state| {
        state.session.training.metrics.contains_key(&run)
    });
    window.click("Keep its model");
    window.until("the pin", |state| {
        let overview = state.session.project.as_ref().unwrap().overview.as_ref();
        overview.is_some_and(|overview| overview.checkpoints.iter().any(|row| row.pinned))
    });
    window.click("Use this one");
    assert!(
        window
            .harness
            .query_by_label("New pictures are opened with this one")
            .is_some()
    );

    // Deleting is asked for twice.
    window.click("Delete the run");
    assert_eq!(overview(&window).runs.len(), 1);
    window.click("Delete the run");
    window.until("the deletion", |state| {
        let overview = state.session.project.as_ref().unwrap().overview.as_ref();
        overview.is_some_and(|overview| overview.runs.is_empty())
    });
}

/// Fills the index under the base model once more: what it finds there has been encoded before.
fn index_of(window: &Window) -> IndexReport {
    let project = window.state().session.project.as_ref().unwrap();
    let storage = project.storage().clone();
    let job = IndexJob {
        model: ModelSource::Project(storage.clone(), CheckpointChoice::Best),
        project: storage,
        verify: true,
        device: DeviceChoice::Cpu,
    };
    let worker = Worker::start(std::sync::Arc::new(|| {})).unwrap();
    worker.run(job, |_| None).unwrap()
}

fn is_indexing(state: &State) -> bool {
    state.has_job::<IndexJob>()
}

#[test]
fn pictures_are_encoded_in_the_background_until_it_is_stopped_and_not_beside_a_fine_tune() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let count = std::fs::read_dir(&pictures).unwrap().count() as u64;
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.app().apply(DatasetCommand::Import(vec![pictures]));
    window.until("the encoding, alone", |state| {
        let shown = state.shown_jobs();
        let is_alone =
            (shown.first()).is_some_and(|job| job.key.lane == Lane::Upkeep && job.done > 0);
        // On a busy machine it may be over before everything else is.
        is_alone || state.session.import_report.is_some() && state.is_idle()
    });
    // Whoever stops it has it stopped.
    window.apply(WindowCommand::CancelJob);
    window.until("its end", |state| !is_indexing(state));
    window.steps(30);
    assert!(!is_indexing(window.state()));

    // A fine-tune makes what is encoded anew worth having; while it runs nothing else computes.
    let form = TrainForm {
        minutes: Some(0.05),
        ..window.state().session.training.form
    };
    window.app().apply(TrainCommand::SetForm(form));
    window.apply(TrainCommand::Start);
    window.until("the end of training, alone", |state| {
        assert!(!(state.session.training.is_running() && is_indexing(state)));
        !state.session.training.is_running()
    });
    window.until("the encoding", |state| !is_indexing(state));
    let index = index_of(&window);
    assert_eq!(
        (index.pictures.new, index.pictures.kept),
        (0, count),
        "{index:?}"
    );

    // A run that begins while pictures are encoded comes first.
    let checkpoints = &overview(&window).checkpoints;
    let base = checkpoints.iter().min_by_key(|row| row.id).unwrap().id;
    window
        .app()
        .apply(TrainCommand::UseModel(CheckpointChoice::Id(base)));
    assert!(is_indexing(window.state()));
    let form = TrainForm {
        minutes: Some(30.0),
        ..window.state().session.training.form
    };
    window.app().apply(TrainCommand::SetForm(form));
    window.apply(TrainCommand::Start);
    window.until("way made for the run", |state| !is_indexing(state));
    assert!(window.state().session.training.is_running());
    window.apply(TrainCommand::Cancel);
    window.until("the end", |state| state.is_idle());
}
