//! Whether a query makes sense: what does not is refused by every engine alike, before it looks at any row.

use super::{Comparison, Field, Filter, Form, Key, Position, Query, Value};
use crate::StoreError;

impl<F: Field> Query<F> {
    /// Refuses a value that its field cannot have, an order of what has none, a place in another order.
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.filter.check()?;
        let order = self.order();
        for key in order.iter() {
            check_key(&key.by)?;
        }
        let Some(Position { keys, id }) = &self.after else { return Ok(()) };
        let fits = |(key, value): (&Key<F>, &Option<Value>)| match (key, value) {
            (Key::Field(field), Some(value)) => field.takes(value),
            (Key::Field(field), None) => field.is_nullable(),
            (Key::Rank(..), Some(Value::Rank(_)) | None) => true,
            (Key::Rank(..), Some(_)) => false,
        };
        if keys.len() != order.len() || !F::ID.takes(id) || !order.iter().map(|key| &key.by).zip(keys).all(fits) {
            return Err(refused("the place to go on from is not one in this order".into()));
        }
        Ok(())
    }
}

impl<F: Field> Filter<F> {
    /// Refuses a value that its field cannot have.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match self {
            Self::IsNull(field) if field.form() == Form::List => Err(refused(format!("{field:?} is always there"))),
            Self::Known(_) | Self::Unknown | Self::IsNull(_) => Ok(()),
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(Self::check),
            Self::Not(part) => part.check(),
            Self::Compare(field, comparison, value) => {
                let ordered = !matches!(field.form(), Form::Word | Form::Flag | Form::List);
                let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
                takes(*field, value)?;
                if ordered || equality { Ok(()) } else { Err(refused(format!("{field:?} has no order"))) }
            }
            Self::OneOf(field, values) => values.iter().try_for_each(|value| takes(*field, value)),
            Self::Text(field, ..) => match field.form() {
                Form::Action | Form::Machine | Form::Text | Form::Name => Ok(()),
                Form::Time | Form::Flag | Form::Word | Form::List => Err(refused(format!("{field:?} is no text"))),
            },
            Self::Element(field, ..) if field.form() == Form::List => Ok(()),
            Self::Element(field, ..) => Err(refused(format!("{field:?} is not several"))),
        }
    }
}

fn check_key<F: Field>(key: &Key<F>) -> Result<(), StoreError> {
    match key {
        Key::Field(field) if matches!(field.form(), Form::Word | Form::List) => {
            Err(refused(format!("{field:?} has no order")))
        }
        Key::Field(_) => Ok(()),
        Key::Rank(field, ranks) => ranks.iter().try_for_each(|(value, _)| takes(*field, value)),
    }
}

fn takes<F: Field>(field: F, value: &Value) -> Result<(), StoreError> {
    if field.takes(value) { Ok(()) } else { Err(refused(format!("{field:?} is never {value:?}"))) }
}

fn refused(why: String) -> StoreError {
    StoreError::Refused(why)
}
