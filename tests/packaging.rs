//! What the packages say of the program agrees with the program.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::path::Path;

use tessera::project::APPLICATION_ID;

const ID: &str = "art.tessera.Tessera";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn linux(extension: &str) -> String {
    read(&format!("packaging/linux/{ID}.{extension}"))
}

/// The value of a key of the desktop entry.
fn entry<'a>(desktop: &'a str, key: &str) -> &'a str {
    let line = desktop
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key}=")));
    line.unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn a_double_click_on_a_project_starts_the_program() {
    let (desktop, mime, metainfo) = (linux("desktop"), linux("mime.xml"), linux("metainfo.xml"));
    let project = "application/x-tessera-project";
    assert!(
        entry(&desktop, "MimeType")
            .split(';')
            .any(|mime| mime == project)
    );
    assert_eq!(entry(&desktop, "Exec"), "tessera %F");
    assert_eq!(entry(&desktop, "Icon"), ID);
    assert_eq!(entry(&desktop, "StartupWMClass"), ID);
    assert!(mime.contains(&format!("type=\"{project}\"")) && mime.contains("*.tessera"));
    // A project is known by its content too, wherever SQLite writes our number.
    let number = String::from_utf8(APPLICATION_ID.to_be_bytes().to_vec()).unwrap();
    assert!(mime.contains(&format!("value=\"{number}\" offset=\"68\"")));
    assert!(metainfo.contains(&format!("<id>{ID}</id>")));
    assert!(metainfo.contains(&format!("{ID}.desktop</launchable>")));
    // Wayland finds the window's icon by this name.
    assert!(read("src/app/run.rs").contains(&format!("\"{ID}\"")));
}

#[test]
fn the_newest_release_and_every_packaged_file_are_there() {
    let manifest = read("Cargo.toml");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(
        linux("metainfo.xml").contains(&version),
        "the metainfo names this release"
    );
    let start = manifest.find("\nassets = [").unwrap();
    let list = &manifest[start..start + manifest[start..].find("\n]").unwrap()];
    let sources = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next());
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 10, "{sources:?}");
    for source in sources
        .iter()
        .filter(|source| !source.starts_with("target/"))
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        assert!(path.is_file(), "{source}");
    }
}
