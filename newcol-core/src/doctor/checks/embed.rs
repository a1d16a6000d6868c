//! `embed_migrations!` that does not notice a new migration.

use camino::Utf8Path;
use proc_macro2::{TokenStream, TokenTree};

use crate::{
    doctor::{Check, Embed, PackageFacts, Severity},
    schema::Place,
};

pub(in crate::doctor) static CHECK: Check = Check {
    id: "stale-embed",
    severity: Severity::Warning,
    run: |sources, report| {
        for package in &sources.packages {
            // One finding for a package; each of its macros goes stale alike.
            if let Some(embed) = package.embeds.iter().find(|embed| !is_watched(package, embed)) {
                report.add(
                    &embed.path,
                    Some(embed.at.clone()),
                    "Cargo does not rebuild this when a migration is added: the program keeps the old list",
                    format!(
                        "in the build.rs of `{}`: println!(\"cargo:rerun-if-changed={}\");",
                        package.name,
                        embed.argument.as_deref().unwrap_or("migrations")
                    ),
                );
            }
        }
    },
};

fn is_watched(package: &PackageFacts, embed: &Embed) -> bool {
    let Some(script) = &package.build_script else { return false };
    let Ok(tokens) = script.parse::<TokenStream>() else { return true };
    let mut texts = Vec::new();
    literals(tokens, &mut texts);
    let says = |what: &str| texts.iter().any(|text| text.contains(what));
    if !says("rerun-if-") {
        // Such a build script runs again for every file of its package.
        return !embed.argument.as_deref().is_some_and(|dir| dir.contains(".."));
    }
    says("rerun-if-changed") && says("migrations")
        || texts.iter().any(|text| text.ends_with("rerun-if-changed=."))
}

fn literals(tokens: TokenStream, texts: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => literals(group.stream(), texts),
            TokenTree::Literal(literal) => {
                texts.push(literal.to_string().trim_matches('"').to_owned());
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

pub(in crate::doctor) fn find(path: &Utf8Path, text: &str) -> Vec<Embed> {
    let mut found = Vec::new();
    if text.contains("embed_migrations")
        && let Ok(tokens) = text.parse::<TokenStream>()
    {
        walk(path, text, tokens, &mut found);
    }
    found
}

fn walk(path: &Utf8Path, text: &str, tokens: TokenStream, found: &mut Vec<Embed>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match (token, tokens.get(at + 1), tokens.get(at + 2)) {
            (
                TokenTree::Ident(name),
                Some(TokenTree::Punct(bang)),
                Some(TokenTree::Group(group)),
            ) if name == "embed_migrations" && bang.as_char() == '!' => {
                let argument = group.stream().to_string();
                found.push(Embed {
                    path: path.to_owned(),
                    at: Place::new(text, name.span().byte_range()),
                    argument: (!argument.is_empty()).then(|| argument.trim_matches('"').to_owned()),
                });
            }
            (TokenTree::Group(group), ..) => walk(path, text, group.stream(), found),
            _ => {}
        }
    }
}
