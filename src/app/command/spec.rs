//! What a command is called and how it is reached.

use eframe::egui::{Key, KeyboardShortcut, Modifiers};
use lucide_icons::Icon;

/// The one definition of what a command is called and how it is reached.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The command's stable name in the user's key bindings.
    pub id: &'static str,
    /// A few words for menus and buttons, with "…" where a question follows.
    pub label: &'static str,
    /// One sentence on what the command does.
    pub tooltip: &'static str,
    pub icon: Icon,
    /// The usual keys.
    pub shortcut: Option<KeyboardShortcut>,
    /// Other keys, which cannot be changed.
    pub alternative: Option<KeyboardShortcut>,
}

impl Spec {
    /// A command without keys.
    pub(super) const fn new(
        id: &'static str,
        label: &'static str,
        tooltip: &'static str,
        icon: Icon,
    ) -> Self {
        Self {
            id,
            label,
            tooltip,
            icon,
            shortcut: None,
            alternative: None,
        }
    }

    /// The same command with usual keys.
    pub(super) const fn with_keys(self, keys: KeyboardShortcut) -> Self {
        Self {
            shortcut: Some(keys),
            ..self
        }
    }

    /// The same command with other keys beside the usual ones.
    pub(super) const fn or(self, keys: KeyboardShortcut) -> Self {
        Self {
            alternative: Some(keys),
            ..self
        }
    }
}

/// A key alone.
pub(super) const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

/// A key with Shift.
pub(super) const fn shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::SHIFT, key)
}

/// A key with Ctrl, or Cmd on a Mac.
pub(super) const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

/// A key with Ctrl, or Cmd on a Mac, and Shift.
pub(super) const fn ctrl_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}
