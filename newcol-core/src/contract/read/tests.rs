use super::*;

/// Reads `lines` below a header that is right, and prints every complaint.
fn complaints(text: &str) -> String {
    let Err(complaints) = read(text) else { return "fine".to_owned() };
    let mut out = String::new();
    for Complaint { span, message, hint } in complaints {
        let (line, column) = line_col(text, span.start);
        let guilty = text.get(span).expect("a span of the text").escape_debug();
        out += &format!("{line}:{column} {message}\n    at {guilty}\n");
        if let Some(hint) = hint {
            out += &format!("    help: {hint}\n");
        }
    }
    out
}

fn with(lines: &str) -> String {
    const HEAD: &str = r#"format = 1
table = "users"
column = "locale"
why = "mails go out in the reader's language"
type = "text"
"#;
    complaints(&format!("{HEAD}{lines}"))
}

#[test]
fn probe() {
    for l in CASES {
        println!("=== {l}\n{}", with(l));
    }
    for l in WHOLE {
        println!("=== {l}\n{}", complaints(l));
    }
}

const WHOLE: &[&str] = &[
    "",
    "\u{feff}format = 1\r\ntable = \"a.b.c\"\r\ncolumn = 3\r\n",
    "format = 2\nfoo = 1",
    "format = 0",
    "format = \"1\"",
    "format = 1\ntable = \"users\ncolumn=1",
    "format = 1\n<<<<<<< HEAD\ntable = \"a\"\n=======\ntable = \"b\"\n>>>>>>> b\n",
    "format = 1\ntable=\"a\"\ntable=\"b\"",
    "format = 1\ntable=\"\"\ncolumn=\"\"\nwhy=\"\"\ntype=\"\"\nrequired=false",
    "format = 1\ntable=\"a\"\ncolumn=\"b\"\nwhy=\" \"\ntype=\"text not null\"\nrequired=false",
    "format = 1\ntable=\"a\"\ncolumn=\"b\"\nwhy=\" \"\ntype=\"text\"\nrequired=false",
];

const CASES: &[&str] = &[
    "",
    "required = \"true\"",
    "required = false",
    "requird = true",
    "required = true",
    "required = true\n[default]\nvalue = \"NULL\"",
    "required = true\n[default]\nkeep = false",
    "required = true\n[old_rows]\nfill = \"lower(email)\"\nrust = \"crate::x\"",
    "required = true\n[old_rows]\nrust = \"crate::x\"",
    "required = true\n[old_rows]\nrust = \"not a path\"\n[old_writers]\nby = \"nobody\"",
    "required = true\n[old_rows]\n",
    "required = true\n[old_rows]\nfill = \"1); drop table users\"\n",
    "required = true\n[old_rows]\nfil = \"1\"\n",
    "required = false\n[postgres]\nwhere = \"x\"\nback = \"b\"\nkeep = true\n",
    "required = false\n[default]\nvalue = \"1\"\nrequired = true",
    "required = false\n[index]\nuniqe = true\ninclude = \"a\"\nmethod = \"\"",
    "required = false\n[index]\ninclude = [\"a\", 1]\nunique = 1",
    "required = false\n[[index]]\nunique = true",
    "required = false\nindex = true",
    "required = true\n[default]\nvalue=\"1\"\n[references]\ntable = \"a.b.c\"\non_delete = \"set nul\"",
    "required = true\n[default]\nvalue=\"1\"\n[references]\ntable = \"a\"\ncolumn=\"id\"\non_delete = \"set null\"",
    "required = true\n[default]\nvalue=\"1\"\nkeep=false\n[references]\ntable = \"a\"\ncolumn=\"id\"\non_delete = \"set default\"",
    "required = false\n[old_writers]\nby = \"triger\"",
    "required = false\n[old_writers]\nby = \"trigger\"",
    "required = false\n[old_writers]\nby = \"default\"",
    "required = false\n[old_writers]\n",
    "required = false\n[generated]\nas = \"lower(email)\"\n[default]\nvalue = \"1\"",
    "required = false\n[replaces]\ncolumn = \"locale\"\nback=\"1\"",
    "required = false\n[replaces]\ncolumn = \"old\"\nback=\"1\"",
    "required = false\n[retire]\nby = 2027-02-30",
    "required = false\n[retire]\nby = 2027-02-03T10:00:00Z",
    "required = false\n[retire]\nby = 2027-02-03",
    "required = false\n[retire]\nby = 3",
    "required = false\n[retire]\nby = \"soon\"",
    "required = false\ndiesel = \"Nullable<Text>\"",
    "required = false\ndiesel = \"text[\"",
    "required = false\ndiesel = \"crate::sql_types::Mood\"",
    "required = false\n[check]\n",
    "required = false\n[measured]\ntype_rewrites = 1\ndefault_volatility = \"imutable\"",
    "required = false\n[confirmations]\nx = 1",
    "required = false\ncheck.expr = \"a\"\nindex = { unique = true, foo = 1 }\n",
];
