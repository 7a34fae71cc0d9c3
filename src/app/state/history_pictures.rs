//! Small pictures of the strokes of a document, kept while it is open.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use eframe::egui::TextureHandle;

use crate::document::Stroke;

/// Beyond this many all are forgotten, and those on the screen asked for again.
const MAX_KEPT: usize = 512;

#[derive(Default)]
pub struct HistoryPictures {
    /// By the stroke's address, which is no other's while a weak reference to it is held.
    by_stroke: HashMap<usize, (Weak<Stroke>, Option<TextureHandle>)>,
}

impl HistoryPictures {
    pub fn of(&self, stroke: &Arc<Stroke>) -> Option<&TextureHandle> {
        self.by_stroke.get(&key(stroke))?.1.as_ref()
    }

    /// Whether it has its picture, was asked for, or has none.
    pub fn knows(&self, stroke: &Arc<Stroke>) -> bool {
        self.by_stroke.contains_key(&key(stroke))
    }

    pub(in crate::app) fn keep(&mut self, stroke: &Arc<Stroke>, picture: Option<TextureHandle>) {
        if self.by_stroke.len() >= MAX_KEPT {
            self.by_stroke.clear();
        }
        (self.by_stroke).insert(key(stroke), (Arc::downgrade(stroke), picture));
    }
}

fn key(stroke: &Arc<Stroke>) -> usize {
    Arc::as_ptr(stroke).addr()
}
