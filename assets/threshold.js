/* The threshold card follows its slider here, without a callback: every change of a Dash property wakes each component
   of the page, which takes longer than a frame. All figures are counted from the histogram of scores in data-steps. */
(function () {
  "use strict";
  const Z = 1.959963984540054;
  const three = (x) => (x >= 1000 ? Math.round(x).toLocaleString("en") : x >= 10 ? x.toFixed(1) : x.toFixed(3));
  const short = (x) => String(Number(x.toPrecision(6)));

  /* rows predicted as the class from each non-empty bin on */
  function tails(steps) {
    const n = steps.edges.length, tp = new Array(n), fp = new Array(n);
    for (let i = n - 1, t = 0, f = 0; i >= 0; i--) { t += steps.p[i]; f += steps.q[i]; tp[i] = t; fp[i] = f; }
    return Object.assign({}, steps, { tp: tp, fp: fp, positives: n ? tp[0] : 0, negatives: n ? fp[0] : 0 });
  }
  function outcome(steps, threshold) {
    const wanted = threshold - 1e-12 * Math.max(1e-4, Math.abs(threshold));
    let low = 0, high = steps.edges.length;
    while (low < high) { const middle = (low + high) >> 1; if (steps.edges[middle] < wanted) { low = middle + 1; } else { high = middle; } }
    return at(steps, low);
  }
  function at(steps, place) {
    const tp = steps.tp[place] || 0, fp = steps.fp[place] || 0;
    return { tp: tp, fp: fp, fn: steps.positives - tp, tn: steps.negatives - fp };
  }
  function cost(found, fp, fn) {
    const n = Math.max(found.tp + found.fp + found.fn + found.tn, 1), value = (found.fp * fp + found.fn * fn) / n;
    const error = Math.sqrt(Math.max((found.fp * fp * fp + found.fn * fn * fn) / n - value * value, 0) / n);
    return { value: value, low: Math.max(value - Z * error, 0), high: value + Z * error };
  }
  function wilson(part, whole) {
    if (!whole) return null;
    const p = part / whole, z2 = Z * Z, middle = (p + z2 / (2 * whole)) / (1 + z2 / whole);
    const half = (Z / (1 + z2 / whole)) * Math.sqrt((p * (1 - p)) / whole + z2 / (4 * whole * whole));
    return { value: p, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
  }
  /* from the top down, so that of equal costs the highest threshold wins, as on the server */
  function optimum(steps, fp, fn) {
    let best = steps.high, least = cost(at(steps, steps.edges.length), fp, fn);
    for (let i = steps.edges.length - 1; i >= 0; i--) {
      const found = cost(at(steps, i), fp, fn);
      if (found.value < least.value - 1e-15) { least = found; best = steps.edges[i]; }
    }
    return { threshold: best, cost: least };
  }

  function element(tag, css, content) {
    const made = document.createElement(tag);
    if (css) made.className = css;
    [].concat(content === undefined ? [] : content).forEach((part) => made.append(part));
    return made;
  }
  function stat(name, found, note) {
    const range = found ? three(found.low) + " to " + three(found.high) : note;
    const lines = [["stat-name", name], ["stat-value", found ? three(found.value) : "–"], ["stat-range", range]];
    return element("div", "stat", lines.map(([css, text]) => element("span", css, text)));
  }
  function counts(found, name) {
    const head = (text, scope) => { const cell = element("th", "", text); cell.scope = scope; return cell; };
    const line = (text, left, right) => element("tr", "", [head(text, "row"), left, right]);
    const cell = (n, css) => element("td", css, n.toLocaleString("en"));
    return element("table", "outcomes", [
      element("thead", "", element("tr", "", [element("td"), head("predicted so", "col"), head("not", "col")])),
      element("tbody", "", [
        line("is " + name, cell(found.tp, "right"), cell(found.fn, "wrong")),
        line("is not", cell(found.fp, "wrong"), cell(found.tn, "right")),
      ]),
    ]);
  }
  function advice(best, threshold) {
    const interval = " (" + three(best.cost.low) + " to " + three(best.cost.high) + ")";
    const text = "Lowest cost " + three(best.cost.value) + " per row" + interval + " from " + short(best.threshold) + ". ";
    if (short(best.threshold) === short(threshold)) return element("p", "card-note mt-2", text + "It is in use.");
    const link = element("a", "use-optimum", "Use optimum"), search = new URLSearchParams(window.location.search);
    search.set("threshold", short(best.threshold));
    link.href = "?" + search;
    return element("p", "card-note mt-2", [text, link]);
  }

  const graph = (name) => document.querySelector('[data-curve="' + name + '"] .js-plotly-plot');
  function dot(place) {
    const size = { xsizemode: "pixel", ysizemode: "pixel", x0: -6, x1: 6, y0: -6, y1: 6, xanchor: place[0], yanchor: place[1] };
    return Object.assign({ type: "circle", xref: "x", yref: "y", fillcolor: "#c9541a", line: { width: 2, color: "#fff" } }, size);
  }
  /* 400 equal steps and the optimum; between them the cost is counted, not drawn */
  function costCurve(steps, best, fp, fn) {
    const x = [best.threshold];
    for (let i = 0; i <= 400; i++) x.push(steps.low + ((steps.high - steps.low) * i) / 400);
    x.sort((a, b) => a - b);
    const found = x.map((threshold) => cost(outcome(steps, threshold), fp, fn));
    const band = found.map((c) => c.high).concat(found.map((c) => c.low).reverse());
    return { x: [x.concat(x.slice().reverse()), x, [best.threshold]], y: [band, found.map((c) => c.value), [best.cost.value]] };
  }
  function show(name, place, data) {
    const drawn = graph(name);
    if (!drawn || !drawn._fullLayout || !window.Plotly) return;
    if (data) { window.Plotly.update(drawn, data, { shapes: [dot(place)] }); } else { window.Plotly.relayout(drawn, { shapes: [dot(place)] }); }
  }

  const inputs = (card) => ["range", "exact", "fp", "fn"].map((name) => card.querySelector(".threshold-" + name + " input"));
  const known = new WeakMap();
  function stepsOf(card) {
    const found = known.get(card);
    if (found && found.text === card.dataset.steps) return found.steps;
    const steps = tails(JSON.parse(card.dataset.steps));
    known.set(card, { text: card.dataset.steps, steps: steps });
    return steps;
  }
  function costOf(input) {
    const value = input.value.trim() === "" ? NaN : Number(input.value);
    return value >= 0 && value <= 1e9 ? value : null;
  }
  const within = (steps, value) => Math.min(steps.high, Math.max(steps.low, value));
  /* what was asked for outside the scores is told as long as the score used in its place stands */
  function outside(card, steps, wanted, used) {
    if (wanted !== used) card.dataset.instead = wanted;
    const asked = Number(card.dataset.instead);
    if (card.dataset.instead === undefined || within(steps, asked) !== used) { delete card.dataset.instead; return []; }
    const range = short(steps.low) + " to " + short(steps.high);
    return [element("p", "card-note", "Scores go from " + range + ": instead of " + short(asked) + ", " + short(used) + " is used.")];
  }
  function follow(card, wanted, costsChanged) {
    const steps = stepsOf(card), threshold = within(steps, wanted), [, , fpInput, fnInput] = inputs(card), fp = costOf(fpInput), fn = costOf(fnInput);
    const place = card.querySelector(".threshold-read");
    if (!Number.isFinite(threshold) || fp === null || fn === null) {
      place.replaceChildren(element("p", "card-note", "Give a threshold, and costs from 0 to 1,000,000,000."));
      return false;
    }
    const found = outcome(steps, threshold), price = cost(found, fp, fn), best = optimum(steps, fp, fn);
    const recall = wilson(found.tp, found.tp + found.fn), precision = wilson(found.tp, found.tp + found.fp);
    const figures = [stat("Cost per row", price), stat("Precision", precision, "none predicted"), stat("Recall", recall, "none there")];
    place.replaceChildren(
      ...outside(card, steps, wanted, threshold),
      element("div", "threshold-figures", [element("div", "stat-row", figures), counts(found, steps.name)]),
      advice(best, threshold),
    );
    const share = recall ? recall.value : 0;
    show("roc", [steps.negatives ? found.fp / steps.negatives : 0, share]);
    show("recall", [share, precision ? precision.value : 1]);
    show("cost", [threshold, price.value], costsChanged ? costCurve(steps, best, fp, fn) : null);
    return true;
  }

  let frame = 0;
  document.addEventListener("input", (event) => {
    const card = event.target.closest && event.target.closest(".threshold-card");
    if (!card) return;
    const [range, exact, fp, fn] = inputs(card);
    if (event.target === range) exact.value = short(Number(range.value));
    if (event.target === exact) range.value = exact.value;
    const costs = event.target === fp || event.target === fn;
    window.cancelAnimationFrame(frame);
    frame = window.requestAnimationFrame(() => follow(card, exact.value.trim() === "" ? NaN : Number(exact.value), costs));
  });
  /* at rest the page's query, and with it the address, takes over what was chosen */
  document.addEventListener("change", (event) => {
    const card = event.target.closest && event.target.closest(".threshold-card");
    if (card) keep(card);
  });
  function keep(card) {
    const [, exact, fp, fn] = inputs(card), first = card.dataset.first;
    const usual = { threshold: first, fp: "1", fn: "1" }, now = { threshold: exact.value, fp: fp.value, fn: fn.value };
    if (costOf(fp) === null || costOf(fn) === null || exact.value.trim() === "") return;
    const used = within(stepsOf(card), Number(exact.value));
    if (used !== Number(exact.value)) now.threshold = exact.value = short(used);
    Object.keys(now).forEach((name) => { if (Number(now[name]) === Number(usual[name])) now[name] = ""; });
    /* a threshold belongs to a class: without it another filter could show another class at this score */
    if (Object.values(now).some((value) => value !== "")) now.curve = card.dataset.class;
    window.dash_clientside.vitrine.changeQuery(card, now);
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.use-optimum");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const card = link.closest(".threshold-card"), [range, exact] = inputs(card);
    exact.value = new URL(link.href).searchParams.get("threshold");
    range.value = exact.value;
    if (follow(card, Number(exact.value), false)) keep(card);
    exact.focus(); /* because the link is gone now */
  });
  function slider(card) {
    const place = card.querySelector(".threshold-range"), steps = stepsOf(card);
    const range = place.querySelector("input") || place.appendChild(element("input"));
    Object.assign(range, { type: "range", min: steps.low, max: steps.high, step: (steps.high - steps.low) / 100 });
  }
  /* a card that appears, or gets another histogram, is filled in */
  new MutationObserver(() => {
    document.querySelectorAll(".threshold-card").forEach((card) => {
      const drawn = known.get(card), ready = inputs(card).slice(1).every(Boolean);
      if (!ready || (drawn && drawn.text === card.dataset.steps)) return;
      slider(card);
      const [range, exact] = inputs(card);
      exact.value = card.dataset.threshold;
      range.value = exact.value;
      follow(card, Number(exact.value), false);
    });
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-steps"] });
})();
