//! How much the commands that look at objects tell of what a program works with.

use crate::python::objects::Disclosure;

/// How much is told of keys and values.
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
