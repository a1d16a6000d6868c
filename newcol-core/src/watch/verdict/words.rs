//! The same in words, one sentence each.

use std::fmt;

use super::{Change, ForeignKey, Judgement, Keep, Longer, Refusal, Verdict, Why, Worse};
use crate::watch::{benefit::Rate, effect::Effect};

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unique => {
                f.write_str("it keeps rows different, which the server counts as no scan")
            }
            Self::Primary => f.write_str("it is the primary key's"),
            Self::Exclusion => f.write_str("it keeps an exclusion constraint"),
            Self::ReplicaIdentity => f.write_str("logical replication finds rows by it"),
            Self::ForeignKey(ForeignKey::ReferredTo(name)) => {
                write!(f, "the foreign key {name} refers to it")
            }
            Self::ForeignKey(ForeignKey::Refers(name)) => {
                write!(f, "deletions look for rows of the foreign key {name} by it")
            }
            Self::Expression => {
                f.write_str("the planner's statistics of its expression would go with it")
            }
            Self::ReplicasUnlisted => {
                f.write_str("a replica may use it, and nobody said that there is none")
            }
            Self::ReplicaSilent { name } => write!(f, "the replica {name} could not be asked"),
            Self::ReplicaUses { name, scans } => {
                write!(f, "the replica {name} scanned it {scans} times")
            }
            Self::TooFewDays { days } => {
                write!(f, "it was watched for {days:.1} days, {:.0} are needed", super::DAYS)
            }
            Self::NoMonthEnd => f.write_str("the end of a month was not watched"),
            Self::CostsNothing => f.write_str("it costs nothing that could be saved"),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ms/h (95 %: {:.0} to {:.0})", self.ms, self.low, self.high)
    }
}

impl fmt::Display for Longer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {:.0} more hours", self.hours.ceil())?;
        self.calls.map_or(Ok(()), |calls| write!(f, " or {calls} more calls"))
    }
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {}, {:.3} before and {:.3} after",
            self.query.id,
            self.signal,
            Changed(&self.query.effect),
            self.query.before,
            self.query.after
        )
    }
}

struct Changed<'a>(&'a Effect);

impl fmt::Display for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |log: f64| log.exp_m1() * 100.0;
        write!(
            f,
            "{:+.0} % (95 %: {:+.0} to {:+.0}, p = {:.3})",
            self.0.percent(),
            percent(self.0.interval.0),
            percent(self.0.interval.1),
            self.0.adjusted_p
        )
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partial { null_frac } => write!(
                f,
                "{:.0} % of its rows have no value, and nobody looks for them: add WHERE … IS NOT NULL",
                null_frac * 100.0
            ),
            Self::Brin { correlation } => write!(
                f,
                "rows lie in the order of values (correlation {correlation:.2}) and only ranges are \
                 asked for: a BRIN index would be a thousandth of the size"
            ),
            Self::Covered { by } => write!(f, "{by} begins with the same columns"),
            Self::Loses { benefit, cost } => {
                write!(f, "it is used, and saves {benefit} but costs {cost}")
            }
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlans { why } => {
                f.write_str("no plan was read, so nobody knows which statements use it")?;
                why.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))
            }
            Self::Unexplained { share } => write!(
                f,
                "statements explain {:.0} % of the index's scans, {:.0} % are needed",
                (share * 100.0).floor(),
                super::EXPLAINED * 100.0
            ),
            Self::NoBefore { share } => write!(
                f,
                "{:.0} % of its uses are of statements that never ran without it, so nobody knows what \
                 they would take",
                ((1.0 - share) * 100.0).floor()
            ),
            Self::NotDropped(refusals) => {
                write!(f, "nothing was seen to use it, but {}", list(refusals))
            }
            Self::Overlap { benefit, cost } => {
                write!(f, "it saves {benefit} and costs {cost}, too close to tell")
            }
            Self::NothingCompared => f.write_str("no statement could be compared yet"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.word())?;
        match self {
            Self::Keep(Keep::Pays { benefit, cost }) => {
                write!(f, "it saves {benefit} and costs {cost}")
            }
            Self::Keep(Keep::Needed(refusals)) => f.write_str(&list(refusals)),
            Self::Drop { cost, bytes, .. } => {
                write!(f, "nothing uses it; it costs {cost} and takes {bytes} bytes")
            }
            Self::Change(change) => change.fmt(f),
            Self::Regression { worse, together } => {
                let all = together
                    .iter()
                    .map(|(signal, effect)| format!("all together: {signal} {}", Changed(effect)));
                let parts: Vec<_> = worse.iter().map(ToString::to_string).chain(all).collect();
                f.write_str(&list(&parts))
            }
            Self::Wait { why, longer } => {
                why.fmt(f)?;
                longer.map_or(Ok(()), |longer| write!(f, "; {longer}"))
            }
            Self::Unknown(reasons) => f.write_str(&list(reasons)),
            Self::Quiet { detectable: Some(detectable) } => write!(
                f,
                "nothing became worse; a change of {:.0} % would have been found",
                detectable.exp_m1() * 100.0
            ),
            Self::Quiet { detectable: None } => f.write_str("nothing became worse"),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = (self.window.1 - self.window.0) / 3600.0;
        write!(f, "{} [{hours:.1} h of {}]", self.verdict, self.level)
    }
}

fn list(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
