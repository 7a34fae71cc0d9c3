//! On the Export page: the strokes as a moving picture.

use eframe::egui::{Slider, Ui};

use crate::app::command::ExportCommand;
use crate::app::state::{ANIMATION_WRITERS, State};
use crate::ui::theme;
use crate::ui::widgets::{Commands, command_button, heading, segmented, small};

/// Draws the form for a timelapse.
pub fn show(ui: &mut Ui, state: &State, out: &mut Commands) {
    let Some(canvas) = &state.session.canvas else {
        return;
    };
    let mut form = state.timelapse;
    ui.add_space(theme::GAP_L);
    heading(ui, "Timelapse");
    small(
        ui,
        "Every stroke again, from the picture as opened to how it is now.",
    );
    ui.add_space(theme::GAP_XS);
    let writers = ANIMATION_WRITERS.each_ref();
    let writers = writers.map(|writer| (writer, writer.name, writer.hint));
    if let Some(writer) = segmented(ui, form.writer, &writers) {
        form.writer = writer;
    }
    let label = small(ui, "Longer side");
    ui.add(
        Slider::new(&mut form.longest_px, 64..=4096)
            .suffix(" px")
            .logarithmic(true),
    )
    .labelled_by(label.id);
    let label = small(ui, "Frames per second");
    ui.add(Slider::new(&mut form.frames_per_second, 1.0..=50.0).fixed_decimals(0))
        .labelled_by(label.id);
    let can = canvas.document.history().can_undo() && !state.is_exporting();
    ui.add_enabled_ui(can, |ui| {
        command_button(ui, state, out, ExportCommand::WriteTimelapse);
    });
    if !canvas.document.history().can_undo() {
        small(ui, "This picture has no strokes yet.");
    }
    if form != state.timelapse {
        out.push(ExportCommand::SetTimelapse(form));
    }
}
