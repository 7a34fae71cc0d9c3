//! Times as they are stored and as a person reads them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// Milliseconds since 1970, 0 where the clock stands before that.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `2026-11-22 08:40` in the user's time zone, of milliseconds since 1970.
pub fn local_text(ms: i64) -> String {
    text_in(TimeZone::system(), ms)
}

/// `2026-11-22T08:40:00Z` of milliseconds since 1970, for programs: RFC 3339, in whole seconds.
pub fn rfc3339(ms: i64) -> String {
    zoned(TimeZone::UTC, ms)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Year, month and day (`2026-11-22`), and hour and minute (`0840`), in the user's time zone: for names of files.
pub fn local_date_and_time(ms: i64) -> (String, String) {
    let zoned = zoned(TimeZone::system(), ms);
    (
        zoned.strftime("%Y-%m-%d").to_string(),
        zoned.strftime("%H%M").to_string(),
    )
}

fn text_in(zone: TimeZone, ms: i64) -> String {
    zoned(zone, ms).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A stored time may be anything: what no calendar has becomes the nearest that it has.
fn zoned(zone: TimeZone, ms: i64) -> ZonedDateTime {
    // A day from either end, so that no zone's offset leads outside.
    const DAY_MS: i64 = 86_400_000;
    let first = Timestamp::MIN.as_millisecond() + DAY_MS;
    let last = Timestamp::MAX.as_millisecond() - DAY_MS;
    Timestamp::from_millisecond(ms.clamp(first, last))
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned_datetime(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_the_zone_of_its_reader() {
        let ms = 1_795_337_100_000;
        assert_eq!(text_in(TimeZone::UTC, ms), "2026-11-22 08:45");
        assert_eq!(rfc3339(ms), "2026-11-22T08:45:00Z");
        let east = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(text_in(east, ms), "2026-11-22 17:45");
        assert_eq!(text_in(TimeZone::UTC, 951_782_400_000), "2000-02-29 00:00");
    }

    #[test]
    fn no_stored_number_is_too_large_for_the_calendar() {
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            for hours in [-25, 25] {
                let zone = TimeZone::fixed(jiff::tz::Offset::from_hours(hours).unwrap());
                assert!(text_in(zone, ms).len() >= "1970-01-01 00:00".len());
            }
        }
        assert!(local_text(now_ms()).starts_with("20"));
    }
}
