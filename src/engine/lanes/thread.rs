//! Starting the threads of the lanes.

use std::thread::JoinHandle;

use crate::error::{Error, Kind, Result};

/// A named thread; `purpose` completes "could not start …".
///
/// # Errors
/// `Io` where the system gives no thread.
pub(crate) fn start(
    name: &str,
    purpose: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| {
            Error::new(
                Kind::Io,
                format!("could not start {purpose}"),
                source.to_string(),
                "Close other programs and start Tessera again",
            )
        })
}
