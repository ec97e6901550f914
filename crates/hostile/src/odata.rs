//! Query options of lists. Whatever is accepted is within its limits, says the same when it is written out again, and
//! what is not is told why.

use protocol::defender::odata::{
    DEPTH_MAX, Element, Filter, Function, LIST_ITEMS_MAX, Literal, NODES_MAX, ODataError, Operator, instant,
    parse_filter, parse_order_by, parse_select,
};

/// Reads it as every option there is.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_filter(&text) {
        Ok(filter) => {
            let mut nodes = 0;
            assert!(depth(&filter, &mut nodes) <= DEPTH_MAX * 3 + 2, "deeper than its text can be");
            assert!(nodes <= NODES_MAX, "{nodes} conditions");
            let again = written(&filter);
            // Parentheses that say nothing are gone, others are added: only then may it be too deep.
            match parse_filter(&again) {
                Ok(read) => assert_eq!(read, filter, "{again}"),
                Err(error) => assert!(error.0.contains("deep") || error.0.contains("longer"), "{again}: {error}"),
            }
        }
        Err(error) => assert_says_why(&error),
    }
    for error in [parse_order_by(&text).err(), parse_select(&text).err()].into_iter().flatten() {
        assert_says_why(&error);
    }
    // Whatever instant that is, it can be shown and read again.
    if let Some(read) = instant(&text) {
        let shown = protocol::defender::time::show(read.at);
        assert_eq!(instant(&shown).map(|again| again.at), Some(read.at), "{shown}");
    }
}

fn assert_says_why(ODataError(why): &ODataError) {
    // Nothing of what was asked is said again: it may be long, and anything.
    assert!(!why.is_empty() && why.len() < 200, "{why}");
}

fn depth(filter: &Filter, nodes: &mut usize) -> usize {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            assert!(parts.len() > 1);
            1 + parts.iter().map(|part| depth(part, nodes)).max().unwrap_or_default()
        }
        Filter::Not(part) => 1 + depth(part, nodes),
        Filter::In { literals, .. } => {
            *nodes += 1;
            assert!((1..=LIST_ITEMS_MAX).contains(&literals.len()));
            1
        }
        Filter::Compare { .. } | Filter::Call { .. } | Filter::Any { .. } => {
            *nodes += 1;
            1
        }
    }
}

fn written(filter: &Filter) -> String {
    let joined = |parts: &[Filter], by: &str| parts.iter().map(within).collect::<Vec<_>>().join(by);
    match filter {
        Filter::And(parts) => joined(parts, " and "),
        Filter::Or(parts) => joined(parts, " or "),
        Filter::Not(part) => format!("not {}", within(part)),
        Filter::Compare { property, operator, literal } => {
            let operator = match operator {
                Operator::Eq => "eq",
                Operator::Ne => "NE",
                Operator::Gt => "gt",
                Operator::Ge => "Ge",
                Operator::Lt => "lt",
                Operator::Le => "le",
            };
            format!("{property} {operator} {}", word(literal))
        }
        Filter::In { property, literals } => {
            format!("{property} in({})", literals.iter().map(word).collect::<Vec<_>>().join(","))
        }
        Filter::Call { function, property, literal } => {
            let function = match function {
                Function::Contains => "contains",
                Function::StartsWith => "startswith",
                Function::EndsWith => "endswith",
            };
            format!("{function}({property},{})", word(literal))
        }
        Filter::Any { property, element: Element::Is(literal) } => format!("{property}/any(x:x eq {})", word(literal)),
        Filter::Any { property, element: Element::StartsWith(literal) } => {
            format!("{property}/any(x : StartsWith(x, {}))", word(literal))
        }
    }
}

/// As a part of something larger.
fn within(filter: &Filter) -> String {
    match filter {
        Filter::And(_) | Filter::Or(_) => format!("({})", written(filter)),
        _ => written(filter),
    }
}

fn word(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".into(),
        Literal::Quoted(text) => format!("'{}'", text.replace('\'', "''")),
        Literal::Bare(text) => text.clone(),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let filters = [
        "",
        "id eq 'x'and type eq 'Isolate'",
        "-0090091008t034030Z",
        "(status eq 'X' and machineId eq 'a') or (status eq 'X' and machineId eq 'b')",
        "id in ('7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10', 7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10 ,null) AND not(a ne 1)",
        "lastUpdateDateTimeUtc gt 2025-03-24T08:11:54.0392813Z",
        "startswith(computerDnsName,'it''s') eq true or not contains(a, 'b') or endswith(a,'é') ne false",
        "lastUpdateDateTimeUtc asc,type desc , id",
        "id,status,*",
        "2018-08-01T00:00:00.123456789+02:00",
        "2018-08-01Z",
        "not not not (((a eq 'b')))",
        "machineTags/any(tag: tag eq 'x') or machineTags/any(t:startswith(t,'y'))",
        "''''''",
    ];
    let deep = format!("{}a eq 1{}", "(".repeat(DEPTH_MAX), ")".repeat(DEPTH_MAX));
    let wide = vec!["a eq 1"; NODES_MAX].join(" or ");
    let list = format!("a in ({})", vec!["1"; LIST_ITEMS_MAX].join(","));
    let long = [deep, wide, list];
    filters.iter().copied().chain(long.iter().map(String::as_str)).map(|text| text.as_bytes().to_vec()).collect()
}
