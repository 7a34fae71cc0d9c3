// One tile of the canvas: the picture as it is now and as it came in, on a checkerboard where it is
// transparent, with the cell grid, a split, blend or difference view, cells dimmed by a mask, and, for a canvas
// that wraps, its copies around it.
// All colours are sRGB-encoded, as egui blends them.
//
// A renderer without a GPU runs both sides of every `if`, but leaves a loop that nobody is in: so what is dear stands in a loop.

struct View {
    // Clip-space position of a canvas point p (pixels): p * scale + offset.
    scale: vec2<f32>,
    offset: vec2<f32>,
    // Screen pixels per canvas pixel.
    zoom: f32,
    // 0 now, 1 before, 2 split, 3 difference, 4 blend.
    mode: u32,
    // Canvas column where the split stands; the share of `before` in a blend.
    split_x: f32,
    // Side of a grid cell in canvas pixels; 0 without grid.
    grid_px: f32,
    checker_dark: vec4<f32>,
    checker_light: vec4<f32>,
    grid_colour: vec4<f32>,
    // Size of the picture in pixels.
    picture_px: vec2<f32>,
    // Side of a mask cell in canvas pixels; 0 without mask.
    mask_px: f32,
    unused: f32,
    // How many copies stand beside each other on each axis: 1 or 3, the middle one being the canvas.
    copies: vec2<u32>,
    // A screen pixel shows the mean of so many texels along each axis: spread over what it covers, or, where smoothness is 1, its
    // neighbours by nearness.
    taps: u32,
    smoothness: f32,
};

// Whether the target encodes sRGB itself.
override encodes_srgb: bool = false;

// Layers of a picture.
const NOW: i32 = 0;
const BEFORE: i32 = 1;

struct Tile {
    // Canvas rectangle: left, top, width, height.
    rect: vec4<f32>,
};

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var mask: texture_2d<f32>;
@group(1) @binding(0) var<uniform> tile: Tile;
@group(1) @binding(1) var picture: texture_2d_array<f32>;

struct Varying {
    @builtin(position) clip: vec4<f32>,
    @location(0) canvas_px: vec2<f32>,
};

@vertex
fn vertex(@builtin(vertex_index) index: u32, @builtin(instance_index) copy: u32) -> Varying {
    let corner = vec2<f32>(f32(index & 1u), f32(index >> 1u));
    let p = tile.rect.xy + corner * tile.rect.zw;
    var out: Varying;
    out.canvas_px = p;
    let place = vec2<i32>(vec2<u32>(copy % view.copies.x, copy / view.copies.x)) - vec2<i32>(view.copies / 2u);
    let shown = p + vec2<f32>(place) * view.picture_px;
    out.clip = vec4<f32>(shown * view.scale + view.offset, 0.0, 1.0);
    return out;
}

// Premultiplied, as straight alpha cannot be averaged.
fn sampled(layer: i32, p: vec2<f32>) -> vec4<f32> {
    let last = vec2<i32>(textureDimensions(picture)) - vec2<i32>(1);
    let count = f32(view.taps);
    let covered = 1.0 / view.zoom;
    let neighbours = p - vec2<f32>(0.5);
    let into = fract(neighbours);
    let step = mix(covered / count, 1.0, view.smoothness);
    let spread = p - vec2<f32>((covered - step) * 0.5);
    let first = mix(select(spread, p, view.taps == 1u), neighbours, view.smoothness);
    var sum = vec4<f32>(0.0);
    for (var y = 0u; y < view.taps; y++) {
        for (var x = 0u; x < view.taps; x++) {
            let tap = vec2<f32>(f32(x), f32(y));
            let at = clamp(vec2<i32>(floor(first + tap * step)), vec2<i32>(0), last);
            let colour = textureLoad(picture, at, layer, 0);
            let weight = mix(vec2<f32>(1.0 / count), abs(vec2<f32>(1.0) - tap - into), view.smoothness);
            sum += vec4<f32>(colour.rgb * colour.a, colour.a) * (weight.x * weight.y);
        }
    }
    return sum;
}

fn over_checker(colour: vec4<f32>, screen: vec2<f32>) -> vec3<f32> {
    let square = vec2<i32>(floor(screen / 8.0));
    let is_light = ((square.x + square.y) & 1) == 0;
    let ground = select(view.checker_dark.rgb, view.checker_light.rgb, is_light);
    return colour.rgb + ground * (1.0 - colour.a);
}

fn to_linear(c: vec3<f32>) -> vec3<f32> {
    let low = c / 12.92;
    let high = pow((c + vec3<f32>(0.055)) / 1.055, vec3<f32>(2.4));
    return select(high, low, c <= vec3<f32>(0.04045));
}

@fragment
fn fragment(in: Varying) -> @location(0) vec4<f32> {
    let p = in.canvas_px;
    let local = p - tile.rect.xy;
    let shows_before = view.mode == 1u || (view.mode == 2u && p.x < view.split_x);
    let shown = sampled(select(NOW, BEFORE, shows_before), local);
    var other = vec4<f32>(0.0);
    let others = select(0u, 1u, view.mode >= 3u);
    for (var i = 0u; i < others; i++) {
        other = sampled(BEFORE, local);
    }
    let blend = select(0.0, view.split_x, view.mode == 4u);
    var rgb = over_checker(mix(shown, other, blend), in.clip.xy);
    if view.mode == 3u {
        let difference = abs(shown - other);
        let strongest = max(difference.rgb, vec3<f32>(difference.a));
        rgb = clamp(strongest * 4.0, vec3<f32>(0.0), vec3<f32>(1.0));
    }
    if view.mask_px > 0.0 {
        let size = vec2<i32>(textureDimensions(mask));
        let cell = clamp(vec2<i32>(floor(p / view.mask_px)), vec2<i32>(0), size - vec2<i32>(1));
        let marked = textureLoad(mask, cell, 0).r;
        rgb = mix(rgb * 0.22, rgb, marked);
    }
    if view.grid_px > 0.0 {
        // A line of one screen pixel on the left and upper edge of each cell.
        let into = p - floor(p / view.grid_px) * view.grid_px;
        let line_px = 1.0 / view.zoom;
        if into.x < line_px || into.y < line_px {
            rgb = mix(rgb, view.grid_colour.rgb, view.grid_colour.a);
        }
    }
    if view.mode == 2u && abs(p.x - view.split_x) * view.zoom < 1.0 {
        rgb = vec3<f32>(1.0);
    }
    if encodes_srgb {
        rgb = to_linear(rgb);
    }
    return vec4<f32>(rgb, 1.0);
}
