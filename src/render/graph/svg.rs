//! SVG. The `layout` crate says where everything goes; it is drawn here, lines below boxes below text.
//!
//! The crate takes a character to be as wide as its font is high. So that it leaves neither too much nor too
//! little room, boxes are given to it with their sizes, and the text of arrows in a font as high as a
//! character of ours is wide.

use std::fmt::Write as _;
use std::io::Write;

use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::{fill, lines, link, stroke};
use crate::profile::picture::{NodeRole, Picture};
use crate::render::RenderError;

/// Heights of text, in pixels; those tell boxes from arrows, too.
const FONT: usize = 13;
const LINK_FONT: usize = 8;
const LINK_HEIGHT: usize = 11;
/// The width of a character in a font that is one pixel high.
const CHARACTER: f64 = 0.61;
const LINE: f64 = 16.0;
const PADDING: f64 = 14.0;
/// What is left free around everything.
const MARGIN: f64 = 16.0;

/// Draws a picture.
pub fn write(picture: &Picture, out: &mut impl Write) -> Result<(), RenderError> {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let handles: Vec<_> = picture
        .nodes
        .iter()
        .map(|node| {
            let lines = lines(node);
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
            let size = Point::new(
                widest as f64 * CHARACTER * FONT as f64 + PADDING,
                lines.len() as f64 * LINE + PADDING,
            );
            let rounded = if node.role == NodeRole::Root { 14 } else { 3 };
            let look = StyleAttr::new(
                colour(stroke(node.in_cycle)),
                if node.in_cycle { 2 } else { 1 },
                Some(colour(fill(node.role))),
                rounded,
                FONT,
            );
            let shape = ShapeKind::Box(lines.join("\n"));
            graph.add_node(Element::create(shape, look, Orientation::TopToBottom, size))
        })
        .collect();
    for edge in &picture.edges {
        let (Some(&from), Some(&to)) = (handles.get(edge.from), handles.get(edge.to)) else {
            continue;
        };
        let width = if edge.in_cycle { 2 } else { 1 };
        let look = StyleAttr::new(colour(stroke(edge.in_cycle)), width, None, 0, LINK_FONT);
        let arrow = Arrow::new(
            LineEndKind::None,
            LineEndKind::Arrow,
            LineStyleKind::Normal,
            &link(edge),
            &look,
            &None,
            &None,
        );
        graph.add_edge(arrow, from, to);
    }
    let mut canvas = Canvas::default();
    if !handles.is_empty() {
        graph.do_it(false, false, false, &mut canvas);
    }
    out.write_all(canvas.finish().as_bytes())?;
    Ok(())
}

/// A colour that is written as `#rrggbb`.
fn colour(code: &str) -> Color {
    let number = u32::from_str_radix(code.trim_start_matches('#'), 16).unwrap_or_default();
    // The last byte is how opaque it is.
    Color::new(number << 8 | 0xff)
}

/// A colour as `#rrggbb`.
fn code(colour: Color) -> String {
    colour.to_web_color().chars().take(7).collect()
}

/// What has been drawn.
#[derive(Default)]
struct Canvas {
    lines: String,
    boxes: String,
    texts: String,
    /// The corners of all of it.
    least: Option<(f64, f64)>,
    most: (f64, f64),
}

impl Canvas {
    fn cover(&mut self, x: f64, y: f64) {
        let (left, top) = self.least.unwrap_or((x, y));
        self.least = Some((left.min(x), top.min(y)));
        self.most = (self.most.0.max(x), self.most.1.max(y));
    }

    fn finish(self) -> String {
        let (left, top) = self.least.unwrap_or_default();
        let (left, top) = (left - MARGIN, top - MARGIN);
        let (width, height) = (self.most.0 + MARGIN - left, self.most.1 + MARGIN - top);
        let mut svg = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"{left:.0} {top:.0} {width:.0} {height:.0}\" \
             font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\">"
        );
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"100%\" height=\"100%\" fill=\"white\"/>"
        );
        for part in [&self.lines, &self.boxes, &self.texts] {
            svg.push_str(part);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl RenderBackend for Canvas {
    fn draw_rect(
        &mut self,
        xy: Point,
        size: Point,
        look: &StyleAttr,
        _properties: Option<String>,
        _clip: Option<ClipHandle>,
    ) {
        self.cover(xy.x, xy.y);
        self.cover(xy.x + size.x, xy.y + size.y);
        let fill = look.fill_color.map_or("none".to_owned(), code);
        let _ = writeln!(
            self.boxes,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{}\" \
             fill=\"{fill}\" stroke=\"{}\" stroke-width=\"{}\"/>",
            xy.x,
            xy.y,
            size.x,
            size.y,
            look.rounded,
            code(look.line_color),
            look.line_width
        );
    }

    fn draw_line(
        &mut self,
        _start: Point,
        _stop: Point,
        _look: &StyleAttr,
        _properties: Option<String>,
    ) {
        // Only records have lines, and there are none.
    }

    fn draw_circle(
        &mut self,
        _xy: Point,
        _size: Point,
        _look: &StyleAttr,
        _properties: Option<String>,
    ) {
        // Nothing is round.
    }

    fn draw_text(&mut self, xy: Point, text: &str, look: &StyleAttr) {
        let is_link = look.font_size == LINK_FONT;
        let (height, halo) = if is_link {
            (LINK_HEIGHT, " stroke=\"white\" stroke-width=\"4\" paint-order=\"stroke\"")
        } else {
            (FONT, "")
        };
        let fill = if is_link { code(look.line_color) } else { "#17202a".to_owned() };
        let lines: Vec<&str> = text.lines().collect();
        // From the middle of all lines to the foot of the first.
        let first = xy.y - (lines.len() as f64 - 1.0) / 2.0 * LINE + height as f64 * 0.35;
        let mut y = first;
        for line in lines {
            let half = line.chars().count() as f64 * CHARACTER * height as f64 / 2.0;
            self.cover(xy.x - half, y);
            self.cover(xy.x + half, y);
            let _ = writeln!(
                self.texts,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"{height}\" \
                 fill=\"{fill}\"{halo}>{}</text>",
                xy.x,
                escaped(line)
            );
            y += LINE;
        }
    }

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _dashed: bool,
        head: (bool, bool),
        look: &StyleAttr,
        _properties: Option<String>,
        _text: &str,
    ) {
        // The first pair is where it begins and the way out, others are a way in and a place.
        let [(start, out), (entry, place), rest @ ..] = path else { return };
        let mut way = format!(
            "M {:.1} {:.1} C {:.1} {:.1}, {:.1} {:.1}, {:.1} {:.1}",
            start.x, start.y, out.x, out.y, entry.x, entry.y, place.x, place.y
        );
        for (entry, place) in rest {
            let _ = write!(way, " S {:.1} {:.1}, {:.1} {:.1}", entry.x, entry.y, place.x, place.y);
        }
        for (one, other) in path {
            self.cover(one.x, one.y);
            self.cover(other.x, other.y);
        }
        let colour = code(look.line_color);
        let width = look.line_width;
        let _ = writeln!(
            self.lines,
            "<path d=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        );
        if head.0 {
            self.arrowhead(*out, *start, &colour);
        }
        if let (true, Some((entry, place))) = (head.1, path.last()) {
            self.arrowhead(*entry, *place, &colour);
        }
    }

    fn create_clip(&mut self, _xy: Point, _size: Point, _rounded: usize) -> ClipHandle {
        // Only records are clipped.
        0
    }
}

impl Canvas {
    /// Draws the head of an arrow that comes to a place from another.
    fn arrowhead(&mut self, from: Point, to: Point, colour: &str) {
        const LENGTH: f64 = 9.0;
        const HALF: f64 = 3.5;
        let (x, y) = (to.x - from.x, to.y - from.y);
        let length = x.hypot(y);
        if length <= f64::EPSILON {
            return;
        }
        let (x, y) = (x / length, y / length);
        let foot = (to.x - x * LENGTH, to.y - y * LENGTH);
        let _ = writeln!(
            self.lines,
            "<polygon points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\" fill=\"{colour}\"/>",
            to.x,
            to.y,
            foot.0 - y * HALF,
            foot.1 + x * HALF,
            foot.0 + y * HALF,
            foot.1 - x * HALF
        );
    }
}

/// Text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::picture::{Edge, Node};

    fn node(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            address: Some(1),
            size: 64,
            retained: 640,
            more: 0,
            value: None,
            role: NodeRole::Plain,
            in_cycle: false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the graph and the names: it can be drawn, and is XML.
        #[test]
        fn any_graph_can_be_drawn(
            names in prop::collection::vec(any::<String>(), 0..20),
            ends in prop::collection::btree_set((0..20_usize, 0..20_usize), 0..40),
            label in any::<String>(),
        ) {
            let nodes: Vec<Node> = names.iter().map(|name| node(name)).collect();
            let edges = ends
                .into_iter()
                .filter(|&(from, to)| from < nodes.len() && to < nodes.len())
                .map(|(from, to)| Edge { from, to, label: label.clone(), in_cycle: from > to })
                .collect();
            let picture = Picture { nodes, edges };
            let mut out = Vec::new();
            write(&picture, &mut out).expect("a vector takes all");
            let text = String::from_utf8(out).expect("UTF-8");
            let xml = roxmltree::Document::parse(&text).expect("XML");
            let boxes = xml.descendants().filter(|one| one.has_tag_name("rect")).count();
            prop_assert_eq!(boxes, 1 + picture.nodes.len());
        }
    }
}
