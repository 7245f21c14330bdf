//! The JSON records of roots and roles.

use serde::{Deserialize, Serialize};

use crate::heap::{Root, RootKind, RootName};
use crate::python::Frame;
use crate::python::objects::{Link, Role};

/// A root and its name.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RootRecord {
    pub kind: RootKind,
    pub objects: Vec<u64>,
    /// Its name, unless it is a frame.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub words: Option<String>,
    /// Its frame, if it is one whose code could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame: Option<Frame>,
}

impl RootRecord {
    pub fn of(root: &Root, name: Option<&RootName>) -> RootRecord {
        let (words, frame) = match name {
            Some(RootName::Words(words)) => (Some(words.clone()), None),
            Some(RootName::Frame { frame, .. }) => (None, frame.clone()),
            None => (None, None),
        };
        RootRecord { kind: root.kind.clone(), objects: root.objects.clone(), words, frame }
    }

    /// All its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let module = match &self.kind {
            RootKind::Module { name } => Some(name.as_str()),
            _ => None,
        };
        let frame = self.frame.iter().flat_map(|frame| [&*frame.function, &*frame.file]);
        module.into_iter().chain(self.words.as_deref()).chain(frame)
    }

    pub fn into_root(self) -> (Root, RootName) {
        let RootRecord { kind, objects, words, frame } = self;
        let name = match (&kind, words) {
            (RootKind::Frame { thread, .. }, _) => RootName::Frame { thread: *thread, frame },
            (_, words) => RootName::Words(words.unwrap_or_default()),
        };
        (Root { kind, objects, candidates: Vec::new() }, name)
    }
}

/// A role with a code of its own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RoleRecord {
    role: RoleForm,
    /// Its name in the interpreter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
}

/// [`Role`] in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleForm {
    Field(String),
    Index(u64),
    Element,
    Key,
    Value(u64),
    Attribute(u64),
    Slot(u64),
    Local(u64, u64),
    Stack,
    Type,
    Unknown(u64),
}

impl RoleRecord {
    pub fn of(role: Role, words: Option<Link>) -> RoleRecord {
        let name = match words {
            Some(Link::Attribute(name) | Link::Local(name)) => Some(name),
            _ => None,
        };
        let (form, name) = match role {
            Role::Field(field) => (RoleForm::Field(field.to_owned()), None),
            Role::Index(index) => (RoleForm::Index(index), None),
            Role::Element => (RoleForm::Element, None),
            Role::Key => (RoleForm::Key, None),
            Role::Value(key) => (RoleForm::Value(key), None),
            Role::Attribute(address) => (RoleForm::Attribute(address), name),
            Role::Slot(address) => (RoleForm::Slot(address), name),
            Role::Local(code, number) => (RoleForm::Local(code, number), name),
            Role::Stack => (RoleForm::Stack, None),
            Role::Type => (RoleForm::Type, None),
            Role::Unknown(offset) => (RoleForm::Unknown(offset), None),
        };
        RoleRecord { role: form, name }
    }

    /// Its name in the interpreter.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The role, and its words if those were kept; `None` for a field with an invalid name.
    pub fn into_role(self) -> Option<(Role, Option<Link>)> {
        let RoleRecord { role, name } = self;
        Some(match role {
            RoleForm::Field(field) => (Role::field(&field)?, None),
            RoleForm::Index(index) => (Role::Index(index), None),
            RoleForm::Element => (Role::Element, None),
            RoleForm::Key => (Role::Key, None),
            RoleForm::Value(key) => (Role::Value(key), None),
            RoleForm::Attribute(address) => (Role::Attribute(address), name.map(Link::Attribute)),
            RoleForm::Slot(address) => (Role::Slot(address), name.map(Link::Attribute)),
            RoleForm::Local(code, number) => (Role::Local(code, number), name.map(Link::Local)),
            RoleForm::Stack => (Role::Stack, None),
            RoleForm::Type => (Role::Type, None),
            RoleForm::Unknown(offset) => (Role::Unknown(offset), None),
        })
    }
}
