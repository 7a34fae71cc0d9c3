//! Who may import whom. The table is ARCHITECTURE.md's; a module that is not listed here fails the test,
//! so that a new one gets its row. `layers/circles.rs` looks for circles between folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};

#[path = "layers/circles.rs"]
mod circles;

struct Layer {
    module: &'static str,
    /// Modules of this crate it may name.
    modules: &'static [&'static str],
    /// Crates it must not name.
    banned: &'static [&'static str],
}

const WINDOW: &[&str] = &["egui", "eframe", "wgpu", "egui_wgpu", "rfd"];
const MODEL: &[&str] = &["candle_core", "candle_nn", "gemm"];

/// `error`, `progress` and `settings` stand below everything and are open to all but the kernels.
const FOUNDATION: &[&str] = &[
    "error",
    "foundation",
    "progress",
    "version",
    "window_thread",
];

const LAYERS: &[Layer] = &[
    Layer {
        module: "error",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "rusqlite", "image"],
    },
    Layer {
        module: "progress",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "foundation",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "process",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "window_thread",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "settings",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "version",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "candle_core", "rusqlite", "image"],
    },
    Layer {
        module: "document",
        modules: &[],
        banned: &[
            "egui",
            "eframe",
            "wgpu",
            "candle_core",
            "candle_nn",
            "image",
            "rusqlite",
            "std::fs",
        ],
    },
    Layer {
        module: "dataset",
        modules: &[],
        banned: &[
            "egui",
            "eframe",
            "wgpu",
            "candle_core",
            "candle_nn",
            "rusqlite",
        ],
    },
    Layer {
        module: "kernels",
        modules: &[],
        banned: &["egui", "eframe", "wgpu", "rusqlite", "image", "std::fs"],
    },
    Layer {
        module: "model",
        modules: &[],
        banned: &[
            "egui",
            "eframe",
            "wgpu",
            "candle_core",
            "candle_nn",
            "rusqlite",
            "image",
        ],
    },
    Layer {
        module: "codec",
        modules: &["kernels", "model"],
        banned: &["egui", "eframe", "wgpu", "rusqlite"],
    },
    Layer {
        module: "prior",
        modules: &["kernels", "model"],
        banned: &["egui", "eframe", "wgpu", "rusqlite"],
    },
    Layer {
        module: "train",
        modules: &["codec", "prior", "dataset", "kernels", "model"],
        banned: &["egui", "eframe", "wgpu", "rusqlite"],
    },
    Layer {
        module: "canvas",
        modules: &["codec", "document", "kernels", "quilt"],
        banned: &["egui", "eframe", "wgpu", "rusqlite"],
    },
    Layer {
        module: "quilt",
        modules: &["document"],
        banned: &[
            "egui",
            "eframe",
            "wgpu",
            "candle_core",
            "candle_nn",
            "image",
            "rusqlite",
            "std::fs",
        ],
    },
    Layer {
        module: "project",
        modules: &["document"],
        banned: &["egui", "eframe", "wgpu", "candle_core", "candle_nn"],
    },
    Layer {
        module: "export",
        modules: &["document", "canvas"],
        banned: &["egui", "eframe", "wgpu", "rusqlite"],
    },
    Layer {
        module: "engine",
        modules: &[
            "settings", "document", "dataset", "kernels", "model", "codec", "prior", "train",
            "canvas", "project", "export", "process", "quilt",
        ],
        banned: WINDOW,
    },
    Layer {
        module: "render",
        modules: &["document"],
        banned: &["candle_core", "rusqlite", "rfd", "std::fs", "std::thread"],
    },
    Layer {
        module: "ui",
        modules: &["app/state", "app/command", "document", "render", "settings"],
        banned: &[
            "candle_core",
            "rusqlite",
            "rfd",
            "wgpu",
            "eframe::wgpu",
            "std::fs",
            "std::thread",
        ],
    },
    // Hands on what its rooms have for others.
    Layer {
        module: "app",
        modules: &[
            "app/apply",
            "app/command",
            "app/lanes",
            "app/state",
            "app/window",
        ],
        banned: MODEL,
    },
    Layer {
        module: "app/state",
        modules: &[
            "settings", "document", "codec", "project", "engine", "render",
        ],
        banned: &[
            "candle_core",
            "candle_nn",
            "gemm",
            "rfd",
            "std::fs",
            "std::thread",
        ],
    },
    Layer {
        module: "app/command",
        modules: &[
            "app/state",
            "settings",
            "document",
            "project",
            "engine",
            "render",
        ],
        banned: &[
            "candle_core",
            "candle_nn",
            "gemm",
            "rfd",
            "std::fs",
            "std::thread",
        ],
    },
    Layer {
        module: "app/lanes",
        modules: &[
            "app/state",
            "app/command",
            "document",
            "dataset",
            "project",
            "engine",
            "render",
        ],
        banned: MODEL,
    },
    Layer {
        module: "app/apply",
        modules: &[
            "app/state",
            "app/command",
            "app/lanes",
            "settings",
            "document",
            "dataset",
            "train",
            "canvas",
            "project",
            "export",
            "engine",
            "render",
        ],
        banned: MODEL,
    },
    Layer {
        module: "app/window",
        modules: &[
            "app/state",
            "app/command",
            "app/lanes",
            "app/apply",
            "settings",
            "engine",
            "render",
            "ui",
        ],
        banned: MODEL,
    },
    Layer {
        module: "main",
        modules: &["app", "process"],
        banned: &["candle_core", "rusqlite", "std::fs"],
    },
    Layer {
        module: "bin/tessera-cli",
        modules: &["engine", "settings", "process"],
        banned: WINDOW,
    },
];

/// Advice is for the window and the command line alike: how to say it there is added where it is printed.
#[test]
fn messages_do_not_tell_painters_of_the_command_line() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("walked from source");
        // Printed on a terminal, where no window opens.
        if relative.starts_with("bin") || relative == Path::new("app/window/libraries.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source file");
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines.filter(|line| line.contains("`--") || line.contains("`tessera-cli")) {
            faults.push(format!("{}: {}", relative.display(), line.trim()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn modules_import_only_what_their_layer_allows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("walked from source");
        let module = module_of(relative);
        if module == "lib" {
            continue;
        }
        let Some(layer) = LAYERS.iter().find(|layer| layer.module == module) else {
            faults.push(format!(
                "{}: module `{module}` has no row in tests/layers.rs",
                relative.display()
            ));
            continue;
        };
        seen.insert(layer.module);
        for path in paths_named_in(&file) {
            let path = from_the_root(&path, relative);
            if let Some(fault) = fault(layer, &path) {
                faults.push(format!("{}: {fault}", relative.display()));
            }
        }
    }
    assert!(
        seen.len() > 3,
        "found only {seen:?}: is the source folder where this test looks?"
    );
    assert!(
        faults.is_empty(),
        "forbidden imports:\n{}",
        faults.join("\n")
    );
}

#[test]
fn the_check_itself_sees_forbidden_imports() {
    let layer = |name| {
        LAYERS
            .iter()
            .find(|layer| layer.module == name)
            .expect("listed")
    };
    let sees = |name, code: &str| {
        let tokens: TokenStream = code.parse().expect("valid Rust");
        paths_in(tokens)
            .iter()
            .any(|path| fault(layer(name), path).is_some())
    };
    assert!(sees("document", "use candle_core::Tensor;"));
    assert!(sees("document", "fn f() { let x = std::fs::read(\"a\"); }"));
    assert!(sees("document", "use std::{fmt, fs::File};"));
    assert!(sees("kernels", "use crate::error::Result;"));
    assert!(sees(
        "project",
        "use crate::{document::Stroke, codec::Codec};"
    ));
    assert!(sees(
        "export",
        "fn f() { format!(\"{}\", crate::engine::NAME) }"
    ));
    assert!(!sees(
        "project",
        "use crate::{document::Stroke, error::Result}; // crate::codec"
    ));
    assert!(!sees("engine", "use crate::codec::Codec;"));
    assert!(sees("ui", "use crate::engine::Model;"));
    assert!(sees("ui", "use eframe::{egui, wgpu};"));
    assert!(sees("app", "use candle_core::Tensor;"));
    assert!(sees("app/apply", "use crate::ui::Shell;"));
    assert!(sees("app/state", "use crate::app::command::Command;"));
    assert!(sees("ui", "use crate::app::apply::App;"));
    assert!(!sees("app/window", "use crate::ui::Shell;"));
}

fn fault(layer: &Layer, path: &[String]) -> Option<String> {
    let named = path.join("::");
    if matches!(path[0].as_str(), "crate" | "tessera") {
        let target = row_of(&path[1..])?;
        // The folder of a room, in `pub(in …)` and on the way to another room.
        let is_folder = path.len() == 2 && layer.module.starts_with(&format!("{target}/"));
        let own = layer.module == target || is_folder;
        let foundation = FOUNDATION.contains(&target.as_str()) && layer.module != "kernels";
        let allowed = own || foundation || layer.modules.contains(&target.as_str());
        let is_module = LAYERS.iter().any(|layer| layer.module == target);
        return (is_module && !allowed)
            .then(|| format!("`{named}` is not below `{}`", layer.module));
    }
    let banned = layer
        .banned
        .iter()
        .chain(if layer.module.starts_with("bin/") {
            MODEL
        } else {
            &[]
        });
    banned
        .into_iter()
        .find(|banned| named == **banned || named.starts_with(&format!("{banned}::")))
        .map(|banned| format!("`{named}`: {banned} is banned in `{}`", layer.module))
}

/// A path that begins with `super`, as it reads from the root of the crate.
fn from_the_root(path: &[String], file: &Path) -> Vec<String> {
    let above = path.iter().take_while(|part| *part == "super").count();
    if above == 0 || file.starts_with("bin") {
        return path.to_vec();
    }
    let module = circles::module_name(file);
    let base = &module[..module.len().saturating_sub(above)];
    let root = ["crate".to_owned()];
    [&root, base, &path[above..]].concat()
}

/// The row of a path's module: of its room, where its rooms have rows of their own.
fn row_of(path: &[String]) -> Option<String> {
    let first = path.first()?;
    let room = path.get(1).map(|second| format!("{first}/{second}"));
    let room = room.filter(|room| LAYERS.iter().any(|layer| layer.module == room));
    Some(room.unwrap_or_else(|| first.clone()))
}

/// `engine` for `engine/jobs.rs`, `app/state` for `app/state/canvas.rs`, `error` for `error.rs`, `bin/tessera-cli` for that program and its parts.
fn module_of(relative: &Path) -> String {
    let parts: Vec<_> = relative
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    match parts.as_slice() {
        [file] => file.trim_end_matches(".rs").to_owned(),
        [bin, name, ..] if bin == "bin" => format!("bin/{}", name.trim_end_matches(".rs")),
        parts => row_of(parts).unwrap_or_default(),
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("readable source").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn paths_named_in(file: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).expect("readable source");
    let tokens: TokenStream = text
        .parse()
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    paths_in(tokens)
}

/// Every `a::b::c` in the tokens, with `a::{b, c::d}` spelled out. Comments and strings are not tokens.
fn paths_in(tokens: TokenStream) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(tokens, &[], &mut found);
    found
}

fn collect(tokens: TokenStream, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                collect(group.stream(), &[], found);
                at += 1;
            }
            TokenTree::Ident(first) => {
                let mut path = prefix.to_vec();
                path.push(first.to_string());
                at += 1;
                while is_path_separator(&tokens, at) {
                    match tokens.get(at + 2) {
                        Some(TokenTree::Ident(part)) => {
                            path.push(part.to_string());
                            at += 3;
                        }
                        Some(TokenTree::Group(group)) => {
                            collect(group.stream(), &path, found);
                            at += 3;
                            break;
                        }
                        _ => {
                            at += 2;
                            break;
                        }
                    }
                }
                found.push(path);
            }
            _ => at += 1,
        }
    }
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(at) && colon(at + 1)
}
