//! What lies over the canvas, cell by cell: tints, and the outline of the selection. By
//! `shaders/overlay.wgsl`, or by plain shapes where the window has no wgpu renderer.

use bytemuck::{Pod, Zeroable};
use eframe::egui::{self, Color32, PaintCallbackInfo, Shape, Stroke, Vec2, pos2};
use eframe::egui_wgpu::{self, CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu;

use super::gpu::{Gpu, SHADERS, TextureKind, layout};
use super::view::Placed;
use crate::document::{CodeGrid, DETAIL_STRIDE_PX, Level, Rect, Selection};

/// Length of a dash, in points, and how far dashes walk in a second.
const DASH_POINTS: f32 = 4.0;
const WALK_POINTS_PER_SECOND: f64 = 14.0;
/// Shapes drawn one by one at most, without a shader.
const MAX_PLAIN_SHAPES: usize = 6_000;

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
}

/// As `View` in the shader.
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
    encodes_srgb: f32,
    unused: [f32; 2],
}

/// The overlays of the open document.
#[derive(Default)]
pub struct CellOverlay {
    gpu: Option<OnGpu>,
    selection: Option<Selection>,
    tint: Option<Tint>,
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
        self.selection = selection.cloned();
    }

    pub fn set_tint(&mut self, tint: Option<Tint>) {
        if let (Some(on_gpu), Some(tint)) = (&mut self.gpu, &tint) {
            let bounds = Rect::new(0, 0, tint.width, tint.height);
            on_gpu.tint = on_gpu.filled(TextureKind::Colour, bounds, &tint.rgba8);
            on_gpu.bind();
        }
        self.tint = tint;
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
        let Some(on_gpu) = &self.gpu else {
            self.paint_plain(painter, placed, size_px, shift_px);
            return;
        };
        let panel = placed.panel;
        let scale = Vec2::splat(placed.scale() * 2.0) / panel.size();
        let origin = placed.snapped_origin() - panel.center();
        let dash = DASH_POINTS * placed.pixels_per_point;
        let walked = (seconds * WALK_POINTS_PER_SECOND).rem_euclid(f64::from(2.0 * DASH_POINTS));
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
            phase: walked as f32 * placed.pixels_per_point,
            dash,
            encodes_srgb: f32::from(u8::from(on_gpu.gpu.encodes_srgb)),
            unused: [0.0; 2],
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

    fn paint_plain(&self, painter: &egui::Painter, placed: &Placed, size_px: Vec2, shift_px: Vec2) {
        let visible = placed.visible(size_px);
        if let Some(tint) = &self.tint {
            let cells = visible.to_cells(tint.cell_px);
            let mut mesh = egui::Mesh::default();
            let all = (cells.y..cells.bottom())
                .flat_map(|y| (cells.x..cells.right()).map(move |x| (x, y)));
            for (x, y) in all.take(MAX_PLAIN_SHAPES) {
                let at = (y * tint.width + x) as usize * 4;
                if let Some([r, g, b, alpha]) = tint.rgba8.get(at..at + 4) {
                    let cell = Rect::new(x, y, 1, 1).to_pixels(tint.cell_px);
                    let colour = Color32::from_rgba_unmultiplied(*r, *g, *b, *alpha);
                    mesh.add_colored_rect(placed.screen_rect(cell), colour);
                }
            }
            painter.add(Shape::mesh(mesh));
        }
        let Some(selection) = &self.selection else {
            return;
        };
        let cells = visible.to_cells(DETAIL_STRIDE_PX);
        let stroke = Stroke::new(1.0, Color32::WHITE);
        let mut lines = Vec::new();
        for y in cells.y..cells.bottom() {
            for x in cells.x..cells.right() {
                if !selection.contains(x, y) || lines.len() > MAX_PLAIN_SHAPES {
                    continue;
                }
                let rect = placed
                    .screen_rect(Rect::new(x, y, 1, 1).to_pixels(DETAIL_STRIDE_PX))
                    .translate(shift_px * placed.scale());
                let (min, max) = (rect.min, rect.max);
                for (is_edge, ends) in [
                    (
                        x == 0 || !selection.contains(x - 1, y),
                        [min, pos2(min.x, max.y)],
                    ),
                    (!selection.contains(x + 1, y), [pos2(max.x, min.y), max]),
                    (
                        y == 0 || !selection.contains(x, y - 1),
                        [min, pos2(max.x, min.y)],
                    ),
                    (!selection.contains(x, y + 1), [pos2(min.x, max.y), max]),
                ] {
                    if is_edge {
                        lines.push(Shape::line_segment(ends, stroke));
                    }
                }
            }
        }
        painter.extend(lines);
    }
}

impl OnGpu {
    fn new(gpu: &Gpu) -> Self {
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay"),
            source: wgpu::ShaderSource::Wgsl(SHADERS[1].1.into()),
        });
        let bind_layout = layout(device, "overlay", 2);
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
                compilation_options: Default::default(),
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
