//! Which actions and machines are meant, as OData filters.

use protocol::defender::action::MachineAction;

/// Which actions. What is empty does not restrict.
#[derive(Clone, Debug, Default)]
pub struct ActionFilter {
    /// These statuses, in the wire's words.
    pub statuses: Vec<String>,
    /// These kinds, in the wire's words.
    pub kinds: Vec<String>,
    /// On this machine, by id.
    pub machine_id: Option<String>,
}

/// Which machines. What is `None` does not restrict.
#[derive(Clone, Debug, Default)]
pub struct MachineFilter {
    /// With this name.
    pub name: Option<String>,
    /// With this id.
    pub id: Option<String>,
}

impl ActionFilter {
    /// The value of `$filter`; none for everything.
    pub(super) fn odata(&self) -> Option<String> {
        all([
            one_of("status", &self.statuses),
            one_of("type", &self.kinds),
            one_of("machineId", self.machine_id.as_slice()),
        ])
    }

    /// Filters of one comparison each that together let through everything this one does, and more.
    pub(super) fn comparisons(&self) -> Vec<Self> {
        if let Some(machine_id) = &self.machine_id {
            return vec![Self { machine_id: Some(machine_id.clone()), ..Self::default() }];
        }
        let status = |status: &String| Self { statuses: vec![status.clone()], ..Self::default() };
        let kind = |kind: &String| Self { kinds: vec![kind.clone()], ..Self::default() };
        if self.statuses.is_empty() {
            self.kinds.iter().map(kind).collect()
        } else {
            self.statuses.iter().map(status).collect()
        }
    }

    /// Whether it lets this action through.
    pub(super) fn admits(&self, action: &MachineAction) -> bool {
        let admits = |words: &[String], word: &str| words.is_empty() || words.iter().any(|known| known == word);
        admits(&self.statuses, &action.status)
            && admits(&self.kinds, &action.r#type)
            && admits(self.machine_id.as_slice(), &action.machine_id)
    }
}

impl MachineFilter {
    /// The value of `$filter`; none for everything.
    pub(super) fn odata(&self) -> Option<String> {
        all([one_of("computerDnsName", self.name.as_slice()), one_of("id", self.id.as_slice())])
    }
}

fn all<const N: usize>(conditions: [Option<String>; N]) -> Option<String> {
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    (!conditions.is_empty()).then(|| conditions.join(" and "))
}

fn one_of(property: &str, values: &[String]) -> Option<String> {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
    match quoted.as_slice() {
        [] => None,
        [value] => Some(format!("{property} eq {value}")),
        several => Some(format!("{property} in ({})", several.join(","))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_odata_and_values_cannot_leave_their_quotes() {
        let filter = ActionFilter {
            statuses: vec!["Pending".into(), "InProgress".into()],
            machine_id: Some("ab' or 1 eq 1".into()),
            ..ActionFilter::default()
        };
        assert_eq!(filter.odata().unwrap(), "status in ('Pending','InProgress') and machineId eq 'ab'' or 1 eq 1'");
        assert_eq!(ActionFilter::default().odata(), None);
        let parts: Vec<_> = filter.comparisons().iter().filter_map(ActionFilter::odata).collect();
        assert_eq!(parts, ["machineId eq 'ab'' or 1 eq 1'"]);
        let filter = ActionFilter { kinds: vec!["Isolate".into()], machine_id: None, ..filter };
        let parts: Vec<_> = filter.comparisons().iter().filter_map(ActionFilter::odata).collect();
        assert_eq!(parts, ["status eq 'Pending'", "status eq 'InProgress'"]);
    }
}
