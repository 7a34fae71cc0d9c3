//! What the window opens by name at run time. The window's own crates panic where one is missing; this says in words which.

/// A library, its file name, and the Debian package that has it.
type Library = (&'static str, &'static str);

const KEYBOARD: Library = ("libxkbcommon.so.0", "libxkbcommon0");
const WAYLAND: [Library; 2] = [("libwayland-client.so.0", "libwayland-client0"), KEYBOARD];
const X11: [Library; 6] = [
    ("libX11.so.6", "libx11-6"),
    ("libX11-xcb.so.1", "libx11-xcb1"),
    ("libXcursor.so.1", "libxcursor1"),
    ("libXi.so.6", "libxi6"),
    KEYBOARD,
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
];
/// Any of them will do.
const GRAPHICS: [Library; 3] = [
    ("libvulkan.so.1", "mesa-vulkan-drivers"),
    ("libEGL.so.1", "libegl1 and libgl1-mesa-dri"),
    ("libGL.so.1", "libgl1"),
];

/// What keeps a window from opening on this machine and what to do about it; `None` where nothing is known to.
pub(super) fn missing() -> Option<String> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let display = match (is_set("WAYLAND_DISPLAY"), is_set("DISPLAY")) {
        (true, _) => Some(Display::Wayland),
        (false, true) => Some(Display::X11),
        (false, false) => None,
    };
    objection(display, |name| {
        // SAFETY: a system library that the window would load next anyway.
        unsafe { libloading::Library::new(name) }.is_ok()
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Display {
    Wayland,
    X11,
}

fn objection(display: Option<Display>, is_there: impl Fn(&str) -> bool) -> Option<String> {
    let needed: &[Library] = match display {
        Some(Display::Wayland) => &WAYLAND,
        Some(Display::X11) => &X11,
        None => {
            return Some(
                "there is no screen to open a window on (neither WAYLAND_DISPLAY nor DISPLAY is set). \
                 Start it from a desktop; `tessera-cli` works without one"
                    .to_owned(),
            );
        }
    };
    let mut missing: Vec<Library> = needed
        .iter()
        .filter(|(name, _)| !is_there(name))
        .copied()
        .collect();
    if !GRAPHICS.iter().any(|(name, _)| is_there(name)) {
        missing.push(GRAPHICS[0]);
    }
    if missing.is_empty() {
        return None;
    }
    let names = |of: fn(&Library) -> &'static str, between: &str| {
        missing.iter().map(of).collect::<Vec<_>>().join(between)
    };
    Some(format!(
        "this system has no {}. Install it from your system's packages (on Debian or Ubuntu: `sudo apt install {}`)",
        names(|library| library.0, ", "),
        names(|library| library.1, " "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        assert_eq!(objection(Some(Display::X11), |_| true), None);
        assert_eq!(
            objection(Some(Display::Wayland), |name| name != "libvulkan.so.1"
                && !name.starts_with("libX")),
            None,
            "OpenGL will do, and X11 is not needed"
        );
        let why = objection(Some(Display::X11), |name| !name.contains("xkbcommon")).unwrap();
        assert!(
            why.contains("libxkbcommon.so.0, libxkbcommon-x11.so.0."),
            "{why}"
        );
        assert!(
            why.contains("apt install libxkbcommon0 libxkbcommon-x11-0`"),
            "{why}"
        );
        let why = objection(Some(Display::X11), |name| {
            name.starts_with("libX") || name.starts_with("libx")
        })
        .unwrap();
        assert!(
            why.contains("libvulkan.so.1") && why.contains("mesa-vulkan-drivers"),
            "{why}"
        );
        let why = objection(None, |_| true).unwrap();
        assert!(why.contains("DISPLAY"), "{why}");
    }

    #[test]
    fn the_package_depends_on_all_of_them() {
        let manifest = include_str!("../../../Cargo.toml");
        let depends = manifest
            .lines()
            .find(|line| line.starts_with("depends = "))
            .unwrap();
        for (_, package) in WAYLAND.iter().chain(&X11) {
            assert!(
                depends.contains(&format!(" {package},")),
                "{package}: {depends}"
            );
        }
    }
}
