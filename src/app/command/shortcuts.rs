//! Keys as people write them, and which command they give.

use eframe::egui::{self, Key, KeyboardShortcut, Modifiers};

use super::Command;
use super::place::Place;
use super::spec::Spec;
use crate::app::state::Workspace;
use crate::settings::Settings;

/// Keys as people write them, as in "Ctrl+Shift+Z"; with "Cmd" on a Mac.
pub fn text_of_keys(shortcut: KeyboardShortcut) -> String {
    let is_mac = cfg!(target_os = "macos");
    let modifiers = shortcut.modifiers;
    let mut parts = Vec::new();
    if modifiers.command || modifiers.ctrl {
        parts.push(if is_mac { "Cmd" } else { "Ctrl" });
    }
    if modifiers.alt {
        parts.push("Alt");
    }
    if modifiers.shift {
        parts.push("Shift");
    }
    parts.push(match shortcut.logical_key {
        Key::OpenBracket => "[",
        Key::CloseBracket => "]",
        Key::Plus => "+",
        Key::Minus => "-",
        Key::Comma => ",",
        Key::Quote => "'",
        key => key.name(),
    });
    parts.join("+")
}

/// Keys from what [`text_of_keys`] writes; `None` where it is something else.
pub fn parse_keys(text: &str) -> Option<KeyboardShortcut> {
    let text = text.trim();
    // "Ctrl++" ends in the key "+".
    let (modifiers_text, key_text) = match text.strip_suffix('+') {
        Some(before) => (before.strip_suffix('+').unwrap_or(before), "+"),
        None => text.rsplit_once('+').unwrap_or(("", text)),
    };
    let mut modifiers = Modifiers::NONE;
    for part in modifiers_text.split('+').filter(|part| !part.is_empty()) {
        modifiers = modifiers.plus(match part.to_ascii_lowercase().as_str() {
            "ctrl" | "cmd" | "command" => Modifiers::COMMAND,
            "alt" => Modifiers::ALT,
            "shift" => Modifiers::SHIFT,
            _ => return None,
        });
    }
    let key = match key_text {
        "[" => Key::OpenBracket,
        "]" => Key::CloseBracket,
        "+" => Key::Plus,
        "-" => Key::Minus,
        "," => Key::Comma,
        "'" => Key::Quote,
        name => Key::from_name(name)?,
    };
    Some(KeyboardShortcut::new(modifiers, key))
}

/// The keys of a command: the user's, else the usual ones.
pub fn keys_of(spec: &Spec, settings: &Settings) -> Option<KeyboardShortcut> {
    match settings.key_bindings.get(spec.id) {
        Some(text) => parse_keys(text),
        None => spec.shortcut,
    }
}

/// The keys of a command in words, or nothing.
pub fn keys_text(command: &Command, settings: &Settings) -> Option<String> {
    let spec = command.spec()?;
    keys_of(&spec, settings).map(text_of_keys)
}

/// Commands that share their keys with another, with the keys.
pub fn conflicts(settings: &Settings) -> Vec<(String, Vec<&'static str>)> {
    let mut by_keys = std::collections::BTreeMap::<String, Vec<(&'static str, Place)>>::new();
    for command in Command::all() {
        if let Some(spec) = command.spec()
            && let Some(shortcut) = keys_of(&spec, settings)
        {
            by_keys
                .entry(text_of_keys(shortcut))
                .or_default()
                .push((spec.label, command.place()));
        }
    }
    (by_keys.into_iter())
        .map(|(keys, commands)| {
            // Keys may mean something else on another page.
            let is_taken = |(label, place): &(&str, Place)| {
                let others = commands.iter().filter(|(other, _)| other != label);
                others.into_iter().any(|(_, other)| place.meets(*other))
            };
            let taken = commands.iter().filter(|command| is_taken(command));
            (keys, taken.map(|(label, _)| *label).collect::<Vec<_>>())
        })
        .filter(|(_, labels)| !labels.is_empty())
        .collect()
}

/// The commands of a page whose keys were pressed since the last frame; those keys are used up.
pub fn pressed(ctx: &egui::Context, settings: &Settings, page: Workspace) -> Vec<Command> {
    let is_typing = ctx.egui_wants_keyboard_input() && ctx.text_edit_focused();
    let mut wanted: Vec<(KeyboardShortcut, Command)> = Command::all()
        .into_iter()
        .filter(|command| command.place().has(page))
        .filter_map(|command| Some((command.spec()?, command)))
        .flat_map(|(spec, command)| {
            let keys = [keys_of(&spec, settings), spec.alternative];
            keys.into_iter()
                .flatten()
                .map(move |shortcut| (shortcut, command.clone()))
        })
        .filter(|(shortcut, _)| !is_typing || !types_text(*shortcut))
        .collect();
    // egui ignores additional Shift and Alt: the longer shortcut has to be asked for first.
    wanted.sort_by_key(|(shortcut, _)| {
        let m = shortcut.modifiers;
        std::cmp::Reverse(u8::from(m.shift) + u8::from(m.alt) + u8::from(m.command))
    });
    ctx.input_mut(|input| {
        wanted
            .into_iter()
            .flat_map(|(shortcut, command)| {
                // Twice between two frames is twice.
                let times = input.count_and_consume_key(shortcut.modifiers, shortcut.logical_key);
                std::iter::repeat_n(command, times)
            })
            .collect()
    })
}

/// Whether a text field would take these keys for itself.
fn types_text(shortcut: KeyboardShortcut) -> bool {
    let m = shortcut.modifiers;
    let is_function_key =
        shortcut.logical_key.name().starts_with('F') && shortcut.logical_key.name().len() > 1;
    let edits = matches!(
        shortcut.logical_key,
        Key::Z | Key::Y | Key::X | Key::C | Key::V | Key::A | Key::D
    );
    !is_function_key && (!m.command || edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for command in Command::all() {
            for shortcut in command
                .spec()
                .into_iter()
                .flat_map(|spec| [spec.shortcut, spec.alternative])
                .flatten()
            {
                assert_eq!(
                    parse_keys(&text_of_keys(shortcut)),
                    Some(shortcut),
                    "{shortcut:?}"
                );
            }
        }
        for nonsense in ["", "Ctrl", "Ctrl+", "Hyper+K", "Ctrl+Blah"] {
            assert!(
                parse_keys(nonsense).is_none() || nonsense == "Ctrl+",
                "{nonsense}"
            );
        }
    }

    #[test]
    fn a_binding_replaces_the_usual_keys_and_conflicts_are_seen() {
        let mut settings = Settings::default();
        assert!(conflicts(&settings).is_empty());
        settings.key_bindings.insert("edit.undo".into(), "B".into());
        let undo = Command::from(crate::app::command::HistoryCommand::Undo)
            .spec()
            .unwrap();
        assert_eq!(keys_of(&undo, &settings), parse_keys("B"));
        assert_eq!(
            conflicts(&settings),
            [("B".into(), vec!["Undo", "Code brush"])]
        );
        settings
            .key_bindings
            .insert("edit.undo".into(), String::new());
        assert_eq!(keys_of(&undo, &settings), None);
    }
}
