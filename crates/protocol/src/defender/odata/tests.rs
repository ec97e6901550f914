use super::*;
use domain::time::Timestamp;

fn is(property: &str, value: &str) -> Filter {
    compare(property, Operator::Eq, Literal::Quoted(value.into()))
}

fn compare(property: &str, operator: Operator, literal: Literal) -> Filter {
    Filter::Compare { property: property.into(), operator, literal }
}

fn among(property: &str, values: &[&str]) -> Filter {
    let literals = values.iter().map(|value| Literal::Quoted((*value).into())).collect();
    Filter::In { property: property.into(), literals }
}

fn call(function: Function, property: &str, text: &str) -> Filter {
    Filter::Call { function, property: property.into(), literal: Literal::Quoted(text.into()) }
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn bare(text: &str) -> Literal {
    Literal::Bare(text.into())
}

/// What shipping clients and documents write, after the decoding of the query.
#[test]
fn filters_as_clients_write_them() {
    use Filter::{And, Or};
    const MACHINE: &str = "7b1f4967d9728e5aa3c06a9e617a22a4a5a17378";
    const GUID: &str = "7b0f0c52-2c0e-4a53-9d0e-5f4f8f1b6a10";
    let table = [
        // Documents.
        (format!("machineId eq '{MACHINE}'"), is("machineId", MACHINE)),
        (
            "requestor eq 'Analyst@contoso.com' and type eq 'RunAntiVirusScan'".into(),
            And(vec![is("requestor", "Analyst@contoso.com"), is("type", "RunAntiVirusScan")]),
        ),
        ("lastSeen gt 2018-08-01Z".into(), compare("lastSeen", Operator::Gt, bare("2018-08-01Z"))),
        ("startswith(computerDnsName,'mymachine')".into(), call(Function::StartsWith, "computerDnsName", "mymachine")),
        ("healthStatus ne 'Active'".into(), compare("healthStatus", Operator::Ne, Literal::Quoted("Active".into()))),
        (
            "machineTags/any(tag: tag eq 'ExampleTag')".into(),
            Filter::Any { property: "machineTags".into(), element: Element::Is(Literal::Quoted("ExampleTag".into())) },
        ),
        (
            "not machineTags/any( t:startswith( t , 'Ex' ) )".into(),
            not(Filter::Any {
                property: "machineTags".into(),
                element: Element::StartsWith(Literal::Quoted("Ex".into())),
            }),
        ),
        // XSOAR.
        (
            format!(
                "status eq 'Succeeded' and machineId eq '{MACHINE}' and type eq 'RunAntiVirusScan' and requestor eq '{GUID}'"
            ),
            And(vec![
                is("status", "Succeeded"),
                is("machineId", MACHINE),
                is("type", "RunAntiVirusScan"),
                is("requestor", GUID),
            ]),
        ),
        (
            "(status eq 'X' and machineId eq 'a') or (status eq 'X' and machineId eq 'b')".into(),
            Or(vec![
                And(vec![is("status", "X"), is("machineId", "a")]),
                And(vec![is("status", "X"), is("machineId", "b")]),
            ]),
        ),
        // Kibana.
        (format!("id in ('{GUID}','{GUID}')"), among("id", &[GUID, GUID])),
        (format!("id in ('{GUID}') AND status eq 'Pending'"), And(vec![among("id", &[GUID]), is("status", "Pending")])),
        // Elastic's collector.
        (
            "lastUpdateDateTimeUtc gt 2025-03-24T08:11:54.0392813Z".into(),
            compare("lastUpdateDateTimeUtc", Operator::Gt, bare("2025-03-24T08:11:54.0392813Z")),
        ),
        // PSMDATP: no space before `and`.
        (
            format!("machineId eq '{MACHINE}'and type eq 'Isolate'"),
            And(vec![is("machineId", MACHINE), is("type", "Isolate")]),
        ),
        // Cortex, and whoever writes names in another case.
        ("computerDnsName eq 'web-03'".into(), is("computerDnsName", "web-03")),
        ("ComputerDNSName EQ 'web-03'".into(), is("ComputerDNSName", "web-03")),
        (
            "CreationDateTimeUtc Ge 2025-01-01T00:00:00Z Or Status IN ('Pending', 'InProgress' ,'Failed')".into(),
            Or(vec![
                compare("CreationDateTimeUtc", Operator::Ge, bare("2025-01-01T00:00:00Z")),
                among("Status", &["Pending", "InProgress", "Failed"]),
            ]),
        ),
        (format!("id eq {GUID}"), compare("id", Operator::Eq, bare(GUID))),
        ("contains( requestorComment , 'it''s' )".into(), call(Function::Contains, "requestorComment", "it's")),
    ];
    for (text, expected) in table {
        assert_eq!(parse_filter(&text), Ok(expected), "{text}");
    }
}

#[test]
fn what_the_grammar_allows() {
    use Filter::{And, Or};
    let (a, b, c) = (is("a", "1"), is("b", "2"), is("c", "3"));
    let table = [
        // And binds closer than or, not closer than both.
        ("a eq '1' or b eq '2' and c eq '3'", Or(vec![a.clone(), And(vec![b.clone(), c.clone()])])),
        ("(a eq '1' or b eq '2') and c eq '3'", And(vec![Or(vec![a.clone(), b.clone()]), c.clone()])),
        ("not a eq '1' and b eq '2'", And(vec![not(a.clone()), b.clone()])),
        ("not (a eq '1' and b eq '2')", not(And(vec![a.clone(), b.clone()]))),
        ("NOT(a eq '1')", not(a.clone())),
        ("not not a eq '1'", not(not(a.clone()))),
        ("((a eq '1'))", a.clone()),
        ("a eq'1'and(b eq'2')or(c eq'3')", Or(vec![And(vec![a.clone(), b]), c])),
        ("\t a\n eq  '1' ", a),
        ("a eq ''", is("a", "")),
        ("a eq ''''", is("a", "'")),
        ("a eq 'x''''y'", is("a", "x''y")),
        ("a eq ' and b eq '", is("a", " and b eq ")),
        ("a eq 'é☃'", is("a", "é☃")),
        ("a eq Null", compare("a", Operator::Eq, Literal::Null)),
        ("a ne 'null'", compare("a", Operator::Ne, Literal::Quoted("null".into()))),
        ("a lt -5", compare("a", Operator::Lt, bare("-5"))),
        ("a le true", compare("a", Operator::Le, bare("true"))),
        ("a in(1,null)", Filter::In { property: "a".into(), literals: vec![bare("1"), Literal::Null] }),
        ("endswith(a,'x') eq true", call(Function::EndsWith, "a", "x")),
        ("EndsWith(a,'x')eq false", not(call(Function::EndsWith, "a", "x"))),
        ("endswith(a,'x') ne True", not(call(Function::EndsWith, "a", "x"))),
        // Properties may have the names of operators.
        ("eq eq 'eq'", is("eq", "eq")),
        ("in in ('in')", among("in", &["in"])),
    ];
    for (text, expected) in table {
        assert_eq!(parse_filter(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_not_understood_says_where() {
    for (text, why) in [
        ("", "$filter: a property was expected at position 0."),
        ("id", "$filter: an operator (eq, ne, gt, ge, lt, le, in) was expected at position 2."),
        ("id like 'x'", "$filter: an operator (eq, ne, gt, ge, lt, le, in) was expected at position 3."),
        ("id eq", "$filter: a value was expected at position 5."),
        ("id eq 'x", "$filter: a quote is not closed that begins at position 6."),
        ("id eq 'x''", "$filter: a quote is not closed that begins at position 6."),
        ("id eq x'", "$filter: 'and', 'or' or the end was expected at position 7."),
        ("id eq 'x' xor y eq 'z'", "$filter: 'and', 'or' or the end was expected at position 10."),
        ("id eq 'x' and", "$filter: a property was expected at position 13."),
        ("(id eq 'x'", "$filter: ')' was expected at position 10."),
        ("id eq 'x')", "$filter: 'and', 'or' or the end was expected at position 9."),
        ("id eq (x)", "$filter: a value was expected at position 6."),
        ("id in 'x'", "$filter: '(' was expected at position 6."),
        ("id in ()", "$filter: a value was expected at position 7."),
        ("id in ('x',)", "$filter: a value was expected at position 11."),
        ("id in ('x' 'y')", "$filter: ',' or ')' was expected at position 11."),
        ("'x' eq id", "$filter: a property was expected at position 0."),
        ("5 eq 5", "$filter: a property was expected at position 0."),
        ("contains(id)", "$filter: ',' was expected at position 11."),
        ("contains('x',id)", "$filter: a property was expected at position 9."),
        ("contains(id,'x'", "$filter: ')' was expected at position 15."),
        ("contains(id,'x') eq 1", "$filter: true or false was expected at position 20."),
        ("contains eq 'x'", "$filter: '(' was expected at position 9."),
        (
            "machineTags/any(tag: other eq 'x')",
            "$filter: a comparison by eq, or startswith, of the name before the colon was expected at position 21.",
        ),
        (
            "machineTags/any(: x eq 'x')",
            "$filter: a comparison by eq, or startswith, of the name before the colon was expected at position 18.",
        ),
        ("machineTags/any(tag: startswith(x,'x'))", "$filter: the name before the colon was expected at position 32."),
        (
            "machineTags/all(tag: tag eq 'x')",
            "$filter: an operator (eq, ne, gt, ge, lt, le, in) was expected at position 15.",
        ),
    ] {
        assert_eq!(parse_filter(text), Err(ODataError(why.into())), "{text}");
    }
}

#[test]
fn every_limit_is_one() {
    let deep = |depth| format!("{}a eq 1{}", "(".repeat(depth), ")".repeat(depth));
    let negated = |depth| format!("{}a eq 1", "not ".repeat(depth));
    let wide = |nodes: usize| vec!["a eq 1"; nodes].join(" or ");
    let list = |items: usize| format!("a in ({})", vec!["1"; items].join(","));
    let long = |bytes: usize| format!("a eq '{}'", "x".repeat(bytes - "a eq ''".len()));
    type Case<'a> = (&'a dyn Fn(usize) -> String, usize, &'a str);
    let cases: [Case<'_>; 5] = [
        (&deep, DEPTH_MAX, "parentheses and negations are more than 32 deep"),
        (&negated, DEPTH_MAX, "parentheses and negations are more than 32 deep"),
        (&wide, NODES_MAX, "there are more than 500 conditions"),
        (&list, LIST_ITEMS_MAX, "there are more than 1000 values in a list"),
        (&long, FILTER_BYTES_MAX, "$filter is longer than 65536 bytes"),
    ];
    for (text, limit, why) in cases {
        assert!(parse_filter(&text(limit)).is_ok(), "{why}");
        let ODataError(said) = parse_filter(&text(limit + 1)).unwrap_err();
        assert!(said.contains(why) && said.contains(&limit.to_string()), "{said}");
    }
    let keys = |count: usize| vec!["a"; count].join(",");
    assert!(parse_order_by(&keys(ORDER_KEYS_MAX)).is_ok() && parse_order_by(&keys(ORDER_KEYS_MAX + 1)).is_err());
    assert!(parse_select(&keys(SELECTED_MAX)).is_ok() && parse_select(&keys(SELECTED_MAX + 1)).is_err());
}

#[test]
fn orders_and_selections() {
    let key = |property: &str, descending| OrderBy { property: property.into(), descending };
    assert_eq!(parse_order_by("lastUpdateDateTimeUtc asc"), Ok(vec![key("lastUpdateDateTimeUtc", false)]));
    assert_eq!(
        parse_order_by(" type DESC ,id, status Asc"),
        Ok(vec![key("type", true), key("id", false), key("status", false)])
    );
    for bad in ["", "id,", ",id", "id down", "id asc desc", "id asc asc"] {
        assert!(parse_order_by(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_select("id, Status"), Ok(Some(vec!["id".into(), "Status".into()])));
    assert_eq!(parse_select("id,*"), Ok(None));
    for bad in ["", "id,", "id status"] {
        assert!(parse_select(bad).is_err(), "{bad}");
    }
}

#[test]
fn instants_in_every_form() {
    let day = 15_330_816_000_000_000;
    for (text, ticks) in [
        ("2018-08-01Z", day),
        ("2018-08-01", day),
        ("2018-08-01T00:00:00Z", day),
        ("2018-08-01t00:00:00z", day),
        ("2018-08-01T00:00:00", day),
        ("2018-08-01T00:00Z", day),
        ("2018-08-01T02:00:00+02:00", day),
        ("2018-08-01T00:00:00.0000001Z", day + 1),
        ("2018-08-01T00:00:00.5", day + 5_000_000),
    ] {
        assert_eq!(instant(text), Some(Instant { at: Timestamp(ticks), exact: true }), "{text}");
    }
    let within = Some(Instant { at: Timestamp(day + 12), exact: false });
    assert_eq!(instant("2018-08-01T00:00:00.000001234Z"), within);
    for bad in ["", "yesterday", "2018", "2018-13-01", "2018-08-01TZ", "7", "20180801x", "été-été-été", "P1D"] {
        assert_eq!(instant(bad), None, "{bad}");
    }
}
