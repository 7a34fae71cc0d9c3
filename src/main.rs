//! The desktop app. The library does the work; see `tessera::app`.

// No console window behind it on Windows.
#![windows_subsystem = "windows"]

use std::process::ExitCode;

fn main() -> ExitCode {
    tessera::process::configure();
    tessera::app::run(std::env::args_os().skip(1))
}
