//! Draws a screen as SVG.

use std::fmt::Write as _;

use super::lines;

/// Size of a cell, in the units of the picture.
const CELL: (u16, u16) = (8, 18);

/// Draws screens below one another, each after the command that was typed.
pub(super) fn draw(typed: &[(&str, &vt100::Screen)]) -> String {
    let mut text = String::new();
    let mut row = 0;
    let mut columns = 0;
    for (command, screen) in typed {
        columns = columns.max(screen.size().1.get());
        let prompt = "<tspan class=\"dim\">$</tspan> ";
        line(&mut text, row, &format!("{prompt}{}", escaped(command)));
        row += 1;
        let used = lines(screen).iter().rposition(|line| !line.is_empty()).map_or(0, |at| at + 1);
        for at in 0..u16::try_from(used).unwrap() {
            line(&mut text, row, &spans(screen, at));
            row += 1;
        }
        row += 1;
    }
    let (width, height) = (columns * CELL.0 + 32, row * CELL.1 + 24);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\">\n\
         <style>\n  text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #d8dee9; white-space: pre; }}\n  \
         .bold {{ font-weight: bold; }}\n  .dim {{ opacity: 0.6; }}\n  .red {{ fill: #f07178; }}\n  \
         .green {{ fill: #9ece6a; }}\n  .yellow {{ fill: #e0af68; }}\n  .cyan {{ fill: #7dcfff; }}\n</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1a1d27\"/>\n{text}</svg>\n"
    )
}

/// What of a picture another run draws alike: neither numbers nor how far the bar is.
pub(super) fn without_chance(svg: &str) -> String {
    let of_chance = |c: char| c.is_ascii_digit() || matches!(c, ',' | '█' | '░');
    svg.lines()
        .map(|line| {
            // What holds the pace is said after the bar.
            let line = line.split_once(" left: ").map_or(line, |(before, _)| before);
            line.split(of_chance).filter(|part| !part.is_empty()).collect::<String>() + "\n"
        })
        .collect()
}

fn line(text: &mut String, row: u16, spans: &str) {
    let y = (row + 1) * CELL.1 + 8;
    let _ = writeln!(text, "<text x=\"16\" y=\"{y}\">{spans}</text>");
}

/// Joins the cells of a row that look alike.
fn spans(screen: &vt100::Screen, row: u16) -> String {
    let mut runs: Vec<(String, String)> = Vec::new();
    for column in 0..screen.size().1.get() {
        let cell = screen.cell(row, column).unwrap();
        let (class, contents) = (class(cell), cell.contents());
        let contents = if contents.is_empty() { " " } else { contents };
        match runs.last_mut() {
            Some((last, text)) if *last == class => text.push_str(contents),
            _ => runs.push((class, contents.to_owned())),
        }
    }
    if let Some((_, last)) = runs.last_mut() {
        last.truncate(last.trim_end().len());
    }
    let span = |(class, text): &(String, String)| match class.as_str() {
        "" => escaped(text),
        class => format!("<tspan class=\"{class}\">{}</tspan>", escaped(text)),
    };
    runs.iter().map(span).collect()
}

fn class(cell: &vt100::Cell) -> String {
    let color = match cell.fgcolor() {
        vt100::Color::Idx(1 | 9) => "red",
        vt100::Color::Idx(2 | 10) => "green",
        vt100::Color::Idx(3 | 11) => "yellow",
        vt100::Color::Idx(6 | 14) => "cyan",
        vt100::Color::Default => "",
        color => panic!("a color that no picture has: {color:?}"),
    };
    let of = [color, if cell.bold() { "bold" } else { "" }, if cell.dim() { "dim" } else { "" }];
    of.into_iter().filter(|class| !class.is_empty()).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
