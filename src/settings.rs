//! The user's preferences: one JSON file in the system's place for such files.
//!
//! Reading is tolerant: what is missing, unknown or nonsense becomes its default, and the rest is kept. A file
//! that could not be read is never the reason not to start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Kind, Result};
use crate::foundation::files::{Existing, write_bytes};

/// Set to keep preferences and the first project in one folder of your choice, for tests and portable use.
pub const FOLDER_VARIABLE: &str = "TESSERA_HOME";
/// Projects in the list of recent ones.
const MAX_RECENT: usize = 12;
/// Preferences are small; a larger file is not ours.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where Tessera keeps what belongs to the user and not to a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Preferences.
    pub config: PathBuf,
    /// The project of somebody who never chose one, and the window's layout.
    pub data: PathBuf,
}

impl Folders {
    /// The folder named by [`FOLDER_VARIABLE`], else the system's.
    ///
    /// # Errors
    /// `NotFound` where the system names no home folder.
    pub fn find() -> Result<Self> {
        if let Some(folder) = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty()) {
            return Ok(Self::within(Path::new(&folder)));
        }
        let found = directories::ProjectDirs::from("", "", "Tessera").ok_or_else(|| {
            Error::new(
                Kind::NotFound,
                "could not find a place for preferences",
                "the system names no home folder",
                format!("Set {FOLDER_VARIABLE} to a folder"),
            )
        })?;
        Ok(Self {
            config: found.config_dir().to_path_buf(),
            data: found.data_dir().to_path_buf(),
        })
    }

    /// Everything in one folder.
    pub fn within(folder: &Path) -> Self {
        Self {
            config: folder.to_path_buf(),
            data: folder.to_path_buf(),
        }
    }

    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.json")
    }

    /// What the self-test found on this machine's accelerators.
    pub fn devices_file(&self) -> PathBuf {
        self.data.join("devices.json")
    }

    /// The project that is opened where none was chosen.
    pub fn first_project(&self) -> PathBuf {
        self.data.join("My first project.tessera")
    }

    /// Where the window keeps its place and size.
    pub fn layout_file(&self) -> PathBuf {
        self.data.join("layout.ron")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThemeChoice {
    #[default]
    Dark,
    Light,
    /// As the system has it.
    System,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    #[serde(deserialize_with = "tolerant")]
    pub theme: ThemeChoice,
    /// 1 is the system's own size; 0.75 to 2.5.
    #[serde(deserialize_with = "tolerant")]
    pub ui_scale: f32,
    /// "auto", "cpu", "cuda", "cuda:1" or "metal".
    #[serde(deserialize_with = "tolerant")]
    pub device: String,
    /// Newest first.
    #[serde(deserialize_with = "tolerant")]
    pub recent_projects: Vec<PathBuf>,
    /// Changed shortcuts by the command's id ("edit.undo" → "Ctrl+Z"); an empty one takes the shortcut away.
    #[serde(deserialize_with = "tolerant")]
    pub key_bindings: BTreeMap<String, String>,
    #[serde(deserialize_with = "tolerant")]
    pub panels: Panels,
    /// Whether the welcome has been closed once.
    #[serde(deserialize_with = "tolerant")]
    pub welcome_seen: bool,
    /// Where pictures were exported to last.
    #[serde(deserialize_with = "tolerant")]
    pub export_folder: Option<PathBuf>,
}

/// Which parts of the window are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Panels {
    /// The panel beside the canvas.
    pub dock: bool,
    /// The list of strokes in it.
    pub history: bool,
    /// The list of layers in it.
    pub layers: bool,
}

impl Default for Panels {
    fn default() -> Self {
        Self {
            dock: true,
            history: true,
            layers: true,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::default(),
            ui_scale: 1.0,
            device: "auto".into(),
            recent_projects: Vec::new(),
            key_bindings: BTreeMap::new(),
            panels: Panels::default(),
            welcome_seen: false,
            export_folder: None,
        }
    }
}

/// A value that makes no sense becomes the type's default instead of refusing the file.
fn tolerant<'de, T, D>(deserializer: D) -> std::result::Result<T, D::Error>
where
    T: DeserializeOwned + Default,
    D: Deserializer<'de>,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

impl Settings {
    pub const UI_SCALE: std::ops::RangeInclusive<f32> = 0.75..=2.5;

    /// Reads preferences; what cannot be read is its default.
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str::<Self>(text)
            .unwrap_or_default()
            .in_range()
    }

    fn in_range(mut self) -> Self {
        if !Self::UI_SCALE.contains(&self.ui_scale) {
            self.ui_scale = 1.0;
        }
        if self.device.is_empty() {
            self.device = "auto".into();
        }
        self.recent_projects.truncate(MAX_RECENT);
        self
    }

    /// Reads the file; where there is none, or none that can be read, the defaults.
    pub fn load(file: &Path) -> Self {
        let is_readable = std::fs::metadata(file)
            .is_ok_and(|found| found.is_file() && found.len() <= MAX_FILE_BYTES);
        if !is_readable {
            return Self::default();
        }
        std::fs::read_to_string(file)
            .map(|text| Self::from_json(&text))
            .unwrap_or_default()
    }

    /// Writes the file in one step: a reader sees the old or the new one, never half of it.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly` or `Io` from the operating system.
    pub fn save(&self, file: &Path) -> Result<()> {
        const WHAT: &str = "could not save your preferences";
        crate::window_thread::count_blocking("writing preferences");
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| Error::new(Kind::Internal, WHAT, source.to_string(), ""))?;
        let failed = |source: &std::io::Error| Error::io(WHAT, file, source);
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|source| failed(&source))?;
        write_bytes(file, Existing::Replace, text.as_bytes()).map_err(|mut error| {
            error.notice.what = WHAT.into();
            error
        })
    }

    /// Writes what differs from `base`, which is what this window wrote or read last, and leaves everything else as
    /// it is in the file: another window may have changed that meanwhile.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnly` or `Io` from the operating system.
    pub fn save_changes(&self, base: &Self, file: &Path) -> Result<()> {
        const WHAT: &str = "could not save your preferences";
        crate::window_thread::count_blocking("writing preferences");
        let failed = |source: std::io::Error| Error::io(WHAT, file, &source);
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = std::fs::File::create(file.with_extension("lock")).map_err(failed)?;
        // Held until it is dropped: between reading and writing nobody else may write.
        lock.lock().map_err(failed)?;
        let there = Self::load(file);
        let mut merged = self.clone();
        merged.take_unchanged(base, there);
        merged.save(file)
    }

    /// Takes over from `there` what is here as it was in `base`.
    fn take_unchanged(&mut self, base: &Self, there: Self) {
        fn take<T: PartialEq>(mine: &mut T, base: &T, there: T) {
            if mine == base {
                *mine = there;
            }
        }
        let Self {
            theme,
            ui_scale,
            device,
            recent_projects,
            key_bindings,
            panels,
            welcome_seen,
            export_folder,
        } = self;
        take(theme, &base.theme, there.theme);
        take(ui_scale, &base.ui_scale, there.ui_scale);
        take(device, &base.device, there.device);
        take(welcome_seen, &base.welcome_seen, there.welcome_seen);
        take(export_folder, &base.export_folder, there.export_folder);
        take(&mut panels.dock, &base.panels.dock, there.panels.dock);
        let before = base.panels.history;
        take(&mut panels.history, &before, there.panels.history);
        take(&mut panels.layers, &base.panels.layers, there.panels.layers);
        // Lists grow by both: a key that was bound here, a project that was opened there.
        let commands: BTreeSet<String> = (key_bindings.keys().chain(there.key_bindings.keys()))
            .cloned()
            .collect();
        for command in commands {
            if key_bindings.get(&command) == base.key_bindings.get(&command) {
                match there.key_bindings.get(&command) {
                    Some(keys) => key_bindings.insert(command, keys.clone()),
                    None => key_bindings.remove(&command),
                };
            }
        }
        if *recent_projects == base.recent_projects {
            *recent_projects = there.recent_projects;
        } else {
            let others = there.recent_projects.into_iter();
            let others: Vec<PathBuf> = others.filter(|p| !recent_projects.contains(p)).collect();
            // Opened here since: those come first, then what was opened in the other window.
            let newest = recent_projects.iter().take(1).cloned();
            let rest = recent_projects.iter().skip(1).cloned();
            *recent_projects = newest.chain(others).chain(rest).collect();
            recent_projects.truncate(MAX_RECENT);
        }
    }

    /// Puts a project at the head of the recent ones.
    pub fn remember_project(&mut self, path: &Path) {
        self.recent_projects.retain(|other| other != path);
        self.recent_projects.insert(0, path.to_path_buf());
        self.recent_projects.truncate(MAX_RECENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = Folders::within(&folder.path().join("deep")).settings_file();
        assert_eq!(Settings::load(&file), Settings::default());
        let mut settings = Settings {
            theme: ThemeChoice::Light,
            ui_scale: 1.5,
            welcome_seen: true,
            ..Settings::default()
        };
        settings
            .key_bindings
            .insert("edit.undo".into(), "Ctrl+U".into());
        settings.remember_project(Path::new("/a.tessera"));
        settings.remember_project(Path::new("/b.tessera"));
        settings.remember_project(Path::new("/a.tessera"));
        settings.save(&file).unwrap();
        let read = Settings::load(&file);
        assert_eq!(read, settings);
        assert_eq!(read.recent_projects.len(), 2);
        assert_eq!(
            std::fs::read_dir(file.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    fn two_windows_keep_each_others_preferences() {
        let folder = tempfile::tempdir().unwrap();
        let file = Folders::within(folder.path()).settings_file();
        let base = Settings::load(&file);
        let (mut one, mut two) = (base.clone(), base.clone());
        one.theme = ThemeChoice::Light;
        one.panels.layers = false;
        one.remember_project(Path::new("/one.tessera"));
        one.key_bindings.insert("edit.undo".into(), "Ctrl+U".into());
        one.save_changes(&base, &file).unwrap();
        two.ui_scale = 1.5;
        two.panels.history = false;
        two.remember_project(Path::new("/two.tessera"));
        two.key_bindings.insert("edit.redo".into(), "Ctrl+R".into());
        two.save_changes(&base, &file).unwrap();
        let both = Settings::load(&file);
        assert_eq!((both.theme, both.ui_scale), (ThemeChoice::Light, 1.5));
        assert!(both.panels.dock && !both.panels.layers && !both.panels.history);
        let projects = ["/two.tessera", "/one.tessera"].map(PathBuf::from);
        assert_eq!(both.recent_projects, projects);
        assert_eq!(both.key_bindings.len(), 2);

        // What one takes back goes; what it never had stays.
        let written = one.clone();
        one.key_bindings.clear();
        one.theme = ThemeChoice::Dark;
        one.save_changes(&written, &file).unwrap();
        let both = Settings::load(&file);
        assert_eq!((both.theme, both.ui_scale), (ThemeChoice::Dark, 1.5));
        assert!(both.key_bindings.contains_key("edit.redo"));
        assert_eq!(both.key_bindings.len(), 1);
        assert_eq!(both.recent_projects, projects);
    }

    #[test]
    fn windows_that_save_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = Folders::within(folder.path()).settings_file();
        let base = Settings::load(&file);
        std::thread::scope(|scope| {
            for window in 0..8 {
                let (base, file) = (&base, &file);
                scope.spawn(move || {
                    let mut mine = base.clone();
                    let command = format!("command {window}");
                    mine.key_bindings.insert(command, "Ctrl+K".into());
                    mine.save_changes(base, file).unwrap();
                });
            }
        });
        assert_eq!(Settings::load(&file).key_bindings.len(), 8);
    }

    #[test]
    fn nonsense_in_one_place_leaves_the_rest() {
        let read = Settings::from_json(
            r#"{"theme": "purple", "ui_scale": 900, "device": 7, "welcome_seen": true,
                "future": {"a": 1}, "panels": {"dock": false, "else": 3}}"#,
        );
        assert_eq!(read.theme, ThemeChoice::Dark);
        assert_eq!(read.ui_scale, 1.0);
        assert_eq!(read.device, "auto");
        assert!(read.welcome_seen && !read.panels.dock && read.panels.history);
        for text in ["", "null", "[1]", "{\"theme\":", "\u{0}"] {
            assert_eq!(Settings::from_json(text), Settings::default());
        }
    }
}
