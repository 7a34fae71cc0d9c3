//! Named brushes: kept in the project, shared as files.

use std::path::PathBuf;
use std::sync::Arc;

use super::App;
use crate::app::command::{BrushCommand, Question, ToolCommand};
use crate::app::state::{CodeMarks, Existing, Overlay, Paint, Severity, Tool, file_name};
use crate::document::tools::brushes::{
    BrushInk, BrushPack, MAX_BRUSHES, MAX_NAME_CHARS, PackFit, SavedBrush, count_text,
};
use crate::engine::{BRUSHES, ExportBrushesJob, ImportBrushesJob};
use crate::error::{Error, Kind, Notice, Result};

impl App {
    pub(super) fn apply_brush(&mut self, command: BrushCommand) {
        if let Err(error) = self.do_brush(command) {
            self.tell(error);
        }
    }

    fn do_brush(&mut self, command: BrushCommand) -> Result<()> {
        match command {
            BrushCommand::Save => self.save_brush()?,
            BrushCommand::Use(index) => {
                if let Some(brush) = self.state.session.brushes.get(index).cloned() {
                    self.use_brush(brush)?;
                }
            }
            BrushCommand::Rename(index, name) => {
                if let Some(brush) = self.state.session.brushes.get_mut(index)
                    && !name.trim().is_empty()
                {
                    brush.name = name.trim().chars().take(MAX_NAME_CHARS).collect();
                    self.keep_brushes();
                }
            }
            BrushCommand::Delete(index) => {
                if index < self.state.session.brushes.len() {
                    self.state.session.brushes.remove(index);
                    self.keep_brushes();
                }
            }
            BrushCommand::Export => {
                if self.state.session.brushes.is_empty() {
                    self.state.notices.push(
                        Severity::Info,
                        Notice::new("there are no brushes to export yet", "", "Save one first"),
                    );
                } else {
                    let project = self.state.session.project.as_ref();
                    let name = project.map_or_else(|| "Brushes".into(), |p| p.name());
                    self.ask(Question::ExportBrushes { name });
                }
            }
            BrushCommand::ExportTo(path, existing) => self.export_brushes(path, existing)?,
            BrushCommand::Import => self.ask(Question::ImportBrushes),
            BrushCommand::ImportFrom(path) => {
                let job = ImportBrushesJob { path };
                self.submit(job, |app, pack| app.pack_read(&pack.into()));
            }
            BrushCommand::MapToNearest => {
                self.state.overlay = None;
                if let Some((pack, _)) = self.state.session.waiting_pack.take() {
                    let brushes = pack.mapped(&self.alphabet())?;
                    self.add_brushes(brushes, "with the nearest codes")?;
                }
            }
        }
        Ok(())
    }

    /// The tool in hand as it is set.
    fn save_brush(&mut self) -> Result<()> {
        let paint = &self.state.paint;
        let tools = &self.state.tools;
        let level = paint.level;
        let ink = match (paint.tool, &tools.block) {
            (Tool::Pattern, Some(block)) => BrushInk::Block {
                block: (**block).clone(),
                turn: tools.turn,
                layout: tools.layout,
                is_aligned: tools.is_aligned,
            },
            (Tool::Smudge, _) => BrushInk::Smudge {
                strength_percent: tools.smudge_percent,
            },
            _ => BrushInk::Code(paint.current_code()),
        };
        let none = CodeMarks::default();
        let marks = (self.state.session.project.as_ref()).map_or(&none, |project| &project.marks);
        let name = match &ink {
            BrushInk::Code(code) => {
                (marks.name(level, *code)).map_or_else(|| format!("{level} {code}"), str::to_owned)
            }
            BrushInk::Block { block, .. } => format!("Block of {} × {}", block.width, block.height),
            BrushInk::Smudge { .. } => "Smudge".into(),
        };
        let level = match &ink {
            BrushInk::Block { block, .. } => block.level,
            _ => level,
        };
        let brush = SavedBrush {
            name,
            level,
            ink,
            size: paint.size.get(level),
            shape: paint.shape,
            scatter_percent: paint.scatter_percent,
            detail: paint.detail(),
        };
        brush.check(self.alphabet().codebooks)?;
        self.add_brushes(vec![brush], "to this project")
    }

    fn use_brush(&mut self, brush: SavedBrush) -> Result<()> {
        brush.check(self.alphabet().codebooks)?;
        self.apply(ToolCommand::SetLevel(brush.level));
        self.state.paint.tool = match brush.ink {
            BrushInk::Code(code) => {
                self.select_code(brush.level, code);
                Tool::Brush
            }
            BrushInk::Block {
                block,
                turn,
                layout,
                is_aligned,
            } => {
                let tools = &mut self.state.tools;
                tools.lay(Some(Arc::new(block)), turn);
                (tools.layout, tools.is_aligned) = (layout, is_aligned);
                Tool::Pattern
            }
            BrushInk::Smudge { strength_percent } => {
                self.state.tools.smudge_percent = strength_percent;
                Tool::Smudge
            }
        };
        let paint = &mut self.state.paint;
        paint
            .size
            .set(brush.level, brush.size.clamp(1, Paint::MAX_SIZE));
        paint.shape = brush.shape;
        paint.scatter_percent = brush.scatter_percent;
        if let Some(code) = brush.detail.code() {
            paint.code.detail = code;
        }
        self.apply(ToolCommand::SetDetailPolicy(brush.detail));
        Ok(())
    }

    fn export_brushes(&mut self, path: PathBuf, existing: Existing) -> Result<()> {
        let pack = BrushPack::new(self.state.session.brushes.clone(), &self.alphabet())?;
        let count = count_text(pack.brushes.len());
        self.submit(
            ExportBrushesJob {
                pack,
                path,
                existing,
            },
            move |app, file| {
                let text = format!("Wrote {count} to {}.", file_name(&file));
                app.state.notices.say(Severity::Success, text);
            },
        );
        Ok(())
    }

    /// A file of brushes: taken as it is, or the user is asked where it was made for another codebook.
    fn pack_read(&mut self, pack: &Arc<BrushPack>) {
        let done = pack.fit(&self.alphabet()).and_then(|fit| match fit {
            PackFit::Same => self.add_brushes(pack.brushes.clone(), "from the file"),
            PackFit::Other(why) => {
                self.state.session.waiting_pack = Some((pack.clone(), why));
                self.state.overlay = Some(Overlay::BrushPack);
                Ok(())
            }
        });
        if let Err(error) = done {
            self.tell(error);
        }
    }

    fn add_brushes(&mut self, brushes: Vec<SavedBrush>, how: &str) -> Result<()> {
        let kept = &mut self.state.session.brushes;
        if kept.len() + brushes.len() > MAX_BRUSHES {
            return Err(Error::new(
                Kind::Limit,
                "could not add the brushes",
                format!("a project keeps {MAX_BRUSHES} at most"),
                "Delete some first",
            ));
        }
        let text = match brushes.as_slice() {
            [one] => format!("Added the brush “{}” {how}", one.name),
            many => format!("Added {} brushes {how}", many.len()),
        };
        kept.extend(brushes);
        self.state.notices.say(Severity::Success, text);
        self.keep_brushes();
        Ok(())
    }

    fn keep_brushes(&mut self) {
        match serde_json::to_value(&self.state.session.brushes) {
            Ok(value) => {
                (self.lanes.desk).write(move |project| project.set_setting(BRUSHES, &value));
            }
            Err(source) => log::error!("brushes cannot be written: {source}"),
        }
    }
}
