//! No circle of imports between files of different folders: whoever reads a folder can read what it builds on first.
//!
//! The files are read as tokens. Each path that a file names is followed to the file that declares it, through re-exports, so that a
//! `mod.rs` that only re-exports joins nothing. Code for tests is left out.
//!
//! # Limitations
//! Methods are not seen: a call names no path. Neither are items that a macro declares.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{is_path_separator, rust_files};

type Name = Vec<String>;

/// A `use`: the path, and the name it has here; `*` for all of them.
#[derive(Debug, Clone, PartialEq)]
struct Import {
    path: Name,
    name: String,
}

/// What a file says of itself and of others.
#[derive(Debug, Default)]
struct Module {
    /// Items declared at its top.
    declared: BTreeSet<String>,
    /// Imports at its top, re-exports among them.
    imports: Vec<Import>,
    /// Paths that it names, re-exports left out.
    named: BTreeSet<Name>,
    /// What it re-exports.
    handed_on: Vec<Import>,
    /// Words of its code: a name among them is not only handed on.
    words: BTreeSet<String>,
}

struct Crate {
    modules: BTreeMap<Name, Module>,
}

#[test]
fn no_circle_joins_files_of_different_folders() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut modules = BTreeMap::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("walked from source");
        // Programs: nobody can import them.
        if relative.starts_with("bin") || relative == Path::new("main.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable source");
        let tokens: TokenStream = text.parse().expect("valid Rust");
        let name = module_name(relative);
        modules.insert(name.clone(), Module::read(tokens));
        files.insert(name, relative.to_owned());
    }
    let has_folder = |path: &Path| source.join(path).is_dir();
    let folder = |name: &Name| {
        let file = &files[name];
        let own = file.with_extension("");
        let folder = match has_folder(&own) {
            true => own,
            false => file.parent().unwrap_or(Path::new("")).to_path_buf(),
        };
        folder.display().to_string()
    };
    let all = Crate { modules };
    let mut faults = Vec::new();
    for circle in circles(&all.edges()) {
        let folders: BTreeSet<String> = circle.iter().map(&folder).collect();
        let folders: Vec<String> = folders.into_iter().collect();
        if folders.len() > 1 {
            let way: Vec<String> = shortest_way_round(&all.edges(), &circle, &folder)
                .iter()
                .map(|name| files[name].display().to_string())
                .collect();
            faults.push(format!("{folders:?}: {}", way.join(" → ")));
        }
    }
    assert!(faults.is_empty(), "circles:\n{}", faults.join("\n"));
}

/// `["app", "state"]` for `app/state/mod.rs`, nothing for `lib.rs`.
pub(super) fn module_name(relative: &Path) -> Name {
    let mut parts: Name = (relative.with_extension("").iter())
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

impl Module {
    fn read(tokens: TokenStream) -> Self {
        let mut module = Self::default();
        module.items(tokens, 0);
        module
    }

    /// Items within `depth` modules that stand in the file itself.
    fn items(&mut self, tokens: TokenStream, depth: usize) {
        const ITEMS: [&str; 10] = [
            "struct",
            "enum",
            "union",
            "trait",
            "fn",
            "const",
            "static",
            "type",
            "mod",
            "macro_rules",
        ];
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut is_public = false;
        while at < tokens.len() {
            if let Some(after) = test_item_end(&tokens, at) {
                at = after;
                continue;
            }
            match &tokens[at] {
                TokenTree::Ident(word) if word == "pub" => is_public = true,
                TokenTree::Ident(word) if word == "use" => {
                    let end = (at..tokens.len())
                        .find(|&end| is_punct(&tokens[end], ';'))
                        .unwrap_or(tokens.len());
                    let mut imports = Vec::new();
                    imports_in(&tokens[at + 1..end], &[], &mut imports);
                    for import in imports {
                        if is_public {
                            self.handed_on.push(import.clone());
                        } else {
                            self.names(&import.path, depth);
                        }
                        if depth == 0 {
                            self.imports.push(import);
                        }
                    }
                    is_public = false;
                    at = end;
                }
                TokenTree::Ident(word) if ITEMS.iter().any(|item| word == item) => {
                    let name = tokens[at + 1..].iter().find_map(|token| match token {
                        TokenTree::Ident(name) if name != "fn" && name != "mut" => Some(name),
                        _ => None,
                    });
                    let is_module = word == "mod";
                    let body = tokens.get(at + 2);
                    if depth == 0
                        && let Some(name) = name
                        && !(is_module && body.is_some_and(|token| is_punct(token, ';')))
                    {
                        self.declared.insert(name.to_string());
                    }
                    if let (true, Some(TokenTree::Group(body))) = (is_module, body) {
                        self.items(body.stream(), depth + 1);
                        at += 2;
                    }
                    is_public = false;
                }
                _ => {}
            }
            if let TokenTree::Group(group) = &tokens[at.min(tokens.len() - 1)] {
                self.code(group.stream(), depth);
                if group.delimiter() == Delimiter::Brace {
                    is_public = false;
                }
            } else if let Some(after) = self.path(&tokens, at, depth) {
                at = after;
                continue;
            }
            at += 1;
        }
    }

    /// Paths in anything that is no list of items.
    fn code(&mut self, tokens: TokenStream, depth: usize) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if let Some(after) = test_item_end(&tokens, at) {
                at = after;
            } else if let TokenTree::Group(group) = &tokens[at] {
                self.code(group.stream(), depth);
                at += 1;
            } else {
                at = self.path(&tokens, at, depth).unwrap_or(at + 1);
            }
        }
    }

    /// Notes the path that begins here; where it ends.
    fn path(&mut self, tokens: &[TokenTree], at: usize, depth: usize) -> Option<usize> {
        let TokenTree::Ident(first) = tokens.get(at)? else {
            return None;
        };
        let mut path = vec![first.to_string()];
        self.words.insert(first.to_string());
        let mut end = at + 1;
        while is_path_separator(tokens, end) {
            match tokens.get(end + 2) {
                Some(TokenTree::Ident(part)) => path.push(part.to_string()),
                // A list, in a `use` within a function.
                Some(TokenTree::Group(_)) => {
                    let mut imports = Vec::new();
                    imports_in(&tokens[at..end + 3], &[], &mut imports);
                    for import in imports {
                        self.names(&import.path, depth);
                    }
                    return Some(end + 3);
                }
                _ => break,
            }
            end += 3;
        }
        if path.len() > 1 {
            self.names(&path, depth);
        }
        Some(end)
    }

    fn names(&mut self, path: &[String], depth: usize) {
        let above = path.iter().take_while(|part| *part == "super").count();
        if (1..=depth).contains(&above) {
            // It stays within the file.
            return;
        }
        self.named.insert(path[above.min(depth)..].to_vec());
    }
}

/// Where an item that is for tests alone ends, if one begins here.
fn test_item_end(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let TokenTree::Group(attribute) = tokens.get(at + 1)? else {
        return None;
    };
    let words: Vec<String> = (attribute.stream().into_iter())
        .map(|token| token.to_string())
        .collect();
    let is_test = matches!(words.as_slice(), [cfg, what, ..] if cfg == "cfg" && what.contains("test") && !what.contains("not"));
    if !is_punct(&tokens[at], '#') || !is_test {
        return None;
    }
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    };
    let length = tokens[at + 2..].iter().position(ends)?;
    Some(at + 2 + length + 1)
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// The imports of one `use`, lists spelled out.
fn imports_in(tokens: &[TokenTree], before: &[String], found: &mut Vec<Import>) {
    for one in tokens.split(|token| is_punct(token, ',')) {
        let mut path = before.to_vec();
        let mut name = None;
        let mut is_done = false;
        let mut tokens = one.iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = tokens.next().map(TokenTree::to_string);
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(list) => {
                    let list: Vec<TokenTree> = list.stream().into_iter().collect();
                    imports_in(&list, &path, found);
                    is_done = true;
                }
                star if is_punct(star, '*') => name = Some("*".into()),
                _ => {}
            }
        }
        if path.len() > before.len().max(1) && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if !is_done && let Some(last) = path.last() {
            let name = name.unwrap_or_else(|| last.clone());
            found.push(Import { path, name });
        }
    }
}

impl Crate {
    /// Which files each file names something of.
    fn edges(&self) -> BTreeMap<&Name, BTreeSet<&Name>> {
        let edges = self.modules.iter().map(|(name, module)| {
            let used = module.handed_on.iter();
            let used = used.filter(|import| module.words.contains(&import.name));
            let used = used.map(|import| &import.path);
            let named = module.named.iter().chain(used);
            let named = named.filter_map(|path| self.declares(name, path, &mut BTreeSet::new()));
            (name, named.filter(|other| *other != name).collect())
        });
        edges.collect()
    }

    /// The file that declares what `path`, written in the file `at`, names. `None` for other crates, and for a module as a whole:
    /// what is used of it is named elsewhere.
    fn declares(
        &self,
        at: &Name,
        path: &[String],
        asked: &mut BTreeSet<(Name, Name)>,
    ) -> Option<&Name> {
        // `use name::name` of another crate would lead round and round.
        const LONGEST: usize = 12;
        if path.len() > LONGEST || !asked.insert((at.clone(), path.to_vec())) {
            return None;
        }
        let mut module = at.clone();
        let mut rest = path;
        let mut is_first = true;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()),
                name => {
                    let mut below = module.clone();
                    below.push(name.to_owned());
                    let here = self.modules.get(&module)?;
                    if self.modules.contains_key(&below) {
                        module = below;
                    } else if here.declared.contains(name) {
                        return self.modules.get_key_value(&module).map(|(key, _)| key);
                    } else {
                        let imports = here.imports.iter();
                        let mut ways = imports.filter_map(|import| {
                            let mut path = import.path.clone();
                            match import.name.as_str() {
                                "*" => path.push(name.to_owned()),
                                own if own == name => {}
                                _ => return None,
                            }
                            path.extend_from_slice(after);
                            self.declares(&module, &path, asked)
                        });
                        // A name of a standard type, say, that is written out in full.
                        if is_first && module != *at {
                            return None;
                        }
                        return ways.next();
                    }
                }
            }
            is_first = false;
            rest = after;
        }
        None
    }
}

/// Files that can be reached from each other.
fn circles(edges: &BTreeMap<&Name, BTreeSet<&Name>>) -> Vec<BTreeSet<Name>> {
    let reach = |from: &Name| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(name) = open.pop() {
            for next in edges.get(&name).into_iter().flatten() {
                if seen.insert((*next).clone()) {
                    open.push((*next).clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<Name, BTreeSet<Name>> = edges
        .keys()
        .map(|name| ((*name).clone(), reach(name)))
        .collect();
    let mut found = BTreeSet::new();
    for (name, others) in &reached {
        if others.contains(name) {
            let back = others.iter().filter(|other| reached[*other].contains(name));
            found.insert(back.cloned().collect::<BTreeSet<Name>>());
        }
    }
    found.into_iter().collect()
}

/// A shortest circle among these files that leaves its folder.
fn shortest_way_round(
    edges: &BTreeMap<&Name, BTreeSet<&Name>>,
    circle: &BTreeSet<Name>,
    folder: &dyn Fn(&Name) -> String,
) -> Vec<Name> {
    let mut best: Vec<Name> = Vec::new();
    for start in circle {
        let mut before: BTreeMap<Name, Name> = BTreeMap::new();
        let mut open = VecDeque::from([start.clone()]);
        'search: while let Some(name) = open.pop_front() {
            for next in edges.get(&name).into_iter().flatten() {
                if *next == start {
                    let mut way = vec![start.clone(), name.clone()];
                    while let Some(name) = before.get(&way[way.len() - 1]) {
                        way.push(name.clone());
                    }
                    way.reverse();
                    let folders: BTreeSet<String> = way.iter().map(folder).collect();
                    if folders.len() > 1 && (best.is_empty() || way.len() < best.len()) {
                        best = way;
                    }
                    break 'search;
                }
                if circle.contains(*next) && !before.contains_key(*next) {
                    before.insert((*next).clone(), name.clone());
                    open.push_back((*next).clone());
                }
            }
        }
    }
    best
}

#[test]
fn the_check_itself_sees_circles() {
    let of = |files: &[(&str, &str)]| {
        let modules = files.iter().map(|(file, code)| {
            let tokens: TokenStream = code.parse().expect("valid Rust");
            (module_name(Path::new(file)), Module::read(tokens))
        });
        let all = Crate {
            modules: modules.collect(),
        };
        circles(&all.edges()).len()
    };
    let root = ("lib.rs", "pub mod a; pub mod b;");
    // Through a re-export, and by a path in code.
    let a = ("a/mod.rs", "mod one; pub use one::One;");
    let one = ("a/one.rs", "use crate::b::Two; pub struct One(Two);");
    let b = ("b/mod.rs", "mod two; pub use two::*;");
    let back = "pub struct Two; fn f() { let _ = crate::a::One::new(); }";
    assert_eq!(of(&[root, a, one, b, ("b/two.rs", back)]), 1);
    // A type of another file of `a` joins nothing.
    let other = "use crate::a::{Other}; pub struct Two;";
    let declares = ("a/mod.rs", "mod one; pub use one::One; pub struct Other;");
    assert_eq!(of(&[root, declares, one, b, ("b/two.rs", other)]), 0);
    // Neither do tests, nor what a module itself brings along.
    let test = "pub struct Two; #[cfg(test)] mod tests { use crate::a::One; }";
    assert_eq!(of(&[root, a, one, b, ("b/two.rs", test)]), 0);
    // A module that was imported is looked through.
    let by_module = "use crate::a; pub struct Two; fn f(_: a::One) {}";
    assert_eq!(of(&[root, a, one, b, ("b/two.rs", by_module)]), 1);
}
