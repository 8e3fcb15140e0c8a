//! Pictures of plans and graphs: whole documents, equal for equal plans, safe whatever the plan says.

use proptest::prelude::*;
use skyloom_core::{Manifest, Plan};
use skyloom_orchestrator::{ServiceGraph, SvgConfig, plan, render_mermaid, render_svg};

use crate::fixture::{empty, machine_id, place, shop};
use crate::scenario::scenario;

/// The elements of an XML text in order, checked for balance: an oracle that knows nothing of pictures.
fn elements(text: &str) -> Vec<String> {
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a bare `>` in {}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<'), "a bare `<` in {tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in {tag}");
        rest = &rest[end + 1..];
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "in {text}");
            continue;
        }
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap().to_owned();
        if !tag.ends_with('/') {
            open.push(name.clone());
        }
        all.push(name);
    }
    assert!(open.is_empty(), "{open:?} stay open");
    let entities = text.split('&').skip(1);
    for entity in entities {
        let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
        assert!(
            known.iter().any(|known| entity.starts_with(known)),
            "& before {entity:.9}"
        );
    }
    all
}

fn count(elements: &[String], name: &str) -> usize {
    elements.iter().filter(|element| *element == name).count()
}

fn shop_plan() -> Plan {
    let there = empty();
    plan(&shop(), &place(&shop(), &there, |_| 16, |_| String::from("m")), &there).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Every step and every barrier has its box, unless boxes are folded; the document is whole, and equal again.
    #[test]
    fn every_step_is_in_the_picture(seed: u64) {
        let plan = scenario(seed).plan;
        let unfolded = render_svg(&plan, &SvgConfig::new().with_fold_above(usize::MAX));
        let all = elements(&unfolded);
        prop_assert_eq!(count(&all, "g"), plan.steps.len() + plan.barriers.len());
        prop_assert_eq!(count(&all, "svg"), 1);
        let folded = elements(&render_svg(&plan, &SvgConfig::new().with_fold_above(0)));
        prop_assert!(count(&folded, "g") <= count(&all, "g"));
        prop_assert_eq!(render_svg(&plan, &SvgConfig::new()), render_svg(&plan.clone(), &SvgConfig::new()));
    }
}

#[test]
fn texts_cannot_break_out_of_the_picture() {
    let mut plan = shop_plan();
    let evil = "</title></svg><script>alert(\"1\" & '2')</script>\u{0}\u{fffe}";
    plan.steps[0].why = evil.to_owned();
    plan.barriers[0].name = evil.to_owned();
    let picture = render_svg(&plan, &SvgConfig::new());
    assert_eq!(count(&elements(&picture), "script"), 0);
    assert!(picture.contains("&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)"));
    let chart = render_mermaid(&plan);
    assert!(!chart.contains("<script>") && !chart.contains("\"1\""), "{chart}");
}

#[test]
fn many_of_a_kind_are_one_box() {
    let mut wide: Manifest = shop();
    for service in &mut wide.services {
        service.replicas = std::num::NonZeroU32::new(60).unwrap();
    }
    let there = empty();
    let placement = place(&wide, &there, |_| 200, |_| String::from("m"));
    let plan = plan(&wide, &placement, &there).unwrap();
    let picture = render_svg(&plan, &SvgConfig::new());
    assert_eq!(count(&elements(&picture), "g"), 1 + 3 + plan.barriers.len());
    assert!(
        picture.contains("+ 60 frontend") && picture.contains("#121 to #180, on m"),
        "{picture}"
    );
}

#[test]
fn a_forged_plan_is_drawn_as_far_as_it_goes() {
    let mut plan = shop_plan();
    plan.steps[0].after.push(skyloom_core::After {
        step: skyloom_core::StepId(7000),
        until: skyloom_core::Until::Healthy,
    });
    plan.steps[1].after_all.push(skyloom_core::BarrierId(9000));
    // A loop.
    plan.steps[0].after.push(skyloom_core::After {
        step: skyloom_core::StepId(3),
        until: skyloom_core::Until::Done,
    });
    let all = elements(&render_svg(&plan, &SvgConfig::new()));
    assert_eq!(count(&all, "g"), plan.steps.len() + plan.barriers.len());
}

#[test]
fn a_graph_is_a_picture_of_its_services() {
    let graph = ServiceGraph::build(&shop()).unwrap();
    let picture = graph.to_svg();
    let all = elements(&picture);
    assert_eq!(count(&all, "g"), 3);
    assert!(picture.contains(">frontend</text>") && picture.contains("×4"));
    assert_eq!(picture, ServiceGraph::build(&shop()).unwrap().to_svg());
}

#[test]
fn two_plans_are_compared_step_by_step() {
    let first = shop_plan();
    assert!(first.diff(&first).is_empty());
    let mut bigger = shop();
    bigger.services[0].replicas = std::num::NonZeroU32::new(5).unwrap();
    bigger.services[2].run.image = Some(String::from("db:2"));
    let there = empty();
    let on = |id: &skyloom_core::ReplicaId| String::from(if id.to_string() == "backend/1" { "n" } else { "m" });
    let second = plan(&bigger, &place(&bigger, &there, |_| 16, on), &there).unwrap();
    let diff = first.diff(&second);
    let text = diff.to_string();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
      added      #1  + machine n (aws/eu-central-1 m5.large 0.10 USD/h)  replicas are placed on it
      added      #9  + frontend/4 on m  does not run yet
      changed    #2  + database/0 on m  action
      changed    #4  + backend/1 on n  action, order, was + backend/1 on m
    price after 0.10 USD/h -> 0.20 USD/h
    ");
    let back = second.diff(&first);
    assert_eq!((back.added.len(), back.removed.len(), back.changed.len()), (0, 2, 2));
    let text = serde_json::to_string(&diff).unwrap();
    assert_eq!(serde_json::from_str::<skyloom_core::PlanDiff>(&text).unwrap(), diff);
    assert_eq!(machine_id("n").as_str(), "n");
}
