//! What this program is: version, commit and the accelerators it was built for.

use std::sync::LazyLock;

/// "0.1.0", and in a packaged program with its commit: "0.1.0+1a2b3c4d5e6f".
pub fn version() -> String {
    let number = env!("CARGO_PKG_VERSION");
    // Set by the packaging scripts: a program built by hand may hold changes that no commit has.
    match option_env!("TESSERA_COMMIT") {
        Some(commit) => format!("{number}+{commit}"),
        None => number.to_owned(),
    }
}

/// The accelerators that this build can use where a machine has them, for people.
pub fn accelerators() -> &'static str {
    match (cfg!(feature = "cuda"), cfg!(feature = "metal")) {
        (true, true) => "CUDA and Metal",
        (true, false) => "CUDA",
        (false, true) => "Metal",
        (false, false) => "none, the processor alone",
    }
}

/// Both on one line, as `--version` prints it.
pub fn line() -> &'static str {
    static LINE: LazyLock<String> =
        LazyLock::new(|| format!("{} (accelerators: {})", version(), accelerators()));
    &LINE
}
