//! Pictures and charts as PNG, rendered from their SVG by `resvg`.
//!
//! Text is set in the fonts built into leakspy, Hack for monospace and Ubuntu for the rest, so that a picture
//! looks the same on a machine without fonts. The system's fonts are loaded only for characters that those
//! lack.

use std::borrow::Cow;
use std::sync::Arc;

use epaint_default_fonts::{HACK_REGULAR, UBUNTU_LIGHT};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{FontResolver, Options, Tree};

use crate::obstacle::{Obstructed, Obstruction};

/// The largest picture, in pixels: each takes four bytes while drawing.
const MOST_PIXELS: f64 = 64e6;
/// The families of the built-in fonts.
const MONOSPACE: &str = "Hack";
const SANS_SERIF: &str = "Ubuntu";

/// Why there is no PNG.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// There are too many pixels.
    #[error("{width} × {height} pixels are too many for a PNG")]
    TooLarge {
        /// From left to right.
        width: u64,
        /// From top to bottom.
        height: u64,
    },
    /// The SVG could not be read.
    #[error("cannot read the SVG")]
    Svg(#[from] resvg::usvg::Error),
    /// The pixels could not be written.
    #[error("cannot write the PNG: {0}")]
    Encoding(Cow<'static, str>),
}

impl Obstructed for PngError {
    fn obstacle(&self) -> Option<Obstruction> {
        match self {
            PngError::TooLarge { .. } | PngError::Svg(_) | PngError::Encoding(_) => None,
        }
    }
}

/// The picture as PNG, a pixel for each unit of the SVG.
pub fn of_svg(svg: &str) -> Result<Vec<u8>, PngError> {
    let options = Options {
        fontdb: Arc::new(own_fonts()),
        font_resolver: FontResolver {
            select_fallback: system_fallback(),
            ..FontResolver::default()
        },
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options)?;
    let (width, height) = (f64::from(tree.size().width()), f64::from(tree.size().height()));
    let (width, height) = (width.ceil(), height.ceil());
    let too_large = || PngError::TooLarge { width: width as u64, height: height as u64 };
    if width * height > MOST_PIXELS {
        return Err(too_large());
    }
    let mut pixels = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
    resvg::render(&tree, Transform::identity(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PngError::Encoding(error.to_string().into()))
}

/// The fonts built into leakspy.
fn own_fonts() -> Database {
    let mut fonts = Database::new();
    for font in [HACK_REGULAR, UBUNTU_LIGHT] {
        fonts.load_font_source(Source::Binary(Arc::new(font)));
    }
    fonts.set_monospace_family(MONOSPACE);
    fonts.set_sans_serif_family(SANS_SERIF);
    fonts.set_serif_family(SANS_SERIF);
    fonts
}

/// Finds a font for a character that those before lack, including the system's fonts.
fn system_fallback() -> resvg::usvg::FallbackSelectionFn<'static> {
    let select = FontResolver::default_fallback_selector();
    let own = own_fonts().len();
    Box::new(move |character, before, fonts| {
        select(character, before, fonts).or_else(|| {
            if fonts.len() > own {
                return None;
            }
            Arc::make_mut(fonts).load_system_fonts();
            select(character, before, fonts)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 60 × 30 with some text.
    fn written(family: &str, text: &str) -> Pixmap {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60\" height=\"30\">\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\
             <text x=\"10\" y=\"20\" font-family=\"{family}\" font-size=\"13\">{text}</text></svg>"
        );
        Pixmap::decode_png(&of_svg(&svg).expect("a PNG")).expect("it can be decoded")
    }

    fn dark(pixels: &Pixmap) -> usize {
        pixels.pixels().iter().filter(|pixel| pixel.red() < 128).count()
    }

    #[test]
    fn text_is_there_in_both_kinds_of_font() {
        for family in ["DejaVu Sans Mono, Menlo, monospace", "sans-serif", "nothing of the kind"] {
            let [empty, some, more] = ["", "il", "MMM"].map(|text| written(family, text));
            assert_eq!((some.width(), some.height()), (60, 30));
            let counts = [&empty, &some, &more].map(dark);
            assert!(counts.is_sorted_by(|one, other| one < other), "{family}: {counts:?}");
            assert_eq!(counts[0], 0);
        }
        assert!(written("monospace", "M").data() != written("sans-serif", "M").data());
    }

    #[test]
    fn the_families_are_those_of_the_fonts() {
        let fonts = own_fonts();
        let families: Vec<&str> = fonts
            .faces()
            .flat_map(|face| face.families.iter().map(|(name, _)| name.as_str()))
            .collect();
        assert!(families.contains(&MONOSPACE) && families.contains(&SANS_SERIF), "{families:?}");
    }

    #[test]
    fn what_is_no_picture_or_too_large_a_one_is_refused() {
        assert!(matches!(of_svg("<svg"), Err(PngError::Svg(_))));
        let svg =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100000\" height=\"100000\"></svg>";
        assert!(matches!(of_svg(svg), Err(PngError::TooLarge { width: 100_000, height: 100_000 })));
    }
}
