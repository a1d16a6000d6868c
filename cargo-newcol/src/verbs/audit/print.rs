//! Reports for people: as rustc draws its messages, or one line each.

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet, normalize_untrusted_str,
};
use newcol_core::audit::{Acknowledged, Class, Fix, Judged, Remark, Where};

use super::{Audited, region::Window};

/// Width where no terminal says its own, as in rustc.
const WIDTH: usize = 140;

/// Draws a finding with the source around it.
pub(super) fn finding(audited: &Audited<'_>, judged: &Judged, width: Option<usize>) -> String {
    let found = &judged.finding;
    let level = match found.class {
        Class::Compile | Class::Runtime | Class::Silent => Level::ERROR,
        Class::Unknown => Level::WARNING,
    };
    let level = if judged.acknowledged.is_some() { Level::NOTE } else { level };
    let title = level.with_name(Some(found.class.name())).primary_title(&found.message);
    let title = title.id(found.rule.id);
    let mut group = match &found.place {
        Where::File { path, at } => match audited.texts.get(path) {
            Some(text) => {
                let window = Window::around(text, &at.range);
                let snippet = Snippet::source(window.text).line_start(window.line);
                let annotation = AnnotationKind::Primary.span(window.within(&at.range));
                title.element(snippet.path(path.as_str()).annotation(annotation))
            }
            None => title.element(Origin::path(path.as_str())),
        },
        place @ (Where::Database(_) | Where::Package(_) | Where::Statement { .. }) => {
            title.element(Origin::path(place.to_string()))
        }
    };
    let due = match found.class {
        Class::Compile | Class::Runtime | Class::Silent => {
            format!("to be dealt with before `{}` is released", found.due.name())
        }
        Class::Unknown => format!("to be looked at before `{}` is released", found.due.name()),
    };
    group = group.element(Level::NOTE.message(due));
    match &judged.acknowledged {
        None => {}
        Some(Acknowledged::Comment { reason }) => {
            group = group.element(Level::NOTE.message(format!("acknowledged: {reason}")));
        }
        Some(Acknowledged::Baseline) => {
            group = group.element(Level::NOTE.message("acknowledged in the baseline"));
        }
    }
    if let Some(help) = &found.help {
        group = group.element(Level::HELP.message(help));
    }
    let mut groups = vec![group];
    if let (Some(fix), Where::File { path, .. }) = (&found.fix, &found.place) {
        let path = fix.path.as_ref().unwrap_or(path);
        groups.extend(suggestion(audited.text(path), path.as_str(), fix));
    }
    renderer(width).render(&groups)
}

/// Draws a mistake in an acknowledgement.
pub(super) fn remark(audited: &Audited<'_>, remark: &Remark, width: Option<usize>) -> String {
    let window = Window::around(audited.text(&remark.path), &remark.at.range);
    let snippet = Snippet::source(window.text).line_start(window.line).path(remark.path.as_str());
    let annotation = AnnotationKind::Primary.span(window.within(&remark.at.range));
    let group = Level::WARNING
        .primary_title(&remark.message)
        .element(snippet.annotation(annotation))
        .element(Level::HELP.message(&remark.help));
    renderer(width).render(&[group])
}

fn suggestion<'a>(text: &'a str, path: &'a str, fix: &'a Fix) -> Option<Group<'a>> {
    let start = fix.edits.iter().map(|edit| edit.range.start).min()?;
    let end = fix.edits.iter().map(|edit| edit.range.end).max()?;
    let window = Window::around(text, &(start..end));
    let patches = fix.edits.iter().map(|edit| Patch::new(window.within(&edit.range), &edit.text));
    let snippet = Snippet::source(window.text).line_start(window.line).path(path);
    let title = Level::HELP.secondary_title(normalize_untrusted_str(&fix.message));
    Some(title.element(snippet.patches(patches.collect::<Vec<_>>())))
}

fn renderer(width: Option<usize>) -> Renderer {
    // Colors are taken away where they are not wanted.
    Renderer::styled().term_width(width.unwrap_or(WIDTH))
}

/// Returns a finding as one line.
pub(super) fn short(judged: &Judged) -> String {
    let found = &judged.finding;
    let message = one_line(&found.message);
    format!("{}: {}[{}]: {message}", found.place, found.class.name(), found.rule.id)
}

/// Returns a mistake in an acknowledgement as one line.
pub(super) fn short_remark(remark: &Remark) -> String {
    format!("{}:{}: warning: {}", remark.path, remark.at, one_line(&remark.message))
}

fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).collect::<Vec<_>>().join(" ")
}
