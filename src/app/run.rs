//! From the command line to the window.

use std::path::PathBuf;
use std::process::ExitCode;

use eframe::egui;

use super::{App, Options, system_picker};
use crate::engine::remember_devices_in;
use crate::settings::Folders;
use crate::version;

const USAGE: &str = "Usage: tessera [--glow] [FILE…]\n\n\
    --glow draws with OpenGL at once, which is otherwise tried where Vulkan, Metal or DirectX 12 does not work.\n\
    FILE is a picture to paint on, a folder of pictures to import, or a .tessera project.\n\
    Set TESSERA_HOME to keep preferences and the first project in a folder of your choice.\n";

/// The desktop entry, the icon and the package have the same name (`packaging/linux`).
const APP_ID: &str = "art.tessera.Tessera";

/// Opens the window and stays until it is closed.
pub fn run(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default()
            .default_filter_or("warn,wgpu_core=error,wgpu_hal=off,zbus=off,tracing=off,sctk=error"),
    )
    .init();
    let mut files = Vec::new();
    let mut renderer = eframe::Renderer::Wgpu;
    for argument in arguments {
        match argument.to_str() {
            Some("--glow") => renderer = eframe::Renderer::Glow,
            Some("-h" | "--help") => return print(USAGE),
            Some("-V" | "--version") => {
                return print(&format!("tessera {}\n", version::line()));
            }
            _ => {
                let path = PathBuf::from(argument);
                // The folder of the moment says nothing to a project opened tomorrow.
                files.push(std::path::absolute(&path).unwrap_or(path));
            }
        }
    }
    #[cfg(target_os = "linux")]
    if let Some(why) = super::libraries::missing() {
        return failed(&format!("could not open the window: {why}."));
    }
    match open_window(&files, renderer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if renderer == eframe::Renderer::Wgpu => {
            log::warn!("{why}; trying OpenGL");
            again_with_glow(&files).unwrap_or_else(|| failed(&why))
        }
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    log::error!("{why}");
    // Who started it by a double-click sees no log.
    rfd::MessageDialog::new()
        .set_level(rfd::MessageLevel::Error)
        .set_title("Tessera could not start")
        .set_description(why)
        .show();
    ExitCode::FAILURE
}

/// Where the newer graphics do not work OpenGL may, and a program has only one chance to open a window: another one tries.
/// `None` where it could not be started.
fn again_with_glow(files: &[PathBuf]) -> Option<ExitCode> {
    let program = std::env::current_exe().ok()?;
    let status = std::process::Command::new(program)
        .arg("--glow")
        .args(files)
        .status()
        .ok()?;
    Some(match status.success() {
        true => ExitCode::SUCCESS,
        // It has said why.
        false => ExitCode::FAILURE,
    })
}

fn open_window(files: &[PathBuf], renderer: eframe::Renderer) -> Result<(), String> {
    let folders = Folders::find().map_err(|error| error.to_string())?;
    remember_devices_in(&folders.devices_file());
    let icon = image::load_from_memory(include_bytes!("../../assets/icon/tessera-256.png"))
        .map(|icon| icon.to_rgba8())
        .map_err(|source| format!("the icon inside the program is damaged: {source}"))?;
    let viewport = egui::ViewportBuilder::default()
        .with_title("Tessera")
        .with_app_id(APP_ID)
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([860.0, 560.0])
        .with_drag_and_drop(true)
        .with_icon(egui::IconData {
            width: icon.width(),
            height: icon.height(),
            rgba: icon.into_raw(),
        });
    let options = eframe::NativeOptions {
        viewport,
        renderer,
        persistence_path: Some(folders.layout_file()),
        ..Default::default()
    };
    let files = files.to_vec();
    let create: eframe::AppCreator<'_> = Box::new(move |cc| {
        let options = Options {
            folders,
            files,
            picker: system_picker(),
        };
        Ok(Box::new(App::new(cc, options)?))
    });
    eframe::run_native("Tessera", options, create).map_err(|source| {
        format!(
            "could not open the window: {source}. Install a graphics driver (on Debian: mesa-vulkan-drivers)"
        )
    })
}

#[allow(clippy::print_stdout)] // asked for on the command line
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}
