//! What a command is called and how it is reached.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};
use lucide_icons::Icon;

/// The one definition of what a command is called and how it is reached.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Stable name for key bindings.
    pub id: &'static str,
    /// "…" where a question follows.
    pub label: &'static str,
    pub tooltip: &'static str,
    pub icon: Icon,
    pub shortcut: Option<KeyboardShortcut>,
    /// A second way, which cannot be changed.
    pub alternative: Option<KeyboardShortcut>,
}

impl Spec {
    /// Without a second way.
    pub(super) const fn new(
        id: &'static str,
        label: &'static str,
        tooltip: &'static str,
        icon: Icon,
        shortcut: Option<KeyboardShortcut>,
    ) -> Self {
        Self {
            id,
            label,
            tooltip,
            icon,
            shortcut,
            alternative: None,
        }
    }
}

pub(super) const fn plain(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::NONE, key))
}

pub(super) const fn shift(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::SHIFT, key))
}

pub(super) const fn ctrl(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(Modifiers::COMMAND, key))
}

pub(super) const fn ctrl_shift(key: Key) -> Option<KeyboardShortcut> {
    Some(KeyboardShortcut::new(
        Modifiers::COMMAND.plus(Modifiers::SHIFT),
        key,
    ))
}
