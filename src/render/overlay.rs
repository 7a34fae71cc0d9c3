//! What lies over the canvas, cell by cell: tints, and the outline of the selection. By
//! `shaders/overlay.wgsl`, or by plain shapes where the window has no wgpu renderer.

use std::cell::RefCell;

use bytemuck::{Pod, Zeroable};
use eframe::egui::{
    self, Color32, ColorImage, PaintCallbackInfo, Shape, Stroke, TextureHandle, TextureOptions,
    Vec2,
};
use eframe::egui_wgpu::{self, CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu;

use super::gpu::{Gpu, SHADERS, TextureKind, layout};
use super::plain::{image_of, paint_cells};
use super::view::Placed;
use crate::document::{CodeGrid, DETAIL_STRIDE_PX, Level, Rect, Selection};

/// Length of a dash, in points, and how far dashes walk in a second.
const DASH_POINTS: f32 = 4.0;
const WALK_POINTS_PER_SECOND: f64 = 14.0;
/// Shapes drawn one by one at most, without a shader.
const MAX_PLAIN_SHAPES: usize = 20_000;

/// A colour per cell, straight alpha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tint {
    pub width: u32,
    pub height: u32,
    /// Side of a cell in canvas pixels.
    pub cell_px: u32,
    pub rgba8: Vec<u8>,
}

impl Tint {
    /// One colour per cell of a grid, worked out from its index and its stored code.
    pub fn of(grid: &CodeGrid, cell_px: u32, colour: impl Fn(u32, u16) -> [u8; 4]) -> Self {
        Self {
            width: grid.width(),
            height: grid.height(),
            cell_px,
            rgba8: (0u32..)
                .zip(grid.cells())
                .flat_map(|(index, &code)| colour(index, code))
                .collect(),
        }
    }

    /// A part of it for a texture.
    fn image(&self, part: Rect) -> ColorImage {
        image_of(part, Rect::new(0, 0, self.width, self.height), &self.rgba8)
    }
}

/// `View` of `shaders/overlay.wgsl`, field by field.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct ViewUniform {
    scale: [f32; 2],
    offset: [f32; 2],
    picture_px: [f32; 2],
    shift_px: [f32; 2],
    selection_px: f32,
    tint_px: f32,
    line_px: f32,
    phase: f32,
    dash: f32,
    unused: [f32; 3],
}

/// The overlays of the open document.
#[derive(Default)]
pub struct CellOverlay {
    gpu: Option<OnGpu>,
    selection: Option<Selection>,
    tint: Option<Tint>,
    /// Without a shader: the tint as a texture, made when it is first shown, and the selection's borders.
    plain_tint: RefCell<Option<TextureHandle>>,
    plain_outline: Vec<[[u32; 2]; 2]>,
}

struct OnGpu {
    gpu: Gpu,
    pipeline: wgpu::RenderPipeline,
    bind_layout: wgpu::BindGroupLayout,
    view: wgpu::Buffer,
    selection: wgpu::Texture,
    tint: wgpu::Texture,
    group: wgpu::BindGroup,
}

impl CellOverlay {
    pub fn new(gpu: Option<&Gpu>) -> Self {
        Self {
            gpu: gpu.map(OnGpu::new),
            ..Self::default()
        }
    }

    pub fn set_selection(&mut self, selection: Option<&Selection>) {
        if let (Some(on_gpu), Some(selection)) = (&mut self.gpu, selection) {
            let bounds = selection.geometry().grid_bounds(Level::Detail);
            on_gpu.selection = on_gpu.filled(TextureKind::Mask, bounds, &selection.to_mask());
            on_gpu.bind();
        }
        if self.gpu.is_none() {
            self.plain_outline = selection.map_or_else(Vec::new, outline);
        }
        self.selection = selection.cloned();
    }

    pub fn set_tint(&mut self, tint: Option<Tint>) {
        if let (Some(on_gpu), Some(tint)) = (&mut self.gpu, &tint) {
            let bounds = Rect::new(0, 0, tint.width, tint.height);
            on_gpu.tint = on_gpu.filled(TextureKind::Colour, bounds, &tint.rgba8);
            on_gpu.bind();
        }
        self.tint = tint;
        self.plain_tint.take();
    }

    pub const fn has_tint(&self) -> bool {
        self.tint.is_some()
    }

    /// New colours for the cells of a rectangle within the tint.
    pub fn patch_tint(&mut self, rect: Rect, colour: impl Fn(u32) -> [u8; 4]) {
        let Some(tint) = &mut self.tint else { return };
        let rect = rect.intersect(&Rect::new(0, 0, tint.width, tint.height));
        if rect.is_empty() {
            return;
        }
        let mut patch = Vec::with_capacity(rect.area() as usize * 4);
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let index = y * tint.width + x;
                let rgba = colour(index);
                let at = index as usize * 4;
                tint.rgba8[at..at + 4].copy_from_slice(&rgba);
                patch.extend(rgba);
            }
        }
        if let Some(on_gpu) = &self.gpu {
            on_gpu
                .gpu
                .write(&on_gpu.tint, rect, &patch, rect.width as usize * 4);
        }
        if let Some(texture) = self.plain_tint.get_mut() {
            let at = [rect.x as usize, rect.y as usize];
            texture.set_partial(at, tint.image(rect), TextureOptions::NEAREST);
        }
    }

    /// Draws over the canvas. `seconds` lets the outline walk; `shift_px` shows the selection elsewhere.
    pub fn paint(
        &self,
        painter: &egui::Painter,
        placed: &Placed,
        size_px: Vec2,
        (seconds, shift_px): (f64, Vec2),
    ) {
        if self.selection.is_none() && self.tint.is_none() {
            return;
        }
        let walked = (seconds * WALK_POINTS_PER_SECOND).rem_euclid(f64::from(2.0 * DASH_POINTS));
        let walked = walked as f32;
        let Some(on_gpu) = &self.gpu else {
            self.paint_plain(painter, placed, size_px, (walked, shift_px));
            return;
        };
        let panel = placed.panel;
        let scale = Vec2::splat(placed.scale() * 2.0) / panel.size();
        let origin = placed.snapped_origin() - panel.center();
        let dash = DASH_POINTS * placed.pixels_per_point;
        let uniform = ViewUniform {
            scale: [scale.x, -scale.y],
            offset: [
                origin.x * 2.0 / panel.width(),
                -origin.y * 2.0 / panel.height(),
            ],
            picture_px: [size_px.x, size_px.y],
            shift_px: [shift_px.x, shift_px.y],
            selection_px: match self.selection {
                Some(_) => DETAIL_STRIDE_PX as f32,
                None => 0.0,
            },
            tint_px: self.tint.as_ref().map_or(0.0, |tint| tint.cell_px as f32),
            line_px: placed.pixels_per_point.max(1.0) / placed.view.zoom,
            phase: walked * placed.pixels_per_point,
            dash,
            unused: [0.0; 3],
        };
        painter.add(egui_wgpu::Callback::new_paint_callback(
            panel,
            Draw {
                pipeline: on_gpu.pipeline.clone(),
                view: on_gpu.view.clone(),
                group: on_gpu.group.clone(),
                uniform,
            },
        ));
    }

    fn paint_plain(
        &self,
        painter: &egui::Painter,
        placed: &Placed,
        size_px: Vec2,
        (walked, shift_px): (f32, Vec2),
    ) {
        let placed = &placed.snapped();
        let picture = Rect::new(0, 0, size_px.x as u32, size_px.y as u32);
        if let Some(tint) = &self.tint {
            let cells = Rect::new(0, 0, tint.width, tint.height).to_pixels(tint.cell_px);
            let mut texture = self.plain_tint.borrow_mut();
            let texture = texture.get_or_insert_with(|| {
                let image = tint.image(Rect::new(0, 0, tint.width, tint.height));
                (painter.ctx()).load_texture("tint", image, TextureOptions::NEAREST)
            });
            paint_cells(painter, placed, picture, cells, texture);
        }
        let panel = placed.panel.expand(1.0);
        let mut shapes = Vec::new();
        for [from, to] in &self.plain_outline {
            let ends = [from, to].map(|&[x, y]| {
                let at = egui::vec2(x as f32, y as f32) * DETAIL_STRIDE_PX as f32;
                placed.screen_from_canvas(at + shift_px)
            });
            if !panel.intersects(egui::Rect::from_two_pos(ends[0], ends[1])) {
                continue;
            }
            if shapes.len() > MAX_PLAIN_SHAPES {
                break;
            }
            let clipped = ends.map(|end| panel.clamp(end));
            shapes.push(Shape::line_segment(
                clipped,
                Stroke::new(1.0, Color32::BLACK),
            ));
            // Dashes stand still against the screen, as the shader's, and walk alike.
            let (length, direction) = (
                clipped[0].distance(clipped[1]),
                (clipped[1] - clipped[0]).normalized(),
            );
            let phase = clipped[0].x + clipped[0].y - walked;
            let mut dash = -phase.rem_euclid(2.0 * DASH_POINTS);
            while dash < length {
                let part = [dash.max(0.0), (dash + DASH_POINTS).min(length)];
                if part[1] > part[0] {
                    let part = part.map(|at| clipped[0] + direction * at);
                    shapes.push(Shape::line_segment(part, Stroke::new(1.0, Color32::WHITE)));
                }
                dash += 2.0 * DASH_POINTS;
            }
        }
        painter.extend(shapes);
    }
}

/// The borders of a selection, as horizontal and vertical lines between corners of cells.
fn outline(selection: &Selection) -> Vec<[[u32; 2]; 2]> {
    let bounds = selection.geometry().grid_bounds(Level::Detail);
    let is_in = |x: u32, y: u32| x < bounds.width && y < bounds.height && selection.contains(x, y);
    // Whether cells on either side of the line differ there.
    let crosses = |x: u32, y: u32, is_row: bool| {
        let before = match is_row {
            true => y > 0 && is_in(x, y - 1),
            false => x > 0 && is_in(x - 1, y),
        };
        before != is_in(x, y)
    };
    let mut lines = Vec::new();
    for is_row in [true, false] {
        let (across, along) = match is_row {
            true => (bounds.height, bounds.width),
            false => (bounds.width, bounds.height),
        };
        let corner = |line: u32, at: u32| if is_row { [at, line] } else { [line, at] };
        for line in 0..=across {
            let mut start = None;
            for at in 0..=along {
                let [x, y] = corner(line, at);
                let is_border = at < along && crosses(x, y, is_row);
                match (is_border, start) {
                    (true, None) => start = Some(at),
                    (false, Some(from)) => {
                        lines.push([corner(line, from), corner(line, at)]);
                        start = None;
                    }
                    _ => {}
                }
            }
        }
    }
    lines
}

impl OnGpu {
    fn new(gpu: &Gpu) -> Self {
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay"),
            source: wgpu::ShaderSource::Wgsl(SHADERS[1].1.into()),
        });
        let bind_layout = layout(device, "overlay", &[TextureKind::Mask, TextureKind::Colour]);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("overlay"),
            bind_group_layouts: &[Some(&bind_layout)],
            ..Default::default()
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("overlay"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                buffers: &[],
                compilation_options: Default::default(),
            },
            primitive: wgpu::PrimitiveState {
                topology: wgpu::PrimitiveTopology::TriangleStrip,
                ..Default::default()
            },
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                targets: &[Some(wgpu::ColorTargetState {
                    format: gpu.target_format,
                    blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                    write_mask: wgpu::ColorWrites::ALL,
                })],
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &gpu.constants,
                    ..Default::default()
                },
            }),
            multiview_mask: None,
            cache: None,
        });
        let view = gpu.uniform("overlay view", bytemuck::bytes_of(&ViewUniform::zeroed()));
        let selection = gpu.texture("selection", 1, 1, TextureKind::Mask);
        let tint = gpu.texture("tint", 1, 1, TextureKind::Colour);
        Self {
            group: gpu.group(&bind_layout, &view, &[&selection, &tint]),
            gpu: gpu.clone(),
            pipeline,
            bind_layout,
            view,
            selection,
            tint,
        }
    }

    fn filled(&self, kind: TextureKind, bounds: Rect, bytes: &[u8]) -> wgpu::Texture {
        let texture = self
            .gpu
            .texture("overlay", bounds.width, bounds.height, kind);
        let stride = bytes.len() / (bounds.height.max(1) as usize);
        self.gpu.write(&texture, bounds, bytes, stride);
        texture
    }

    fn bind(&mut self) {
        self.group = self.gpu.group(
            &self.bind_layout,
            &self.view,
            &[&self.selection, &self.tint],
        );
    }
}

struct Draw {
    pipeline: wgpu::RenderPipeline,
    view: wgpu::Buffer,
    group: wgpu::BindGroup,
    uniform: ViewUniform,
}

impl CallbackTrait for Draw {
    fn prepare(
        &self,
        _device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        _resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        queue.write_buffer(&self.view, 0, bytemuck::bytes_of(&self.uniform));
        Vec::new()
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &CallbackResources,
    ) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.draw(0..4, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Geometry;

    #[test]
    fn an_outline_runs_once_around_what_is_selected() {
        let geometry = Geometry::new(32, 32).unwrap();
        let in_corner = Selection::rectangle(geometry, Level::Detail, (0.0, 0.0), (11.0, 7.0));
        let mut lines = outline(&in_corner);
        lines.sort_unstable();
        let around = [
            [[0, 0], [0, 2]],
            [[0, 0], [3, 0]],
            [[0, 2], [3, 2]],
            [[3, 0], [3, 2]],
        ];
        assert_eq!(lines, around);
        let all = Selection::all(geometry);
        assert_eq!(outline(&all).len(), 4, "the picture's border is one too");
        let mut others = in_corner;
        others.invert();
        assert_eq!(outline(&others).len(), 6);
    }
}
