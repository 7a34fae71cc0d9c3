//! Where tests find the shared picture sets.
#![allow(dead_code)] // each test binary uses its own part

use std::path::PathBuf;

/// `TESSERA_SHARED`, else the folder `shared` beside the checkout. `None`, with a printed message, where it is absent.
pub fn shared_data() -> Option<PathBuf> {
    let root = std::env::var_os("TESSERA_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let data = root.join("data");
    if data.is_dir() {
        Some(data)
    } else {
        eprintln!("skipped: no picture sets at {}", data.display());
        None
    }
}
