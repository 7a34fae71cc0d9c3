//! Whole pictures: tabs, canvases, wrap, other models.

use std::sync::Arc;

use super::App;
use super::jobs::Ended;
use crate::app::command::{DocumentCommand, NewCanvas};
use crate::app::lanes::TextureRequest;
use crate::app::state::{Canvas, HistoryPictures, Severity, Thumb, ViewRequest, Workspace};
use crate::document::{Level, Wrap};
use crate::engine::{
    BlankJob, CarryOverJob, CheckpointChoice, Job, Journal, LAST_DOCUMENT, OpenDocument,
    OpenDocumentJob, OpenWhat, Reframe, ReframeJob, Reskin, ReskinJob, RewrapJob,
};
use crate::error::{Error, Kind};
use crate::project::DocumentId;
use crate::render::{Compare, Surface};

/// Pictures that are kept open; each holds its pixels twice on the GPU.
const MAX_TABS: usize = 8;

impl App {
    pub(super) fn apply_document(&mut self, command: DocumentCommand) {
        match command {
            DocumentCommand::ToggleWrapX => self.toggle_wrap(|wrap| wrap.x ^= true),
            DocumentCommand::ToggleWrapY => self.toggle_wrap(|wrap| wrap.y ^= true),
            DocumentCommand::Rewrap(id, wrap) => self.rewrap(id, wrap),
            DocumentCommand::New(canvas) => self.new_canvas(canvas),
            DocumentCommand::Reframe(to) => self.reframe(to),
            DocumentCommand::Open(id) => match self.state.session.tabs.order.contains(&id) {
                true => self.switch_to(id),
                false => self.paint_on(OpenWhat::Stored(id)),
            },
            DocumentCommand::Rename(id, name) => {
                let canvas = self.state.session.canvas.as_mut();
                if let Some(canvas) = canvas.filter(|canvas| canvas.id == id) {
                    canvas.name.clone_from(&name);
                }
                self.write(move |project| project.rename_document(id, &name));
            }
            DocumentCommand::Delete(id) => {
                self.close_tab(id);
                self.write(move |project| project.delete_document(id));
            }
            DocumentCommand::SwitchTo(id) => self.switch_to(id),
            DocumentCommand::CloseTab(id) => self.close_tab(id),
            DocumentCommand::CloseThis => {
                if let Some(id) = self.state.session.canvas.as_ref().map(|canvas| canvas.id) {
                    self.close_tab(id);
                }
            }
            DocumentCommand::NextTab => self.step_tab(1),
            DocumentCommand::PreviousTab => self.step_tab(-1),
            DocumentCommand::Reskin(choice) => self.reskin(choice),
            DocumentCommand::CloseReskin => self.close_reskin(),
            DocumentCommand::ReopenWithModel => self.reopen_with_model(),
        }
    }

    /// Queues a job that brings a picture to the canvas; it comes to the front unless something is painted until then.
    pub(super) fn submit_opening(&mut self, job: impl Job<Output = OpenDocument>) {
        let session = &mut self.state.session;
        session.asked_at = (session.canvas.as_ref()).map(|c| (c.id, c.document.revision()));
        self.submit_to_its_end(job, |app, ended| {
            app.lanes.desk.read_overview();
            if let Ended::Finished(opened) = ended {
                app.request_texture(TextureRequest::Document(opened.into()));
            }
        });
    }

    pub(super) fn open_document(&mut self, what: OpenWhat) {
        let (model, device) = (self.state.session.training.model, self.device());
        if let Some(project) = self.storage() {
            self.submit_opening(OpenDocumentJob {
                project,
                what,
                model,
                device,
            });
        }
    }

    pub(super) fn paint_on(&mut self, what: OpenWhat) {
        self.state.workspace = Workspace::Paint;
        self.open_document(what);
    }

    fn reopen_with_model(&mut self) {
        self.close_gesture();
        let (to, device) = (self.state.session.training.model, self.device());
        let Some(project) = self.storage() else {
            return;
        };
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let job = CarryOverJob {
            project,
            id: canvas.id,
            name: canvas.name.clone(),
            document: Box::new(canvas.document.clone()),
            from: canvas.model.clone(),
            to,
            device,
        };
        self.state.workspace = Workspace::Paint;
        self.submit_opening(job);
    }

    pub(in crate::app) fn document_opened(&mut self, opened: &Arc<OpenDocument>, surface: Surface) {
        log::info!("Opened “{}”", opened.name);
        let document = opened.document.clone();
        let strokes = document.history().older() + document.history().strokes().len() as u64;
        let journal = Arc::new(Journal::new(opened.id, strokes));
        let thumb = Thumb::new(&self.ctx, document.source());
        let as_opened = thumb.copy(&self.ctx);
        let session = &mut self.state.session;
        let was_encoded = (session.being_encoded.take_if(|id| *id == opened.id)).is_some();
        let asked_at = session.asked_at.take();
        let tabs = &mut session.tabs;
        let now = (session.canvas.as_ref()).map(|c| (c.id, c.document.revision()));
        // The same picture encoded anew stays in its place. Another one comes to the front, unless something was
        // painted since it was asked for: then it waits in its tab.
        let is_renewed = tabs.order.contains(&opened.id);
        if was_encoded && !is_renewed {
            // Its tab was closed meanwhile.
            return;
        }
        let takes_focus = match now {
            None => true,
            Some((id, _)) if is_renewed => id == opened.id,
            Some(now) => asked_at.is_none_or(|then| then == now),
        };
        let before = (session.canvas.take_if(|canvas| canvas.id == opened.id))
            .or_else(|| tabs.take_parked(opened.id));
        let view = before.map_or(ViewRequest::Fit, |canvas| canvas.view);
        if !is_renewed {
            tabs.order.push(opened.id);
        }
        let is_kept = |id: &DocumentId| *id == opened.id || now.is_some_and(|now| now.0 == *id);
        if tabs.order.len() > MAX_TABS
            && let Some(oldest) = tabs.order.iter().find(|id| !is_kept(id)).copied()
        {
            tabs.order.retain(|id| *id != oldest);
            tabs.parked.retain(|canvas| canvas.id != oldest);
        }
        let canvas = Canvas {
            id: opened.id,
            name: opened.name.clone(),
            document,
            snapshots: opened.snapshots.clone(),
            model: opened.model.clone(),
            surface,
            thumb,
            as_opened,
            pictures: HistoryPictures::default(),
            reskin: None,
            wants_reskin: false,
            view,
            opening: self.openings,
            shown_revision: 0,
            asked_arrangement: 0,
            failed_at: None,
            journal,
        };
        if takes_focus {
            self.park_canvas();
            self.show_canvas(canvas);
        } else {
            if !is_renewed {
                let text = format!("“{}” is open in its tab", canvas.name);
                self.state.notices.say(Severity::Info, text);
            }
            self.state.session.tabs.parked.push(canvas);
        }
    }

    /// Puts the picture on the canvas aside, with the stroke that was being made on it done.
    fn park_canvas(&mut self) {
        self.close_gesture();
        let session = &mut self.state.session;
        session.tabs.parked.extend(session.canvas.take());
    }

    /// Puts a picture on the canvas.
    fn show_canvas(&mut self, mut canvas: Canvas) {
        self.openings += 1;
        canvas.opening = self.openings;
        let id = canvas.id;
        self.state.session.canvas = Some(canvas);
        self.decode_anew();
        self.state.tools.gesture = None;
        self.state.session.companions = None;
        self.find_companions();
        self.refresh_mask();
        self.show_selection();
        self.draw_palette();
        self.write(move |project| project.set_setting(LAST_DOCUMENT, &id.into()));
    }

    pub(super) fn switch_to(&mut self, id: DocumentId) {
        self.state.workspace = match self.state.workspace {
            Workspace::Export => Workspace::Export,
            _ => Workspace::Paint,
        };
        let Some(canvas) = self.state.session.tabs.take_parked(id) else {
            return;
        };
        self.park_canvas();
        self.show_canvas(canvas);
    }

    fn step_tab(&mut self, step: i64) {
        let order = &self.state.session.tabs.order;
        let now = self.state.session.canvas.as_ref().map(|canvas| canvas.id);
        let place = order.iter().position(|id| Some(*id) == now);
        if let Some(place) = place {
            let next = (place as i64 + step).rem_euclid(order.len() as i64) as usize;
            self.switch_to(order[next]);
        }
    }

    pub(super) fn close_tab(&mut self, id: DocumentId) {
        let shown = self.state.session.canvas.as_ref().map(|canvas| canvas.id);
        if shown == Some(id) {
            self.close_gesture();
        }
        self.store_what_waits();
        let tabs = &mut self.state.session.tabs;
        let place = tabs.order.iter().position(|other| *other == id);
        tabs.order.retain(|other| *other != id);
        tabs.parked.retain(|canvas| canvas.id != id);
        if self
            .state
            .session
            .canvas
            .as_ref()
            .is_some_and(|c| c.id == id)
        {
            self.state.session.canvas = None;
            let last = tabs.order.len().saturating_sub(1);
            let beside = place.and_then(|place| tabs.order.get(place.min(last)).copied());
            if let Some(beside) = beside {
                self.switch_to(beside);
            }
        }
    }

    /// Tries once more what could not be written to the project's file. Says whether there was anything.
    pub(in crate::app) fn store_what_waits(&mut self) -> bool {
        let mut has_any = false;
        for canvas in self.state.canvases_mut().filter(|c| c.is_unstored()) {
            has_any = true;
            let journal = canvas.journal.clone();
            (self.lanes.desk).write(move |project| journal.write(project));
        }
        has_any
    }

    pub(in crate::app) fn is_stroke_open(&self) -> bool {
        self.state.tools.gesture.is_some()
            || (self.state.session.canvas.as_ref())
                .is_some_and(|canvas| canvas.document.is_stroke_open())
    }

    /// Says so where the picture on the canvas is being encoded anew and may not change meanwhile.
    pub(super) fn is_being_encoded(&mut self) -> bool {
        let session = &self.state.session;
        let shown = session.canvas.as_ref().map(|canvas| canvas.id);
        let is_busy = shown.is_some() && session.being_encoded == shown;
        if is_busy {
            self.state.notices.say(
                Severity::Info,
                "The picture is being encoded anew; paint on in a moment",
            );
        }
        is_busy
    }

    fn toggle_wrap(&mut self, change: fn(&mut Wrap)) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let (id, mut wrap) = (canvas.id, canvas.document.wrap());
        change(&mut wrap);
        // What is painted must be in the file first: it is read from there.
        self.after_desk
            .push(DocumentCommand::Rewrap(id, wrap).into());
        self.ctx.request_repaint();
    }

    fn rewrap(&mut self, document: DocumentId, wrap: Wrap) {
        if self.state.session.being_encoded.is_some() {
            return;
        }
        if self.is_stroke_open() || !self.lanes.desk.is_settled() {
            self.after_desk
                .push(DocumentCommand::Rewrap(document, wrap).into());
            return;
        }
        let mut canvases = self.state.canvases_mut();
        let is_unstored = canvases.any(|canvas| canvas.id == document && canvas.is_unstored());
        drop(canvases);
        if is_unstored {
            self.tell(Error::new(
                Kind::Io,
                "could not encode the picture anew",
                "its last strokes are not in the project's file yet",
                "Save, and try again",
            ));
            return;
        }
        let device = self.device();
        let Some(project) = self.storage() else {
            return;
        };
        let job = RewrapJob {
            project,
            document,
            wrap,
            device,
        };
        // Until it is on the canvas again: what is changed meanwhile would be lost.
        self.state.session.being_encoded = Some(document);
        let key = self.submit_to_its_end(job, |app, ended| {
            app.lanes.desk.read_overview();
            match ended {
                Ended::Finished(opened) => {
                    app.request_texture(TextureRequest::Document(opened.into()))
                }
                Ended::Cancelled | Ended::Failed => app.state.session.being_encoded = None,
            }
        });
        if key.is_none() {
            self.state.session.being_encoded = None;
        }
    }

    fn new_canvas(&mut self, canvas: NewCanvas) {
        self.state.overlay = None;
        self.state.workspace = Workspace::Paint;
        let code = self.state.paint.code.get(Level::Structure);
        let (model, device) = (self.state.session.training.model, self.device());
        if let Some(project) = self.storage() {
            self.submit_opening(BlankJob {
                project,
                name: "Untitled".into(),
                width: canvas.width,
                height: canvas.height,
                wrap: canvas.wrap,
                code,
                model,
                device,
            });
        }
    }

    fn reframe(&mut self, to: Reframe) {
        self.state.overlay = None;
        let Some(project) = self.storage() else {
            return;
        };
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let job = ReframeJob {
            project,
            name: canvas.name.clone(),
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
            to,
        };
        self.submit_opening(job);
    }

    fn reskin(&mut self, choice: CheckpointChoice) {
        if let Some(canvas) = &mut self.state.session.canvas {
            canvas.wants_reskin = true;
            self.submit_reskin(choice);
        }
    }

    fn close_reskin(&mut self) {
        let Some(canvas) = &mut self.state.session.canvas else {
            return;
        };
        canvas.wants_reskin = false;
        if canvas.reskin.take().is_some() {
            canvas.surface.set_before(canvas.document.source().rgba8());
        }
        self.state.look.compare = Compare::Now;
    }

    fn submit_reskin(&mut self, checkpoint: CheckpointChoice) {
        if let Some(job) = self.reskin_job(checkpoint) {
            self.submit(job, Self::reskinned);
        }
    }

    pub(super) fn reskin_job(&mut self, checkpoint: CheckpointChoice) -> Option<ReskinJob> {
        let (project, device) = (self.storage()?, self.device());
        let canvas = self.state.session.canvas.as_ref()?;
        Some(ReskinJob {
            project,
            id: canvas.id,
            document: Box::new(canvas.document.clone()),
            checkpoint,
            device,
        })
    }

    fn reskinned(&mut self, reskin: Reskin) {
        let reskin = Arc::new(reskin);
        let found = (self.state.canvases_mut()).find(|canvas| canvas.id == reskin.document);
        let Some(canvas) = found else {
            return;
        };
        if !canvas.wants_reskin {
            return;
        }
        canvas.surface.set_before(&reskin.picture.rgba8());
        let is_new = canvas.reskin.replace(reskin.clone()).is_none();
        if is_new {
            let middle = canvas.document.width() as f32 / 2.0;
            self.state.look.compare = Compare::Split(middle);
        }
    }

    /// What is painted is soon seen through the other model as well.
    pub(in crate::app) fn refresh_reskin(&mut self) {
        let Some(canvas) = &self.state.session.canvas else {
            return;
        };
        let Some(reskin) = &canvas.reskin else { return };
        let is_old = reskin.revision != canvas.document.revision();
        if is_old && !canvas.document.is_stroke_open() && !self.state.has_job::<ReskinJob>() {
            self.submit_reskin(reskin.choice);
        }
    }
}
