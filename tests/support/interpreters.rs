//! Every CPython on the machine that leakspy supports, and how to run it.
//!
//! The search covers pyenv's versions, the system's own, and the chroots of `fixtures/fetch-interpreters`.
//! Each candidate is asked to identify itself; an executable with several names is listed once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use goblin::elf::Elf;
use tempfile::TempDir;

/// The minor versions of Python 3 that leakspy reads.
pub const VERSIONS: std::ops::RangeInclusive<u64> = 8..=15;

/// How an interpreter is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// The executable contains it.
    Static,
    /// The executable loads `libpython`.
    Shared,
}

/// A CPython that fixtures can be run under.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// Version and origin, such as `3.12.1-pyenv`.
    pub name: String,
    /// Major, minor and micro version.
    pub version: [u64; 3],
    /// The executable, as seen inside [`root`](Self::root).
    pub executable: PathBuf,
    /// The root to change into, for an interpreter that has its own.
    pub root: Option<PathBuf>,
    /// Static or shared.
    pub linkage: Linkage,
    /// Whether the executable has no symbol table (beside the dynamic one).
    pub stripped: bool,
}

/// Identifies a candidate, as one line of JSON.
const WHO_ARE_YOU: &str = "\
import json, os, sys, sysconfig
print(json.dumps({
    'implementation': sys.implementation.name,
    'version': sys.version_info[:3],
    'executable': os.path.realpath(sys.executable),
    'free_threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),
}))";

/// Every usable interpreter of the machine, by version.
pub fn interpreters() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut seen = BTreeSet::new();
        let mut found: Vec<_> = candidates()
            .into_iter()
            .filter_map(Candidate::ask)
            .filter(|found| seen.insert((found.root.clone(), found.executable.clone())))
            .collect();
        found.sort_by_key(|found| (found.version, found.name.clone()));
        for interpreter in &found {
            interpreter.install_fixtures();
        }
        found
    })
}

impl Interpreter {
    /// The interpreter at a path outside any chroot, run by that path: a virtual environment's `python` finds
    /// the packages of that environment. `None` where leakspy does not support it.
    pub fn at(path: &Path) -> Option<Interpreter> {
        let given = Candidate { origin: "cpython", root: None, executable: path.to_path_buf() };
        Some(Interpreter { executable: path.to_path_buf(), ..given.ask()? })
    }

    /// The interpreter of a minor version for which `fixtures/fetch` has installed a package.
    pub fn with_package(name: &str, minor: u64) -> Option<Interpreter> {
        Interpreter::at(&our_fixtures().join(format!("interpreters/{name}-3.{minor}/bin/python")))
    }

    /// The words that run it, preceded by `chroot` and the root where it has its own.
    pub fn argv(&self) -> Vec<OsString> {
        argv(self.root.as_deref(), &self.executable)
    }

    /// Ready for arguments; it inherits no `PYTHON…` variables, and writes no bytecode.
    pub fn command(&self) -> Command {
        let mut command = command(&self.argv());
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
        command
    }

    /// The path of a file under `fixtures/`, as the interpreter sees it.
    pub fn fixture(&self, file: &str) -> PathBuf {
        match self.root {
            Some(_) => Path::new("/fixtures").join(file),
            None => our_fixtures().join(file),
        }
    }

    /// The path, outside any chroot, of a file that the interpreter sees as `inside`.
    pub fn outside(&self, inside: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(inside.strip_prefix("/").unwrap_or(inside)),
            None => inside.to_path_buf(),
        }
    }

    /// The path at which the interpreter sees the file `outside`.
    pub fn inside(&self, outside: &Path) -> PathBuf {
        match &self.root {
            Some(root) => Path::new("/").join(outside.strip_prefix(root).unwrap_or(outside)),
            None => outside.to_path_buf(),
        }
    }

    /// A new folder that both can see; it is deleted when the value is dropped.
    pub fn scratch(&self) -> TempDir {
        let parent = self.root.as_ref().map_or_else(env::temp_dir, |root| root.join("tmp"));
        TempDir::new_in(parent).expect("the temporary folder is writable")
    }

    /// Copies the fixtures into the interpreter's own root. Each file is replaced in one step, and only when
    /// it differs: other tests may be reading it.
    fn install_fixtures(&self) {
        let Some(root) = &self.root else { return };
        let folder = root.join("fixtures");
        fs::create_dir_all(&folder).expect("the interpreter's root is writable");
        for entry in fs::read_dir(our_fixtures()).expect("fixtures/ is there").flatten() {
            let source = entry.path();
            if source.extension().is_none_or(|extension| extension != "py") {
                continue;
            }
            let target = folder.join(entry.file_name());
            let text = fs::read(&source).expect("fixtures are readable");
            if fs::read(&target).is_ok_and(|present| present == text) {
                continue;
            }
            let fresh = folder.join(format!(".{}.{:?}", std::process::id(), entry.file_name()));
            fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &target)).unwrap();
        }
    }
}

/// Pythons older than the oldest that leakspy supports, including 2: each of these versions, and its path if
/// it was found.
pub fn older_pythons() -> [(&'static str, Option<PathBuf>); 3] {
    ["2.7", "3.6", "3.7"].map(|version| {
        let name = format!("python{version}");
        let paths = folders().into_iter().map(|(_, folder)| folder.join(&name));
        let is_python = |path: &PathBuf| {
            let asked = command(&argv(None, path)).args(["-c", "print(5)"]).output();
            asked.is_ok_and(|output| output.stdout == b"5\n")
        };
        (version, paths.into_iter().find(is_python))
    })
}

/// A path that may be an interpreter.
struct Candidate {
    origin: &'static str,
    root: Option<PathBuf>,
    executable: PathBuf,
}

impl Candidate {
    /// Runs it and asks it to identify itself; `None` where it is not an interpreter that leakspy supports.
    fn ask(self) -> Option<Interpreter> {
        let argv = argv(self.root.as_deref(), &self.executable);
        let output = command(&argv)
            .args(["-I", "-S", "-B", "-c", WHO_ARE_YOU])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        let version: [u64; 3] = serde_json::from_value(facts["version"].clone()).ok()?;
        let ours = facts["implementation"] == "cpython"
            && facts["free_threaded"] == false
            && version[0] == 3
            && VERSIONS.contains(&version[1]);
        if !ours {
            return None;
        }
        let [major, minor, micro] = version;
        let mut interpreter = Interpreter {
            name: format!("{major}.{minor}.{micro}-{}", self.origin),
            version,
            executable: PathBuf::from(facts["executable"].as_str()?),
            root: self.root,
            linkage: Linkage::Static,
            stripped: false,
        };
        let bytes = fs::read(interpreter.outside(&interpreter.executable)).ok()?;
        let elf = Elf::parse(&bytes).ok()?;
        interpreter.stripped = elf.syms.is_empty();
        if elf.libraries.iter().any(|library| library.starts_with("libpython")) {
            interpreter.linkage = Linkage::Shared;
        }
        Some(interpreter)
    }
}

/// The folders outside any chroot where interpreters may be, and their origins.
fn folders() -> Vec<(&'static str, PathBuf)> {
    let pyenv = env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".pyenv")));
    let versions = pyenv.iter().flat_map(|pyenv| entries(&pyenv.join("versions")));
    let mut folders: Vec<_> = versions.map(|version| ("pyenv", version.join("bin"))).collect();
    folders.extend([("system", "/usr/bin".into()), ("local", "/usr/local/bin".into())]);
    folders
}

/// All paths where an interpreter may be.
fn candidates() -> Vec<Candidate> {
    let mut found = Vec::new();
    for (origin, folder) in folders() {
        found.extend(pythons(&folder).map(|path| (origin, None, path)));
    }
    for root in entries(&our_fixtures().join("interpreters")) {
        let inside = Path::new("/usr/bin");
        let bin = root.join("usr/bin");
        found.extend(pythons(&bin).filter_map(|path| {
            Some(("chroot", Some(root.clone()), inside.join(path.file_name()?)))
        }));
    }
    found
        .into_iter()
        .map(|(origin, root, executable)| Candidate { origin, root, executable })
        .collect()
}

/// The files in `folder` named like an interpreter: `python3` or `python3.12`.
fn pythons(folder: &Path) -> impl Iterator<Item = PathBuf> {
    entries(folder).into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix("python3")).is_some_and(|rest| {
            let digits = rest.strip_prefix('.').unwrap_or(rest);
            digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// The entries of a folder, in order, without hidden ones; none where the folder does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn argv(root: Option<&Path>, executable: &Path) -> Vec<OsString> {
    let mut words = Vec::new();
    if let Some(root) = root {
        words.extend([OsString::from("chroot"), root.into()]);
    }
    words.push(executable.into());
    words
}

fn command(argv: &[OsString]) -> Command {
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    for (variable, _) in env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"PYTHON") {
            command.env_remove(variable);
        }
    }
    command
}

fn our_fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}
