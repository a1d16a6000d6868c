//! A pinned toolchain that is not there, so that the diesel CLI cannot format what it prints.

use toml_edit::Document;

use crate::doctor::{Check, Severity, Toolchain};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "missing-toolchain",
    severity: Severity::Warning,
    run: |sources, report| {
        let Some(toolchain) = &sources.toolchain else { return };
        let Some(channel) = toolchain.channel() else { return };
        if !toolchain.is_present() {
            report.add(
                &toolchain.path,
                None,
                format!(
                    "rustup has no toolchain `{channel}`: the rustfmt that the diesel CLI calls here fails, it prints schema.rs unformatted, and a patch file does not apply"
                ),
                format!("`rustup toolchain install {channel}`"),
            );
        }
    },
};

impl Toolchain {
    /// Returns the name that rustup looks for; `None` for a toolchain given by its path.
    pub fn channel(&self) -> Option<String> {
        if let Ok(document) = Document::parse(self.text.as_str())
            && let Some(toolchain) = document.get("toolchain")
        {
            return toolchain.get("channel")?.as_str().map(str::to_owned);
        }
        // The old form: one line with the name.
        let line = self.text.trim();
        (!line.is_empty()
            && line.lines().count() == 1
            && !line.contains('=')
            && !line.contains('['))
        .then(|| line.to_owned())
    }

    /// Reports whether rustup has it; yes where nobody can know.
    pub fn is_present(&self) -> bool {
        match (self.channel(), &self.installed) {
            (Some(channel), Some(installed)) => installed.iter().any(|name| is(name, &channel)),
            (None, _) | (_, None) => true,
        }
    }
}

/// Whether `1.95.0-x86_64-unknown-linux-gnu` is what `1.95.0` means; a date makes another channel.
fn is(installed: &str, channel: &str) -> bool {
    match installed.strip_prefix(channel) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|triple| !triple.starts_with(|c: char| c.is_ascii_digit())),
        None => false,
    }
}
