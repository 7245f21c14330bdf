//! How much of a program's data the commands that read objects show.

use crate::python::objects::Disclosure;

/// How much of keys and values is shown.
#[derive(Debug, clap::Args)]
pub struct DisclosureArgs {
    /// Also show values, shortened, and keys that are long or neither text nor numbers.
    #[arg(long, conflicts_with = "redact")]
    pub values: bool,
    /// Hide dict keys.
    #[arg(long)]
    pub redact: bool,
}

impl From<&DisclosureArgs> for Disclosure {
    fn from(args: &DisclosureArgs) -> Disclosure {
        match (args.redact, args.values) {
            (true, _) => Disclosure::Names,
            (false, true) => Disclosure::Values,
            (false, false) => Disclosure::Keys,
        }
    }
}
