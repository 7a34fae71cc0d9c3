//! The bytes of layers and of changes to them: a format byte (1) and, deflated, numbers as LEB128.
//!
//! A grid is the number of its cells, their steps from one to the next, then their values (each plus one, so
//! that an empty cell is 0). A layer is its id, its look (flags, opacity, the name's length and bytes) and four
//! grids: structure, detail, and what its mask hides of each; and, where the flag 8 says so, the coordinates of its
//! details ([`super::sources`]). Layers are their number and each of them. Edits
//! are their number and each: a tag (0 insert, 1 remove, 2 move, 3 look, 4 replace) and its fields.

use super::journal::{Unpack, damaged, pack, put_number};
use super::sources;
use crate::document::{
    Codebooks, Geometry, Layer, LayerEdit, LayerId, LayerLook, LayerStack, Level,
    MAX_LAYER_NAME_BYTES, MAX_LAYERS, SparseGrid, Stroke, Target,
};
use crate::error::Result;

const WHAT: &str = "the layers of a document";
/// Most changes of layers in one stroke; the program makes one.
const MAX_EDITS: u64 = 256;

/// The column `target`.
pub fn target_number(target: Target) -> i64 {
    i64::from(target.layer) << 1 | i64::from(target.is_mask)
}

/// # Errors
/// `Damaged` for a number that is no target.
pub fn target_of(number: i64) -> Result<Target> {
    let layer = u32::try_from(number >> 1).map_err(|_| damaged("a stroke", "it names no layer"))?;
    Ok(Target {
        layer,
        is_mask: number & 1 == 1,
    })
}

/// The stored form of all layers.
pub fn encode_stack(stack: &LayerStack) -> Vec<u8> {
    let mut raw = Vec::new();
    put_stack(&mut raw, stack);
    pack(raw)
}

/// # Errors
/// `Damaged` for anything but the layers of such a picture.
pub fn decode_stack(stored: &[u8], geometry: Geometry, codebooks: Codebooks) -> Result<LayerStack> {
    let mut input = Unpack::new(WHAT, stored)?;
    let stack = read_stack(&mut input, geometry, codebooks)?;
    input.finish()?;
    Ok(stack)
}

/// The stored form of a stroke's edits; `None` where it has none.
pub fn encode_edits(stroke: &Stroke) -> Option<Vec<u8>> {
    if stroke.edits.is_empty() {
        return None;
    }
    let mut raw = Vec::new();
    put_number(&mut raw, stroke.edits.len() as u64);
    for edit in &stroke.edits {
        match edit {
            LayerEdit::Insert { place, layer } | LayerEdit::Remove { place, layer } => {
                let tag = u64::from(matches!(edit, LayerEdit::Remove { .. }));
                put_number(&mut raw, tag);
                put_number(&mut raw, *place as u64);
                put_layer(&mut raw, layer);
            }
            LayerEdit::Move { from, to } => {
                put_number(&mut raw, 2);
                put_number(&mut raw, *from as u64);
                put_number(&mut raw, *to as u64);
            }
            LayerEdit::Look { id, before, after } => {
                put_number(&mut raw, 3);
                put_number(&mut raw, u64::from(*id));
                put_look(&mut raw, before);
                put_look(&mut raw, after);
            }
            LayerEdit::Replace { before, after } => {
                put_number(&mut raw, 4);
                put_stack(&mut raw, before);
                put_stack(&mut raw, after);
            }
        }
    }
    Some(pack(raw))
}

/// # Errors
/// `Damaged` for anything but edits of such a picture's layers.
pub fn decode_edits(
    stored: &[u8],
    geometry: Geometry,
    codebooks: Codebooks,
) -> Result<Vec<LayerEdit>> {
    let mut input = Unpack::new(WHAT, stored)?;
    let count = input.number()?;
    if count > MAX_EDITS {
        return Err(damaged(WHAT, "it has too many changes"));
    }
    let mut edits = Vec::new();
    for _ in 0..count {
        let edit = match input.number()? {
            tag @ (0 | 1) => {
                let place = read_place(&mut input)?;
                let layer = Box::new(read_layer(&mut input, geometry)?);
                match tag {
                    0 => LayerEdit::Insert { place, layer },
                    _ => LayerEdit::Remove { place, layer },
                }
            }
            2 => LayerEdit::Move {
                from: read_place(&mut input)?,
                to: read_place(&mut input)?,
            },
            3 => LayerEdit::Look {
                id: read_id(&mut input)?,
                before: read_look(&mut input)?,
                after: read_look(&mut input)?,
            },
            4 => LayerEdit::Replace {
                before: Box::new(read_stack(&mut input, geometry, codebooks)?),
                after: Box::new(read_stack(&mut input, geometry, codebooks)?),
            },
            _ => return Err(damaged(WHAT, "it has a change of an unknown sort")),
        };
        edit.check(geometry, Some(codebooks))?;
        edits.push(edit);
    }
    input.finish()?;
    Ok(edits)
}

fn put_stack(raw: &mut Vec<u8>, stack: &LayerStack) {
    put_number(raw, stack.layers().len() as u64);
    for layer in stack.layers() {
        put_layer(raw, layer);
    }
}

fn read_stack(
    input: &mut Unpack<'_>,
    geometry: Geometry,
    codebooks: Codebooks,
) -> Result<LayerStack> {
    let count = input.number()?;
    if count > MAX_LAYERS as u64 {
        return Err(damaged(WHAT, "they are too many"));
    }
    let layers = (0..count)
        .map(|_| read_layer(input, geometry))
        .collect::<Result<_>>()?;
    LayerStack::from_layers(layers, geometry, Some(codebooks))
}

fn put_layer(raw: &mut Vec<u8>, layer: &Layer) {
    let coordinates = layer.coordinates();
    put_number(raw, u64::from(layer.id()));
    put_flagged_look(raw, layer.look(), !coordinates.is_empty());
    for grid in Level::ALL.map(|level| layer.cells(level)) {
        put_grid(raw, grid);
    }
    for grid in Level::ALL.map(|level| layer.hidden(level)) {
        put_grid(raw, grid);
    }
    if !coordinates.is_empty() {
        sources::put_grid(raw, coordinates);
    }
}

fn read_layer(input: &mut Unpack<'_>, geometry: Geometry) -> Result<Layer> {
    let id = read_id(input)?;
    let (look, has_coordinates) = read_flagged_look(input)?;
    let mut layer = Layer::new(id, look);
    for level in Level::ALL {
        read_grid(input, geometry.cell_count(level), |index, code| {
            layer.set(level, index, Some(code));
        })?;
    }
    for level in Level::ALL {
        read_grid(input, geometry.cell_count(level), |index, _| {
            layer.hide(level, index, true);
        })?;
    }
    if has_coordinates {
        sources::read_grid(input, geometry, |index, from| {
            layer.set_coordinate(index, Some(from));
        })?;
    }
    Ok(layer)
}

fn read_id(input: &mut Unpack<'_>) -> Result<LayerId> {
    LayerId::try_from(input.number()?).map_err(|_| damaged(WHAT, "one has no proper id"))
}

fn read_place(input: &mut Unpack<'_>) -> Result<usize> {
    let place = usize::try_from(input.number()?).ok();
    (place.filter(|place| *place <= MAX_LAYERS))
        .ok_or_else(|| damaged(WHAT, "one has no proper place"))
}

fn put_look(raw: &mut Vec<u8>, look: &LayerLook) {
    put_flagged_look(raw, look, false);
}

fn put_flagged_look(raw: &mut Vec<u8>, look: &LayerLook, has_coordinates: bool) {
    let flags = u64::from(look.is_visible)
        | u64::from(look.is_locked) << 1
        | u64::from(look.is_mask_on) << 2
        | u64::from(has_coordinates) << 3;
    put_number(raw, flags);
    put_number(raw, u64::from(look.opacity_percent));
    put_number(raw, look.name.len() as u64);
    raw.extend_from_slice(look.name.as_bytes());
}

fn read_look(input: &mut Unpack<'_>) -> Result<LayerLook> {
    match read_flagged_look(input)? {
        (look, false) => Ok(look),
        (_, true) => Err(damaged(WHAT, "a look has cells")),
    }
}

/// A look, and whether coordinates follow its layer.
fn read_flagged_look(input: &mut Unpack<'_>) -> Result<(LayerLook, bool)> {
    let flags = input.number()?;
    let opacity_percent = u8::try_from(input.number()?)
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or_else(|| damaged(WHAT, "an opacity is out of range"))?;
    let len = input.number()?;
    if flags > 15 || len > MAX_LAYER_NAME_BYTES as u64 {
        return Err(damaged(WHAT, "a name is too long"));
    }
    let name = (0..len)
        .map(|_| input.byte())
        .collect::<Result<Vec<u8>>>()?;
    let name = String::from_utf8(name).map_err(|_| damaged(WHAT, "a name is no text"))?;
    let look = LayerLook {
        name,
        is_visible: flags & 1 != 0,
        is_locked: flags & 2 != 0,
        opacity_percent,
        is_mask_on: flags & 4 != 0,
    };
    Ok((look, flags & 8 != 0))
}

fn put_grid(raw: &mut Vec<u8>, grid: &SparseGrid) {
    put_number(raw, grid.len() as u64);
    let mut previous = 0;
    for (index, _) in grid.iter() {
        put_number(raw, u64::from(index - previous));
        previous = index;
    }
    for (_, value) in grid.iter() {
        put_number(raw, u64::from(value.wrapping_add(1)));
    }
}

fn read_grid(
    input: &mut Unpack<'_>,
    cell_count: usize,
    mut put: impl FnMut(u32, u16),
) -> Result<()> {
    let count = usize::try_from(input.number()?)
        .ok()
        .filter(|count| *count <= cell_count)
        .ok_or_else(|| damaged(WHAT, "one changes more cells than the picture has"))?;
    let mut indices = Vec::with_capacity(count.min(1 << 12));
    let mut index = 0u64;
    for _ in 0..count {
        index = index.saturating_add(input.number()?);
        let inside = u32::try_from(index)
            .ok()
            .filter(|index| (*index as usize) < cell_count)
            .ok_or_else(|| damaged(WHAT, "one points outside the picture"))?;
        indices.push(inside);
    }
    for index in indices {
        put(index, input.code()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::EMPTY;

    const BOOKS: Codebooks = Codebooks {
        structure: 50,
        detail: 300,
    };

    fn stack() -> (Geometry, LayerStack) {
        let geometry = Geometry::new(100, 70).unwrap();
        let mut layers = LayerStack::default().layers().to_vec();
        layers[0].set(Level::Structure, 3, Some(7));
        let mut look = LayerLook::new("Sky “über”");
        look.opacity_percent = 40;
        look.is_locked = true;
        let mut layer = Layer::new(9, look);
        layer.set(Level::Detail, 0, Some(EMPTY));
        layer.set(Level::Detail, 400, Some(299));
        layer.hide(Level::Structure, 5, true);
        layers.push(layer);
        let stack = LayerStack::from_layers(layers, geometry, Some(BOOKS)).unwrap();
        (geometry, stack)
    }

    #[test]
    fn layers_and_edits_come_back() {
        let (geometry, stack) = stack();
        let stored = encode_stack(&stack);
        assert_eq!(decode_stack(&stored, geometry, BOOKS).unwrap(), stack);
        let layer = Box::new(stack.layers()[1].clone());
        let after = LayerLook::new("Other");
        let edits = vec![
            LayerEdit::Insert {
                place: 1,
                layer: layer.clone(),
            },
            LayerEdit::Move { from: 1, to: 0 },
            LayerEdit::Look {
                id: 9,
                before: layer.look().clone(),
                after,
            },
            LayerEdit::Remove { place: 0, layer },
            LayerEdit::Replace {
                before: Box::new(LayerStack::default()),
                after: Box::new(stack),
            },
        ];
        let stroke = Stroke {
            edits,
            ..Stroke::new("x", Vec::new())
        };
        let stored = encode_edits(&stroke).unwrap();
        assert_eq!(
            decode_edits(&stored, geometry, BOOKS).unwrap(),
            stroke.edits
        );
        assert_eq!(encode_edits(&Stroke::new("x", Vec::new())), None);
    }

    #[test]
    fn a_file_cannot_bring_layers_that_do_not_fit() {
        let (geometry, stack) = stack();
        let stored = encode_stack(&stack);
        let small = Geometry::new(16, 16).unwrap();
        assert!(decode_stack(&stored, small, BOOKS).is_err());
        let few = Codebooks {
            structure: 5,
            ..BOOKS
        };
        assert!(decode_stack(&stored, geometry, few).is_err());
        for len in 0..stored.len() {
            assert!(
                decode_stack(&stored[..len], geometry, BOOKS).is_err(),
                "{len}"
            );
        }
        let mut bomb = Vec::new();
        put_number(&mut bomb, u64::MAX);
        assert!(decode_stack(&pack(bomb.clone()), geometry, BOOKS).is_err());
        assert!(decode_edits(&pack(bomb.clone()), geometry, BOOKS).is_err());
    }

    #[test]
    fn targets_are_numbers() {
        for target in [(0, false), (0, true), (77, false), (77, true)] {
            let target = Target {
                layer: target.0,
                is_mask: target.1,
            };
            assert_eq!(target_of(target_number(target)).unwrap(), target);
        }
        assert_eq!(target_number(Target::default()), 0);
        assert!(target_of(-1).is_err() && target_of(i64::MAX).is_err());
    }
}
