//! Colours, sizes and fonts: every look of the window comes from here.

#![allow(clippy::disallowed_methods)] // the one place where colours are written down

use std::sync::Arc;

use eframe::egui::{
    self, Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, FontTweak, Margin,
    Stroke, Style, TextStyle, Theme, Visuals, vec2,
};

use crate::render::CanvasColours;
use crate::settings::ThemeChoice;

/// Spacing steps, in points.
pub const GAP_XS: f32 = 4.0;
pub const GAP_S: f32 = 8.0;
pub const GAP_M: f32 = 12.0;
pub const GAP_L: f32 = 20.0;
/// Corners of controls and of cards.
pub const RADIUS: u8 = 5;
pub const RADIUS_CARD: u8 = 8;
/// Height of a control.
pub const CONTROL: f32 = 26.0;

/// Type scale, in points.
pub const TEXT_SMALL: f32 = 11.5;
pub const TEXT_BODY: f32 = 13.0;
pub const TEXT_HEADING: f32 = 15.0;
pub const TEXT_TITLE: f32 = 22.0;

/// The colours of one theme.
#[derive(Debug, Clone, Copy)]
pub struct Tokens {
    /// Around the picture.
    pub ground: Color32,
    /// Bars and panels.
    pub panel: Color32,
    /// Cards and fields on a panel.
    pub raised: Color32,
    pub control: Color32,
    pub control_hover: Color32,
    pub control_active: Color32,
    /// Boxes to tick and rails of sliders: they have to be seen without words inside.
    pub mark: Color32,
    pub line: Color32,
    pub text: Color32,
    pub text_weak: Color32,
    pub accent: Color32,
    /// Behind what is selected.
    pub accent_soft: Color32,
    pub on_accent: Color32,
    pub good: Color32,
    pub warning: Color32,
    pub error: Color32,
    pub plot: [Color32; 4],
    pub canvas: CanvasColours,
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

const DARK: Tokens = Tokens {
    ground: rgb(0x0f1012),
    panel: rgb(0x191b1f),
    raised: rgb(0x212429),
    control: rgb(0x2a2e34),
    control_hover: rgb(0x363b43),
    control_active: rgb(0x424852),
    mark: rgb(0x646b77),
    line: rgb(0x2b2f35),
    text: rgb(0xe4e6ea),
    text_weak: rgb(0x9aa1ac),
    accent: rgb(0xe8a04c),
    accent_soft: rgb(0x4a371f),
    on_accent: rgb(0x1d1306),
    good: rgb(0x6cc08b),
    warning: rgb(0xe6bd5c),
    error: rgb(0xef7d75),
    plot: [rgb(0xe8a04c), rgb(0x6fb3e0), rgb(0x8fce9b), rgb(0xd291d9)],
    canvas: CanvasColours {
        checker_dark: rgb(0x3a3d42),
        checker_light: rgb(0x4a4e54),
        grid: Color32::from_rgba_premultiplied(0, 0, 0, 110),
    },
};

const LIGHT: Tokens = Tokens {
    ground: rgb(0xcfd2d7),
    panel: rgb(0xf4f5f7),
    raised: rgb(0xffffff),
    control: rgb(0xe6e8ec),
    control_hover: rgb(0xdadde3),
    control_active: rgb(0xcacfd7),
    mark: rgb(0x868d99),
    line: rgb(0xd6d9df),
    text: rgb(0x1b1e23),
    text_weak: rgb(0x565d68),
    accent: rgb(0xa9540f),
    accent_soft: rgb(0xf6dfc6),
    on_accent: rgb(0xffffff),
    good: rgb(0x1f7a43),
    warning: rgb(0x8a5a00),
    error: rgb(0xb3261e),
    plot: [rgb(0xa9540f), rgb(0x1d6fa5), rgb(0x2c7a3d), rgb(0x8a3d96)],
    canvas: CanvasColours {
        checker_dark: rgb(0xb9bdc4),
        checker_light: rgb(0xd3d6db),
        grid: Color32::from_rgba_premultiplied(0, 0, 0, 110),
    },
};

/// The colours of the theme in use.
pub fn tokens(ui: &egui::Ui) -> Tokens {
    of(ui.visuals().dark_mode)
}

fn of(is_dark: bool) -> Tokens {
    if is_dark { DARK } else { LIGHT }
}

/// Takes a theme into use.
pub fn choose(ctx: &egui::Context, theme: ThemeChoice) {
    ctx.set_theme(match theme {
        ThemeChoice::Dark => egui::ThemePreference::Dark,
        ThemeChoice::Light => egui::ThemePreference::Light,
        ThemeChoice::System => egui::ThemePreference::System,
    });
}

/// The typeface in semibold, for headings.
pub fn semibold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("semibold".into()))
}

/// The typeface in medium, for what stands out from the text around it.
pub fn medium(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("medium".into()))
}

/// The typeface of the icons, for icons that stand alone in their line.
pub fn icons(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("icons".into()))
}

/// Installs fonts and both themes: once, at the start.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for theme in [Theme::Dark, Theme::Light] {
        ctx.set_style_of(theme, style(of(theme == Theme::Dark), theme));
    }
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8], tweak: FontTweak| {
        let data = FontData::from_static(bytes).tweak(tweak);
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
    };
    let plain = FontTweak::default();
    add(
        "inter",
        include_bytes!("../../assets/fonts/Inter-Regular.otf"),
        plain.clone(),
    );
    add(
        "inter medium",
        include_bytes!("../../assets/fonts/Inter-Medium.otf"),
        plain.clone(),
    );
    add(
        "inter semibold",
        include_bytes!("../../assets/fonts/Inter-SemiBold.otf"),
        plain,
    );
    add(
        "lucide",
        lucide_icons::LUCIDE_FONT_BYTES,
        FontTweak {
            scale: 1.12,
            y_offset_factor: 0.12,
            ..FontTweak::default()
        },
    );
    // What Inter lacks comes from egui's own fonts.
    let fallback = fonts.families[&FontFamily::Proportional].clone();
    let family = |first: &str| {
        let mut names = vec![first.to_owned(), "lucide".to_owned()];
        names.extend(fallback.iter().cloned());
        names
    };
    let families = [
        (FontFamily::Proportional, family("inter")),
        (FontFamily::Name("medium".into()), family("inter medium")),
        (
            FontFamily::Name("semibold".into()),
            family("inter semibold"),
        ),
        (FontFamily::Name("icons".into()), vec!["lucide".to_owned()]),
    ];
    fonts.families.extend(families);
    fonts
}

fn style(tokens: Tokens, theme: Theme) -> Style {
    let mut style = Style {
        text_styles: [
            (TextStyle::Small, FontId::proportional(TEXT_SMALL)),
            (TextStyle::Body, FontId::proportional(TEXT_BODY)),
            (TextStyle::Button, FontId::proportional(TEXT_BODY)),
            (TextStyle::Heading, semibold(TEXT_HEADING)),
            (TextStyle::Monospace, FontId::monospace(12.0)),
        ]
        .into(),
        animation_time: 0.1,
        ..Style::default()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(GAP_S, 6.0);
    spacing.button_padding = vec2(10.0, 4.0);
    spacing.interact_size = vec2(CONTROL, CONTROL);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(6);
    spacing.slider_width = 120.0;
    spacing.slider_rail_height = 4.0;
    spacing.combo_width = 80.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 10.0;
    spacing.tooltip_width = 320.0;
    spacing.scroll = egui::style::ScrollStyle::thin();
    style.visuals = visuals(tokens, theme);
    style.interaction.tooltip_delay = 0.4;
    style.interaction.selectable_labels = false;
    style
}

fn visuals(tokens: Tokens, theme: Theme) -> Visuals {
    let mut visuals = theme.default_visuals();
    visuals.panel_fill = tokens.panel;
    visuals.window_fill = tokens.panel;
    visuals.extreme_bg_color = if theme == Theme::Dark {
        tokens.ground
    } else {
        tokens.raised
    };
    visuals.faint_bg_color = tokens.raised;
    visuals.window_stroke = Stroke::new(1.0, tokens.line);
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(RADIUS_CARD);
    visuals.window_shadow = egui::Shadow {
        offset: [0, 8],
        blur: 32,
        spread: 0,
        color: Color32::from_black_alpha(if theme == Theme::Dark { 120 } else { 50 }),
    };
    visuals.popup_shadow = egui::Shadow {
        offset: [0, 4],
        blur: 16,
        spread: 0,
        color: Color32::from_black_alpha(if theme == Theme::Dark { 110 } else { 40 }),
    };
    visuals.selection.bg_fill = tokens.accent_soft;
    visuals.selection.stroke = Stroke::new(1.0, tokens.accent);
    visuals.hyperlink_color = tokens.accent;
    visuals.warn_fg_color = tokens.warning;
    visuals.error_fg_color = tokens.error;
    visuals.weak_text_color = Some(tokens.text_weak);
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.button_frame = true;
    visuals.indent_has_left_vline = false;
    visuals.striped = false;
    let widgets = &mut visuals.widgets;
    for (widget, fill) in [
        (&mut widgets.noninteractive, tokens.panel),
        (&mut widgets.inactive, tokens.control),
        (&mut widgets.hovered, tokens.control_hover),
        (&mut widgets.active, tokens.control_active),
        (&mut widgets.open, tokens.control_hover),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::NONE;
        widget.fg_stroke = Stroke::new(1.0, tokens.text);
        widget.corner_radius = CornerRadius::same(RADIUS);
        widget.expansion = 0.0;
    }
    widgets.inactive.bg_fill = tokens.mark;
    widgets.hovered.bg_fill = tokens.mark;
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, tokens.line);
    widgets.hovered.bg_stroke = Stroke::new(1.0, tokens.control_active);
    widgets.active.bg_stroke = Stroke::new(1.0, tokens.accent);
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio after WCAG 2.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let light = |colour: Color32| {
            let [r, g, b, _] = egui::Rgba::from(colour).to_array();
            0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
        };
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_can_be_read_in_both_themes() {
        for tokens in [DARK, LIGHT] {
            for ground in [tokens.panel, tokens.raised, tokens.control] {
                assert!(contrast(tokens.text, ground) > 7.0);
            }
            for ground in [tokens.panel, tokens.raised] {
                for ink in [
                    tokens.text_weak,
                    tokens.accent,
                    tokens.good,
                    tokens.warning,
                    tokens.error,
                ] {
                    let ratio = contrast(ink, ground);
                    assert!(ratio >= 4.5, "{ink:?} on {ground:?}: {ratio}");
                }
            }
            assert!(contrast(tokens.mark, tokens.panel) >= 3.0);
            assert!(contrast(tokens.on_accent, tokens.accent) >= 4.5);
            assert!(contrast(tokens.text, tokens.accent_soft) >= 4.5);
        }
    }
}
