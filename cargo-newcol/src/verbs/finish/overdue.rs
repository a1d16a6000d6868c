//! Which columns should be finished by now.

use crate::context::{Column, Context};

/// Returns how many days ago a column should have been finished; `None` if that day is not past.
pub(in crate::verbs) fn days(ctx: &Context, column: &Column) -> Option<i64> {
    let date = column.contract.answers().retire?;
    let day = i8::try_from(date.day).ok()?;
    let month = i8::try_from(date.month).ok()?;
    let by = jiff::civil::Date::new(i16::try_from(date.year).ok()?, month, day).ok()?;
    let days = by.until(ctx.today()).ok()?.get_days();
    (days > 0).then(|| i64::from(days))
}
