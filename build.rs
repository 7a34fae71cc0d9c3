//! Gives the Windows program its icon and version, which the Explorer shows, and with the feature `cuda` compiles the kernels for NVIDIA
//! cards. Otherwise it does nothing and needs no tool.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=assets/icon/tessera.ico");
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "windows") {
        winresource::WindowsResource::new()
            .set_icon("assets/icon/tessera.ico")
            .set("ProductName", "Tessera")
            .set("FileDescription", "Tessera")
            .set(
                "LegalCopyright",
                "The Tessera developers; MIT OR Apache-2.0",
            )
            .compile()?;
    }
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels()?;
    }
    Ok(())
}

/// `src/kernels/cuda/kernels.cu` → `kernels.ptx`, for cards from `CUDA_COMPUTE_CAP` (default 80, Ampere) on: the driver makes machine
/// code of it when the program first runs.
fn compile_kernels() -> Result<(), Box<dyn Error>> {
    const SOURCES: &str = "src/kernels/cuda";
    for variable in ["CUDA_HOME", "CUDA_PATH", "CUDA_COMPUTE_CAP", "NVCC"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    for entry in std::fs::read_dir(SOURCES)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|kind| kind == "cu" || kind == "h")
        {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let folders = ["CUDA_HOME", "CUDA_PATH"];
    let nvcc = std::env::var_os("NVCC").map(PathBuf::from);
    let nvcc = nvcc.or_else(|| {
        let folder = folders.iter().find_map(std::env::var_os)?;
        Some(PathBuf::from(folder).join("bin").join("nvcc"))
    });
    let nvcc = nvcc.unwrap_or_else(|| "nvcc".into());
    let capability = std::env::var("CUDA_COMPUTE_CAP").unwrap_or_else(|_| "80".into());
    let output = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo gives OUT_DIR")?);
    let done = Command::new(&nvcc)
        .args(["--ptx", "-O3", "-std=c++17"])
        .arg(format!("-arch=compute_{capability}"))
        .arg("-o")
        .arg(output.join("kernels.ptx"))
        .arg(format!("{SOURCES}/kernels.cu"))
        .output()
        .map_err(|why| {
            format!(
                "the feature `cuda` needs NVIDIA's compiler, and {} cannot be started ({why}); install the CUDA toolkit or set CUDA_HOME",
                nvcc.display()
            )
        })?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(())
}
