//! Paths as people type or paste them: `~/Pictures`, `"C:\My pictures"`, `file:///home/me/a%20b.png`.

use std::path::{Path, PathBuf};

/// The path that a line of text means: quotes around it are taken off, `~` is the user's own folder, and a `file:` address is
/// read as one. Anything else is taken as it is, spaces at its ends left out.
pub fn path(text: &str) -> PathBuf {
    let home = directories::BaseDirs::new();
    path_from(text, home.as_ref().map(|dirs| dirs.home_dir()))
}

fn path_from(text: &str, home: Option<&Path>) -> PathBuf {
    let text = text.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner)
    });
    let text = quoted.unwrap_or(text);
    if text
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("file:"))
        && let Ok(address) = url::Url::parse(text)
        && let Ok(path) = address.to_file_path()
    {
        return path;
    }
    if let (Some(rest), Some(home)) = (text.strip_prefix('~'), home)
        && (rest.is_empty() || rest.starts_with(std::path::is_separator))
    {
        return home.join(rest.trim_start_matches(std::path::is_separator));
    }
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn what_people_type_names_the_file_that_they_mean() {
        let home = Some(Path::new("/home/ana"));
        for (typed, meant) in [
            ("~", "/home/ana"),
            ("~/Pictures/a b.png", "/home/ana/Pictures/a b.png"),
            ("~ana", "~ana"),
            (" '/data/it's here.png' ", "/data/it's here.png"),
            ("\"/data/a b.png\"", "/data/a b.png"),
            ("\"~/a.png\"", "/home/ana/a.png"),
            ("file:///data/a%20b%C3%BC.png", "/data/a bü.png"),
            ("FILE:///data/a.png", "/data/a.png"),
            ("file://localhost/data/a.png", "/data/a.png"),
            ("file of mine.png", "file of mine.png"),
            ("'", "'"),
            ("", ""),
            ("/data/100%25.png", "/data/100%25.png"),
        ] {
            assert_eq!(path_from(typed, home), Path::new(meant), "{typed}");
        }
        assert_eq!(path_from("~/a.png", None), Path::new("~/a.png"));
    }
}
