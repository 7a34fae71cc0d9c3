//! What the self-test found on the accelerators of this machine: judged once by each version of the program, and remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::engine::device::choice::ChosenDevice;
use crate::export::{Existing, write_bytes};
use crate::version::version;

/// A machine has a few accelerators; a larger file is not ours, bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why each accelerator may not be used, or that it may, by its name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Found {
    /// Another version computes otherwise and judges anew.
    version: String,
    devices: BTreeMap<String, Option<String>>,
}

#[derive(Debug)]
pub(crate) struct Verdicts(Mutex<Known>);

#[derive(Debug)]
struct Known {
    devices: BTreeMap<String, Option<String>>,
    file: Option<PathBuf>,
}

impl Verdicts {
    pub const fn new() -> Self {
        Self(Mutex::new(Known {
            devices: BTreeMap::new(),
            file: None,
        }))
    }

    /// Takes over what `file` knows, and keeps there what is found from now on. A file that cannot be read knows nothing.
    pub fn remember_in(&self, file: &Path) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, verdict) in read(file).unwrap_or_default() {
            known.devices.entry(name).or_insert(verdict);
        }
        known.file = Some(file.to_path_buf());
    }

    /// The device, if `judge` has nothing against it or had nothing before; else why it may not be used.
    pub fn check(
        &self,
        device: ChosenDevice,
        judge: impl Fn(&ChosenDevice) -> Option<String>,
    ) -> Result<ChosenDevice, String> {
        // Held while judging: two jobs at once must not both spend the seconds.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.devices.contains_key(&device.name) {
            let verdict = judge(&device);
            known.set(&device.name, verdict);
        }
        match known.devices.get(&device.name).cloned().flatten() {
            None => Ok(device),
            Some(why) => Err(why),
        }
    }

    /// What a test asked for by the user found.
    pub fn set(&self, name: &str, verdict: Option<String>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.set(name, verdict);
    }
}

impl Known {
    fn set(&mut self, name: &str, verdict: Option<String>) {
        self.devices.insert(name.to_owned(), verdict);
        if let Some(file) = &self.file
            && let Err(why) = write(file, &self.devices)
        {
            log::warn!("the self-test runs again at the next start: {why}");
        }
    }
}

fn read(file: &Path) -> Option<BTreeMap<String, Option<String>>> {
    let length = std::fs::metadata(file).ok()?.len();
    let text = (length <= MAX_FILE_BYTES).then(|| std::fs::read_to_string(file).ok())??;
    let found: Found = serde_json::from_str(&text).ok()?;
    (found.version == version()).then_some(found.devices)
}

fn write(file: &Path, devices: &BTreeMap<String, Option<String>>) -> Result<(), String> {
    let found = Found {
        version: version(),
        devices: devices.clone(),
    };
    let text = serde_json::to_vec_pretty(&found).map_err(|source| source.to_string())?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|source| source.to_string())?;
    }
    write_bytes(file, Existing::Replace, &text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use candle_core::Device;

    use super::*;

    fn device(name: &str) -> ChosenDevice {
        ChosenDevice {
            device: Device::Cpu,
            name: name.to_owned(),
            reason: String::new(),
        }
    }

    /// One that computes wrongly is called "bad".
    fn judge(judged: &Cell<u32>) -> impl Fn(&ChosenDevice) -> Option<String> + '_ {
        |device| {
            judged.set(judged.get() + 1);
            (device.name == "bad").then(|| "computes wrongly".to_owned())
        }
    }

    #[test]
    fn a_device_is_judged_once_and_a_wrong_one_is_not_used() {
        let (verdicts, judged) = (Verdicts::new(), Cell::new(0));
        for _ in 0..2 {
            let good = verdicts.check(device("good"), judge(&judged)).unwrap();
            assert_eq!(good.name, "good");
            let why = verdicts.check(device("bad"), judge(&judged)).unwrap_err();
            assert_eq!(why, "computes wrongly");
        }
        assert_eq!(judged.get(), 2);
    }

    #[test]
    fn the_next_start_remembers_and_the_next_version_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (file, judged) = (folder.path().join("new/devices.json"), Cell::new(0));
        let start = || {
            let verdicts = Verdicts::new();
            verdicts.remember_in(&file);
            verdicts.check(device("good"), judge(&judged)).unwrap();
            verdicts.check(device("bad"), judge(&judged)).unwrap_err();
            verdicts
        };
        start();
        let verdicts = start();
        assert_eq!(judged.get(), 2);
        // Mended by a new driver, as a test asked for by the user found.
        verdicts.set("bad", None);
        let again = Verdicts::new();
        again.remember_in(&file);
        again.check(device("bad"), judge(&judged)).unwrap();
        assert_eq!(judged.get(), 2);

        let text = std::fs::read_to_string(&file).unwrap();
        let older = text.replace(&version(), "0.0.1");
        assert_ne!(text, older);
        for unknown in [older.as_str(), "not JSON", ""] {
            std::fs::write(&file, unknown).unwrap();
            judged.set(0);
            start();
            assert_eq!(judged.get(), 2, "{unknown}");
        }
    }
}
