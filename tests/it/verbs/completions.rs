use crate::desk::{self, newcol};

#[test]
fn every_shell_has_completions_of_every_verb() {
    let project = desk::one_crate("postgres").build().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = newcol(&project, &["completions", shell]).success();
        for word in ["add", "plan", "status", "next", "undo", "explain", "retire-by"] {
            assert!(output.stdout.contains(word), "{shell} has no {word}");
        }
        assert_eq!(output.stderr, "");
    }
}
