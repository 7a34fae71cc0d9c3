//! What the artist says about codes: names, tags, favourites, muted ones.

use super::super::App;
use super::super::code_marks::CodeMarks;
use super::super::command::Command;

impl App {
    pub(super) fn apply_marks(&mut self, command: Command) {
        let mutes = matches!(command, Command::ToggleMuted(..));
        self.mark(|marks| match command {
            Command::NameCode(level, code, name) => {
                let key = CodeMarks::key(level, code);
                match name.trim() {
                    "" => marks.names.remove(&key),
                    name => marks.names.insert(key, name.to_owned()),
                };
            }
            Command::TagCode(level, code, text) => {
                let tags: Vec<String> = (text.split(','))
                    .map(|tag| tag.trim().to_lowercase())
                    .filter(|tag| !tag.is_empty())
                    .collect();
                let key = CodeMarks::key(level, code);
                if tags.is_empty() {
                    marks.tags.remove(&key);
                } else {
                    marks.tags.insert(key, tags);
                }
            }
            Command::ToggleFavourite(level, code) => {
                toggle(&mut marks.favourites, CodeMarks::key(level, code));
            }
            Command::ToggleMuted(level, code) => {
                toggle(&mut marks.muted, CodeMarks::key(level, code));
            }
            _ => {}
        });
        if mutes {
            self.mute_in_tools();
        }
    }

    /// Tools that mix codes leave muted ones out.
    pub(in crate::app) fn mute_in_tools(&mut self) {
        if let Some(view) = &self.state.session.palette {
            let palette = view.palette.clone();
            self.know_codes(&palette);
        }
    }

    fn mark(&mut self, change: impl FnOnce(&mut CodeMarks)) {
        let Some(project) = &mut self.state.session.project else {
            return;
        };
        change(&mut project.marks);
        match serde_json::to_value(&project.marks) {
            Ok(value) => (self.lanes.desk)
                .write(move |project| project.set_setting(crate::engine::CODE_MARKS, &value)),
            Err(source) => log::error!("code marks cannot be written: {source}"),
        }
    }
}

fn toggle(set: &mut std::collections::BTreeSet<String>, key: String) {
    if !set.remove(&key) {
        set.insert(key);
    }
}
