//! A thread that turns large pictures into textures, so that no frame waits for millions of pixels.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use eframe::egui::{self, ColorImage, TextureHandle, TextureOptions};

use super::session::SessionId;
use crate::document::{Level, Raster};
use crate::engine::{CropSheet, OpenDocument, Palette, Preview, Wake, from_panic};
use crate::error::{Error, Result};
use crate::project::DocumentId;
use crate::render::{Gpu, Surface};

/// Results that may wait for the window before loading waits for it.
const WAITING: usize = 256;

/// What is wanted on the screen.
pub enum Wanted {
    Document(Arc<OpenDocument>),
    Palette(Arc<Palette>),
    Preview(Arc<Preview>),
    Crops(CropSheet),
}

/// What can be drawn now.
pub enum Loaded {
    Document(Arc<OpenDocument>, Surface),
    Palette {
        palette: Arc<Palette>,
        structure: TextureHandle,
        detail: TextureHandle,
    },
    Preview {
        step: u64,
        texture: TextureHandle,
    },
    Crops(CropSheet, Vec<TextureHandle>),
    /// What was wanted cannot be drawn; the document, where it was one.
    Failed(Error, Option<DocumentId>),
}

/// A handle to the thread. Dropping it ends the thread.
pub struct Textures {
    wanted: Option<Sender<(SessionId, Wanted)>>,
    loaded: Option<Receiver<(SessionId, Loaded)>>,
    thread: Option<JoinHandle<()>>,
}

impl Textures {
    /// # Errors
    /// `Io` where the system gives no thread.
    pub fn start(ctx: &egui::Context, gpu: Option<&Gpu>, wake: &Wake) -> Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a full queue would make the window wait or drop a picture; what waits are outputs of jobs, one each, shared with them"
        )]
        let (wanted, requests) = unbounded();
        let (results, loaded) = bounded(WAITING);
        let (ctx, gpu, wake) = (ctx.clone(), gpu.cloned(), wake.clone());
        let thread = std::thread::Builder::new()
            .name("tessera-textures".into())
            .spawn(move || {
                for (session, request) in requests {
                    let document = match &request {
                        Wanted::Document(opened) => Some(opened.id),
                        _ => None,
                    };
                    let load = AssertUnwindSafe(|| load(&ctx, gpu.as_ref(), request));
                    let made = catch_unwind(load).unwrap_or_else(|panic| {
                        Loaded::Failed(from_panic(panic.as_ref()), document)
                    });
                    // Nobody is left to look when the window has closed.
                    if results.send((session, made)).is_err() {
                        break;
                    }
                    wake();
                }
            })
            .map_err(|source| Error::io("could not start the thread for textures", "", &source))?;
        Ok(Self {
            wanted: Some(wanted),
            loaded: Some(loaded),
            thread: Some(thread),
        })
    }

    pub fn want(&self, session: SessionId, wanted: Wanted) {
        if let Some(sender) = &self.wanted {
            // The thread ends only together with this handle: its panics become results.
            let _ = sender.send((session, wanted));
        }
    }

    /// With the session that wanted it.
    pub fn take(&self) -> Vec<(SessionId, Loaded)> {
        self.loaded.iter().flat_map(Receiver::try_iter).collect()
    }
}

impl Drop for Textures {
    fn drop(&mut self) {
        // It may wait for either end.
        (self.wanted, self.loaded) = (None, None);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

fn load(ctx: &egui::Context, gpu: Option<&Gpu>, wanted: Wanted) -> Loaded {
    match wanted {
        Wanted::Document(opened) => {
            let surface = Surface::new(gpu, ctx, opened.document.source());
            Loaded::Document(opened, surface)
        }
        Wanted::Palette(palette) => {
            let atlas = |level: Level| {
                let codes = palette.level(level);
                let size = codes.atlas_size();
                let image = ColorImage::from_rgba_unmultiplied(size, &codes.atlas_rgba8);
                ctx.load_texture(format!("{level} codes"), image, TextureOptions::NEAREST)
            };
            let (structure, detail) = (atlas(Level::Structure), atlas(Level::Detail));
            Loaded::Palette {
                palette,
                structure,
                detail,
            }
        }
        Wanted::Preview(preview) => {
            let size = [preview.width as usize, preview.height as usize];
            let image = ColorImage::from_rgba_unmultiplied(size, &preview.rgba);
            Loaded::Preview {
                step: preview.step,
                texture: ctx.load_texture("held-out pictures", image, TextureOptions::LINEAR),
            }
        }
        Wanted::Crops(sheet) => {
            let textures = sheet.crops.iter().map(|crop| of_raster(ctx, crop));
            let textures = textures.collect();
            Loaded::Crops(sheet, textures)
        }
    }
}

/// A small picture as a texture.
pub fn of_raster(ctx: &egui::Context, raster: &Raster) -> TextureHandle {
    let size = [raster.width() as usize, raster.height() as usize];
    let image = ColorImage::from_rgba_unmultiplied(size, &raster.rgba8());
    ctx.load_texture("small picture", image, TextureOptions::LINEAR)
}
