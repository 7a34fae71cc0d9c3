//! What of a script can be checked without a document.

use super::{Area, EditScript, Operation, StampDetail, describe, limit, malformed};
use crate::document::grid::geometry::Level;
use crate::document::tools::brush::Brush;
use crate::error::Result;

const MAX_POINTS: usize = 1_000_000;
const MAX_PATTERN_CELLS: u64 = 1 << 20;

impl EditScript {
    /// Checks what does not depend on a document.
    pub(super) fn check(&self) -> Result<()> {
        let mut points_total = 0;
        for (i, operation) in self.operations.iter().enumerate() {
            let fail = |why: &str| Err(malformed(describe(i, operation, why)));
            match operation {
                Operation::Paint {
                    points,
                    brush,
                    pressure,
                    ..
                } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                    if !pressure.is_empty() && pressure.len() != points.len() {
                        fail("give a `pressure` for each point, or none")?;
                    }
                    if !pressure.iter().all(|value| (0.0..=1.0).contains(value)) {
                        fail("a `pressure` is not from 0 to 1")?;
                    }
                }
                Operation::Clone { points, brush, .. }
                | Operation::Smudge { points, brush, .. } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                }
                Operation::Pattern {
                    points,
                    brush,
                    block,
                    copy,
                    ..
                } => {
                    points_total += points.len();
                    check_path(points, brush).or_else(|why| fail(&why))?;
                    if block.is_some() == copy.is_some() {
                        fail("give either `block` or `copy`")?;
                    }
                }
                Operation::Select { area, .. } => match area {
                    Area::Lasso(points) => {
                        points_total += points.len();
                        if !points.iter().all(is_finite) {
                            fail("a point is not a finite number")?;
                        }
                    }
                    Area::Wand { at, tolerance, .. }
                        if !is_finite(at) || !tolerance.is_finite() =>
                    {
                        fail("a number is not finite")?;
                    }
                    _ => {}
                },
                Operation::Bucket { at, tolerance, .. }
                    if !is_finite(at) || !tolerance.is_finite() =>
                {
                    fail("a number is not finite")?;
                }
                Operation::Gradient {
                    from, to, scatter, ..
                } if !is_finite(from) || !is_finite(to) || !(0.0..=1.0).contains(scatter) => {
                    fail("its points must be finite and its scatter lie between 0 and 1")?;
                }
                Operation::Erase {
                    rect,
                    points,
                    brush,
                    ..
                } => match (rect, points) {
                    (Some(_), None) => {}
                    (None, Some(points)) => {
                        points_total += points.len();
                        check_path(points, brush).or_else(|why| fail(&why))?;
                    }
                    _ => fail("give either `rect` or `points`")?,
                },
                Operation::Stamp {
                    pattern,
                    copy,
                    detail,
                    level,
                    ..
                } => {
                    let cells = match (pattern, copy) {
                        (Some(p), None) => {
                            if p.codes.len() as u64 != u64::from(p.width) * u64::from(p.height) {
                                fail("`pattern.codes` must have width × height entries")?;
                            }
                            if *detail == Some(StampDetail::Copy) {
                                fail("`detail: \"copy\"` needs `copy`")?;
                            }
                            u64::from(p.width) * u64::from(p.height)
                        }
                        (None, Some(rect)) => rect.area(),
                        _ => return fail("give either `pattern` or `copy`"),
                    };
                    if cells == 0 {
                        fail("the block is empty")?;
                    }
                    if cells > MAX_PATTERN_CELLS {
                        return Err(limit(describe(
                            i,
                            operation,
                            &format!("the block has {cells} cells; {MAX_PATTERN_CELLS} at most"),
                        )));
                    }
                    if *level == Level::Detail && detail.is_some() {
                        fail("`detail` belongs to structure stamps")?;
                    }
                }
                _ => {}
            }
        }
        if points_total > MAX_POINTS {
            return Err(limit(format!(
                "its strokes have {points_total} points; {MAX_POINTS} at most"
            )));
        }
        Ok(())
    }
}

fn is_finite(at: &(f32, f32)) -> bool {
    at.0.is_finite() && at.1.is_finite()
}

fn check_path(points: &[(f32, f32)], brush: &Brush) -> Result<(), String> {
    if points.is_empty() {
        return Err("`points` is empty".into());
    }
    if !points.iter().all(is_finite) {
        return Err("a point is not a finite number".into());
    }
    brush.check().map_err(|e| e.notice.why.clone())
}
