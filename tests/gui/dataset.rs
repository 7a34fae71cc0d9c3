//! The Pictures page: odd folders, lost folders, labels, crops, very many rows.

use std::path::Path;

use eframe::egui;
use egui_kittest::kittest::{NodeT, Queryable};
use tessera::app::{DatasetCommand, Gallery, Overlay, PictureRole, Severity, State, Workspace};
use tessera::project::Project;
use tessera::settings::Folders;
use tessera::window_thread::blocking_calls;

use crate::common::{many, shared_data};
use crate::support::Window;

fn counts(state: &State) -> tessera::app::PictureCounts {
    let overview = state
        .session
        .project
        .as_ref()
        .and_then(|p| p.overview.as_ref());
    overview.map(|o| o.counts.clone()).unwrap_or_default()
}

/// Imports a folder by the button and the dialog's answer.
fn import(window: &mut Window, folder: &Path) {
    window.click("Pictures");
    window.answer(folder);
    let mut buttons = window.harness.get_all_by_label("Import folder…");
    buttons.next().expect("a way to import").click();
    drop(buttons);
    window.until("the import", |state| {
        state.session.import_report.is_some()
            && state.is_idle()
            && state.session.gallery.row(0).is_some()
    });
}

#[test]
fn a_folder_of_nasty_files_comes_in_as_far_as_it_can_and_each_refusal_has_its_reason() {
    let Some(data) = shared_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    import(&mut window, &data.join("nasty"));
    let report = window.state().session.import_report.as_ref().unwrap();
    assert!(report.imported >= 30, "{report:?}");
    assert!(report.rejected.len() >= 5, "{report:?}");
    assert!(report.rejected.iter().all(|notice| !notice.why.is_empty()));
    let (imported, rejected) = (report.imported, report.rejected.len());
    assert_eq!(counts(window.state()).total, imported);
    assert_eq!(window.state().session.gallery.total, Some(imported));

    let words = format!("{rejected} of the files could not be used; {imported} pictures came in.");
    assert!(window.harness.query_by_label(&words).is_some());
    let first = {
        let notice = &window
            .state()
            .session
            .import_report
            .as_ref()
            .unwrap()
            .rejected[0];
        let path = notice.path.clone().unwrap();
        format!("{}: {}", path.rsplit('/').next().unwrap(), notice.why)
    };
    assert!(window.harness.query_by_label(&first).is_none());
    window.click("Which, and why");
    assert!(window.harness.query_by_label(&first).is_some(), "{first}");
    // What is odd but usable is flagged, and the flags can be chosen by.
    let flags = counts(window.state()).by_flag;
    let (flag, count) = flags.first_key_value().expect("some are flagged");
    let mut filter = window.state().session.gallery.filter.clone();
    filter.flag = Some(flag.clone());
    window.app().apply(DatasetCommand::Filter(filter));
    let count = *count;
    window.until("the flagged ones", |state| {
        state.session.gallery.total == Some(count)
    });
}

#[test]
fn labels_come_from_sub_folders_and_choose_what_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures.join("b")).unwrap();
    std::fs::create_dir(pictures.join("a")).unwrap();
    for name in ["parrot.png", "pig.png", "snake.png"] {
        std::fs::rename(pictures.join("b").join(name), pictures.join("a").join(name)).unwrap();
    }
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    import(&mut window, &pictures);
    assert_eq!(counts(window.state()).by_label["a"], 3);
    window.click("Which label");
    window.click("a (3)");
    window.until("the label's pictures", |state| {
        state.session.gallery.total == Some(3)
    });
    assert!(window.harness.query_by_label("3 of 22").is_some());
    window.click("Show all pictures");
    window.until("all pictures", |state| {
        state.session.gallery.total == Some(22)
    });
}

#[test]
fn a_picture_is_shown_with_what_training_sees_and_left_out_by_its_eye() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    import(&mut window, &pictures);
    window.dismiss_notices();
    window.click("parrot.png");
    window.until("its crops", |state| {
        let crops = state.session.gallery.crops.as_ref();
        crops.is_some_and(|crops| crops.textures.len() == 8)
    });
    assert!(
        window
            .harness
            .query_by_label("What training sees")
            .is_some()
    );
    let first: Vec<_> = {
        let crops = window.state().session.gallery.crops.as_ref().unwrap();
        assert_ne!(crops.role, PictureRole::LeftOut);
        crops.textures.iter().map(|t| t.id()).collect()
    };
    window.click("Other parts");
    window.until("other crops", |state| {
        let crops = state.session.gallery.crops.as_ref();
        crops.is_some_and(|crops| crops.textures[0].id() != first[0])
    });
    window.click("Leave it out");
    window.until("the exclusion", |state| counts(state).excluded == 1);
    window.click("Other parts");
    window.until("crops of a picture that is left out", |state| {
        let crops = state.session.gallery.crops.as_ref();
        crops.is_some_and(|crops| crops.role == PictureRole::LeftOut)
    });
    window.click("Leave out parrot.png");
    window.until("it is back", |state| counts(state).excluded == 0);
    window.click("Paint on it");
    window.until("the picture on the canvas", |state| {
        state.workspace == Workspace::Paint
            && (state.session.canvas.as_ref()).is_some_and(|canvas| canvas.name.contains("parrot"))
    });
}

#[test]
fn a_lost_folder_is_told_stops_the_start_and_is_found_again_by_content() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    import(&mut window, &pictures);
    window.click("Leave out elephant.png");
    window.until("the exclusion", |state| counts(state).usable == 21);
    window.close();

    let moved = folder.path().join("somewhere else");
    std::fs::rename(&pictures, &moved).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.until("the loss", |state| counts(state).missing == 22);
    let is_told = window
        .state()
        .notices
        .history()
        .any(|entry| entry.text().contains("no longer where they were"));
    assert!(is_told);
    window.click("Fine-tune");
    let why = window
        .harness
        .query_by_label_contains("the pictures are no longer where they were");
    assert!(why.is_some(), "Start tells why it is disabled");
    let start = window.harness.get_by_label("Start");
    assert!(start.accesskit_node().is_disabled());

    window.click("Pictures");
    window.answer(&moved);
    window.click("Find missing pictures…");
    window.until("the pictures at their new place", |state| {
        counts(state).missing == 0 && state.is_idle()
    });
    let found = counts(window.state());
    assert_eq!((found.total, found.usable, found.excluded), (22, 21, 1));
    assert_eq!(window.state().why_no_training(), None);

    // Back at the old place, as on a drive that was not connected, they are found without being asked for.
    window.close();
    let aside = folder.path().join("aside");
    std::fs::rename(&moved, &aside).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.until("the loss", |state| counts(state).missing == 22);
    window.close();
    std::fs::rename(&aside, &moved).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.until("the return", |state| counts(state).missing == 0);
    assert_eq!(counts(window.state()).usable, 21);
}

#[test]
fn a_hundred_thousand_rows_scroll_with_bounded_memory_and_no_work_on_the_windows_thread() {
    const COUNT: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let path = Folders::within(folder.path()).first_project();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut project = Project::create(&path).unwrap();
    many::add_pictures(&mut project, &folder.path().join("pictures"), COUNT);
    drop(project);

    let before = blocking_calls();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.click("Pictures");
    let has_thumbnail = |state: &State, index: u64| {
        let id = state.session.gallery.row(index).map(|row| row.id);
        id.is_some_and(|id| state.session.gallery.thumbnail(id).is_some())
    };
    window.until("the first thumbnails", |state| {
        state.session.gallery.total == Some(COUNT) && has_thumbnail(state, 0)
    });
    let middle = window
        .harness
        .get_by_label("000/picture 000000.png")
        .rect()
        .center();
    window.harness.hover_at(middle);
    // A hard flick, to the end.
    for _ in 0..400 {
        window.harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, -20_000.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
            modifiers: egui::Modifiers::NONE,
        });
        window.harness.step();
        assert!(window.state().session.gallery.kept().1 <= Gallery::MAX_THUMBNAILS);
    }
    window.until("the last thumbnails", |state| {
        has_thumbnail(state, COUNT - 1)
    });
    let (rows, thumbnails) = window.state().session.gallery.kept();
    assert!(
        rows <= Gallery::CHUNK as usize * Gallery::MAX_CHUNKS,
        "{rows}"
    );
    assert!(thumbnails <= Gallery::MAX_THUMBNAILS, "{thumbnails}");
    assert_eq!(blocking_calls(), before, "see the log for what was done");
}

#[test]
fn keys_act_on_the_pictures_that_are_seen_and_not_on_the_canvas_behind() {
    use eframe::egui::{Key, Modifiers};
    let (ctrl, shift) = (Modifiers::COMMAND, Modifiers::SHIFT);
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.drag(&[(0.3, 0.3), (0.6, 0.3)]);
    window.key(ctrl, Key::A);
    import(&mut window, &pictures);
    window.dismiss_notices();
    window.click("parrot.png");
    let painted = |window: &Window| {
        let document = &window.canvas().document;
        (document.revision(), window.state().session.tabs.order.len())
    };
    let (before, tool) = (painted(&window), window.state().paint.tool);
    let selection = window
        .state()
        .session
        .selection(window.canvas().id)
        .cloned();
    assert!(selection.is_some());
    window.key(Modifiers::NONE, Key::Delete);
    window.until("the exclusion", |state| counts(state).excluded == 1);
    window.key(ctrl, Key::Z);
    window.until("it is back", |state| counts(state).excluded == 0);
    window.key(ctrl.plus(shift), Key::Z);
    window.until("it is left out again", |state| counts(state).excluded == 1);
    window.key(ctrl, Key::Z);
    window.until("it is back again", |state| counts(state).excluded == 0);
    // There is nothing left to take back, nor anything that these keys do here.
    for page in ["Pictures", "Fine-tune", "Codebook"] {
        window.click(page);
        for (held, key) in [
            (ctrl, Key::Z),
            (shift, Key::Backspace),
            (ctrl.plus(shift), Key::A),
            (ctrl.plus(shift), Key::N),
            (ctrl, Key::W),
            (Modifiers::NONE, Key::E),
        ] {
            window.key(held, key);
            if window.state().overlay.is_some() {
                window.key(Modifiers::NONE, Key::Escape);
            }
        }
    }
    window.click("Fine-tune");
    window.key(Modifiers::NONE, Key::Delete);
    assert_eq!(painted(&window), before);
    assert_eq!(window.state().paint.tool, tool);
    let now = window.state().session.selection(window.canvas().id);
    assert_eq!(now, selection.as_ref());
    assert_eq!(counts(window.state()).excluded, 0);
    // On the canvas they do what they always did.
    window.click("Paint");
    window.key(ctrl, Key::Z);
    assert!(!window.canvas().document.is_edited());
}

#[test]
fn a_path_that_is_not_there_is_told_and_stays_to_be_corrected() {
    use eframe::egui::{Key, Modifiers};
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let errors = |state: &State| {
        let shown = state.notices.history();
        let errors = shown.filter(|entry| entry.severity == Severity::Error);
        errors.map(|entry| entry.text()).collect::<Vec<_>>()
    };
    window.key(Modifiers::COMMAND, Key::L);
    let typed = folder.path().join("picture");
    window.write("Path", typed.to_str().unwrap());
    window.until("the error", |state| !errors(state).is_empty());
    assert!(errors(window.state())[0].contains("there is nothing at this path"));
    assert_eq!(window.state().overlay, Some(Overlay::OpenPath));
    assert_eq!(window.state().workspace, Workspace::Paint);
    let field = window.harness.get_by_label("Path");
    assert_eq!(field.value(), typed.to_str().map(str::to_owned));
    // One letter more is right.
    field.focus();
    field.type_text("s");
    window.steps(2);
    window.key(Modifiers::NONE, Key::Enter);
    window.until("the import", |state| {
        state.session.import_report.is_some() && state.is_idle()
    });
    assert_eq!(window.state().overlay, None);
    window.until("the pictures", |state| counts(state).total == 22);

    // Named in any other way it is an error as well, and no import.
    let gone = folder.path().join("gone");
    window.apply(DatasetCommand::Import(vec![pictures, gone]));
    window.until("the other error", |state| {
        errors(state).len() == 2 && state.is_idle()
    });
    assert!(errors(window.state())[0].contains("ould not import"));
    assert_eq!(counts(window.state()).total, 22);
}
