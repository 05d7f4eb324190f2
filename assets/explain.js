/* Explanations and "unknown": sliders that act in the browser, and what their buttons do to the page's query. */
(function () {
  "use strict";
  const noUpdate = () => window.dash_clientside.no_update;

  function range(place, options, label, moved, settled) {
    if (place.firstElementChild) return;
    const input = document.createElement("input");
    Object.assign(input, { type: "range" }, options);
    input.value = options.value; /* because a value set before its bounds is cut to the default ones */
    input.setAttribute("aria-label", label);
    input.addEventListener("input", () => moved(Number(input.value)));
    if (settled) input.addEventListener("change", () => settled(Number(input.value)));
    place.append(input);
    moved(Number(input.value));
  }

  /* the map over the picture: one setting for both sides, kept while the page is open */
  let opacity = 65;
  function overlays(place) {
    const options = { min: 0, max: 100, step: 1, value: opacity };
    range(place, options, "Opacity of the overlay, in percent", (value) => {
      opacity = value;
      document.querySelectorAll(".overlay > .heat").forEach((heat) => { heat.style.opacity = value / 100; });
      document.querySelectorAll(".opacity-range > input").forEach((other) => { other.value = value; });
    });
  }

  /* the answer reads "unknown" while its best score is below the threshold; the address keeps it once it is let go */
  const percent = (value) => (value ? Math.round(100 * value) + "%" : "off");
  function unknown(place) {
    const answer = place.closest("[data-top]"), shown = answer.querySelector(".unknown-value");
    const options = { min: 0, max: 1, step: 0.01, value: Number(place.dataset.threshold) };
    range(place, options, "Scores below this mean unknown", (value) => {
      answer.dataset.unknown = String(Number(answer.dataset.top) < value);
      answer.querySelectorAll(".unknown-below").forEach((text) => { text.textContent = percent(value); });
      shown.textContent = percent(value);
    }, (value) => {
      const declared = Number(place.dataset.declared) === value;
      window.dash_clientside.vitrine.changeQuery(place, { unknown: declared ? "" : String(value) });
    });
  }

  function fill(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const all = (css) => [...(node.matches(css) ? [node] : []), ...node.querySelectorAll(css)];
    all(".opacity-range").forEach(overlays);
    all(".unknown-range").forEach(unknown);
  }
  new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(fill)))
    .observe(document.body, { subtree: true, childList: true });

  const section = () => document.getElementById("why-section");
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    explain: {
      /* a job has finished: its card looks for the result */
      finished(job) {
        const store = window.dash_clientside.callback_context.inputs_list[0].id.replace("-finished", "-known");
        if (job) window.setTimeout(() => window.dash_clientside.set_props(store, { data: Date.now() }), 0);
      },
      /* "Explain" asks for an explanation, or once more for one that was not finished; "Cancel" asks no longer */
      ask(asked, cancelled, view) {
        const id = window.dash_clientside.callback_context.triggered[0].prop_id;
        const change = window.dash_clientside.vitrine.changeQuery;
        if (id.startsWith("why-cancel")) { change(section(), { why: "" }); return noUpdate(); }
        if (view && view.why) return Object.assign({}, view, { again: asked });
        change(section(), { why: "auto" });
        return noUpdate();
      },
      /* "Run" puts the chosen versions, rows and limit into the address; the same ones once more run again */
      onSlice(asked, cancelled, versions, slice, filter, limit, view) {
        const id = window.dash_clientside.callback_context.triggered[0].prop_id;
        const change = window.dash_clientside.vitrine.changeQuery;
        const card = document.getElementById("on-slice-section");
        if (id.startsWith("on-slice-cancel")) { change(card, { over: "" }); return noUpdate(); }
        const next = { over: (versions || []).join(","), on: slice || "", where: (filter || "").trim(), limit: String(limit || "") };
        if (!next.over) return noUpdate();
        const same = view && Object.keys(next).every((name) => (view[name] || "") === next[name]);
        if (same) return Object.assign({}, view, { again: asked });
        change(card, next);
        return noUpdate();
      },
    },
  });
})();
