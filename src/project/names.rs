//! How names are searched and ordered: SQLite itself knows the letters of ASCII only.
//!
//! *Limitations*: an accented letter written as one character and the same letter written as two (as some systems store
//! file names) are different here.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// Longest digit run that is compared as a number; longer ones are compared digit by digit.
const MAX_DIGITS: usize = 250;

/// Text for comparing without regard to letter case: `ÜBER` and `über`, `Straße` and `STRASSE` become the same.
pub(super) fn folded(text: &str) -> String {
    // By way of the capitals, which join what has several small forms (σ and ς, s and ſ).
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Bytes by which paths sort as people read them: folder by folder, letter case ignored, numbers by their value
/// (`img2` before `img10`).
pub(super) fn sort_key(path: &str) -> Vec<u8> {
    let folded = folded(path);
    let mut key = Vec::with_capacity(folded.len() + 8);
    let mut rest = folded.as_bytes();
    while let [first, ..] = rest {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            // Whatever stands in a folder comes before the folder's neighbours.
            let is_separator = std::path::is_separator(char::from(*first));
            key.push(if is_separator { 1 } else { *first });
            rest = &rest[1..];
            continue;
        }
        let (run, after) = rest.split_at(digits);
        let zeros = run.iter().take_while(|&&digit| digit == b'0').count();
        let number = &run[zeros..];
        // Numbers stand where digits stand among other characters; the longer one is the larger.
        key.push(b'0');
        key.push(number.len().min(MAX_DIGITS) as u8);
        key.extend_from_slice(number);
        rest = after;
    }
    key
}

/// Makes `folded(text)` and `sort_key(text)` known to a connection's statements.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("folded", 1, flags, |context| {
        Ok(folded(context.get_raw(0).as_str()?))
    })?;
    connection.create_scalar_function("sort_key", 1, flags, |context| {
        Ok(sort_key(context.get_raw(0).as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_is_ignored_in_every_script() {
        for (a, b) in [
            ("über.png", "ÜBER.PNG"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ЖАР", "жар"),
            ("img", "IMG"),
        ] {
            assert_eq!(folded(a), folded(b), "{a} {b}");
        }
        assert_ne!(folded("uber"), folded("über"));
    }

    #[test]
    fn names_sort_as_people_read_them() {
        let mut names = [
            "a/img10.png",
            "a-b/1.png",
            "a/img2.png",
            "A/img1.png",
            "a/img02b.png",
            "a/imgx.png",
            "b/9.png",
            "b/099999999999999999999999.png",
            "b/10.png",
            "Äpfel.png",
            "ähre.png",
        ];
        names.sort_by_key(|name| sort_key(name));
        assert_eq!(
            names,
            [
                "A/img1.png",
                "a/img2.png",
                "a/img02b.png",
                "a/img10.png",
                "a/imgx.png",
                "a-b/1.png",
                "b/9.png",
                "b/10.png",
                "b/099999999999999999999999.png",
                "ähre.png",
                "Äpfel.png",
            ]
        );
    }
}
