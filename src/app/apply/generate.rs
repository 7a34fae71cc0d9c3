//! New pictures from existing ones: jobs make them as documents of the project, which are looked at one after the other.

use super::App;
use super::jobs::Ended;
use crate::app::command::{DocumentCommand, GenerateCommand};
use crate::app::lanes::TextureRequest;
use crate::app::state::{Feed, Generate, GenerateForm, Making, ResultView, Severity, Workspace};
use crate::document::Wrap;
use crate::engine::{
    AnotherJob, CreateJob, Creating, FromPictures, FromProject, GenerateLook, GeneratedPicture,
    MadeFacts, OpenPicture, ResultJob,
};
use crate::foundation::time::now_ms;
use crate::progress::Stop;
use crate::project::DocumentId;
use eframe::egui::TextureHandle;

impl App {
    pub(super) fn apply_generate(&mut self, command: GenerateCommand) {
        match command {
            GenerateCommand::Make => self.make(),
            GenerateCommand::RollSeed => self.roll_seed(),
            GenerateCommand::ToggleTiled => self.state.session.generate.is_tiled ^= true,
            GenerateCommand::PaintOn => self.open_result(Workspace::Paint),
            GenerateCommand::Export => self.open_result(Workspace::Export),
            GenerateCommand::MakeAnother => self.make_another(),
            GenerateCommand::Stop => {
                let jobs = self.state.session.jobs.iter();
                let making = jobs
                    .filter(|(_, job)| job.is::<CreateJob>() || job.is::<AnotherJob>())
                    .map(|(key, _)| *key);
                for key in making.collect::<Vec<_>>() {
                    self.lanes.stop(key, Stop::Cancel);
                }
            }
            GenerateCommand::SetForm(form) => self.state.session.generate.form = *form,
            GenerateCommand::Select(id) => self.state.session.generate.selected = id,
            GenerateCommand::Delete(id) => self.delete_result(id),
            GenerateCommand::ShowResults(ids) => self.look_at_results(&ids),
        }
    }

    fn roll_seed(&mut self) {
        let form = &mut self.state.session.generate.form;
        // Any number will do that is not the same again.
        let draw = now_ms().unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let seed = (draw % u64::from(GenerateForm::MAX_SEED)) as u32 + 1;
        form.seed = match seed == form.seed {
            true => seed % GenerateForm::MAX_SEED + 1,
            false => seed,
        };
    }

    fn make(&mut self) {
        if self.state.is_making() || self.state.why_no_making().is_some() {
            return;
        }
        // What is being painted is part of it.
        self.close_gesture();
        let (model, device) = (self.state.session.training.model, self.device());
        let Some(project) = self.storage() else {
            return;
        };
        let form = self.state.session.generate.form.clone();
        let canvas = self.state.session.canvas.as_ref();
        let canvas = canvas.filter(|_| form.making.needs_picture() || form.feed == Feed::Picture);
        let picture = canvas.map(|canvas| OpenPicture {
            name: canvas.name.clone(),
            document: Box::new(canvas.document.clone()),
            model: canvas.model.clone(),
        });
        let wrap = canvas.map_or_else(Wrap::default, |canvas| canvas.document.wrap());
        let (creating, name) = match form.making {
            Making::Tile => (of_size(&form, form.wrap), "Tile"),
            Making::New => (of_size(&form, Wrap::default()), "Picture"),
            Making::Vary => {
                let reach = form.reach_percent as f32 / 100.0;
                (Creating::Vary { reach, wrap }, "Variation")
            }
            Making::Extend => (Creating::Extend { by_px: form.by_px }, "Extension"),
        };
        let name = match &picture {
            Some(picture) => format!("{name} of {}", picture.name),
            None => name.to_owned(),
        };
        let from = match &form.feed {
            Feed::Picture => FromPictures::default(),
            Feed::Chosen => FromPictures {
                files: form.chosen.iter().map(|one| one.path.clone()).collect(),
                project: None,
            },
            Feed::Label(label) => from_project(Some(label.clone())),
            Feed::Project => from_project(None),
        };
        let job = CreateJob {
            project,
            model,
            creating,
            picture,
            from,
            look: GenerateLook {
                seed: form.seed.into(),
                freedom: form.freedom_percent as f32 / 100.0,
                largest_piece_px: form.largest_piece_px,
                muted: self.muted_codes(),
                ..GenerateLook::default()
            },
            count: form.count,
            name,
            device,
        };
        self.submit_to_its_end(job, |app, ended| {
            // Stopped or failed, some may have been made.
            app.lanes.desk.read_overview();
            if let Ended::Finished(made) = ended {
                app.pictures_made(&made);
            }
        });
        if !form.is_seed_kept {
            self.roll_seed();
        }
    }

    fn make_another(&mut self) {
        let Some(document) = self.state.session.generate.selected else {
            return;
        };
        if self.state.is_making() {
            return;
        }
        let device = self.device();
        let Some(project) = self.storage() else {
            return;
        };
        self.roll_seed();
        let row = self.state.results().find(|row| row.id == document);
        let name = row.map_or("Picture", |row| row.name.as_str());
        let job = AnotherJob {
            project,
            document,
            seed: self.state.session.generate.form.seed.into(),
            // Without the seed of the one before.
            name: name
                .trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ')
                .to_owned(),
            device,
        };
        self.submit(job, |app, made| {
            app.lanes.desk.read_overview();
            app.pictures_made(&made);
        });
    }

    fn pictures_made(&mut self, made: &[GeneratedPicture]) {
        if let Some(id) = made.first().and_then(|made| made.document) {
            self.state.session.generate.selected = Some(id);
        }
        if self.state.workspace != Workspace::Generate {
            let text = match made.len() {
                1 => "A new picture is on the Generate page".to_owned(),
                count => format!("{count} new pictures are on the Generate page"),
            };
            self.state.notices.say(Severity::Success, text);
        }
    }

    fn open_result(&mut self, page: Workspace) {
        if let Some(id) = self.state.session.generate.selected {
            self.apply(DocumentCommand::Open(id));
            self.state.workspace = page;
        }
    }

    fn delete_result(&mut self, id: DocumentId) {
        let rows: Vec<DocumentId> = self.state.results().map(|row| row.id).collect();
        let generate = &mut self.state.session.generate;
        generate.views.remove(&id);
        if generate.selected == Some(id) {
            // The one beside it comes forward.
            let place = rows.iter().position(|row| *row == id);
            let beside = place.and_then(|place| {
                rows.get(place + 1)
                    .or_else(|| rows.get(place.checked_sub(1)?))
            });
            generate.selected = beside.copied();
        }
        let page = self.state.workspace;
        self.apply(DocumentCommand::Delete(id));
        // Another picture that comes to the canvas does not take the page away.
        self.state.workspace = page;
    }

    /// Looks at one that is not known as it is now: the one shown large first.
    fn look_at_results(&mut self, on_screen: &[DocumentId]) {
        if self.state.session.generate.selected.is_none() {
            let newest = self.state.results().next().map(|row| row.id);
            self.state.session.generate.selected = newest;
        }
        let generate = &self.state.session.generate;
        if generate.asked.is_some() {
            return;
        }
        let selected = generate.selected;
        let lacks = |id: &DocumentId| {
            let row = self.state.results().find(|row| row.id == *id)?;
            let view = generate.views.get(id);
            let is_known = view.is_some_and(|view| {
                view.modified_ms == row.modified_ms
                    && (selected != Some(*id) || view.large.is_some())
            });
            (!is_known && !generate.has_failed(row)).then_some((row.id, row.modified_ms))
        };
        let next = selected.iter().chain(on_screen).find_map(lacks);
        let device = self.device();
        let (Some((id, modified_ms)), Some(project)) = (next, &self.state.session.project) else {
            return;
        };
        let job = ResultJob {
            project: project.storage.clone(),
            document: id,
            device,
        };
        self.state.session.generate.asked = Some((id, modified_ms));
        let queued = self.submit_to_its_end(job, move |app, ended| match ended {
            Ended::Finished(made) => app.request_texture(TextureRequest::Made(Box::new(made))),
            Ended::Cancelled | Ended::Failed => app.result_failed(id),
        });
        if queued.is_none() {
            self.result_failed(id);
        }
    }

    /// It is not asked for again as long as it stays as it is.
    pub(super) fn result_failed(&mut self, id: DocumentId) {
        let generate = &mut self.state.session.generate;
        if let Some((_, modified_ms)) = generate.asked.take_if(|asked| asked.0 == id) {
            generate.failed.insert(id, modified_ms);
        }
    }

    pub(super) fn result_drawn(
        &mut self,
        facts: MadeFacts,
        small: TextureHandle,
        large: TextureHandle,
    ) {
        let id = facts.document;
        let generate = &mut self.state.session.generate;
        let Some((_, modified_ms)) = generate.asked.take_if(|asked| asked.0 == id) else {
            return;
        };
        generate.clock += 1;
        let view = ResultView {
            facts,
            small,
            large: Some(large),
            modified_ms,
            last_used: generate.clock,
        };
        generate.views.insert(id, view);
        // What is said of it takes room that the frame after this one gives it.
        self.ctx.request_repaint();
        let selected = generate.selected;
        let mut large: Vec<&mut ResultView> = (generate.views.values_mut())
            .filter(|view| view.large.is_some() && Some(view.facts.document) != selected)
            .collect();
        large.sort_by_key(|view| std::cmp::Reverse(view.last_used));
        for view in large.into_iter().skip(Generate::MAX_LARGE) {
            view.large = None;
        }
    }
}

const fn of_size(form: &GenerateForm, wrap: Wrap) -> Creating {
    Creating::New {
        width: form.width,
        height: form.height,
        wrap,
    }
}

fn from_project(label: Option<String>) -> FromPictures {
    FromPictures {
        files: Vec::new(),
        project: Some(FromProject { label }),
    }
}
