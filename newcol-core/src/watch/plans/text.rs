//! What a plan, as `EXPLAIN` prints it, says of its indexes.
//!
//! Of the text form, not JSON: a line for a node, its depth by its indentation, names quoted as in SQL.

/// One scan of an index in a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The index, without its schema: plans do not show it.
    pub index: String,
    /// How often it is begun for one execution of the statement, as the planner guesses.
    pub loops: f64,
    /// How many values are looked for one after the other, each a scan of its own (`IN (…)`), at most.
    pub searches: u32,
}

/// Values that a list is taken to have at most where its length is not shown.
pub(super) const UNKNOWN_LIST: u32 = 10;

/// A node on the way from the top to the line that is read.
struct Node {
    depth: usize,
    is_nested_loop: bool,
    /// Children so far, without subplans.
    children: u32,
    /// Rows of the first child.
    outer_rows: f64,
    rows: f64,
    loops: f64,
}

/// What a heading above a node says of how often it runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heading {
    None,
    /// For each row of the node above.
    PerRow,
    /// Once.
    Once,
}

/// Returns the scans of a plan.
#[must_use]
pub fn scans(lines: &[String]) -> Vec<Scan> {
    let mut found: Vec<Scan> = Vec::new();
    let mut above: Vec<Node> = Vec::new();
    let mut heading = Heading::None;
    // Whether the conditions that follow are of the last scan found.
    let mut is_scan = false;
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let node = match text.strip_prefix("->") {
            Some(node) => node.trim_start(),
            None if at == 0 => text,
            None => {
                if let Some(said) = headed(text) {
                    heading = said;
                } else if let (true, Some(condition)) = (is_scan, text.strip_prefix("Index Cond: "))
                    && let Some(scan) = found.last_mut()
                {
                    scan.searches = searches(condition);
                }
                continue;
            }
        };
        let depth = if at == 0 { 0 } else { indent + 1 };
        while above.last().is_some_and(|node| node.depth >= depth) {
            above.pop();
        }
        let rows = rows(node);
        let mut loops = 1.0;
        if let Some(parent) = above.last_mut() {
            loops = parent.loops;
            match heading {
                Heading::Once => {}
                Heading::PerRow => loops *= parent.rows.max(1.0),
                Heading::None => {
                    parent.children += 1;
                    if parent.children == 1 {
                        parent.outer_rows = rows;
                    } else if parent.is_nested_loop {
                        loops *= parent.outer_rows.max(1.0);
                    }
                }
            }
        }
        heading = Heading::None;
        is_scan = false;
        if let Some(index) = index(node) {
            found.push(Scan { index, loops, searches: 1 });
            is_scan = true;
        }
        let is_nested_loop = node.starts_with("Nested Loop");
        above.push(Node { depth, is_nested_loop, children: 0, outer_rows: 1.0, rows, loops });
    }
    found
}

fn headed(text: &str) -> Option<Heading> {
    if text.starts_with("SubPlan") {
        Some(Heading::PerRow)
    } else if text.starts_with("InitPlan") || text.starts_with("CTE ") {
        Some(Heading::Once)
    } else {
        None
    }
}

/// Returns the index that a node scans.
fn index(node: &str) -> Option<String> {
    let node = node.strip_prefix("Parallel ").unwrap_or(node);
    let name = if let Some(bitmap) = node.strip_prefix("Bitmap Index Scan on ") {
        bitmap
    } else {
        let scan =
            node.strip_prefix("Index Scan ").or_else(|| node.strip_prefix("Index Only Scan "))?;
        let scan = scan.strip_prefix("Backward ").unwrap_or(scan);
        scan.strip_prefix("using ")?
    };
    let Some(quoted) = name.strip_prefix('"') else {
        return name.split(' ').next().map(str::to_owned);
    };
    let mut index = String::new();
    let mut letters = quoted.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == '"' && letters.next_if_eq(&'"').is_none() {
            break;
        }
        index.push(letter);
    }
    Some(index)
}

fn rows(node: &str) -> f64 {
    let rows = node.rsplit_once(" rows=").map(|(_, rest)| rest);
    let digits = rows.and_then(|rest| rest.split(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1.0)
}

/// Returns for how many values an index condition looks, one after the other.
fn searches(condition: &str) -> u32 {
    let Some((_, list)) = condition.split_once("= ANY (") else { return 1 };
    let list = list.strip_prefix("ARRAY[").or_else(|| list.strip_prefix("'{"));
    let end = |list: &str| list.find([']', '}']).unwrap_or(list.len());
    list.map_or(UNKNOWN_LIST, |list| {
        let commas = list[..end(list)].matches(',').count();
        u32::try_from(commas).unwrap_or(u32::MAX).saturating_add(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(plan: &str) -> Vec<(String, f64, u32)> {
        let lines: Vec<String> = plan.lines().map(str::to_owned).collect();
        scans(&lines).into_iter().map(|scan| (scan.index, scan.loops, scan.searches)).collect()
    }

    fn one(index: &str, loops: f64, searches: u32) -> (String, f64, u32) {
        (index.to_owned(), loops, searches)
    }

    #[test]
    fn every_kind_of_scan_names_its_index() {
        for (node, index) in [
            (
                "Index Scan using users_locale on users  (cost=0.15..8.17 rows=1 width=36)",
                "users_locale",
            ),
            ("Index Scan Backward using a on users u  (cost=0..1 rows=1 width=4)", "a"),
            ("Index Only Scan using a on users  (cost=0..1 rows=1 width=4)", "a"),
            ("Parallel Index Only Scan using a on users  (cost=0..1 rows=1 width=4)", "a"),
            ("Bitmap Index Scan on \"My \"\"idx\"\"\"  (cost=0..1 rows=1 width=4)", "My \"idx\""),
        ] {
            assert_eq!(of(node), [one(index, 1.0, 1)]);
        }
        assert_eq!(of("Seq Scan on users  (cost=0..1 rows=1 width=4)"), []);
    }

    #[test]
    fn the_inner_side_of_a_loop_runs_for_each_outer_row() {
        let plan = "\
Limit  (cost=0.44..20 rows=10 width=8)
  ->  Nested Loop  (cost=0.29..16.34 rows=30 width=8)
        ->  Bitmap Heap Scan on orders  (cost=0.15..8.17 rows=30 width=4)
              Recheck Cond: (day = $1)
              ->  Bitmap Index Scan on orders_day  (cost=0.15..8.17 rows=30 width=0)
                    Index Cond: (day = $1)
        ->  Memoize  (cost=0.15..8.17 rows=1 width=4)
              ->  Index Scan using users_locale on users  (cost=0.15..8.17 rows=1 width=4)
                    Index Cond: (locale = orders.locale)";
        assert_eq!(of(plan), [one("orders_day", 1.0, 1), one("users_locale", 30.0, 1)]);
    }

    #[test]
    fn subplans_run_for_each_row_and_initplans_once() {
        let plan = "\
Seq Scan on a  (cost=0.44..20 rows=7 width=8)
  Filter: (x = $0)
  InitPlan 1 (returns $0)
    ->  Index Only Scan using i on b  (cost=0.15..8.17 rows=1 width=4)
  SubPlan 2
    ->  Index Scan using j on b b_1  (cost=0.15..8.17 rows=1 width=4)
          Index Cond: (id = a.id)";
        assert_eq!(of(plan), [one("i", 1.0, 1), one("j", 7.0, 1)]);
    }

    #[test]
    fn each_value_of_a_list_is_a_scan() {
        let plan = |list: &str| {
            format!(
                "Index Scan using i on t  (cost=0..1 rows=1 width=4)\n  Index Cond: (a = ANY ({list}))"
            )
        };
        assert_eq!(of(&plan("ARRAY[$1, $2, $3]")), [one("i", 1.0, 3)]);
        assert_eq!(of(&plan("'{en,de}'::text[]")), [one("i", 1.0, 2)]);
        assert_eq!(of(&plan("$1")), [one("i", 1.0, UNKNOWN_LIST)]);
    }
}
