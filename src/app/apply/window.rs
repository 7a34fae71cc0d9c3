//! Pages, overlays, looks and preferences.

use std::sync::PoisonError;

use eframe::egui::ViewportCommand;

use super::App;
use super::jobs::Ended;
use crate::app::command::WindowCommand;
use crate::app::state::{Overlay, Severity, Workspace};
use crate::engine::DeviceJob;
use crate::error::Notice;
use crate::progress::Stop;
use crate::settings::{Settings, ThemeChoice};

impl App {
    pub(super) fn apply_window(&mut self, command: WindowCommand) {
        match command {
            WindowCommand::Show(workspace) => {
                self.state.overlay = None;
                self.state.workspace = workspace;
                let has_pictures = matches!(workspace, Workspace::Dataset | Workspace::Generate);
                if has_pictures && self.state.session.gallery.total.is_none() {
                    self.forget_rows();
                }
                if workspace == Workspace::Generate {
                    self.lanes.desk.read_overview();
                }
                if matches!(workspace, Workspace::Dataset | Workspace::FineTune) {
                    self.check_files();
                }
            }
            WindowCommand::Open(overlay) => {
                let is_open = self.state.overlay == Some(overlay);
                self.state.overlay = (!is_open).then_some(overlay);
            }
            WindowCommand::CloseOverlay => {
                if self.state.overlay == Some(Overlay::Welcome) {
                    self.set(|settings| settings.welcome_seen = true);
                }
                self.state.overlay = None;
            }
            WindowCommand::ToggleDock => self.set(|settings| settings.panels.dock ^= true),
            WindowCommand::ToggleLayers => self.set(|settings| settings.panels.layers ^= true),
            WindowCommand::ToggleHistory => self.set(|settings| settings.panels.history ^= true),
            WindowCommand::SetTheme(theme) => self.set(|settings| settings.theme = theme),
            WindowCommand::ToggleTheme => {
                let is_dark = self.ctx.global_style().visuals.dark_mode;
                self.set(|settings| {
                    settings.theme = if is_dark {
                        ThemeChoice::Light
                    } else {
                        ThemeChoice::Dark
                    };
                });
            }
            WindowCommand::ResetScale => self.set_scale(1.0),
            WindowCommand::ScaleUp => self.set_scale(self.state.settings.ui_scale + 0.1),
            WindowCommand::ScaleDown => self.set_scale(self.state.settings.ui_scale - 0.1),
            WindowCommand::SetDevice(device) => {
                self.set(|settings| settings.device = device);
                self.find_device();
            }
            WindowCommand::BindKey(id, keys) => self.set(|settings| {
                match keys {
                    Some(keys) => settings.key_bindings.insert(id, keys),
                    None => settings.key_bindings.remove(&id),
                };
            }),
            WindowCommand::DismissNotice(id) => self.state.notices.dismiss(id),
            WindowCommand::CancelJob => {
                let shown = self.state.shown_jobs().first().map(|job| job.key);
                if let Some(key) = shown {
                    self.lanes.stop(key, Stop::Cancel);
                }
            }
            WindowCommand::Quit => self.ctx.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Settings)) {
        let before = self.state.settings.clone();
        change(&mut self.state.settings);
        if self.state.settings != before {
            self.save_settings();
        }
    }

    /// Says in the status bar what jobs compute on, and why.
    pub(in crate::app) fn find_device(&mut self) {
        self.state.device = None;
        let choice = self.device();
        self.submit_for_window(DeviceJob { choice }, |app, ended| {
            let Ended::Finished(device) = ended else {
                return;
            };
            if device.falls_back {
                let notice = Notice::new(
                    "computing on the processor",
                    device.reason.clone(),
                    "Choose another device in the preferences",
                );
                app.state.notices.push(Severity::Warning, notice);
            }
            app.state.device = Some(device);
        });
    }

    fn set_scale(&mut self, scale: f32) {
        // In whole steps, so that going up and down again ends where it began.
        let scale = (scale * 20.0).round() / 20.0;
        let (low, high) = (*Settings::UI_SCALE.start(), *Settings::UI_SCALE.end());
        self.set(|settings| settings.ui_scale = scale.clamp(low, high));
    }

    /// Writes the preferences behind the window's back.
    pub(in crate::app) fn save_settings(&self) {
        let (settings, file) = (
            self.state.settings.clone(),
            self.state.folders.settings_file(),
        );
        let saved = self.saved_settings.clone();
        self.lanes.desk.run(move || {
            // Only the desk's thread asks for it.
            let mut saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
            settings.save_changes(&saved, &file)?;
            *saved = settings;
            Ok(())
        });
    }
}
