//! SVG. The `layout` crate says where everything goes; it is drawn here, lines below boxes below text. What is
//! written on arrows is put where nothing else is, when all boxes are known.
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

use super::places::{Area, nearest_free, offsets};
use super::{fill, lines, link, stroke};
use crate::inspect::subgraph::{NodeRole, Picture};
use crate::render::RenderError;

/// Heights of text, in pixels. By the first of them the text of boxes is told from that of arrows.
const FONT: usize = 13;
const LINK_FONT: usize = 8;
const LINK_HEIGHT: usize = 11;
/// What the text of an arrow in a cycle begins with on its way through the layout, which moves text along
/// arrows and leaves its look behind. It is in no text that is printable.
const MARK: &str = "\u{1}";
/// The width of a character in a font that is one pixel high.
const CHARACTER: f64 = 0.61;
/// How far below its middle a line stands, in a font that is one pixel high.
const FOOT: f64 = 0.35;
const LINE: f64 = 16.0;
const PADDING: f64 = 14.0;
/// A picture longer than this, in pixels, is laid out the other way too, and left so if that makes its longer
/// side shorter by this factor.
const WORTH_TURNING: f64 = 1600.0;
const SHORTER: f64 = 0.7;
/// What is left free around everything.
const MARGIN: f64 = 16.0;

/// Draws a picture: downwards, or to the right if it would be much wider than high.
pub fn write(picture: &Picture, out: &mut impl Write) -> Result<(), RenderError> {
    let mut canvas = lay_out(picture, Orientation::TopToBottom);
    if canvas.length() > WORTH_TURNING {
        let other = lay_out(picture, Orientation::LeftToRight);
        if other.length() < SHORTER * canvas.length() {
            canvas = other;
        }
    }
    out.write_all(canvas.finish().as_bytes())?;
    Ok(())
}

/// Puts everything in its place.
fn lay_out(picture: &Picture, orientation: Orientation) -> Canvas {
    let mut graph = VisualGraph::new(orientation);
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
            graph.add_node(Element::create(shape, look, orientation, size))
        })
        .collect();
    for edge in &picture.edges {
        let (Some(&from), Some(&to)) = (handles.get(edge.from), handles.get(edge.to)) else {
            continue;
        };
        let (width, mark) = if edge.in_cycle { (2, MARK) } else { (1, "") };
        let look = StyleAttr::new(colour(stroke(edge.in_cycle)), width, None, 0, LINK_FONT);
        let arrow = Arrow::new(
            LineEndKind::None,
            LineEndKind::Arrow,
            LineStyleKind::Normal,
            &format!("{mark}{}", link(edge)),
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
    canvas
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

/// The text of an arrow, in the middle of where it is wanted.
struct Link {
    text: String,
    middle: Point,
    in_cycle: bool,
}

impl Link {
    /// What it covers there.
    fn area(&self) -> Area {
        let half = self.text.chars().count() as f64 * CHARACTER * LINK_HEIGHT as f64 / 2.0;
        let above = LINK_HEIGHT as f64 / 2.0;
        Area {
            left: self.middle.x - half,
            top: self.middle.y - above,
            right: self.middle.x + half,
            bottom: self.middle.y + above,
        }
    }
}

/// What has been drawn.
#[derive(Default)]
struct Canvas {
    lines: String,
    boxes: String,
    texts: String,
    /// Where boxes are.
    taken: Vec<Area>,
    /// What is to be written on arrows.
    links: Vec<Link>,
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

    /// The longer side, in pixels.
    fn length(&self) -> f64 {
        let (left, top) = self.least.unwrap_or_default();
        (self.most.0 - left).max(self.most.1 - top)
    }

    /// Writes on arrows.
    fn write_links(&mut self) {
        let offsets = offsets();
        for link in std::mem::take(&mut self.links) {
            let wanted = link.area();
            let offset = nearest_free(wanted, &self.taken, &offsets);
            let area = wanted.moved(offset);
            self.taken.push(area);
            self.cover(area.left, area.top);
            self.cover(area.right, area.bottom);
            let _ = writeln!(
                self.texts,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"{LINK_HEIGHT}\" \
                 fill=\"{}\" stroke=\"white\" stroke-width=\"4\" paint-order=\"stroke\">{}</text>",
                link.middle.x + offset.0,
                link.middle.y + offset.1 + LINK_HEIGHT as f64 * FOOT,
                stroke(link.in_cycle),
                escaped(&link.text)
            );
        }
    }

    fn finish(mut self) -> String {
        self.write_links();
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
        let (right, bottom) = (xy.x + size.x, xy.y + size.y);
        self.cover(xy.x, xy.y);
        self.cover(right, bottom);
        self.taken.push(Area { left: xy.x, top: xy.y, right, bottom });
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
        if look.font_size != FONT {
            let (text, in_cycle) = match text.strip_prefix(MARK) {
                Some(text) => (text, true),
                None => (text, false),
            };
            if !text.is_empty() {
                self.links.push(Link { text: text.to_owned(), middle: xy, in_cycle });
            }
            return;
        }
        let lines: Vec<&str> = text.lines().collect();
        // From the middle of all lines to the foot of the first.
        let mut y = xy.y - (lines.len() as f64 - 1.0) / 2.0 * LINE + FONT as f64 * FOOT;
        for line in lines {
            let _ = writeln!(
                self.texts,
                "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" font-size=\"{FONT}\" \
                 fill=\"#17202a\">{}</text>",
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
    use crate::inspect::subgraph::{Edge, Node};

    /// Figures are rounded, in pixels.
    const ROUNDING: f64 = 0.1;

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

    fn is_inside(area: &Area, whole: &Area) -> bool {
        area.left >= whole.left
            && area.top >= whole.top
            && area.right <= whole.right
            && area.bottom <= whole.bottom
    }

    /// What is in a picture.
    struct Drawn {
        whole: Area,
        boxes: Vec<Area>,
        /// The text of boxes, line by line.
        lines: Vec<Area>,
        /// That of arrows.
        links: Vec<Area>,
    }

    fn draw(nodes: Vec<Node>, ends: impl IntoIterator<Item = (usize, usize)>, link: &str) -> Drawn {
        let there = nodes.len();
        let edges = ends.into_iter().filter(|&(from, to)| from < there && to < there);
        let edge = |(from, to)| Edge { from, to, label: link.to_owned(), in_cycle: from > to };
        let mut out = Vec::new();
        let picture = Picture { nodes, edges: edges.map(edge).collect() };
        write(&picture, &mut out).expect("a vector takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        let xml = roxmltree::Document::parse(&text).expect("XML");
        let named =
            |name: &'static str| xml.descendants().filter(move |one| one.has_tag_name(name));
        let rectangle = |one: roxmltree::Node<'_, '_>| {
            let [x, y, width, height] =
                ["x", "y", "width", "height"].map(|name| number(one.attribute(name)));
            Area { left: x, top: y, right: x + width, bottom: y + height }
        };
        let view = xml.root_element().attribute("viewBox").expect("it has one");
        let view: Vec<f64> = view.split(' ').map(|part| number(Some(part))).collect();
        let [x, y, width, height] = view[..] else { panic!("four numbers") };
        let line = |one: roxmltree::Node<'_, '_>| {
            let [x, y, font] = ["x", "y", "font-size"].map(|name| number(one.attribute(name)));
            let count = one.text().unwrap_or_default().chars().count();
            let half = count as f64 * CHARACTER * font / 2.0;
            // From the head of a bracket to the foot of a comma.
            Area { left: x - half, top: y - 0.8 * font, right: x + half, bottom: y + 0.1 * font }
        };
        let is_link = |one: &roxmltree::Node<'_, '_>| one.has_attribute("paint-order");
        Drawn {
            whole: Area { left: x, top: y, right: x + width, bottom: y + height },
            boxes: named("rect").skip(1).map(rectangle).collect(),
            lines: named("text").filter(|one| !is_link(one)).map(line).collect(),
            links: named("text").filter(is_link).map(line).collect(),
        }
    }

    fn number(text: Option<&str>) -> f64 {
        text.and_then(|text| text.parse().ok()).expect("a number")
    }

    impl Drawn {
        /// What is not as it has to be.
        fn fault(&self) -> Option<String> {
            let solid: Vec<Area> = self.boxes.iter().chain(&self.links).copied().collect();
            for (index, one) in solid.iter().enumerate() {
                let mut others = solid.iter().skip(index + 1);
                let inner = Area {
                    left: one.left + ROUNDING,
                    top: one.top + ROUNDING,
                    right: one.right - ROUNDING,
                    bottom: one.bottom - ROUNDING,
                };
                let other = others.find(|other| inner.overlaps(**other));
                if let Some(other) = other {
                    return Some(format!("{one:?} lies upon {other:?}"));
                }
            }
            let all = || solid.iter().chain(&self.lines);
            if let Some(outside) = all().find(|one| !is_inside(one, &self.whole)) {
                return Some(format!("{outside:?} leaves {:?}", self.whole));
            }
            let is_boxed = |line: &&Area| self.boxes.iter().any(|one| is_inside(line, one));
            let loose = self.lines.iter().find(|line| !is_boxed(line));
            loose.map(|line| format!("{line:?} is in no box of {:?}", self.boxes))
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
            let count = nodes.len();
            prop_assert_eq!(draw(nodes, ends, &label).boxes.len(), count);
        }

        /// Nothing lies upon anything else or leaves the picture, and text keeps to its box.
        #[test]
        fn everything_has_a_place_of_its_own(
            names in prop::collection::vec("[a-z.]{1,60}", 1..30),
            ends in prop::collection::btree_set((0..30_usize, 0..30_usize), 0..50),
            label in "[a-z.]{0,40}",
        ) {
            let nodes: Vec<Node> = names.iter().map(|name| node(name)).collect();
            let fault = draw(nodes, ends, &label).fault();
            prop_assert!(fault.is_none(), "{}", fault.unwrap_or_default());
        }
    }
}
