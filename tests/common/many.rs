//! A project with very many pictures: rows and thumbnails as an import leaves them, and files that are there but empty.

use std::path::Path;

use tessera::project::{ContentHash, NewPicture, Project};

/// Thumbnails that differ.
const KINDS: u32 = 97;
/// Pictures per transaction, as the import has it.
const BATCH: u64 = 256;

/// Adds `count` pictures "below" `root` to a project, labelled by a hundred sub-folders.
pub fn add_pictures(project: &mut Project, root: &Path, count: u64) {
    let thumbnails: Vec<Vec<u8>> = (0..KINDS).map(thumbnail).collect();
    let folders = count.div_ceil(1000);
    for folder in 0..folders {
        std::fs::create_dir_all(root.join(format!("{folder:03}"))).expect("a folder to write to");
    }
    let mut import = project.begin_import(root).expect("a new import");
    for start in (0..count).step_by(BATCH as usize) {
        let batch: Vec<NewPicture> = (start..(start + BATCH).min(count))
            .map(|index| {
                let folder = format!("{:03}", index / 1000);
                let path = root.join(&folder).join(format!("picture {index:06}.png"));
                std::fs::File::create(&path).expect("a file to write to");
                NewPicture {
                    path,
                    label: Some(folder),
                    blake3: ContentHash(*blake3::hash(&index.to_le_bytes()).as_bytes()),
                    file_bytes: 0,
                    modified_ms: 0,
                    changed_ns: None,
                    analysis: 1,
                    width: 640,
                    height: 480,
                    format: "png".into(),
                    bit_depth: 8,
                    has_alpha: false,
                    phash: None,
                    flags: Vec::new(),
                    thumbnail: thumbnails[(index % u64::from(KINDS)) as usize].clone(),
                    excluded: false,
                }
            })
            .collect();
        project.add_pictures(&mut import, &batch).expect("room");
    }
    project.finish_import(import, true).expect("room");
}

/// A PNG of 128 × 96 px that is not flat.
fn thumbnail(kind: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_fn(128, 96, |x, y| {
        let wave = |value: u32| (value % 256) as u8;
        image::Rgb([
            wave(x * 2 + kind * 31),
            wave(y * 2 + kind * 57),
            wave((x ^ y) + kind * 91),
        ])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .expect("memory to write to");
    bytes.into_inner()
}
