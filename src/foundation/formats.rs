//! The picture formats there are: names, endings of their files, and how these begin.
//!
//! This is the one list. Which formats are read stands in `dataset::readers`, which are written in `export::writers`; what the
//! dialogs, panels and errors name comes from those. A format that is only known here is recognised and refused by its name.
//!
//! Limitations: the content decides, never the name of a file; a format has one reader for all its variants.

use std::fmt;

/// Bytes at the start of a file that tell its format (it works with fewer).
pub const SNIFF_LEN: usize = 64;

/// A picture format.
pub struct Format {
    /// The name people know it by, such as "JPEG".
    pub name: &'static str,
    /// Endings of its files in small letters, the usual one first.
    pub endings: &'static [&'static str],
    begins: fn(&[u8]) -> bool,
}

impl Format {
    pub const PNG: &'static Self = &Self {
        name: "PNG",
        endings: &["png", "apng"],
        begins: |start| at(start, 0, b"\x89PNG\r\n\x1a\n"),
    };
    pub const JPEG: &'static Self = &Self {
        name: "JPEG",
        endings: &["jpg", "jpeg", "jpe", "jfif"],
        begins: |start| at(start, 0, b"\xff\xd8\xff"),
    };
    pub const WEBP: &'static Self = &Self {
        name: "WebP",
        endings: &["webp"],
        begins: |start| at(start, 0, b"RIFF") && at(start, 8, b"WEBP"),
    };
    pub const GIF: &'static Self = &Self {
        name: "GIF",
        endings: &["gif"],
        begins: |start| at(start, 0, b"GIF87a") || at(start, 0, b"GIF89a"),
    };
    pub const TIFF: &'static Self = &Self {
        name: "TIFF",
        endings: &["tif", "tiff"],
        begins: |start| at(start, 0, b"II*\0") || at(start, 0, b"MM\0*"),
    };
    pub const BMP: &'static Self = &Self {
        name: "BMP",
        endings: &["bmp", "dib"],
        // "BM" alone also begins many texts; the header's length that follows is a small number.
        begins: |start| {
            at(start, 0, b"BM")
                && start.len() >= 18
                && start[14..18] != [0; 4]
                && at(start, 15, b"\0\0\0")
        },
    };
    pub const ICO: &'static Self = &Self {
        name: "ICO",
        endings: &["ico"],
        // The first entry of the list of pictures has to be there.
        begins: |start| at(start, 0, b"\0\0\x01\0") && start.len() >= 22,
    };

    /// All that are recognised. A file is of the first one that it begins like.
    pub const ALL: &'static [&'static Self] = &[
        Self::PNG,
        Self::JPEG,
        Self::WEBP,
        Self::GIF,
        Self::TIFF,
        Self::BMP,
        &other("AVIF", &["avif"], |start| {
            is_media(start, &[b"avif", b"avis"])
        }),
        &other("HEIC", &["heic", "heif"], |start| {
            is_media(start, &[b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
        }),
        &other("camera raw", &["cr3"], |start| is_media(start, &[b"crx "])),
        &other("Photoshop", &["psd", "psb"], |start| at(start, 0, b"8BPS")),
        &other("OpenEXR", &["exr"], |start| {
            at(start, 0, b"\x76\x2f\x31\x01")
        }),
        &other("Radiance HDR", &["hdr"], |start| {
            at(start, 0, b"#?RADIANCE") || at(start, 0, b"#?RGBE")
        }),
        Self::ICO,
        &other("JPEG XL", &["jxl"], |start| {
            at(start, 0, b"\xff\x0a") || at(start, 0, b"\0\0\0\x0cJXL ")
        }),
        &other("JPEG 2000", &["jp2"], |start| {
            at(start, 0, b"\0\0\0\x0cjP  ")
        }),
        &other("QOI", &["qoi"], |start| at(start, 0, b"qoif")),
        &other("DDS", &["dds"], |start| at(start, 0, b"DDS ")),
        &other("GIMP", &["xcf"], |start| at(start, 0, b"gimp xcf")),
        Self::SVG,
    ];

    /// A drawing, not a picture of pixels.
    pub const SVG: &'static Self = &other("SVG", &["svg"], |start| {
        let text = text_of(start);
        begins_with(text, b"<svg")
            || begins_with(text, b"<?xml") && text.windows(4).any(|word| word == b"<svg")
    });

    /// The format of a file that begins with these bytes.
    pub fn of_content(start: &[u8]) -> Option<&'static Self> {
        let all = Self::ALL.iter().copied();
        all.into_iter().find(|format| (format.begins)(start))
    }

    /// Whether a file's ending, without the point, is one of its own.
    pub fn has_ending(&self, ending: &std::ffi::OsStr) -> bool {
        let mut endings = self.endings.iter();
        endings.any(|own| ending.eq_ignore_ascii_case(own))
    }
}

const fn other(
    name: &'static str,
    endings: &'static [&'static str],
    begins: fn(&[u8]) -> bool,
) -> Format {
    Format {
        name,
        endings,
        begins,
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn at(start: &[u8], offset: usize, magic: &[u8]) -> bool {
    (start.get(offset..)).is_some_and(|rest| rest.starts_with(magic))
}

/// Whether a file is of the ISO media family, to which films belong as well, with one of these brands.
fn is_media(start: &[u8], brands: &[&[u8]]) -> bool {
    let brand = start.get(8..12);
    at(start, 4, b"ftyp") && brand.is_some_and(|brand| brands.contains(&brand))
}

/// Without the blanks and the mark that a text may begin with.
pub fn text_of(start: &[u8]) -> &[u8] {
    let text = start.trim_ascii_start();
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a text begins with a word, in large letters or small.
pub fn begins_with(text: &[u8], word: &[u8]) -> bool {
    (text.get(..word.len())).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_endings_are_of_one_format_each() {
        for (number, format) in Format::ALL.iter().enumerate() {
            assert!(!format.endings.is_empty(), "{format}");
            for later in &Format::ALL[number + 1..] {
                assert_ne!(format.name, later.name);
                let shared = |ending: &&str| later.endings.contains(ending);
                assert!(!format.endings.iter().any(shared), "{format}, {later}");
            }
            for ending in format.endings {
                assert_eq!(*ending, ending.to_ascii_lowercase());
            }
        }
    }

    #[test]
    fn content_decides() {
        let of = |start: &[u8]| Format::of_content(start).map(|format| format.name);
        assert_eq!(of(b"\x89PNG\r\n\x1a\n...."), Some("PNG"));
        assert_eq!(of(b"\0\0\0\x20ftypheic...."), Some("HEIC"));
        assert_eq!(of(b"\0\0\0\x20ftypisom...."), None);
        assert_eq!(of(b"  <?xml version='1.0'?><svg xmlns="), Some("SVG"));
        assert_eq!(of(b"BMW is a maker of cars"), None);
        assert_eq!(of(b""), None);
    }
}
