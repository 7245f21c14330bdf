//! Chromium without a window, driven through chromedriver by the WebDriver protocol: JSON over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

/// How long a page may take.
const MOST: Duration = Duration::from_secs(60);

/// Whether the machine has Chromium and its driver.
pub fn is_present() -> bool {
    ["chromium", "chromedriver"].iter().all(|program| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    })
}

/// A browser with one page.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts the driver and the browser.
    pub fn start() -> Result<Browser, Failed> {
        let mut driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn()?;
        let out = driver.stdout.take().ok_or("no output")?;
        let mut port = 0;
        // ChromeDriver was started successfully on port 12345.
        for line in BufReader::new(out).lines() {
            let line = line?;
            if let Some((_, number)) = line.split_once("on port ")
                && let Ok(number) = number.trim_end_matches('.').parse()
                && line.contains("successfully")
            {
                port = number;
                break;
            }
        }
        let mut browser = Browser { driver, port, session: String::new() };
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": "/usr/bin/chromium"},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = browser.request("POST", "/session", Some(&wanted))?;
        browser.session = answer["sessionId"].as_str().ok_or("no session")?.to_owned();
        Ok(browser)
    }

    /// Opens a page.
    pub fn open(&self, url: &str) -> Result<(), Failed> {
        self.ask("/url", &json!({"url": url})).map(|_| ())
    }

    /// Runs a script in the page, and returns what it returns.
    pub fn run(&self, script: &str) -> Result<Value, Failed> {
        self.ask("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true in the page.
    pub fn wait_for(&self, expression: &str) -> Result<(), Failed> {
        let began = Instant::now();
        while self.run(&format!("return {expression}"))? != true {
            if began.elapsed() > MOST {
                let text = self.run("return document.body.textContent")?;
                return Err(
                    format!("not {expression}: {text:.500}; {:?}", self.complaints()).into()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sets the size of the window.
    pub fn resize(&self, width: u32, height: u32) -> Result<(), Failed> {
        self.ask("/window/rect", &json!({"width": width, "height": height})).map(|_| ())
    }

    /// What the browser has written into its console.
    pub fn complaints(&self) -> Result<Vec<Value>, Failed> {
        let found = self.ask("/se/log", &json!({"type": "browser"}))?;
        Ok(found.as_array().cloned().unwrap_or_default())
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.request("POST", &format!("/session/{}{path}", self.session), Some(body))
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        for line in reader.by_ref().lines() {
            let line = line?.to_lowercase();
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        let mut answer: Value = serde_json::from_slice(&bytes)?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{path}: {error}: {}", answer["value"]["message"]).into()),
            None => Ok(answer["value"].take()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.request("DELETE", &format!("/session/{}", self.session), None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
