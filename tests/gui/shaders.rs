//! Every shader is valid before any graphics driver sees it.

use naga::front::wgsl;
use naga::valid::{Capabilities, ValidationFlags, Validator};

#[test]
fn every_shader_is_parsed_validated_and_part_of_the_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let module = wgsl::parse_str(&text)
            .unwrap_or_else(|error| panic!("{}", error.emit_to_string(&text)));
        Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            tessera::render::SHADERS
                .iter()
                .any(|(n, t)| *n == name && *t == text),
            "{name} is not used"
        );
        files += 1;
    }
    assert_eq!(files, tessera::render::SHADERS.len());
}
