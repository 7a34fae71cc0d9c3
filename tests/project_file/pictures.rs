//! The dataset index: imports, moves, pages and search.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tessera::project::{NewPicture, PictureFilter, PictureId, Project, SeenChange, SeenPicture};

use super::support::*;

fn import(project: &mut Project, root: &str, pictures: &[NewPicture]) -> [u64; 5] {
    let mut import = project.begin_import(Path::new(root)).unwrap();
    project.add_pictures(&mut import, pictures).unwrap();
    let s = project.finish_import(import, true).unwrap();
    [s.added, s.changed, s.unchanged, s.moved, s.missing]
}

#[test]
fn a_second_import_updates_and_keeps_what_the_user_excluded() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let (a, b, c) = (
        picture("/none/a.png", "a"),
        picture("/none/b.png", "b"),
        picture("/none/c.png", "c"),
    );
    assert_eq!(
        import(&mut project, "/none", &[a.clone(), b.clone(), c.clone()]),
        [3, 0, 0, 0, 0]
    );
    let rows = project.pictures(&PictureFilter::default(), 0, 10).unwrap();
    let ids: Vec<_> = rows.iter().map(|r| r.id).collect();
    assert_eq!(rows[1].path, Path::new("/none/b.png"));
    assert_eq!(rows[1].relative, "b.png");
    assert_eq!(rows[1].flags, b.flags);
    assert_eq!(rows[1].phash, b.phash);
    assert_eq!(project.thumbnail(ids[1]).unwrap().unwrap(), b"bbb");
    project.set_excluded(&ids[..2], true).unwrap();

    // `b` has new content, `c` is gone, `d` is new, `a` is as it was.
    let mut b2 = picture("/none/b.png", "b, painted over");
    b2.flags.clear();
    let d = picture("/none/d.png", "d");
    assert_eq!(
        import(&mut project, "/none", &[a, b2.clone(), d]),
        [1, 1, 1, 0, 1]
    );
    let counts = project.picture_counts().unwrap();
    assert_eq!(
        (counts.total, counts.usable, counts.excluded, counts.missing),
        (4, 1, 2, 1)
    );
    assert_eq!(counts.by_flag, BTreeMap::from([("blurry".to_owned(), 3)]));
    let b_row = project.picture(ids[1]).unwrap();
    assert!(b_row.excluded && !b_row.missing && b_row.flags.is_empty());
    assert_eq!(b_row.blake3, b2.blake3);
    assert!(project.picture(ids[2]).unwrap().missing);
    let usable = project.pictures(&PictureFilter::usable(), 0, 10).unwrap();
    assert_eq!(usable.len(), 1);
    assert_eq!(usable[0].path, Path::new("/none/d.png"));

    // It comes back.
    assert_eq!(import(&mut project, "/none/c.png", &[c]), [0, 0, 1, 0, 0]);
    assert!(!project.picture(ids[2]).unwrap().missing);
}

#[test]
fn a_moved_folder_is_known_by_its_content() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    let at = |root: &Path, name: &str, content: &str| {
        std::fs::create_dir_all(root).unwrap();
        std::fs::write(root.join(name), content).unwrap();
        picture(root.join(name).to_str().unwrap(), content)
    };
    let pictures = [
        at(&old, "1.png", "same"),
        at(&old, "2.png", "same"),
        at(&old, "3.png", "other"),
    ];
    import(&mut project, old.to_str().unwrap(), &pictures);
    let before = project.pictures(&PictureFilter::default(), 0, 9).unwrap();
    project.set_excluded(&[before[1].id], true).unwrap();

    // A copy is no move: the old file is still there.
    let copy = at(&folder.path().join("copy"), "1.png", "same");
    let copy_root = folder.path().join("copy");
    assert_eq!(
        import(&mut project, copy_root.to_str().unwrap(), &[copy]),
        [1, 0, 0, 0, 0]
    );

    std::fs::rename(&old, &new).unwrap();
    let pictures = [
        at(&new, "1.png", "same"),
        at(&new, "2.png", "same"),
        at(&new, "renamed.png", "other"),
    ];
    assert_eq!(
        import(&mut project, new.to_str().unwrap(), &pictures),
        [0, 0, 0, 3, 0]
    );
    assert_eq!(project.picture_counts().unwrap().total, 4);
    for row in &before {
        let now = project.picture(row.id).unwrap();
        assert!(now.path.starts_with(&new), "{}", now.path.display());
        assert_eq!(now.excluded, row.id == before[1].id);
        assert!(!now.missing);
        assert!(project.thumbnail(row.id).unwrap().is_some());
    }
    assert_eq!(
        project.picture(before[1].id).unwrap().path,
        new.join("2.png")
    );
    assert_eq!(project.check(&()).unwrap(), []);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_survive() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/none/\xFF\xFE\n.png"));
    let mut odd = picture("x", "odd");
    odd.path = path.clone();
    import(&mut project, "/none", &[odd]);
    let rows = project.pictures(&PictureFilter::default(), 0, 9).unwrap();
    assert_eq!(rows[0].path, path);
    let known = project.known_pictures(PictureId::MIN, 9).unwrap();
    assert_eq!(known[0].row, rows[0]);
}

#[test]
fn pages_and_filters() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let mut pictures: Vec<_> = (0..25)
        .map(|i| picture(&format!("/none/{i:02}.png"), &i.to_string()))
        .collect();
    for p in &mut pictures[..5] {
        p.flags.clear();
        p.label = None;
        p.thumbnail.clear();
    }
    import(&mut project, "/none", &pictures);
    let mut other = project.begin_import(Path::new("/nonesuch")).unwrap();
    let stranger = picture("/nonesuch/X.PNG", "x");
    project.add_pictures(&mut other, &[stranger]).unwrap();
    project.finish_import(other, true).unwrap();

    let all = PictureFilter::default();
    let first = project.pictures(&all, 0, 10).unwrap();
    let third = project.pictures(&all, 20, 10).unwrap();
    assert_eq!((first.len(), third.len()), (10, 6));
    assert_eq!(third[0].relative, "20.png");
    assert_eq!(project.thumbnail(first[0].id).unwrap(), None);
    let count = |filter: PictureFilter| {
        let n = project.picture_count(&filter).unwrap();
        assert_eq!(n, project.pictures(&filter, 0, 100).unwrap().len() as u64);
        n
    };
    let some = |s: &str| Some(s.to_owned());
    assert_eq!(
        count(PictureFilter {
            flag: some("blurry"),
            ..all.clone()
        }),
        21
    );
    assert_eq!(
        count(PictureFilter {
            label: some("cats"),
            missing: Some(false),
            ..all.clone()
        }),
        21
    );
    assert_eq!(
        count(PictureFilter {
            text: some("x.png"),
            ..all.clone()
        }),
        1
    );
    assert_eq!(
        count(PictureFilter {
            text: some("' OR 1 --%"),
            ..all.clone()
        }),
        0
    );
    // By id, each once, whatever the size of the pages and whatever is added in between.
    let mut by_id = Vec::new();
    let mut after = PictureId::MIN;
    loop {
        let page = project.pictures_after(&all, after, 7).unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        by_id.extend(page.iter().map(|row| row.id));
        if by_id.len() == 14 {
            let early = picture("/none/00a.png", "early");
            import(&mut project, "/none/00a.png", &[early]);
        }
    }
    assert_eq!(by_id, (1..=27).collect::<Vec<_>>());
    for row in project.pictures_after(&all, 3, 5).unwrap() {
        assert_eq!(row, project.picture(row.id).unwrap());
    }
}

#[test]
fn names_are_found_in_any_case_and_ordered_as_people_count() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let names = [
        "img10.png",
        "img2.png",
        "IMG1.png",
        "ÜBER.png",
        "straße.png",
    ];
    let pictures: Vec<_> = (names.iter())
        .map(|name| picture(&format!("/none/{name}"), name))
        .collect();
    import(&mut project, "/none", &pictures);
    let found = |text: &str| -> Vec<String> {
        let filter = PictureFilter {
            text: (!text.is_empty()).then(|| text.to_owned()),
            ..PictureFilter::default()
        };
        let rows = project.pictures(&filter, 0, 9).unwrap();
        assert_eq!(project.picture_count(&filter).unwrap(), rows.len() as u64);
        rows.into_iter().map(|row| row.relative).collect()
    };
    assert_eq!(
        found(""),
        [
            "IMG1.png",
            "img2.png",
            "img10.png",
            "straße.png",
            "ÜBER.png"
        ]
    );
    assert_eq!(found("über"), ["ÜBER.png"]);
    assert_eq!(found("STRASSE"), ["straße.png"]);
    assert_eq!(found("Img"), ["IMG1.png", "img2.png", "img10.png"]);
}

#[test]
fn unchanged_pictures_are_noted_without_writing_their_entries() {
    let folder = folder();
    let mut project = Project::create(&folder.path().join("p.tessera")).unwrap();
    let pictures: Vec<_> = (0..25)
        .map(|i| picture(&format!("/none/{i:02}.png"), &i.to_string()))
        .collect();
    import(&mut project, "/none", &pictures);
    let known = project.known_pictures(PictureId::MIN, 100).unwrap();
    assert_eq!(known.len(), 25);
    assert!(known.iter().all(|k| k.has_thumbnail && k.analysis == 1));
    assert_eq!(known[3].row.flags, pictures[3].flags);

    // Marking files as seen is as good as importing them again.
    let mut again = project.begin_import(Path::new("/none")).unwrap();
    let unchanged = |id| SeenPicture { id, change: None };
    let mut seen: Vec<_> = known[..23].iter().map(|k| unchanged(k.row.id)).collect();
    seen.push(SeenPicture {
        id: known[23].row.id,
        change: Some(SeenChange {
            path: "/none/23.png".into(),
            label: Some("dogs".into()),
            modified_ms: 5,
            changed_ns: Some(7),
            flags: Some(Vec::new()),
        }),
    });
    project.mark_seen(&mut again, &seen).unwrap();
    let summary = project.finish_import(again, true).unwrap();
    assert_eq!((summary.unchanged, summary.missing), (24, 1));
    let now = project.known_pictures(PictureId::MIN, 100).unwrap();
    assert_eq!(now[..23], known[..23]);
    assert!(now[24].row.missing);
    let changed = &now[23];
    assert_eq!(changed.row.label.as_deref(), Some("dogs"));
    assert_eq!((changed.row.modified_ms, changed.changed_ns), (5, Some(7)));
    assert!(changed.row.flags.is_empty() && changed.read_ms >= known[23].read_ms);

    // A cancelled import says nothing about what it did not reach.
    let cancelled = project.begin_import(Path::new("/none")).unwrap();
    let summary = project.finish_import(cancelled, false).unwrap();
    assert_eq!(summary.missing, 1);
}
