//! A thread that turns large pictures into textures, so that no frame waits for millions of pixels.
//!
//! Each request gets its answer: what can be drawn, or why it cannot be. A panic fails the request that it met; the thread goes on
//! with the next one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use eframe::egui::{self, ColorImage, TextureHandle, TextureOptions};

use crate::app::state::SessionId;
use crate::document::{Level, Raster};
use crate::engine::{CropSheet, MadeFacts, MadePicture, OpenDocument, Palette, Preview, Wake};
use crate::error::{Error, Kind, Result};
use crate::foundation::panics::panic_message;
use crate::project::{DocumentId, PictureId};
use crate::render::{Gpu, Surface};

/// Results that may wait for the window before loading waits for it.
const WAITING: usize = 256;

/// Something that is to be made ready for the screen.
pub enum TextureRequest {
    Document(Arc<OpenDocument>),
    Palette(Arc<Palette>),
    Preview(Arc<Preview>),
    Crops(CropSheet),
    Made(Box<MadePicture>),
}

impl TextureRequest {
    fn subject(&self) -> Subject {
        match self {
            Self::Document(opened) => Subject::Document(opened.id),
            Self::Palette(palette) => Subject::Palette {
                model_hash: palette.model_hash.clone(),
            },
            Self::Preview(_) => Subject::Preview,
            Self::Crops(sheet) => Subject::Crops(sheet.picture),
            Self::Made(made) => Subject::Made(made.facts.document),
        }
    }
}

/// What a request was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Document(DocumentId),
    /// The codes of the model with this hash.
    Palette {
        model_hash: String,
    },
    Preview,
    Crops(PictureId),
    Made(DocumentId),
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
    /// A generated picture, small and large.
    Made(MadeFacts, TextureHandle, TextureHandle),
    /// A request that could not be met. Whoever waits for its subject must not wait any longer.
    Failed(Error, Subject),
}

/// A handle to the thread. Dropping it ends the thread.
pub struct Textures {
    requests: Option<Sender<(SessionId, TextureRequest)>>,
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
        let (requests, queue) = unbounded();
        let (results, loaded) = bounded(WAITING);
        let (ctx, gpu, wake) = (ctx.clone(), gpu.cloned(), wake.clone());
        let thread = std::thread::Builder::new()
            .name("tessera-textures".into())
            .spawn(move || {
                for (session, request) in queue {
                    let loaded = load_or_fail(&ctx, gpu.as_ref(), request);
                    // Nobody is left to look when the window has closed.
                    if results.send((session, loaded)).is_err() {
                        break;
                    }
                    wake();
                }
            })
            .map_err(|source| Error::io("could not start the thread for textures", "", &source))?;
        Ok(Self {
            requests: Some(requests),
            loaded: Some(loaded),
            thread: Some(thread),
        })
    }

    /// Has something made ready; [`take`](Self::take) gives it, or why it cannot be.
    ///
    /// # Errors
    /// The request's failure, where the thread has ended and will never answer.
    pub fn request(
        &self,
        session: SessionId,
        request: TextureRequest,
    ) -> std::result::Result<(), Box<Loaded>> {
        let subject = request.subject();
        let is_sent = (self.requests.as_ref())
            .is_some_and(|requests| requests.send((session, request)).is_ok());
        match is_sent {
            true => Ok(()),
            false => Err(Box::new(Loaded::Failed(
                undrawable("the thread that makes textures has ended"),
                subject,
            ))),
        }
    }

    /// What has been made ready or has failed so far, with the session that asked for it.
    pub fn take(&self) -> Vec<(SessionId, Loaded)> {
        self.loaded.iter().flat_map(Receiver::try_iter).collect()
    }
}

impl Drop for Textures {
    fn drop(&mut self) {
        // It may wait for either end.
        (self.requests, self.loaded) = (None, None);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// A panic fails its own request and no other.
fn load_or_fail(ctx: &egui::Context, gpu: Option<&Gpu>, request: TextureRequest) -> Loaded {
    let subject = request.subject();
    catch_unwind(AssertUnwindSafe(|| load(ctx, gpu, request))).unwrap_or_else(|panic| {
        let why = format!("a defect in Tessera: {}", panic_message(panic.as_ref()));
        Loaded::Failed(undrawable(&why), subject)
    })
}

fn undrawable(why: &str) -> Error {
    Error::new(
        Kind::Internal,
        "a picture could not be brought to the screen",
        why,
        "Your project is not touched by it. Start Tessera again, and please report this",
    )
}

fn load(ctx: &egui::Context, gpu: Option<&Gpu>, wanted: TextureRequest) -> Loaded {
    match wanted {
        TextureRequest::Document(opened) => {
            let surface = Surface::new(gpu, ctx, opened.document.source());
            Loaded::Document(opened, surface)
        }
        TextureRequest::Palette(palette) => {
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
        TextureRequest::Preview(preview) => {
            let size = [preview.width as usize, preview.height as usize];
            let image = ColorImage::from_rgba_unmultiplied(size, &preview.rgba);
            Loaded::Preview {
                step: preview.step,
                texture: ctx.load_texture("held-out pictures", image, TextureOptions::LINEAR),
            }
        }
        TextureRequest::Crops(sheet) => {
            let textures = sheet.crops.iter().map(|crop| of_raster(ctx, crop));
            let textures = textures.collect();
            Loaded::Crops(sheet, textures)
        }
        TextureRequest::Made(made) => {
            let (small, large) = (of_raster(ctx, &made.small), of_raster(ctx, &made.picture));
            Loaded::Made(made.facts, small, large)
        }
    }
}

/// A small picture as a texture, made on the thread that asks.
pub fn of_raster(ctx: &egui::Context, raster: &Raster) -> TextureHandle {
    let size = [raster.width() as usize, raster.height() as usize];
    let image = ColorImage::from_rgba_unmultiplied(size, &raster.rgba8());
    ctx.load_texture("small picture", image, TextureOptions::LINEAR)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn preview(step: u64, bytes: usize) -> TextureRequest {
        TextureRequest::Preview(Arc::new(Preview {
            step,
            width: 4,
            height: 4,
            rgba: vec![0; bytes],
        }))
    }

    fn next(textures: &Textures) -> Loaded {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some((_, loaded)) = textures.take().pop() {
                return loaded;
            }
            assert!(Instant::now() < deadline, "the request was not answered");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_picture_that_does_not_fit_its_bytes_fails_alone() {
        let wake: Wake = Arc::new(|| {});
        let textures = Textures::start(&egui::Context::default(), None, &wake).unwrap();
        let session = SessionId::default();
        for _ in 0..2 {
            assert!(textures.request(session, preview(7, 5)).is_ok());
            let Loaded::Failed(error, Subject::Preview) = next(&textures) else {
                panic!("five bytes are no picture of 4 × 4");
            };
            assert_eq!(error.kind, Kind::Internal);
            // The thread goes on.
            assert!(textures.request(session, preview(8, 64)).is_ok());
            let Loaded::Preview { step, texture } = next(&textures) else {
                panic!("a good picture can be drawn");
            };
            assert_eq!((step, texture.size()), (8, [4, 4]));
        }
    }

    #[test]
    fn a_request_that_no_thread_takes_fails_at_once() {
        // The window's end of `wake` is the one thing on that thread that a request does not guard.
        let wake: Wake = Arc::new(|| panic!("the window has gone"));
        let mut textures = Textures::start(&egui::Context::default(), None, &wake).unwrap();
        let session = SessionId::default();
        assert!(textures.request(session, preview(1, 64)).is_ok());
        assert!(textures.thread.take().unwrap().join().is_err());
        let refused = textures.request(session, preview(2, 64));
        let Err(failed) = refused else {
            panic!("nobody will ever answer it");
        };
        assert!(matches!(*failed, Loaded::Failed(_, Subject::Preview)));
    }
}
