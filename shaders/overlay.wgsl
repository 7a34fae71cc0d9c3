// What lies over the canvas: a tint per cell, and the selection's outline as a line of dashes that walks.
// All colours are sRGB-encoded, as egui blends them; the result is premultiplied.

struct View {
    // Clip-space position of a canvas point p (pixels): p * scale + offset.
    scale: vec2<f32>,
    offset: vec2<f32>,
    // Size of the picture in pixels.
    picture_px: vec2<f32>,
    // How far the selection is shown from its place, in canvas pixels.
    shift_px: vec2<f32>,
    // Side of a selection cell and of a tint cell in canvas pixels; 0 without them.
    selection_px: f32,
    tint_px: f32,
    // Width of the line in canvas pixels.
    line_px: f32,
    // How far the dashes have walked, in screen pixels.
    phase: f32,
    // Length of a dash in screen pixels.
    dash: f32,
    unused: f32,
    unused_pair: vec2<f32>,
};

// Whether the target encodes sRGB itself.
override encodes_srgb: bool = false;

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var selection: texture_2d<f32>;
@group(0) @binding(2) var tint: texture_2d<f32>;

struct Varying {
    @builtin(position) clip: vec4<f32>,
    @location(0) canvas_px: vec2<f32>,
};

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> Varying {
    let p = vec2<f32>(f32(index & 1u), f32(index >> 1u)) * view.picture_px;
    var out: Varying;
    out.canvas_px = p;
    out.clip = vec4<f32>(p * view.scale + view.offset, 0.0, 1.0);
    return out;
}

fn is_selected(p: vec2<f32>) -> bool {
    let q = p - view.shift_px;
    let cell = vec2<i32>(floor(q / view.selection_px));
    let size = vec2<i32>(textureDimensions(selection));
    // Beyond the picture nothing is selected: its border is a border of the selection too.
    if any(p < vec2<f32>(0.0)) || any(p >= view.picture_px) || any(cell < vec2<i32>(0)) || any(cell >= size) {
        return false;
    }
    return textureLoad(selection, cell, 0).r > 0.5;
}

fn to_linear(c: vec3<f32>) -> vec3<f32> {
    let low = c / 12.92;
    let high = pow((c + vec3<f32>(0.055)) / 1.055, vec3<f32>(2.4));
    return select(high, low, c <= vec3<f32>(0.04045));
}

@fragment
fn fragment(in: Varying) -> @location(0) vec4<f32> {
    let p = in.canvas_px;
    var colour = vec4<f32>(0.0);
    if view.tint_px > 0.0 {
        let size = vec2<i32>(textureDimensions(tint));
        let cell = clamp(vec2<i32>(floor(p / view.tint_px)), vec2<i32>(0), size - vec2<i32>(1));
        colour = textureLoad(tint, cell, 0);
    }
    if view.selection_px > 0.0 && is_selected(p) {
        let d = view.line_px;
        let is_inner = is_selected(p + vec2<f32>(d, 0.0)) && is_selected(p - vec2<f32>(d, 0.0))
            && is_selected(p + vec2<f32>(0.0, d)) && is_selected(p - vec2<f32>(0.0, d));
        if !is_inner {
            let along = (in.clip.x + in.clip.y - view.phase) / view.dash;
            let is_light = (i32(floor(along)) & 1) == 0;
            colour = vec4<f32>(vec3<f32>(select(0.0, 1.0, is_light)), 1.0);
        }
    }
    if encodes_srgb {
        colour = vec4<f32>(to_linear(colour.rgb), colour.a);
    }
    return vec4<f32>(colour.rgb * colour.a, colour.a);
}
