//! Draws the graph as SVG: steps in layers by the longest way to them, crossings thinned out by looking at neighbours.

use super::{Drawing, fill};

const WIDTH: f64 = 180.0;
const HEIGHT: f64 = 44.0;
const GAP: f64 = 28.0;
const BETWEEN: f64 = 52.0;
const MARGIN: f64 = 16.0;

/// How often the order in the layers is improved, down and up again.
const SWEEPS: usize = 4;

/// A place in a layer: a step, or a bend of an edge that passes by.
struct Place {
    step: Option<usize>,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// The picture, as one SVG document.
pub(super) fn svg(drawing: &Drawing) -> String {
    let (places, layers, edges) = layered(drawing);
    let widest = layers.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let full = widest * (WIDTH + GAP) - GAP;
    let mut at = vec![(0.0, 0.0); places.len()];
    for (depth, layer) in layers.iter().enumerate() {
        let own = layer.len() as f64 * (WIDTH + GAP) - GAP;
        for (column, &place) in layer.iter().enumerate() {
            let x = MARGIN + (full - own) / 2.0 + column as f64 * (WIDTH + GAP) + WIDTH / 2.0;
            at[place] = (x, MARGIN + depth as f64 * (HEIGHT + BETWEEN));
        }
    }
    let (width, height) = (full.max(WIDTH) + 2.0 * MARGIN, layers.len() as f64 * (HEIGHT + BETWEEN) - BETWEEN);
    let height = height.max(0.0) + 2.0 * MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" text-anchor=\"middle\">\n\
         <defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#555\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (way, own) in &edges {
        text.push_str(&line(way, &at, &places, *own));
    }
    for (place, (x, y)) in places.iter().zip(&at) {
        if let Some(step) = place.step {
            text.push_str(&bx(drawing, step, *x, *y));
        }
    }
    text.push_str("</svg>\n");
    text
}

fn line(way: &[usize], at: &[(f64, f64)], places: &[Place], own: bool) -> String {
    let thick = if own { 1.2 } else { 2.4 };
    let mut path = String::new();
    for pair in way.windows(2) {
        let ((x0, y0), (x1, y1)) = (at[pair[0]], at[pair[1]]);
        // An edge leaves a step at its foot, and passes a bend straight through.
        let y0 = y0 + HEIGHT;
        let middle = (y0 + y1) / 2.0;
        let begin = if path.is_empty() { format!("M{x0:.0},{y0:.0} ") } else { String::new() };
        path.push_str(&format!("{begin}C{x0:.0},{middle:.0} {x1:.0},{middle:.0} {x1:.0},{y1:.0} "));
        if places[pair[1]].step.is_none() {
            path.push_str(&format!("L{x1:.0},{:.0} ", y1 + HEIGHT));
        }
    }
    let path = path.trim_end();
    format!("<path d=\"{path}\" fill=\"none\" stroke=\"#555\" stroke-width=\"{thick}\" marker-end=\"url(#to)\"/>\n")
}

fn bx(drawing: &Drawing, step: usize, x: f64, y: f64) -> String {
    let node = &drawing.nodes[step];
    let round = if node.finally { HEIGHT / 2.0 } else { 6.0 };
    let left = x - WIDTH / 2.0;
    let (first, second) = if node.detail.is_empty() { (y + 27.0, 0.0) } else { (y + 19.0, y + 34.0) };
    let mut text = format!(
        "<g><title>{}</title><rect x=\"{left:.0}\" y=\"{y:.0}\" width=\"{WIDTH:.0}\" height=\"{HEIGHT:.0}\" \
         rx=\"{round:.0}\" fill=\"{}\" stroke=\"#555\"/><text x=\"{x:.0}\" y=\"{first:.0}\" font-size=\"14\">{}</text>",
        escape(&format!("{} {}", node.name, node.detail)),
        fill(node.state),
        escape(&short(&node.name, 22))
    );
    if !node.detail.is_empty() {
        let detail = escape(&short(&node.detail, 30));
        text.push_str(&format!("<text x=\"{x:.0}\" y=\"{second:.0}\" font-size=\"11\" fill=\"#444\">{detail}</text>"));
    }
    text.push_str("</g>\n");
    text
}

fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max { text.to_owned() } else { text.chars().take(max - 1).chain(['…']).collect() }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The way of an edge through the layers, and whether each host waits for itself only.
type Way = (Vec<usize>, bool);

/// Puts the steps into layers, adds bends where an edge passes a layer by, and orders each layer.
fn layered(drawing: &Drawing) -> (Vec<Place>, Vec<Vec<usize>>, Vec<Way>) {
    let depth = depths(drawing);
    let mut layers = vec![Vec::new(); depth.iter().max().map_or(0, |d| d + 1)];
    let mut places = Vec::new();
    for (step, &depth) in depth.iter().enumerate() {
        layers[depth].push(step);
        places.push(Place { step: Some(step), above: Vec::new(), below: Vec::new() });
    }
    let mut ways = Vec::new();
    for &(from, to, own) in &drawing.edges {
        let mut way = vec![from];
        for layer in &mut layers[depth[from] + 1..depth[to].max(depth[from] + 1)] {
            layer.push(places.len());
            way.push(places.len());
            places.push(Place { step: None, above: Vec::new(), below: Vec::new() });
        }
        way.push(to);
        for pair in way.windows(2) {
            places[pair[0]].below.push(pair[1]);
            places[pair[1]].above.push(pair[0]);
        }
        ways.push((way, own));
    }
    for sweep in 0..SWEEPS * 2 {
        let down = sweep % 2 == 0;
        let order: Vec<usize> =
            if down { (1..layers.len()).collect() } else { (0..layers.len()).rev().skip(1).collect() };
        for index in order {
            let beside = if down { index - 1 } else { index + 1 };
            let mut column = vec![None; places.len()];
            for (at, &place) in layers[beside].iter().enumerate() {
                column[place] = Some(at);
            }
            let mut keyed: Vec<(f64, usize)> = layers[index]
                .iter()
                .enumerate()
                .map(|(at, &place)| {
                    let near = if down { &places[place].above } else { &places[place].below };
                    let known: Vec<usize> = near.iter().filter_map(|&n| column[n]).collect();
                    let mean = known.iter().sum::<usize>() as f64 / known.len().max(1) as f64;
                    (if known.is_empty() { at as f64 } else { mean }, place)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[index] = keyed.into_iter().map(|(_, place)| place).collect();
        }
    }
    (places, layers, ways)
}

/// For each step, the length of the longest way to it. Steps under `finally` come below all others.
fn depths(drawing: &Drawing) -> Vec<usize> {
    let count = drawing.nodes.len();
    let mut unmet = vec![0usize; count];
    let mut after = vec![Vec::new(); count];
    for &(from, to, _) in &drawing.edges {
        unmet[to] += 1;
        after[from].push(to);
    }
    let mut depth = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|&n| unmet[n] == 0).collect();
    while let Some(step) = ready.pop() {
        for &next in &after[step] {
            depth[next] = depth[next].max(depth[step] + 1);
            unmet[next] -= 1;
            if unmet[next] == 0 {
                ready.push(next);
            }
        }
    }
    let main = (0..count).filter(|&n| !drawing.nodes[n].finally).map(|n| depth[n] + 1).max().unwrap_or(0);
    for (node, depth) in drawing.nodes.iter().zip(&mut depth) {
        if node.finally {
            *depth += main;
        }
    }
    depth
}
