//! How the picture on the canvas is looked at.

use super::App;
use crate::app::command::ViewCommand;
use crate::app::state::{TintKind, ViewRequest};
use crate::render::{Compare, Mask};

impl App {
    pub(super) fn apply_view(&mut self, command: ViewCommand) {
        match command {
            ViewCommand::LookAt(rect) => self.lanes.decode.look_at(rect),
            ViewCommand::SetView(view) => self.request_view(ViewRequest::At(view)),
            ViewCommand::Fit => self.request_view(ViewRequest::Fit),
            ViewCommand::ZoomTo(percent) => {
                self.request_view(ViewRequest::Zoom(percent as f32 / 100.0));
            }
            ViewCommand::ZoomIn => self.request_view(ViewRequest::Step(1.5)),
            ViewCommand::ZoomOut => self.request_view(ViewRequest::Step(1.0 / 1.5)),
            ViewCommand::ToggleGrid => self.state.look.has_grid ^= true,
            ViewCommand::ToggleWrapPreview => {
                self.state.look.is_wrap_preview_on ^= true;
                self.request_view(ViewRequest::Fit);
            }
            ViewCommand::SetCompare(compare) => self.state.look.compare = compare,
            ViewCommand::ToggleSplit => {
                let middle = (self.state.session.canvas.as_ref())
                    .map_or(0.0, |canvas| canvas.document.width() as f32 / 2.0);
                self.state.look.compare = match self.state.look.compare {
                    Compare::Split(_) => Compare::Now,
                    _ => Compare::Split(middle),
                };
            }
            ViewCommand::ToggleDifference => {
                self.state.look.compare = match self.state.look.compare {
                    Compare::Difference => Compare::Now,
                    _ => Compare::Difference,
                };
            }
            ViewCommand::ToggleWhereUsed => {
                self.state.look.is_where_used_on ^= true;
                self.refresh_mask();
            }
            ViewCommand::ToggleCodeTint => self.toggle_tint(TintKind::Codes),
            ViewCommand::ToggleChangedCells => self.toggle_tint(TintKind::Changed),
            ViewCommand::ToggleSources => self.toggle_tint(TintKind::Sources),
        }
    }

    fn request_view(&mut self, view: ViewRequest) {
        if let Some(canvas) = &mut self.state.session.canvas {
            canvas.view = view;
        }
    }

    fn toggle_tint(&mut self, kind: TintKind) {
        let tools = &mut self.state.tools;
        tools.tint = (tools.tint != Some(kind)).then_some(kind);
        self.show_tint();
    }

    /// What is shown of the chosen code: cells that hold it stay bright while that view is on.
    pub(in crate::app) fn refresh_mask(&mut self) {
        self.show_exemplars();
        let level = self.state.paint.level;
        let code = self.state.paint.current_code();
        let is_on = self.state.look.is_where_used_on;
        if let Some(canvas) = &mut self.state.session.canvas {
            let mask = is_on.then(|| {
                Mask::of_code(
                    canvas.document.edited().level(level),
                    code,
                    level.stride_px(),
                )
            });
            canvas.surface.set_mask(mask);
        }
    }
}
