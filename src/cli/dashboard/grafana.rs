//! A dashboard as Grafana has it: its JSON of the classic shape, which every Grafana since 10 takes and newer ones bring up to theirs.

use serde_json::{Value, json};

use super::panel::{BETWEEN, Dashboard, ILL, Look, Panel, Query, WELL};

/// The version of the shape; what Grafana 12 writes.
const SCHEMA_VERSION: u32 = 42;
/// How wide a row is, in Grafana's units.
const WIDTH: usize = 24;

/// The dashboard. Links to runbooks lead to this address.
pub(super) fn dashboard(dashboard: &Dashboard, runbooks: &str) -> Value {
    let mut places = Places::default();
    let numbered = dashboard.panels.iter().enumerate();
    let panels: Vec<_> = numbered.map(|(at, shown)| panel(at, shown, places.next(shown.look), runbooks)).collect();
    json!({
        "uid": format!("dualpath-{}", dashboard.slug),
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["dualpath"],
        "timezone": "browser",
        "editable": true,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "links": [{
            "title": "Dualpath", "type": "dashboards", "tags": ["dualpath"], "icon": "external link", "tooltip": "",
            "asDropdown": true, "includeVars": true, "keepTime": true, "targetBlank": false,
        }],
        "panels": panels,
    })
}

/// Which Prometheus, which jobs, which instances.
fn variables() -> Vec<Value> {
    const KNOWN: &str = "cortex_circuit_breaker_state";
    let choice = |name: &str, label: &str, query: String| {
        json!({
            "type": "query", "name": name, "label": label, "datasource": source(), "definition": query,
            "query": {"query": query, "refId": name}, "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
            "allValue": ".+", "current": {"text": "All", "value": "$__all"},
        })
    };
    vec![
        json!({"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1}),
        choice("job", "Job", format!("label_values({KNOWN}, job)")),
        choice("instance", "Instance", format!("label_values({KNOWN}{{job=~\"$job\"}}, instance)")),
    ]
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Puts panels next to each other, numbers in low rows of their own.
#[derive(Default)]
struct Places {
    x: usize,
    y: usize,
    height: usize,
}

impl Places {
    fn next(&mut self, look: Look) -> Value {
        let (width, height) = match look {
            Look::Number(..) | Look::LessIsWorse(..) => (4, 4),
            Look::States(_) => (WIDTH, 7),
            Look::Lines | Look::Areas => (12, 8),
        };
        if self.x.saturating_add(width) > WIDTH || height != self.height {
            (self.x, self.y) = (0, self.y.saturating_add(self.height));
        }
        self.height = height;
        let place = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x = self.x.saturating_add(width);
        place
    }
}

fn panel(at: usize, panel: &Panel, place: Value, runbooks: &str) -> Value {
    let links: Vec<_> = panel
        .page
        .iter()
        .map(|page| {
            json!({
                "title": "Runbook", "type": "link", "url": format!("{runbooks}#{page}"), "icon": "external link",
                "tooltip": "", "tags": [], "asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": true,
            })
        })
        .collect();
    let (kind, options) = options(panel.look);
    json!({
        "id": at.saturating_add(1),
        "type": kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": source(),
        "links": links,
        "targets": panel.queries.iter().enumerate().map(|(at, query)| target(at, query)).collect::<Vec<_>>(),
        "fieldConfig": {"defaults": field(panel), "overrides": []},
        "options": options,
    })
}

fn target(at: usize, query: &Query) -> Value {
    let letter = char::from(b'A'.saturating_add(u8::try_from(at).unwrap_or(u8::MAX)));
    json!({
        "refId": letter.to_string(), "datasource": source(), "editorMode": "code", "range": true,
        "expr": query.with_variables(), "legendFormat": if query.legend.is_empty() { "__auto" } else { query.legend },
    })
}

fn options(look: Look) -> (&'static str, Value) {
    let tooltip = json!({"mode": "multi", "sort": "desc"});
    let legend =
        |calcs: &[&str]| json!({"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": calcs});
    match look {
        Look::Lines | Look::Areas => ("timeseries", json!({"legend": legend(&["lastNotNull"]), "tooltip": tooltip})),
        Look::Number(..) | Look::LessIsWorse(..) => (
            "stat",
            json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "colorMode": "value",
                "graphMode": "area", "justifyMode": "auto", "textMode": "auto", "orientation": "auto", "wideLayout": true,
                "showPercentChange": false, "percentChangeColorMode": "standard",
            }),
        ),
        Look::States(_) => (
            "state-timeline",
            json!({"showValue": "auto", "rowHeight": 0.8, "mergeValues": true, "alignValue": "left", "legend": legend(&[]), "tooltip": tooltip}),
        ),
    }
}

/// How values are shown. Thresholds are in hundredths, so that they can be compared.
fn field(panel: &Panel) -> Value {
    let step = |value: Option<u32>, colour: &str| json!({"value": value.map(|value| f64::from(value) / 100.0), "color": colour});
    let steps = |steps: Vec<Value>| json!({"mode": "absolute", "steps": steps});
    let with_custom =
        |custom: Value| json!({"unit": panel.unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": custom});
    match panel.look {
        Look::Lines => with_custom(
            json!({"drawStyle": "line", "lineWidth": 2, "fillOpacity": 0, "showPoints": "never", "spanNulls": false}),
        ),
        Look::Areas => with_custom(json!({
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 60, "showPoints": "never", "spanNulls": false,
            "stacking": {"mode": "normal", "group": "A"},
        })),
        Look::Number(u32::MAX, _) => {
            json!({"unit": panel.unit, "color": {"mode": "thresholds"}, "thresholds": steps(vec![step(None, WELL)])})
        }
        Look::Number(amber, red) => json!({
            "unit": panel.unit, "color": {"mode": "thresholds"},
            "thresholds": steps(vec![step(None, WELL), step(Some(amber), BETWEEN), step(Some(red), ILL)]),
        }),
        Look::LessIsWorse(amber, red) => json!({
            "unit": panel.unit, "color": {"mode": "thresholds"},
            "thresholds": steps(vec![step(None, ILL), step(Some(red), BETWEEN), step(Some(amber), WELL)]),
        }),
        Look::States(states) => {
            let texts = states
                .iter()
                .enumerate()
                .map(|(at, (text, colour))| (at.to_string(), json!({"text": text, "color": colour, "index": at})));
            json!({
                "unit": panel.unit, "color": {"mode": "thresholds"}, "custom": {"fillOpacity": 80, "lineWidth": 0},
                "mappings": [{"type": "value", "options": texts.collect::<serde_json::Map<_, _>>()}],
                "thresholds": steps(vec![step(None, WELL)]),
            })
        }
    }
}
