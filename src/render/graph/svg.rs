//! SVG: lines below boxes below text, all placed by [`layout`].

use std::fmt::Write as _;
use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::layout::{self, Area, Arrow, Layout, Piece, Point, Route, Size};
use super::legend::{Entry, legend, title};
use super::{fill, lines, link, stroke};
use crate::inspect::subgraph::{Edge, Node, NodeRole, Picture};
use crate::render::RenderError;

/// The font sizes of boxes and of arrows, in pixels.
const FONT: f64 = 13.0;
const LINK_FONT: f64 = 11.0;
/// The width of a character in a font of one pixel. Wide characters take twice that.
const CHARACTER: f64 = 0.61;
/// How far the baseline is below the middle of a line of text, in a font of one pixel.
const FOOT: f64 = 0.35;
/// The height of a line in a box, and the padding of a box.
const LINE: f64 = 16.0;
const PADDING: f64 = 14.0;
/// The height of a label on an arrow.
const LINK_LINE: f64 = 14.0;
/// The length of an arrow's head, and half its width.
const HEAD: f64 = 8.0;
const HALF_HEAD: f64 = 3.5;
/// The margin around the picture.
const MARGIN: f64 = 16.0;
/// The font size of the title, and the height of its line.
const TITLE_FONT: f64 = 15.0;
const TITLE: f64 = 28.0;
/// The height of the legend, the size of a box in it, and the space around that.
const LEGEND: f64 = 30.0;
const SAMPLE: f64 = 12.0;
const GAP: f64 = 6.0;

/// Draws a picture, with roots and referrers above their referents.
///
/// # Errors
///
/// [`RenderError::TooLarge`] if there is more than can be read as a picture.
pub fn write(picture: &Picture, out: &mut impl Write) -> Result<(), RenderError> {
    let texts: Vec<Vec<String>> = picture.nodes.iter().map(lines).collect();
    let boxes: Vec<Size> = texts.iter().map(|lines| box_size(lines)).collect();
    let links: Vec<String> = picture.edges.iter().map(link).collect();
    let arrow = |(edge, link): (&Edge, &String)| Arrow {
        from: edge.from,
        to: edge.to,
        label: (!link.is_empty()).then(|| label_size(link)),
    };
    let arrows: Vec<Arrow> = picture.edges.iter().zip(&links).map(arrow).collect();
    let layout = layout::lay_out(&boxes, &arrows)?;
    let mut svg = String::new();
    let legend = legend(picture);
    begin(&mut svg, &layout, &title(picture), &legend);
    for (edge, route) in picture.edges.iter().zip(&layout.arrows) {
        if let Some(route) = route {
            draw_arrow(&mut svg, route, edge.in_cycle);
        }
    }
    for ((node, lines), area) in picture.nodes.iter().zip(&texts).zip(&layout.boxes) {
        draw_box(&mut svg, node, lines, area);
    }
    for ((edge, link), route) in picture.edges.iter().zip(&links).zip(&layout.arrows) {
        if let Some(area) = route.as_ref().and_then(|route| route.label) {
            draw_label(&mut svg, link, area, edge.in_cycle);
        }
    }
    svg.push_str("</g>\n</svg>\n");
    out.write_all(svg.as_bytes())?;
    Ok(())
}

fn box_size(lines: &[String]) -> Size {
    let widest = lines.iter().map(|line| line.width()).max().unwrap_or_default();
    Size {
        width: widest as f64 * CHARACTER * FONT + PADDING,
        height: lines.len() as f64 * LINE + PADDING,
    }
}

fn label_size(link: &str) -> Size {
    Size { width: link.width() as f64 * CHARACTER * LINK_FONT, height: LINK_LINE }
}

// Writing to a String does not fail, so the results below are ignored.

/// Begins with all that is around the boxes: a picture that is wider than the window is shown smaller.
fn begin(svg: &mut String, layout: &Layout, title: &str, legend: &[Entry]) {
    let text = |words: &str, font: f64| words.width() as f64 * CHARACTER * font;
    let entry = |words: &str| SAMPLE + 3.0 * GAP + text(words, LINK_FONT);
    let of_legend: f64 = legend.iter().map(|(.., words)| entry(words)).sum();
    let widest = layout.size.width.max(text(title, TITLE_FONT)).max(of_legend);
    let (width, height) =
        (widest + 2.0 * MARGIN, layout.size.height + 2.0 * MARGIN + TITLE + LEGEND);
    svg.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" \
         style=\"max-width: 100%; height: auto\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\">"
    );
    let title = escaped(title);
    let _ = writeln!(svg, "<title>{title}</title>");
    let _ = writeln!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>");
    let foot = MARGIN + TITLE_FONT * (0.5 + FOOT);
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{foot:.1}\" font-size=\"{TITLE_FONT}\" fill=\"#17202a\">{title}</text>"
    );
    let top = height - MARGIN - SAMPLE;
    let mut left = MARGIN;
    for (fill, stroke, words) in legend {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{SAMPLE}\" height=\"{SAMPLE}\" rx=\"3\" \
             fill=\"{fill}\" stroke=\"{stroke}\"/>"
        );
        let (x, y) = (left + SAMPLE + GAP, top + SAMPLE / 2.0 + LINK_FONT * FOOT);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{LINK_FONT}\" fill=\"#17202a\">{words}</text>"
        );
        left += entry(words);
    }
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {})\">", MARGIN + TITLE);
}

fn draw_box(svg: &mut String, node: &Node, lines: &[String], area: &Area) {
    let _ = writeln!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{}\" fill=\"{}\" \
         stroke=\"{}\" stroke-width=\"{}\"/>",
        area.left,
        area.top,
        area.right - area.left,
        area.bottom - area.top,
        if node.role == NodeRole::Root { 14 } else { 3 },
        fill(node.role),
        stroke(node.in_cycle),
        width(node.in_cycle),
    );
    let middle = (area.left + area.right) / 2.0;
    for (number, line) in lines.iter().enumerate() {
        let y = area.top + (PADDING + LINE) / 2.0 + number as f64 * LINE + FONT * FOOT;
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"{FONT}\" \
             fill=\"#17202a\">{}</text>",
            escaped(line)
        );
    }
}

fn draw_label(svg: &mut String, link: &str, area: Area, in_cycle: bool) {
    let y = (area.top + area.bottom) / 2.0 + LINK_FONT * FOOT;
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{y:.1}\" font-size=\"{LINK_FONT}\" fill=\"{}\">{}</text>",
        area.left,
        stroke(in_cycle),
        escaped(link)
    );
}

fn draw_arrow(svg: &mut String, route: &Route, in_cycle: bool) {
    let Some((last, before)) = route.pieces.split_last() else { return };
    let mut way = format!("M {:.1} {:.1}", route.start.x, route.start.y);
    let mut at = route.start;
    for piece in before {
        at = draw_piece(&mut way, piece);
    }
    // The line ends inside the head, which would be blunt otherwise.
    let (come_from, tip) = match *last {
        Piece::Line(end) => (at, end),
        Piece::Curve(_, control, end) => (control, end),
    };
    let (x, y) = (tip.x - come_from.x, tip.y - come_from.y);
    let length = x.hypot(y).max(f64::EPSILON);
    let (x, y) = (x / length, y / length);
    let foot = Point { x: tip.x - x * HEAD, y: tip.y - y * HEAD };
    match *last {
        Piece::Line(_) => draw_piece(&mut way, &Piece::Line(foot)),
        Piece::Curve(one, other, _) => draw_piece(&mut way, &Piece::Curve(one, other, foot)),
    };
    let (colour, width) = (stroke(in_cycle), width(in_cycle));
    let _ = writeln!(
        svg,
        "<path d=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
    );
    let _ = writeln!(
        svg,
        "<polygon points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\" fill=\"{colour}\"/>",
        tip.x,
        tip.y,
        foot.x - y * HALF_HEAD,
        foot.y + x * HALF_HEAD,
        foot.x + y * HALF_HEAD,
        foot.y - x * HALF_HEAD
    );
}

/// Adds a piece to a path, and returns where it ends.
fn draw_piece(way: &mut String, piece: &Piece) -> Point {
    match *piece {
        Piece::Line(end) => {
            let _ = write!(way, " L {:.1} {:.1}", end.x, end.y);
            end
        }
        Piece::Curve(one, other, end) => {
            let _ = write!(
                way,
                " C {:.1} {:.1}, {:.1} {:.1}, {:.1} {:.1}",
                one.x, one.y, other.x, other.y, end.x, end.y
            );
            end
        }
    }
}

/// The width of lines.
fn width(in_cycle: bool) -> u8 {
    if in_cycle { 2 } else { 1 }
}

/// Text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers in the file are rounded, in pixels.
    const ROUNDING: f64 = 0.11;

    fn node(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            function: None,
            address: Some(1),
            size: 64,
            retained: 640,
            more: 0,
            value: None,
            role: NodeRole::Plain,
            in_cycle: false,
        }
    }

    fn is_inside(area: &Area, whole: &Area) -> bool {
        area.left >= whole.left - ROUNDING
            && area.top >= whole.top - ROUNDING
            && area.right <= whole.right + ROUNDING
            && area.bottom <= whole.bottom + ROUNDING
    }

    fn overlap(one: &Area, other: &Area) -> bool {
        one.left + ROUNDING < other.right
            && other.left + ROUNDING < one.right
            && one.top + ROUNDING < other.bottom
            && other.top + ROUNDING < one.bottom
    }

    /// The contents of a picture.
    struct Drawn {
        whole: Area,
        boxes: Vec<Area>,
        /// The text of boxes, line by line.
        lines: Vec<Area>,
        /// The text of arrows.
        links: Vec<Area>,
        arrows: usize,
    }

    fn draw(nodes: Vec<Node>, ends: impl IntoIterator<Item = (usize, usize)>, link: &str) -> Drawn {
        let there = nodes.len();
        let edges = ends.into_iter().filter(|&(from, to)| from < there && to < there);
        let edge = |(from, to)| Edge { from, to, label: link.to_owned(), in_cycle: from > to };
        let mut out = Vec::new();
        let picture = Picture { nodes, edges: edges.map(edge).collect() };
        write(&picture, &mut out).expect("a vector takes all, and it is not too large");
        let text = String::from_utf8(out).expect("UTF-8");
        let xml = roxmltree::Document::parse(&text).expect("XML");
        let group = xml.descendants().find(|one| one.has_tag_name("g")).expect("the boxes");
        let named =
            |name: &'static str| group.descendants().filter(move |one| one.has_tag_name(name));
        let rectangle = |one: roxmltree::Node<'_, '_>| {
            let [x, y, width, height] =
                ["x", "y", "width", "height"].map(|name| number(one.attribute(name)));
            Area { left: x, top: y, right: x + width, bottom: y + height }
        };
        let view = xml.root_element().attribute("viewBox").expect("it has one");
        let view: Vec<f64> = view.split(' ').map(|part| number(Some(part))).collect();
        let [0.0, 0.0, width, height] = view[..] else { panic!("it begins at 0") };
        let is_link = |one: &roxmltree::Node<'_, '_>| !one.has_attribute("text-anchor");
        let line = |one: roxmltree::Node<'_, '_>| {
            let [x, y, font] = ["x", "y", "font-size"].map(|name| number(one.attribute(name)));
            let width = one.text().unwrap_or_default().width() as f64 * CHARACTER * font;
            let left = if is_link(&one) { x } else { x - width / 2.0 };
            // From the top of a bracket to the bottom of a comma.
            Area { left, top: y - 0.8 * font, right: left + width, bottom: y + 0.1 * font }
        };
        Drawn {
            // Everything is shifted by the margin and the title.
            whole: Area { left: 0.0, top: 0.0, right: width, bottom: height - TITLE - LEGEND },
            boxes: named("rect").map(rectangle).collect(),
            lines: named("text").filter(|one| !is_link(one)).map(line).collect(),
            links: named("text").filter(is_link).map(line).collect(),
            arrows: named("polygon").count(),
        }
    }

    fn number(text: Option<&str>) -> f64 {
        text.and_then(|text| text.parse().ok()).expect("a number")
    }

    impl Drawn {
        /// The first fault of a picture.
        fn fault(&self) -> Option<String> {
            let solid: Vec<Area> = self.boxes.iter().chain(&self.links).copied().collect();
            for (index, one) in solid.iter().enumerate() {
                if let Some(other) = solid.iter().skip(index + 1).find(|other| overlap(one, other))
                {
                    return Some(format!("{one:?} lies upon {other:?}"));
                }
            }
            let whole = Area {
                right: self.whole.right - 2.0 * MARGIN,
                bottom: self.whole.bottom - 2.0 * MARGIN,
                ..self.whole
            };
            let whole = Area { right: whole.right + 1.0, bottom: whole.bottom + 1.0, ..whole };
            if let Some(outside) = solid.iter().find(|one| !is_inside(one, &whole)) {
                return Some(format!("{outside:?} leaves {whole:?}"));
            }
            let is_boxed = |line: &&Area| self.boxes.iter().any(|one| is_inside(line, one));
            let loose = self.lines.iter().find(|line| !is_boxed(line));
            loose.map(|line| format!("{line:?} is in no box of {:?}", self.boxes))
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the names: the picture is XML, with all boxes and arrows, nothing overlaps or leaves the
        /// picture, and text stays in its box.
        #[test]
        fn any_name_has_a_place_of_its_own(
            names in prop::collection::vec(any::<String>(), 0..30),
            ends in prop::collection::btree_set((0..30_usize, 0..30_usize), 0..50),
            label in any::<String>(),
        ) {
            let nodes: Vec<Node> = names.iter().map(|name| node(name)).collect();
            let count = nodes.len();
            let arrows = ends.iter().filter(|(from, to)| *from.max(to) < count).count();
            let drawn = draw(nodes, ends, &label);
            prop_assert_eq!((drawn.boxes.len(), drawn.arrows), (count, arrows));
            let fault = drawn.fault();
            prop_assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        }
    }

    #[test]
    fn wide_characters_have_room() {
        assert!(box_size(&["模块".into()]).width > box_size(&["abc".into()]).width);
        assert_eq!(draw(vec![node("日本語の模块"), node("n̈")], [(0, 1)], "名前").fault(), None);
    }
}
