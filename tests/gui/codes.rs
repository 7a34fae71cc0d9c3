//! What the artist says about codes: names, tags, favourites, muted ones; and where a code is used.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use tessera::app::{CodeCommand, ToolCommand, Workspace};
use tessera::document::Level;

use crate::support::Window;

const LEVEL: Level = Level::Structure;

fn swatches(window: &Window, code: u16) -> usize {
    let label = format!("structure code {code}");
    window.harness.query_all_by_label(&label).count()
}

#[test]
fn codes_are_named_tagged_found_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.click("Codebook");
    window.click("Number");
    window.click("structure code 3");
    window.write("Name of the code", "Warm moss");
    window.write("Tags of the code", "Green, soft edge");
    window.click("structure code 4");
    window.write("Tags of the code", "green");
    window.click("Favourite");

    // By name, by part of a tag, by number.
    window.write("Find a code", "MOSS");
    assert_eq!((swatches(&window, 3), swatches(&window, 5)), (1, 0));
    window.write("Find a code", "soft");
    assert_eq!((swatches(&window, 3), swatches(&window, 5)), (1, 0));
    window.write("Find a code", "5");
    assert_eq!(swatches(&window, 5), 1);
    window.write("Find a code", "nothing is called so");
    assert!(
        window
            .harness
            .query_by_label("No code fits this search.")
            .is_some()
    );
    window.write("Find a code", "");
    window.click("green (2)");
    assert_eq!((swatches(&window, 3), swatches(&window, 5)), (1, 0));
    window.write("Find a code", "");
    window.click("Favourites only");
    assert_eq!((swatches(&window, 3), swatches(&window, 5)), (0, 0));
    window.close();

    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    let marks = again.state().marks().unwrap();
    assert_eq!(marks.name(LEVEL, 3), Some("Warm moss"));
    assert_eq!(marks.tags(LEVEL, 3), ["green", "soft edge"]);
    assert!(marks.is_favourite(LEVEL, 4) && !marks.is_favourite(LEVEL, 3));
}

#[test]
fn a_muted_code_is_offered_nowhere_until_it_is_not_muted_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.click("Codebook");
    window.click("Number");
    window.click("structure code 7");
    // What is most like it would be offered in its place.
    let palette = window
        .state()
        .session
        .palette
        .as_ref()
        .unwrap()
        .palette
        .clone();
    let alike = palette.level(LEVEL).nearest(7, 14, |_| true);
    window.click("Mute");
    assert!(window.state().is_muted(LEVEL, 7));
    assert_eq!(window.state().paint.code.get(LEVEL), 7, "still shown");
    // The one most like it does not offer it; its own page shows others that are alike.
    window.app().apply(ToolCommand::SelectCode(LEVEL, alike[0]));
    window.harness.run_steps(3);
    let shown = swatches(&window, 7);
    assert_eq!(shown, 1, "only in the whole list, with its mark");
    window.click("Muted only");
    assert_eq!((swatches(&window, 7), swatches(&window, 8)), (1, 0));
    window.click("Muted only");

    window.click("Paint");
    window.click("Number");
    assert_eq!((swatches(&window, 7), swatches(&window, 8)), (0, 1));
    window.close();

    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    again.click("Number");
    assert_eq!((swatches(&again, 7), swatches(&again, 8)), (0, 1), "kept");
    again.click("Codebook");
    again.click("Muted only");
    again.click("structure code 7");
    again.click("Mute");
    again.click("Paint");
    assert_eq!(swatches(&again, 7), 1);
}

#[test]
fn a_muted_code_is_not_what_a_new_window_begins_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let first = window.state().paint.code.get(LEVEL);
    window.app().apply(CodeCommand::ToggleMuted(LEVEL, first));
    window.harness.run_steps(2);
    window.close();
    let mut again = Window::open(folder.path(), &[]);
    again.until_paintable();
    assert_ne!(again.state().paint.code.get(LEVEL), first);
}

#[test]
fn a_code_is_shown_where_it_is_used_and_replaced_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let used = {
        let canvas = window.state().session.canvas.as_ref().unwrap();
        canvas.document.edited().structure.get(3, 3).unwrap()
    };
    let other = if used == 9 { 10 } else { 9 };
    window.click("Codebook");
    window.app().apply(ToolCommand::SelectCode(LEVEL, used));
    window.harness.run_steps(3);
    window.click("Replace it everywhere…");
    window.app().apply(ToolCommand::SelectCode(LEVEL, other));
    window.harness.run_steps(3);
    window.click(&format!("Replace {used} by {other}"));
    let canvas = window.state().session.canvas.as_ref().unwrap();
    let codes = &canvas.document.edited().structure;
    assert!(!codes.cells().contains(&used) && codes.cells().contains(&other));
    window.click("Show where");
    assert_eq!(window.state().workspace, Workspace::Paint);
    assert!(window.state().look.is_where_used_on);
    window.key(Modifiers::COMMAND, Key::Z);
    let canvas = window.state().session.canvas.as_ref().unwrap();
    assert!(canvas.document.edited().structure.cells().contains(&used));
}
