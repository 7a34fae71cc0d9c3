//! From the command line to the window.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use eframe::egui;
use eframe::egui_wgpu::WgpuSetup;
use eframe::wgpu;

use super::MainWindow;
use crate::app::apply::Options;
use crate::app::lanes::system_picker;
use crate::engine::remember_devices_in;
use crate::settings::Folders;
use crate::version;

const USAGE: &str = "Usage: tessera [--glow] [--wgpu] [FILE…]\n\n\
    --glow draws with OpenGL, --wgpu with Vulkan, Metal or DirectX 12; with both the second is tried where the first does not work.\n\
    Without them Tessera looks for a graphics processor first.\n\
    FILE is a picture to paint on, a folder of pictures to import, or a .tessera project.\n\
    Set TESSERA_HOME to keep preferences and the first project in a folder of your choice.\n";

/// The desktop entry, the icon and the package have the same name (`packaging/linux`).
const APP_ID: &str = "art.tessera.Tessera";

/// Opens the window and stays until it is closed.
pub fn run(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(
        "warn,wgpu_core=error,wgpu_hal=off,zbus=off,tracing=off,sctk=error,eframe::native::run=off",
    ))
    .init();
    let mut files = Vec::new();
    let mut renderers = Vec::new();
    for argument in arguments {
        match argument.to_str() {
            Some("--glow") => renderers.push(Renderer::Glow),
            Some("--wgpu") => renderers.push(Renderer::Wgpu),
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
    if renderers.is_empty() {
        renderers.extend(DEFAULT_RENDERERS);
    }
    #[cfg(target_os = "linux")]
    if let Some(why) = super::libraries::missing() {
        return failed(&format!("could not open the window: {why}."));
    }
    let (renderer, others) = (renderers[0], &renderers[1..]);
    match open_window(&files, renderer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if !others.is_empty() => {
            if renderer == Renderer::Gpu {
                log::info!("{why}");
            } else {
                log::warn!("{why}; trying another way to draw");
            }
            again(others, &files).unwrap_or_else(|| failed(&why))
        }
        Err(why) => failed(&why),
    }
}

/// How the window is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renderer {
    /// Vulkan, Metal or DirectX 12 on a graphics processor.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    Gpu,
    /// OpenGL.
    Glow,
    /// Vulkan, Metal or DirectX 12, if need be in software.
    Wgpu,
}

/// Without a graphics processor Mesa draws the same window four to six times as fast by OpenGL as by Vulkan: it runs all branches of
/// a shader, and that of egui's wgpu renderer has many. Elsewhere OpenGL is the last resort.
#[cfg(target_os = "linux")]
const DEFAULT_RENDERERS: &[Renderer] = &[Renderer::Gpu, Renderer::Glow, Renderer::Wgpu];
#[cfg(not(target_os = "linux"))]
const DEFAULT_RENDERERS: &[Renderer] = &[Renderer::Wgpu, Renderer::Glow];

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

/// A program has only one chance to open a window: another one tries the other renderers. `None` where it could not be started.
fn again(renderers: &[Renderer], files: &[PathBuf]) -> Option<ExitCode> {
    let mut program = std::process::Command::new(std::env::current_exe().ok()?);
    program.args(renderers.iter().map(|renderer| match renderer {
        Renderer::Glow => "--glow",
        Renderer::Gpu | Renderer::Wgpu => "--wgpu",
    }));
    program.args(files);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // It takes the place of this one, and comes back only if that failed.
        log::warn!("could not start again: {}", program.exec());
        None
    }
    #[cfg(not(unix))]
    Some(match program.status().ok()?.success() {
        true => ExitCode::SUCCESS,
        // It has said why.
        false => ExitCode::FAILURE,
    })
}

/// The adapter to draw with: a graphics processor, the faster kind first, and for one the newer way to drive it.
fn graphics_processor(
    adapters: &[wgpu::Adapter],
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<wgpu::Adapter, String> {
    let rank = |adapter: &&wgpu::Adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other | wgpu::DeviceType::Cpu => 3,
        };
        (kind, info.backend == wgpu::Backend::Gl)
    };
    adapters
        .iter()
        .filter(|adapter| adapter.get_info().device_type != wgpu::DeviceType::Cpu)
        .filter(|adapter| surface.is_none_or(|surface| adapter.is_surface_supported(surface)))
        .min_by_key(rank)
        .cloned()
        .ok_or_else(|| "there is no graphics processor".to_owned())
}

fn open_window(files: &[PathBuf], renderer: Renderer) -> Result<(), String> {
    let folders = Folders::find().map_err(|error| error.to_string())?;
    remember_devices_in(&folders.devices_file());
    let icon = image::load_from_memory(include_bytes!("../../../assets/icon/tessera-256.png"))
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
    let mut options = eframe::NativeOptions {
        viewport,
        renderer: match renderer {
            Renderer::Gpu | Renderer::Wgpu => eframe::Renderer::Wgpu,
            Renderer::Glow => eframe::Renderer::Glow,
        },
        persistence_path: Some(folders.layout_file()),
        // Pictures are shown as they are, and there are no gradients.
        dithering: false,
        ..Default::default()
    };
    if renderer == Renderer::Gpu
        && let WgpuSetup::CreateNew(setup) = &mut options.wgpu_options.wgpu_setup
    {
        setup.native_adapter_selector = Some(Arc::new(graphics_processor));
    }
    let files = files.to_vec();
    let create: eframe::AppCreator<'_> = Box::new(move |cc| {
        let options = Options {
            folders,
            files,
            picker: system_picker(),
        };
        Ok(Box::new(MainWindow::new(cc, options)?))
    });
    eframe::run_native("Tessera", options, create).map_err(|source| {
        format!(
            "could not open the window: {source}. Install a graphics driver (on Debian: libgl1-mesa-dri or mesa-vulkan-drivers)"
        )
    })
}

#[allow(clippy::print_stdout)] // asked for on the command line
fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}
