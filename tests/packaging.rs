//! What the packages say of the program agrees with the program.
#![cfg(feature = "gui")]
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
    assert!(read("src/app/window/run.rs").contains(&format!("\"{ID}\"")));
}

/// The value of a key of a property list, as it stands in the file; for an array or a dictionary all of it.
fn plist<'a>(text: &'a str, key: &str) -> &'a str {
    let start = text
        .find(&format!("<key>{key}</key>"))
        .unwrap_or_else(|| panic!("no {key}"));
    let rest = &text[start..];
    let rest = rest[rest.find("</key>").unwrap() + 6..].trim_start();
    let name = rest[1..].split(['>', '/']).next().unwrap();
    let end = rest
        .find(&format!("</{name}>"))
        .unwrap_or_else(|| panic!("{key} has no end"));
    rest[..end].split_once('>').unwrap().1
}

#[cfg(unix)]
#[test]
fn the_mac_bundle_has_what_the_finder_looks_for() {
    let folder = tempfile::tempdir().unwrap();
    for (name, program) in [
        ("tessera", env!("CARGO_BIN_EXE_tessera")),
        ("tessera-cli", env!("CARGO_BIN_EXE_tessera-cli")),
    ] {
        std::os::unix::fs::symlink(program, folder.path().join(name)).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/macos/build-app");
    let out = std::process::Command::new(script)
        .args(["--layout".as_ref(), folder.path(), folder.path()])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let contents = folder.path().join("Tessera.app/Contents");
    let info = std::fs::read_to_string(contents.join("Info.plist")).unwrap();
    assert_eq!(
        plist(&info, "CFBundleShortVersionString"),
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(plist(&info, "CFBundleIdentifier"), ID);
    assert!(plist(&info, "CFBundleDocumentTypes").contains("art.tessera.project"));
    assert_eq!(plist(&info, "UTTypeIdentifier"), "art.tessera.project");
    assert!(plist(&info, "public.filename-extension").contains("<string>tessera</string>"));
    assert!(
        plist(&info, "public.mime-type").contains("<string>application/x-tessera-project</string>")
    );
    let executable = contents
        .join("MacOS")
        .join(plist(&info, "CFBundleExecutable"));
    let version = std::process::Command::new(&executable)
        .arg("--version")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).contains(env!("CARGO_PKG_VERSION")));
    assert!(contents.join("MacOS/tessera-cli").is_file());
    let icon = contents
        .join("Resources")
        .join(plist(&info, "CFBundleIconFile"));
    let icon = std::fs::read(icon.with_extension("icns")).unwrap();
    // A list of pictures, each with its kind and length, as long as it says.
    assert_eq!(&icon[..4], b"icns");
    let length = |at: usize| u32::from_be_bytes(icon[at + 4..at + 8].try_into().unwrap()) as usize;
    assert_eq!(length(0), icon.len());
    let (mut at, mut kinds) = (8, Vec::new());
    while at < icon.len() {
        kinds.push(String::from_utf8_lossy(&icon[at..at + 4]).into_owned());
        at += length(at);
    }
    assert_eq!(at, icon.len());
    assert!(
        kinds.contains(&"ic08".to_owned()) && kinds.contains(&"ic09".to_owned()),
        "256 and 512 px: {kinds:?}"
    );
    let entitlements = read("packaging/macos/entitlements.plist");
    assert!(
        !entitlements.contains("<true/>"),
        "nothing is taken from the hardened runtime"
    );
}

#[test]
fn the_windows_installer_packs_and_removes_the_same_files() {
    let script = read("packaging/windows/tessera.nsi");
    let names = |command: &str| -> std::collections::BTreeSet<String> {
        let lines = script
            .lines()
            .filter_map(|line| line.trim().strip_prefix(command));
        lines
            .map(|name| name.trim_matches('"').replace("$INSTDIR\\", ""))
            .collect()
    };
    let packed = names("File ");
    let mut removed = names("Delete ");
    assert!(removed.remove("$SMPROGRAMS\\Tessera.lnk") && removed.remove("uninstall.exe"));
    assert_eq!(packed, removed);
    assert!(packed.contains("tessera.exe") && packed.contains("third-party-licences.txt"));
    assert!(script.contains("RequestExecutionLevel user") && !script.contains("HKLM"));
    assert!(script.contains("\"Software\\Classes\\.tessera\""));
    let icon = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/icon/tessera.ico"))
        .unwrap();
    assert_eq!(icon[..4], [0, 0, 1, 0]);
    let sizes: Vec<u8> = (0..usize::from(icon[4]))
        .map(|i| icon[6 + 16 * i])
        .collect();
    // 0 stands for 256.
    assert_eq!(sizes, [16, 24, 32, 48, 64, 128, 0]);
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
