//! The canvas drawn by `shaders/canvas.wgsl`.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use eframe::egui::{self, Color32, PaintCallbackInfo};
use eframe::egui_wgpu::{self, CallbackResources, CallbackTrait, RenderState, ScreenDescriptor};
use eframe::wgpu;

use super::{Compare, Look, Mask, filter, rows_of, tiles};
use crate::document::{Rect, Source};

/// Every shader of the program, by file name.
pub const SHADERS: &[(&str, &str)] = &[
    ("canvas.wgsl", include_str!("../../shaders/canvas.wgsl")),
    ("overlay.wgsl", include_str!("../../shaders/overlay.wgsl")),
];

/// What a texture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextureKind {
    /// Straight RGBA8.
    Colour,
    /// Straight RGBA8 in two layers.
    Pair,
    /// One byte per texel.
    Mask,
}

/// The window's device with the canvas pipeline.
#[derive(Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::RenderPipeline,
    view_layout: wgpu::BindGroupLayout,
    tile_layout: wgpu::BindGroupLayout,
    pub(super) target_format: wgpu::TextureFormat,
    /// What the shaders' overrides are.
    pub(super) constants: [(&'static str, f64); 1],
    /// The adapter in words, for the status bar.
    pub name: String,
}

/// `View` of `shaders/canvas.wgsl`, field by field.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct ViewUniform {
    scale: [f32; 2],
    offset: [f32; 2],
    zoom: f32,
    mode: u32,
    split_x: f32,
    grid_px: f32,
    checker_dark: [f32; 4],
    checker_light: [f32; 4],
    grid_colour: [f32; 4],
    picture_px: [f32; 2],
    mask_px: f32,
    unused: f32,
    copies: [u32; 2],
    taps: u32,
    smoothness: f32,
}

impl Gpu {
    pub fn new(state: &RenderState) -> Self {
        let device = state.device.clone();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("canvas"),
            source: wgpu::ShaderSource::Wgsl(SHADERS[0].1.into()),
        });
        let view_layout = layout(&device, "canvas view", &[TextureKind::Mask]);
        let tile_layout = layout(&device, "canvas tile", &[TextureKind::Pair]);
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("canvas"),
            bind_group_layouts: &[Some(&view_layout), Some(&tile_layout)],
            ..Default::default()
        });
        let encodes_srgb = f64::from(u8::from(state.target_format.is_srgb()));
        let constants = [("encodes_srgb", encodes_srgb)];
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("canvas"),
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
                targets: &[Some(state.target_format.into())],
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..Default::default()
                },
            }),
            multiview_mask: None,
            cache: None,
        });
        let info = state.adapter.get_info();
        Self {
            queue: state.queue.clone(),
            pipeline,
            view_layout,
            tile_layout,
            target_format: state.target_format,
            constants,
            name: format!("{} ({})", info.name, info.backend),
            device,
        }
    }

    pub(super) fn texture(
        &self,
        label: &str,
        width: u32,
        height: u32,
        kind: TextureKind,
    ) -> wgpu::Texture {
        self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(label),
            size: wgpu::Extent3d {
                width: width.max(1),
                height: height.max(1),
                depth_or_array_layers: match kind {
                    TextureKind::Pair => 2,
                    TextureKind::Colour | TextureKind::Mask => 1,
                },
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: match kind {
                TextureKind::Mask => wgpu::TextureFormat::R8Unorm,
                TextureKind::Colour | TextureKind::Pair => wgpu::TextureFormat::Rgba8Unorm,
            },
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        })
    }

    /// Writes `bytes` (rows `stride` bytes apart) into a rectangle of a texture.
    pub(super) fn write(&self, texture: &wgpu::Texture, to: Rect, bytes: &[u8], stride: usize) {
        self.write_layer(texture, 0, to, bytes, stride);
    }

    fn write_layer(
        &self,
        texture: &wgpu::Texture,
        layer: u32,
        to: Rect,
        bytes: &[u8],
        stride: usize,
    ) {
        self.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture,
                mip_level: 0,
                origin: wgpu::Origin3d {
                    x: to.x,
                    y: to.y,
                    z: layer,
                },
                aspect: wgpu::TextureAspect::All,
            },
            bytes,
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(stride as u32),
                rows_per_image: None,
            },
            wgpu::Extent3d {
                width: to.width,
                height: to.height,
                depth_or_array_layers: 1,
            },
        );
    }

    pub(super) fn uniform(&self, label: &str, bytes: &[u8]) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    /// A uniform buffer at binding 0, textures at the bindings after it.
    pub(super) fn group(
        &self,
        layout: &wgpu::BindGroupLayout,
        uniform: &wgpu::Buffer,
        textures: &[&wgpu::Texture],
    ) -> wgpu::BindGroup {
        let views: Vec<_> = textures
            .iter()
            .map(|texture| texture.create_view(&wgpu::TextureViewDescriptor::default()))
            .collect();
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: uniform.as_entire_binding(),
        }];
        entries.extend(
            (1u32..)
                .zip(&views)
                .map(|(binding, view)| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::TextureView(view),
                }),
        );
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas"),
            layout,
            entries: &entries,
        })
    }
}

pub(super) fn layout(
    device: &wgpu::Device,
    label: &str,
    textures: &[TextureKind],
) -> wgpu::BindGroupLayout {
    let mut entries = vec![wgpu::BindGroupLayoutEntry {
        binding: 0,
        visibility: wgpu::ShaderStages::VERTEX_FRAGMENT,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }];
    let texture = |(binding, kind): (u32, &TextureKind)| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: true },
            view_dimension: match kind {
                TextureKind::Pair => wgpu::TextureViewDimension::D2Array,
                TextureKind::Colour | TextureKind::Mask => wgpu::TextureViewDimension::D2,
            },
            multisampled: false,
        },
        count: None,
    };
    entries.extend((1..).zip(textures).map(texture));
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(label),
        entries: &entries,
    })
}

/// Layers of a tile's texture, as in the shader.
const NOW: u32 = 0;
const BEFORE: u32 = 1;

struct Tile {
    rect: Rect,
    /// Layers [`NOW`] and [`BEFORE`].
    picture: wgpu::Texture,
    group: wgpu::BindGroup,
}

/// A document's textures on the GPU.
pub struct GpuSurface {
    gpu: Gpu,
    tiles: Arc<Vec<Tile>>,
    size_px: [u32; 2],
    view: wgpu::Buffer,
    view_group: wgpu::BindGroup,
    mask_px: u32,
}

impl GpuSurface {
    pub(super) fn new(gpu: &Gpu, source: &Source) -> Self {
        let whole = Rect::new(0, 0, source.width(), source.height());
        let make = |rect: Rect| {
            let (start, stride) = rows_of(rect, whole);
            let picture = gpu.texture("canvas", rect.width, rect.height, TextureKind::Pair);
            let to = Rect::new(0, 0, rect.width, rect.height);
            for layer in [NOW, BEFORE] {
                gpu.write_layer(&picture, layer, to, &source.rgba8()[start..], stride);
            }
            let place = [rect.x, rect.y, rect.width, rect.height].map(|v| v as f32);
            let uniform = gpu.uniform("canvas tile", bytemuck::bytes_of(&place));
            let group = gpu.group(&gpu.tile_layout, &uniform, &[&picture]);
            Tile {
                rect,
                picture,
                group,
            }
        };
        let tiles = tiles(whole.width, whole.height).into_iter().map(make);
        let view = gpu.uniform("canvas view", bytemuck::bytes_of(&ViewUniform::zeroed()));
        let mask = gpu.texture("canvas mask", 1, 1, TextureKind::Mask);
        Self {
            tiles: Arc::new(tiles.collect()),
            size_px: [whole.width, whole.height],
            view_group: gpu.group(&gpu.view_layout, &view, &[&mask]),
            view,
            mask_px: 0,
            gpu: gpu.clone(),
        }
    }

    pub(super) fn patch(&mut self, rect: Rect, rgba8: &[u8]) {
        for tile in self.tiles.iter() {
            let part = tile.rect.intersect(&rect);
            if part.is_empty() {
                continue;
            }
            let (start, stride) = rows_of(part, rect);
            let to = Rect::new(
                part.x - tile.rect.x,
                part.y - tile.rect.y,
                part.width,
                part.height,
            );
            self.gpu
                .write_layer(&tile.picture, NOW, to, &rgba8[start..], stride);
        }
    }

    pub(super) fn set_before(&mut self, rgba8: &[u8]) {
        let whole = Rect::new(0, 0, self.size_px[0], self.size_px[1]);
        for tile in self.tiles.iter() {
            let (start, stride) = rows_of(tile.rect, whole);
            let to = Rect::new(0, 0, tile.rect.width, tile.rect.height);
            self.gpu
                .write_layer(&tile.picture, BEFORE, to, &rgba8[start..], stride);
        }
    }

    pub(super) fn set_mask(&mut self, mask: Option<&Mask>) {
        self.mask_px = mask.map_or(0, |mask| mask.cell_px);
        if let Some(mask) = mask {
            let texture =
                self.gpu
                    .texture("canvas mask", mask.width, mask.height, TextureKind::Mask);
            let to = Rect::new(0, 0, mask.width, mask.height);
            self.gpu
                .write(&texture, to, &mask.cells, mask.width as usize);
            self.view_group = self
                .gpu
                .group(&self.gpu.view_layout, &self.view, &[&texture]);
        }
    }

    pub(super) fn paint(&self, painter: &egui::Painter, look: &Look) {
        let placed = &look.placed;
        let panel = placed.panel;
        let scale = egui::Vec2::splat(placed.scale() * 2.0) / panel.size();
        let origin = placed.snapped_origin() - panel.center();
        let mode = match look.compare {
            Compare::Now => 0,
            Compare::Before => 1,
            Compare::Split(_) => 2,
            Compare::Difference => 3,
            Compare::Blend(_) => 4,
        };
        let (taps, is_smooth) = filter(placed.view.zoom);
        let uniform = ViewUniform {
            scale: [scale.x, -scale.y],
            offset: [
                origin.x * 2.0 / panel.width(),
                -origin.y * 2.0 / panel.height(),
            ],
            zoom: placed.view.zoom,
            mode,
            split_x: match look.compare {
                Compare::Split(value) | Compare::Blend(value) => value,
                _ => 0.0,
            },
            grid_px: look.grid_px.map_or(0.0, |px| px as f32),
            checker_dark: gamma(look.colours.checker_dark),
            checker_light: gamma(look.colours.checker_light),
            grid_colour: gamma(look.colours.grid),
            picture_px: self.size_px.map(|side| side as f32),
            mask_px: self.mask_px as f32,
            unused: 0.0,
            copies: look.copies(),
            taps,
            smoothness: f32::from(u8::from(is_smooth)),
        };
        let whole = Rect::new(0, 0, self.size_px[0], self.size_px[1]);
        let copies = look.copies();
        // Copies show what the canvas itself may have outside the panel.
        let visible = match copies {
            [1, 1] => placed.visible(egui::vec2(whole.width as f32, whole.height as f32)),
            _ => whole,
        };
        painter.add(egui_wgpu::Callback::new_paint_callback(
            panel,
            Draw {
                pipeline: self.gpu.pipeline.clone(),
                view: self.view.clone(),
                view_group: self.view_group.clone(),
                tiles: self.tiles.clone(),
                visible,
                copies: copies[0] * copies[1],
                uniform,
            },
        ));
    }
}

/// Straight sRGB values from 0 to 1.
fn gamma(colour: Color32) -> [f32; 4] {
    colour.to_srgba_unmultiplied().map(|v| f32::from(v) / 255.0)
}

struct Draw {
    pipeline: wgpu::RenderPipeline,
    view: wgpu::Buffer,
    view_group: wgpu::BindGroup,
    tiles: Arc<Vec<Tile>>,
    visible: Rect,
    copies: u32,
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
        pass.set_bind_group(0, &self.view_group, &[]);
        for tile in self.tiles.iter() {
            if !tile.rect.intersect(&self.visible).is_empty() {
                pass.set_bind_group(1, &tile.group, &[]);
                pass.draw(0..4, 0..self.copies);
            }
        }
    }
}
