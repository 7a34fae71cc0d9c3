//! Everything can be reached by the keyboard and says what it is.

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable, by};
use tessera::app::{DatasetCommand, Overlay, WindowCommand, Workspace};
use tessera::settings::{Folders, Settings};

use crate::support::Window;

/// Roles and places of controls that a screen reader has no name for.
fn nameless(window: &Window) -> Vec<String> {
    use eframe::egui::accesskit::Role;
    let all = window.harness.query_all(by().predicate(|node| {
        let is_control = matches!(
            node.role(),
            Role::Button
                | Role::CheckBox
                | Role::RadioButton
                | Role::ComboBox
                | Role::Slider
                | Role::SpinButton
                | Role::TextInput
                | Role::MultilineTextInput
                | Role::Link
        );
        let is_named = (node.label()).is_some_and(|label| !label.trim().is_empty());
        is_control && !is_named
    }));
    all.map(|node| format!("{:?} at {:?}", node.accesskit_node().role(), node.rect()))
        .collect()
}

#[test]
fn every_control_of_every_page_and_overlay_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    tessera::engine::write_samples(&pictures).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    window.app().apply(DatasetCommand::Import(vec![pictures]));
    window.until("the imported pictures", |state| {
        state.is_idle() && state.session.gallery.row(0).is_some()
    });
    window.click("elephant.png");
    for page in Workspace::all() {
        window.app().apply(WindowCommand::Show(page));
        window.harness.run_steps(4);
        let found = nameless(&window);
        assert!(found.is_empty(), "{page:?}: {found:?}");
    }
    for overlay in [
        Overlay::Welcome,
        Overlay::Commands,
        Overlay::OpenPath,
        Overlay::Notices,
        Overlay::Settings,
        Overlay::Help,
        Overlay::About,
    ] {
        window.app().apply(WindowCommand::Open(overlay));
        window.harness.run_steps(4);
        let found = nameless(&window);
        assert!(found.is_empty(), "{overlay:?}: {found:?}");
    }
}

#[test]
fn tab_walks_through_the_controls_and_enter_presses_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let mut seen = Vec::new();
    for _ in 0..14 {
        window.key(Modifiers::NONE, Key::Tab);
        let focused = window.harness.query_by(|node| node.is_focused());
        let label = focused.and_then(|node| node.accesskit_node().label());
        seen.push(label.unwrap_or_default());
    }
    for label in ["File", "View", "Pictures", "Fine-tune", "Export"] {
        assert!(seen.iter().any(|s| s == label), "{label} of {seen:?}");
    }
    // Back to a page, and in.
    for _ in 0..40 {
        let focused = window.harness.query_by(|node| node.is_focused());
        let is_there = focused
            .and_then(|node| node.accesskit_node().label())
            .is_some_and(|label| label == "Fine-tune");
        if is_there {
            break;
        }
        window.key(Modifiers::SHIFT, Key::Tab);
    }
    window.key(Modifiers::NONE, Key::Enter);
    assert_eq!(window.state().workspace, Workspace::FineTune);
}

#[test]
fn a_device_that_is_not_there_gives_way_to_the_processor_and_the_status_bar_says_why() {
    if cfg!(feature = "cuda") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::within(folder.path());
    let settings = Settings {
        device: "cuda".into(),
        ..Settings::default()
    };
    settings.save(&folders.settings_file()).unwrap();
    let mut window = Window::open(folder.path(), &[]);
    window.until_paintable();
    let device = window.state().device.as_ref().unwrap();
    assert!(device.falls_back && device.name.starts_with("CPU"));
    let why = "cuda:0 was asked for, but this build has no CUDA support";
    assert_eq!(device.reason, why);
    let shown = window.harness.query_all_by_label_contains(why).count();
    assert!(shown > 0, "the status bar says why");
    window.drag(&[(0.3, 0.3), (0.5, 0.4)]);
    assert_eq!(window.strokes(), 1);
}
