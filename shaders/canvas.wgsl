// One tile of the canvas: the picture as it is now and as it came in, on a checkerboard where it is
// transparent, with the cell grid, a split, blend or difference view, cells dimmed by a mask, and, for a canvas
// that wraps, its copies around it.
// All colours are sRGB-encoded, as egui blends them.

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
    // 1 where the target encodes sRGB itself.
    encodes_srgb: f32,
    // How many copies stand beside each other on each axis: 1 or 3, the middle one being the canvas.
    copies: vec2<u32>,
    unused: vec2<u32>,
};

struct Tile {
    // Canvas rectangle: left, top, width, height.
    rect: vec4<f32>,
};

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var mask: texture_2d<f32>;
@group(1) @binding(0) var<uniform> tile: Tile;
@group(1) @binding(1) var now: texture_2d<f32>;
@group(1) @binding(2) var before: texture_2d<f32>;

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

fn premultiplied(straight: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(straight.rgb * straight.a, straight.a);
}

fn nearest(image: texture_2d<f32>, p: vec2<f32>) -> vec4<f32> {
    let size = vec2<i32>(textureDimensions(image));
    let at = clamp(vec2<i32>(floor(p)), vec2<i32>(0), size - vec2<i32>(1));
    return premultiplied(textureLoad(image, at, 0));
}

// Straight alpha cannot be filtered as it is: the four neighbours are premultiplied first.
fn smoothed(image: texture_2d<f32>, p: vec2<f32>) -> vec4<f32> {
    let q = p - vec2<f32>(0.5);
    let base = floor(q);
    let f = q - base;
    let a = nearest(image, base);
    let b = nearest(image, base + vec2<f32>(1.0, 0.0));
    let c = nearest(image, base + vec2<f32>(0.0, 1.0));
    let d = nearest(image, base + vec2<f32>(1.0, 1.0));
    return mix(mix(a, b, f.x), mix(c, d, f.x), f.y);
}

// Nearest from 200 % on; between, smooth; below 100 %, the mean of what a screen pixel covers.
fn sampled(image: texture_2d<f32>, p: vec2<f32>) -> vec4<f32> {
    if view.zoom >= 1.99 {
        return nearest(image, p);
    }
    if view.zoom > 0.99 {
        if abs(view.zoom - 1.0) < 0.01 {
            return nearest(image, p);
        }
        return smoothed(image, p);
    }
    let taps = i32(clamp(ceil(1.0 / view.zoom), 2.0, 6.0));
    let step = 1.0 / (view.zoom * f32(taps));
    let first = p - vec2<f32>(0.5 / view.zoom) + vec2<f32>(0.5 * step);
    var sum = vec4<f32>(0.0);
    for (var y = 0; y < taps; y++) {
        for (var x = 0; x < taps; x++) {
            sum += nearest(image, first + vec2<f32>(f32(x), f32(y)) * step);
        }
    }
    return sum / f32(taps * taps);
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
    var rgb: vec3<f32>;
    if view.mode == 3u {
        let difference = abs(sampled(now, local) - sampled(before, local));
        let strongest = max(difference.rgb, vec3<f32>(difference.a));
        rgb = clamp(strongest * 4.0, vec3<f32>(0.0), vec3<f32>(1.0));
    } else if view.mode == 4u {
        rgb = over_checker(mix(sampled(now, local), sampled(before, local), view.split_x), in.clip.xy);
    } else if shows_before {
        rgb = over_checker(sampled(before, local), in.clip.xy);
    } else {
        rgb = over_checker(sampled(now, local), in.clip.xy);
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
    if view.encodes_srgb > 0.5 {
        rgb = to_linear(rgb);
    }
    return vec4<f32>(rgb, 1.0);
}
