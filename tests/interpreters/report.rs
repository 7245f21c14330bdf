//! The report in a browser: Chromium, driven by what Debian packages for it.

use std::fs;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::browser::{Browser, is_present};
use crate::support::{Target, interpreters, leakspy, missing};

/// The most bytes of a report.
const MOST_BYTES: u64 = 2 << 20;

pub fn trials() -> Vec<Trial> {
    let some = interpreters().last().expect("an interpreter");
    let name = format!("report::{}", some.name);
    if !is_present() {
        return vec![missing(format!("{name} without Chromium"), "see fixtures/fetch-browser")];
    }
    vec![Trial::test(name, || {
        let mut target = Target::start(some, "hostile_names", &[]);
        let folder = TempDir::new()?;
        let page = folder.path().join("report.html");
        let (pid, file) = (target.pid().to_string(), page.to_str().ok_or("a name")?);
        let samples = folder.path().join("run.csv");
        let samples = samples.to_str().ok_or("a name")?;
        let output = leakspy(["timeline", &pid, "-d", "0.5", "-i", "0.02", "-o", samples]);
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(leakspy(["peak", samples]).stdout)?;
        let output = leakspy(["report", &pid, "-o", file, "--timeline", samples]);
        assert!(output.status.success(), "{output:?}");
        assert!(fs::metadata(&page)?.len() <= MOST_BYTES);
        target.assert_healthy();
        let own = std::process::id().to_string();
        let refused =
            leakspy(["report", &pid, "-o", file, "--timeline", &of_another(samples, &pid, &own)?]);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains("nothing about process"), "{words}");
        the_page_works(&page, &said)
    })]
}

/// A copy of a file of samples, with another PID.
fn of_another(samples: &str, pid: &str, other: &str) -> Result<String, Failed> {
    let path = format!("{samples}.other.csv");
    let text = fs::read_to_string(samples)?;
    fs::write(&path, text.replace(&format!(",{pid},"), &format!(",{other},")))?;
    Ok(path)
}

/// Opens the page, clicks on all that can be clicked, and asks what the browser has to complain of. `said` is what
/// `leakspy peak` says of the memory over time.
fn the_page_works(page: &Path, said: &str) -> Result<(), Failed> {
    let browser = Browser::start()?;
    browser.open(&format!("file://{}", page.display()))?;
    browser.wait_for("document.body.dataset.ready === 'true'")?;
    let text = |script: &str| -> Result<String, Failed> {
        Ok(browser.run(script)?.as_str().unwrap_or_default().to_owned())
    };
    let number = |script: &str| -> Result<u64, Failed> {
        browser.run(script)?.as_u64().ok_or_else(|| format!("{script} is no number").into())
    };
    // Names are shown, and none is part of the page.
    let shown = text("return document.body.textContent")?;
    for name in ["<img src=x onerror=document.title='no'>", "</script><script>", "\\u202e"] {
        assert!(shown.contains(name), "{name} in {shown:.3000}");
    }
    assert!(!shown.contains('\u{202e}'));
    assert_eq!(number("return document.querySelectorAll('img').length")?, 0);
    assert!(text("return document.title")?.starts_with("leakspy"));
    // Memory over time: a line with points, and the words of `leakspy peak`.
    let (_, words) = said.split_once(": last ").ok_or("no figures")?;
    let timeline = text("return document.getElementById('timeline').textContent")?;
    assert!(timeline.contains(&format!(": last {}", words.trim_end())), "{words}: {timeline}");
    const POINTS: &str = "return document.querySelector('#timeline polyline').getAttribute('points').split(' ').length";
    assert!(number(POINTS)? > 5);
    assert!(
        number("return document.querySelector('#timeline svg').getBoundingClientRect().height")?
            > 100
    );
    // The flamegraph: search, zoom, objects instead of bytes.
    const BOXES: &str = "return document.querySelectorAll('.flame button').length";
    browser.run(
        "const it = document.getElementById('flame-search'); it.value = 'hostile'; \
         it.dispatchEvent(new Event('input'))",
    )?;
    assert!(number("return document.querySelectorAll('.flame .found').length")? > 0);
    let all = number(BOXES)?;
    assert!(all > 3, "{all}");
    browser.run("document.querySelectorAll('.flame button')[2].click()")?;
    assert_eq!(browser.run("return document.getElementById('flame-out').hidden")?, json!(false));
    browser.run("document.getElementById('flame-out').click()")?;
    assert_eq!(number(BOXES)?, all);
    browser.run("document.getElementById('flame-objects').click()")?;
    // Tables: sort, filter.
    const FIRST: &str = "return document.querySelector('#types tbody tr td').textContent";
    let before = text(FIRST)?;
    browser.run("document.querySelector('#types th button').click()")?;
    assert_ne!(text(FIRST)?, before);
    browser.run(
        "const it = document.querySelector('#types input'); it.value = 'int'; \
         it.dispatchEvent(new Event('input'))",
    )?;
    assert!(text(FIRST)?.contains("int"));
    // The tree is unfolded on demand.
    const LINES: &str = "return document.querySelectorAll('#dominators .tree button').length";
    let folded = number(LINES)?;
    browser.run("document.querySelector('#dominators .tree button').click()")?;
    assert!(number(LINES)? > folded);
    for id in [
        "overview",
        "live",
        "types",
        "dominators",
        "largest",
        "waste",
        "cycles",
        "threads",
        "method",
    ] {
        let script = format!("return document.getElementById('{id}') !== null");
        assert_eq!(browser.run(&script)?, json!(true), "{id}");
    }
    // On a phone nothing is wider than the screen.
    browser.resize(400, 800)?;
    let wide = number("return document.documentElement.scrollWidth")?;
    assert!(wide <= number("return window.innerWidth")?, "{wide}");
    assert_eq!(browser.complaints()?, Vec::<Value>::new());
    assert_eq!(number("return performance.getEntriesByType('resource').length")?, 0);
    Ok(())
}
