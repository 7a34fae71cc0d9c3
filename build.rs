//! Gives the Windows program its icon and version, which the Explorer shows. Does nothing for other systems.

fn main() -> std::io::Result<()> {
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
    Ok(())
}
