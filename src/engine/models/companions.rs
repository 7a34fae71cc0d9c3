//! The table of details that go with structure codes: counted in the project's pictures and kept there, or in the
//! open picture alone.

use serde::{Deserialize, Serialize};

use crate::document::{Codebooks, Codes, Companions};
use crate::engine::lanes::storage::Storage;
use crate::error::{Error, Kind, Result};

/// The key of the project's setting with the table.
const COMPANIONS: &str = "companions";

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Hash of the model whose codes were counted.
    model: String,
    table: Companions,
}

/// Keeps the table of a model's codes in the project.
///
/// # Errors
/// `Limit` for codebooks so large that the table is too long for a setting.
pub(crate) fn keep(project: &Storage, model: &str, table: &Companions) -> Result<()> {
    let kept = Kept {
        model: model.to_owned(),
        table: table.clone(),
    };
    let value = serde_json::to_value(kept).map_err(|source| {
        let what = "could not keep which details go with which structure";
        Error::new(Kind::Internal, what, source.to_string(), "")
    })?;
    project.call(move |project| project.set_setting(COMPANIONS, &value))
}

/// The table kept in the project for this model; `None` where its pictures were not counted with it.
///
/// # Errors
/// As reading a setting.
pub(crate) fn kept(
    project: &Storage,
    model: &str,
    codebooks: Codebooks,
) -> Result<Option<Companions>> {
    let value = project.call(|project| project.setting(COMPANIONS))?;
    // A table that cannot be read is as good as none: it can be counted again.
    let kept = value.and_then(|value| serde_json::from_value::<Kept>(value).ok());
    Ok(kept
        .filter(|kept| kept.model == model && kept.table.check(codebooks).is_ok())
        .map(|kept| kept.table))
}

/// The project's table where it has one for this model, else one counted in a picture's own codes.
///
/// # Errors
/// As [`kept`].
pub(crate) fn best(
    project: Option<&Storage>,
    model: &str,
    codebooks: Codebooks,
    picture: &Codes,
) -> Result<Companions> {
    let kept = match project {
        Some(project) => kept(project, model, codebooks)?,
        None => None,
    };
    Ok(kept
        .unwrap_or_else(|| Companions::count("this picture", codebooks, std::iter::once(picture))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Geometry, Level};

    #[test]
    fn the_projects_table_comes_before_the_pictures_own_and_only_for_its_model() {
        let folder = tempfile::tempdir().unwrap();
        let project = Storage::create(&folder.path().join("a.tessera")).unwrap();
        let books = Codebooks {
            structure: 4,
            detail: 8,
        };
        let geometry = Geometry::new(32, 32).unwrap();
        let codes_with = |detail| {
            let mut codes = Codes::blank(geometry);
            for index in 0..geometry.cell_count(Level::Detail) as u32 {
                codes.detail.set(index, Some(detail));
            }
            codes
        };
        let counted = codes_with(3);
        let table = Companions::count("2 pictures", books, std::iter::once(&counted));
        keep(&project, "model a", &table).unwrap();
        let own = codes_with(5);
        let found = |model| best(Some(&project), model, books, &own).unwrap();
        assert_eq!(found("model a"), table);
        assert_eq!(found("model b").origin, "this picture");
        assert_eq!(found("model b").over(0, 0), Some(&[5; 16]));
        assert_eq!(
            best(None, "model a", books, &own).unwrap(),
            found("model b")
        );
        let junk = serde_json::json!({ "model": "model a", "table": 7 });
        project
            .call(move |project| project.set_setting(COMPANIONS, &junk))
            .unwrap();
        assert_eq!(found("model a").origin, "this picture");
    }
}
