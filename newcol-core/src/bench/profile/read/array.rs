//! Arrays as PostgreSQL prints them.

/// Returns the elements of an array of one dimension; what is in quotes may be an array again.
pub(super) fn elements(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return all;
    };
    if inner.is_empty() {
        return all;
    }
    let mut element = String::new();
    let mut is_quoted = false;
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => element.extend(chars.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => all.push(std::mem::take(&mut element)),
            c => element.push(c),
        }
    }
    all.push(element);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(texts in proptest::collection::vec("(?s).{0,8}", 0..5)) {
            let quoted: Vec<String> = texts
                .iter()
                .map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            prop_assert_eq!(elements(&format!("{{{}}}", quoted.join(","))), texts);
        }
    }

    #[test]
    fn as_the_server_prints_them() {
        assert_eq!(elements("{}"), Vec::<String>::new());
        assert_eq!(elements("{1,2.5,a b}"), ["1", "2.5", "a b"]);
        assert_eq!(elements(r#"{"{1,2}","{}","a\"b,"}"#), ["{1,2}", "{}", "a\"b,"]);
    }
}
