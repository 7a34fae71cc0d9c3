//! The tables, as a numbered list of migrations. Migration `n` (counted from 1) takes a file from
//! version `n - 1` to `n`; a published one is never edited, only followed by another.

use rusqlite::Connection;

use super::names;

/// "TSRA", in the SQLite header at offset 68.
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"TSRA");

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema_v1.sql"),
    include_str!("schema_v2.sql"),
    include_str!("schema_v3.sql"),
    include_str!("schema_v4.sql"),
    include_str!("schema_v5.sql"),
];

/// Runs the migrations from `from` (0 for an empty database) to the end of the list, in one transaction.
pub(super) fn migrate(
    connection: &mut Connection,
    migrations: &[&str],
    from: usize,
) -> rusqlite::Result<()> {
    names::register(connection)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for step in migrations.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    transaction.commit()
}

/// One thing a schema defines, its SQL included.
type Definition = (String, String, String, Option<String>);

fn definitions(connection: &Connection) -> rusqlite::Result<Vec<Definition>> {
    connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY type, name")?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

/// The name of the first definition by which the file differs from what Tessera itself makes at that
/// version, if there is one. A forged file could otherwise bring triggers, views or generated columns
/// that run when Tessera writes.
pub(super) fn first_difference(
    connection: &Connection,
    migrations: &[&str],
) -> rusqlite::Result<Option<String>> {
    let mut reference = Connection::open_in_memory()?;
    migrate(&mut reference, migrations, 0)?;
    let (expected, found) = (definitions(&reference)?, definitions(connection)?);
    if expected == found {
        return Ok(None);
    }
    let odd = found.iter().find(|d| !expected.contains(d));
    let missing = expected.iter().find(|d| !found.contains(d));
    Ok(odd.or(missing).map(|d| format!("{} {}", d.0, d.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXT: &str = "ALTER TABLE runs ADD COLUMN note TEXT; CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT) STRICT;";

    fn version_1() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS[..1], 0).unwrap();
        connection
            .execute_batch(
                "INSERT INTO runs (number, name, settings, seed, device, status, created_ms, updated_ms)
                 VALUES (1, 'Run 1', '{}', 7, 'cpu', 'paused', 1, 1)",
            )
            .unwrap();
        connection
    }

    fn version(connection: &Connection) -> i64 {
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn an_older_file_is_brought_up_to_date_with_its_content() {
        let mut connection = version_1();
        let both = [MIGRATIONS[0], NEXT];
        migrate(&mut connection, &both, 1).unwrap();
        assert_eq!(version(&connection), 2);
        let (name, note): (String, Option<String>) = connection
            .query_row("SELECT name, note FROM runs", [], |r| {
                Ok((r.get(0)?, r.get(1)?))
            })
            .unwrap();
        assert_eq!((name.as_str(), note), ("Run 1", None));
        assert_eq!(first_difference(&connection, &both).unwrap(), None);
        assert!(first_difference(&connection, &both[..1]).unwrap().is_some());
    }

    #[test]
    fn pictures_of_version_2_get_their_place_in_the_order_of_names() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS[..2], 0).unwrap();
        connection
            .execute_batch(
                "INSERT INTO imports (id, root, root_text, started_ms, summary) VALUES (1, x'2F', '/', 1, '{}')",
            )
            .unwrap();
        for name in ["/img10.png", "/IMG2.png", "/img1.png"] {
            connection
                .execute(
                    "INSERT INTO pictures (path, path_text, relative_text, blake3, file_bytes, modified_ms, width,
                         height, format, bit_depth, has_alpha, excluded, missing, import, added_by)
                     VALUES (CAST(?1 AS BLOB), ?1, ?1, zeroblob(32), 1, 1, 1, 1, 'png', 8, 0, 0, 0, 1, 1)",
                    [name],
                )
                .unwrap();
        }
        migrate(&mut connection, MIGRATIONS, 2).unwrap();
        assert_eq!(first_difference(&connection, MIGRATIONS).unwrap(), None);
        let names: Vec<String> = connection
            .prepare("SELECT path_text FROM pictures ORDER BY sort_key")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        assert_eq!(names, ["/img1.png", "/IMG2.png", "/img10.png"]);
    }

    #[test]
    fn strokes_of_version_4_were_painted_and_their_sources_lie_upright() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS[..4], 0).unwrap();
        connection
            .execute_batch(
                "INSERT INTO documents (id, name, width, height, checkpoint, structure_codes, detail_codes, wrap_x, wrap_y,
                     applied_strokes, created_ms, modified_ms)
                 VALUES (1, 'a', 16, 16, zeroblob(32), 4, 4, 0, 0, 1, 1, 1);
                 INSERT INTO strokes (document, number, label, deltas, created_ms) VALUES (1, 1, 'Clone', x'', 1);
                 INSERT INTO document_sources (document, number, blake3, width, height, name)
                 VALUES (1, 1, zeroblob(32), 640, 480, 'b.png')",
            )
            .unwrap();
        migrate(&mut connection, MIGRATIONS, 4).unwrap();
        assert_eq!(first_difference(&connection, MIGRATIONS).unwrap(), None);
        let found: (Option<String>, i64, i64) = connection
            .query_row(
                "SELECT s.settings, d.turn, (SELECT count(*) FROM kept_pictures) FROM strokes s
                 JOIN document_sources d ON d.document = s.document",
                [],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
            )
            .unwrap();
        assert_eq!(found, (None, 0, 0));
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        let mut connection = version_1();
        let broken = [MIGRATIONS[0], NEXT, "CREATE TABLE notes (again)"];
        migrate(&mut connection, &broken, 1).unwrap_err();
        assert_eq!(version(&connection), 1);
        assert_eq!(
            first_difference(&connection, &MIGRATIONS[..1]).unwrap(),
            None
        );
    }
}
