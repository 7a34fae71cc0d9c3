//! Codes: how often they are used, one in place of another, and what the artist says about them.

use super::App;
use crate::app::command::CodeCommand;
use crate::app::lanes::TextureRequest;
use crate::app::state::CodeMarks;
use crate::engine::CountUsageJob;

impl App {
    pub(super) fn apply_code(&mut self, command: CodeCommand) {
        match command {
            CodeCommand::CountUsage => self.count_usage(),
            CodeCommand::Replace { level, from, to } => {
                self.tell_failure(|app| app.replace_code(level, from, to));
            }
            CodeCommand::ReplaceInProject { level, from, to } => {
                self.tell_failure(|app| app.replace_in_project(level, (from, to)));
            }
            CodeCommand::Name(level, code, name) => self.mark(|marks| {
                let key = CodeMarks::key(level, code);
                match name.trim() {
                    "" => marks.names.remove(&key),
                    name => marks.names.insert(key, name.to_owned()),
                };
            }),
            CodeCommand::Tag(level, code, text) => self.mark(|marks| {
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
            }),
            CodeCommand::ToggleFavourite(level, code) => {
                self.mark(|marks| toggle(&mut marks.favourites, CodeMarks::key(level, code)));
            }
            CodeCommand::ToggleMuted(level, code) => {
                self.mark(|marks| toggle(&mut marks.muted, CodeMarks::key(level, code)));
                self.mute_in_tools();
            }
        }
    }

    fn count_usage(&mut self) {
        if self.state.has_job::<CountUsageJob>() {
            return;
        }
        if let (Some(model), Some(project)) = (self.model_in_hand(), self.storage()) {
            self.submit(CountUsageJob { project, model }, |app, palette| {
                app.request_texture(TextureRequest::Palette(palette.into()));
                app.state.session.companions = None;
                app.find_companions();
            });
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
