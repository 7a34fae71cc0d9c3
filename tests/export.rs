//! Exported files: right bytes, complete metadata, a document that comes back, no half-written file.
#![allow(clippy::unwrap_used)] // a failed step is a failed test

use std::io::Cursor;

use proptest::prelude::*;
use tessera::document::{Codes, DetailPolicy, Document, Level, Raster, Samples, Source, Wrap};
use tessera::error::{Error, Kind};
use tessera::export::{
    Existing, Metadata, Provenance, encode_png, encode_restore_data, encode_webp,
    read_restore_data, write_atomic, write_bytes, write_png, write_webp,
};

/// A picture in which every channel takes many values, transparent pixels with colour among them.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .collect()
}

fn document(width: u32, height: u32, sixteen: bool) -> Document {
    let len = (width * height * 4) as usize;
    let source = if sixteen {
        let samples = noise(len * 2, 7)
            .chunks_exact(2)
            .map(|p| u16::from_le_bytes([p[0], p[1]]))
            .collect();
        Source::from_rgba16(width, height, samples).unwrap()
    } else {
        Source::from_rgba8(width, height, noise(len, 7)).unwrap()
    };
    let geometry = source.geometry();
    let mut codes = Codes::blank(geometry);
    for level in Level::ALL {
        for i in 0..geometry.cell_count(level) as u32 {
            codes.level_mut(level).set(i, Some((i * 31 % 900) as u16));
        }
    }
    Document::new(source, codes, Wrap { x: true, y: false }, "c0ffee").unwrap()
}

/// Paints one cell and changes the picture around it, as a decode would.
fn edited(document: &mut Document, depth_bits: u8, cell: u32) -> Raster {
    document.begin("paint").unwrap();
    document
        .paint_cell(Level::Structure, cell, Some(899), DetailPolicy::Empty)
        .unwrap();
    document.commit();
    let mut raster = Raster::from_source(document.source(), depth_bits);
    let width = document.width() as usize;
    let rect = (document.geometry())
        .cell_pixels(Level::Structure, cell)
        .inflate(5)
        .intersect(&document.geometry().bounds());
    for y in rect.y as usize..rect.bottom() as usize {
        let row = (y * width + rect.x as usize) * 4..(y * width + rect.right() as usize) * 4;
        match raster.samples_mut() {
            tessera::document::SamplesMut::Rgba8(s) => s[row].fill(y as u8),
            tessera::document::SamplesMut::Rgba16(s) => s[row].fill(y as u16 * 300),
        }
    }
    raster
}

fn decode_png(bytes: &[u8]) -> (png::Info<'static>, Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut data).unwrap();
    reader.finish().unwrap();
    (reader.info().clone(), data)
}

#[test]
fn png_keeps_every_sample_and_is_tagged() {
    let doc = document(37, 21, true);
    for depth in [8, 16] {
        let raster = Raster::from_source(doc.source(), depth);
        let metadata = Metadata {
            notes: None,
            provenance: Some(Provenance::Edited),
            restore: None,
        };
        let (info, data) = decode_png(&encode_png(&raster, &metadata).unwrap());
        assert_eq!((info.width, info.height), (37, 21));
        assert_eq!(info.color_type, png::ColorType::Rgba);
        assert!(info.srgb.is_some());
        assert_eq!(info.gama_chunk.unwrap().into_scaled(), 45_455);
        assert!(info.chrm_chunk.is_some());
        match raster.samples() {
            Samples::Rgba8(s) => assert_eq!(&data, s),
            Samples::Rgba16(s) => {
                assert!(
                    data.chunks_exact(2)
                        .zip(s)
                        .all(|(p, v)| p == v.to_be_bytes())
                );
            }
        }
        let xmp = info
            .utf8_text
            .iter()
            .find(|t| t.keyword == "XML:com.adobe.xmp");
        let xmp = xmp.unwrap().get_text().unwrap();
        assert!(xmp.contains(
            "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia<"
        ));
    }
}

#[test]
fn provenance_tells_edited_from_generated() {
    assert!(
        Provenance::Generated
            .digital_source_type()
            .ends_with("/trainedAlgorithmicMedia")
    );
    let doc = document(8, 8, false);
    let raster = Raster::from_source(doc.source(), 8);
    let (info, _) = decode_png(&encode_png(&raster, &Metadata::default()).unwrap());
    assert!(
        info.utf8_text.is_empty(),
        "an untouched picture claims nothing"
    );
}

#[test]
fn webp_is_lossless_and_marked() {
    let doc = document(37, 21, false);
    let raster = Raster::from_source(doc.source(), 8);
    let metadata = Metadata {
        notes: None,
        provenance: Some(Provenance::Generated),
        restore: None,
    };
    let bytes = encode_webp(&raster, &metadata).unwrap();
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&bytes)).unwrap();
    let xmp = String::from_utf8(decoder.xmp_metadata().unwrap().unwrap()).unwrap();
    assert!(xmp.contains("digitalsourcetype/trainedAlgorithmicMedia"));
    let decoded = image::load_from_memory(&bytes).unwrap().to_rgba8();
    assert_eq!(decoded.as_raw(), doc.source().rgba8().as_ref());
    let wide = Raster::new(16_384, 1, Samples::Rgba8(vec![0; 16_384 * 4])).unwrap();
    assert_eq!(encode_webp(&wide, &metadata).unwrap_err().kind, Kind::Limit);
}

#[test]
fn a_document_comes_back_from_its_picture() {
    for (source_16, depth) in [(false, 8), (false, 16), (true, 16), (true, 8)] {
        let mut doc = document(75, 50, source_16);
        let raster = edited(&mut doc, depth, 7);
        let settings = serde_json::json!({"seed": 5, "script": "a.json"});
        let restore = encode_restore_data(&doc, &raster, settings.clone()).unwrap();
        let metadata = Metadata {
            notes: None,
            provenance: Some(Provenance::Edited),
            restore: Some(&restore),
        };
        let bytes = encode_png(&raster, &metadata).unwrap();
        let back = read_restore_data(&bytes).unwrap().unwrap();
        assert_eq!(back.warning, None);
        assert_eq!(back.header.settings, settings);
        assert_eq!(back.document.model_hash(), "c0ffee");
        assert_eq!(back.document.wrap(), doc.wrap());
        assert_eq!(back.document.encoded(), doc.encoded());
        assert_eq!(back.document.edited(), doc.edited());
        assert_eq!(back.document.source().rgba8(), doc.source().rgba8());
        let both_16 = source_16 && depth == 16;
        assert_eq!(back.document.source().rgba16().is_some(), both_16);
        if both_16 {
            assert_eq!(back.document.source().rgba16(), doc.source().rgba16());
        }
    }
}

#[test]
fn only_the_changed_blocks_of_the_source_are_stored() {
    let mut doc = document(512, 512, false);
    let raster = edited(&mut doc, 8, 100);
    let restore = encode_restore_data(&doc, &raster, serde_json::Value::Null).unwrap();
    let source_bytes = doc.source().rgba8().len();
    assert!(restore.len() < source_bytes / 10, "{} bytes", restore.len());
}

#[test]
fn a_picture_changed_elsewhere_is_noticed() {
    let mut doc = document(40, 40, false);
    let raster = edited(&mut doc, 8, 2);
    let restore = encode_restore_data(&doc, &raster, serde_json::Value::Null).unwrap();
    let mut painted = raster.clone();
    if let tessera::document::SamplesMut::Rgba8(s) = painted.samples_mut() {
        s[0] ^= 1;
    }
    let metadata = Metadata {
        notes: None,
        provenance: None,
        restore: Some(&restore),
    };
    let back = read_restore_data(&encode_png(&painted, &metadata).unwrap()).unwrap();
    assert!(back.unwrap().warning.is_some());
}

#[test]
fn other_files_hold_no_document() {
    let doc = document(9, 9, false);
    let raster = Raster::from_source(doc.source(), 8);
    let plain = encode_png(&raster, &Metadata::default()).unwrap();
    for bytes in [&plain[..], b"", b"GIF89a", &plain[..20]] {
        assert!(read_restore_data(bytes).unwrap().is_none());
    }
}

/// A PNG around made-up restore data.
fn with_chunk(restore: &[u8]) -> Vec<u8> {
    let doc = document(16, 16, false);
    let raster = Raster::from_source(doc.source(), 8);
    let metadata = Metadata {
        notes: None,
        provenance: None,
        restore: Some(restore),
    };
    encode_png(&raster, &metadata).unwrap()
}

#[test]
fn strangers_files_are_refused_in_plain_words() {
    let doc = document(16, 16, false);
    let raster = Raster::from_source(doc.source(), 8);
    let good = encode_restore_data(&doc, &raster, serde_json::Value::Null).unwrap();
    let kind = |data: &[u8]| read_restore_data(&with_chunk(data)).unwrap_err().kind;

    let mut newer = good.clone();
    newer[3] = 2;
    assert_eq!(kind(&newer), Kind::Newer);
    assert_eq!(kind(b"tsr"), Kind::Damaged);
    assert_eq!(kind(&good[..good.len() - 1]), Kind::Damaged);

    // A header that promises a gigantic picture, and one of another size than the PNG.
    let resized = |from: &str, to: &str| {
        let len = u32::from_le_bytes(good[4..8].try_into().unwrap()) as usize;
        let json = std::str::from_utf8(&good[8..8 + len])
            .unwrap()
            .replace(from, to);
        let mut data = good[..4].to_vec();
        data.extend((json.len() as u32).to_le_bytes());
        data.extend(json.as_bytes());
        data.extend(&good[8 + len..]);
        data
    };
    assert_eq!(
        kind(&resized("\"width\":16", "\"width\":4000000000")),
        Kind::Limit
    );
    assert_eq!(
        kind(&resized("\"width\":16", "\"width\":16384")),
        Kind::Damaged
    );
    assert_eq!(
        kind(&resized("\"width\":16", "\"width\":15")),
        Kind::Damaged
    );
    assert_eq!(
        kind(&resized("\"depth_bits\":8", "\"depth_bits\":7")),
        Kind::Damaged
    );

    let png = with_chunk(&good);
    let mut flipped = png.clone();
    let at = png.windows(4).position(|w| w == b"teSR").unwrap() + 40;
    flipped[at] ^= 1;
    assert_eq!(read_restore_data(&flipped).unwrap_err().kind, Kind::Damaged);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_broken_file_never_panics(cut in 0usize..4000, flip in 0usize..4000, bit in 0u8..8) {
        let mut doc = document(33, 17, false);
        let raster = edited(&mut doc, 8, 1);
        let mut data = encode_restore_data(&doc, &raster, serde_json::Value::Null).unwrap();
        let at = flip % data.len();
        data[at] ^= 1 << bit;
        let _ = read_restore_data(&with_chunk(&data));
        let bytes = with_chunk(&data);
        let _ = read_restore_data(&bytes[..cut % bytes.len()]);
    }

    #[test]
    fn any_edit_restores(width in 1u32..60, height in 1u32..60, cell in any::<u32>(), depth in prop_oneof![Just(8u8), Just(16)]) {
        let mut doc = document(width, height, depth == 16);
        let cells = doc.geometry().cell_count(Level::Structure) as u32;
        let raster = edited(&mut doc, depth, cell % cells);
        let restore = encode_restore_data(&doc, &raster, serde_json::Value::Null).unwrap();
        let metadata = Metadata { notes: None, provenance: None, restore: Some(&restore) };
        let back = read_restore_data(&encode_png(&raster, &metadata).unwrap()).unwrap().unwrap();
        prop_assert_eq!(back.document.source(), doc.source());
        prop_assert_eq!(back.document.edited(), doc.edited());
    }
}

#[test]
fn files_appear_whole_and_nothing_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.png");
    let doc = document(20, 20, false);
    let raster = Raster::from_source(doc.source(), 8);
    write_png(&path, Existing::Refuse, &raster, &Metadata::default()).unwrap();
    let first = std::fs::read(&path).unwrap();
    let refused = write_bytes(&path, Existing::Refuse, b"x").unwrap_err();
    assert_eq!(refused.kind, Kind::Usage);
    assert!(refused.to_string().ends_with("out.png]"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), first);
    write_webp(&path, Existing::Replace, &raster, &Metadata::default()).unwrap();
    assert_ne!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_no_litter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keep.txt");
    write_bytes(&path, Existing::Refuse, b"old").unwrap();
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = write_atomic(&path, Existing::Replace, |file| {
        file.write_all(&vec![1; 1 << 20]).unwrap();
        Err(Error::io("could not write the file", &path, &full))
    })
    .unwrap_err();
    assert_eq!(error.kind, Kind::DiskFull);
    assert!(error.to_string().contains("Free some space"));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("missing/out.png");
    let error = write_bytes(&nowhere, Existing::Refuse, b"").unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert_eq!(
        write_bytes("/".as_ref(), Existing::Refuse, b"")
            .unwrap_err()
            .kind,
        Kind::Usage
    );
}

#[cfg(unix)]
#[test]
fn exported_files_are_as_readable_as_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("a"), folder.path().join("b"));
    write_bytes(&ours, Existing::Refuse, b"1").unwrap();
    std::fs::write(&plain, b"1").unwrap();
    let mode = |p: &std::path::Path| p.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&ours, &link).unwrap();
    assert!(write_bytes(&link, Existing::Refuse, b"2").is_err());
    write_bytes(&link, Existing::Replace, b"2").unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read(&ours).unwrap(), b"2");
}

#[test]
fn a_document_of_another_size_is_a_defect() {
    let doc = document(16, 16, false);
    let other = Raster::new(8, 8, Samples::Rgba8(vec![0; 256])).unwrap();
    let error = encode_restore_data(&doc, &other, serde_json::Value::Null).unwrap_err();
    assert_eq!(error.kind, Kind::Internal);
}
