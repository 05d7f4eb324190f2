/* Objects in pictures: boxes, counts and search controls are drawn here. Moving a slider asks nobody: the raw boxes of
   the picture are in data-scene, and confidence and overlap act on them in the browser. */
(function () {
  "use strict";
  const AGREE = 0.5;
  const thresholds = {};

  function element(tag, css, content) {
    const made = document.createElement(tag);
    if (css) made.className = css;
    [].concat(content === undefined ? [] : content).forEach((part) => made.append(part));
    return made;
  }
  /* intersection over union of two boxes [label, x, y, w, h, score] */
  function overlap(one, other) {
    const across = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
    const down = Math.min(one[2] + one[4], other[2] + other[4]) - Math.max(one[2], other[2]);
    const inside = across > 0 && down > 0 ? across * down : 0;
    return inside ? inside / (one[3] * one[4] + other[3] * other[4] - inside) : 0;
  }
  /* as mlflow_runs/suppression.py: of boxes of one class the best stays; boxes come best first */
  function shown(boxes, confidence, most) {
    const kept = [];
    boxes.forEach((box) => {
      if (box[5] < confidence) return;
      if (kept.every((better) => better[0] !== box[0] || overlap(better, box) <= most)) kept.push(box);
    });
    return kept;
  }
  /* each detection, best first, takes the free true box of its class that it overlaps most */
  function agreement(found, truth) {
    const taken = new Map(), partner = new Map();
    found.forEach((box) => {
      let best = null, most = AGREE;
      truth.forEach((other) => {
        const value = taken.has(other) || other[0] !== box[0] ? 0 : overlap(box, other);
        if (value >= most) { best = other; most = value; }
      });
      if (best) { taken.set(best, box); partner.set(box, [best, most]); }
    });
    return { taken: taken, partner: partner };
  }

  const scenes = new WeakMap();
  function sceneOf(host) {
    const known = scenes.get(host);
    if (known && known.text === host.dataset.scene) return known.scene;
    const scene = JSON.parse(host.dataset.scene);
    scenes.set(host, { text: host.dataset.scene, scene: scene });
    return scene;
  }
  function slider(name, title, value) {
    const input = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: 0.01, value: value });
    input.dataset.threshold = name;
    const output = element("output", "figure-number", Number(value).toFixed(2));
    return element("label", "scene-slider", [element("span", "field-label", title), input, output]);
  }
  function settings(scene) {
    const asked = new URLSearchParams(window.location.search);
    ["confidence", "overlap"].forEach((name) => {
      const value = Number(asked.get(name));
      if (asked.has(name) && value >= 0 && value <= 1) thresholds[name] = value;
      else if (thresholds[name] === undefined) thresholds[name] = scene[name];
    });
    return thresholds;
  }
  /* the address follows a slider without a word to the server */
  function remember(scene) {
    const search = new URLSearchParams(window.location.search);
    ["confidence", "overlap"].forEach((name) => {
      if (thresholds[name] === scene[name]) { search.delete(name); } else { search.set(name, String(thresholds[name])); }
    });
    const next = "?" + search;
    if (next !== window.location.search) window.history.replaceState(window.history.state, "", window.location.pathname + next);
  }

  function frame(box, scene, agrees, spoken) {
    const made = element("div", "object-box" + (agrees ? "" : " alone"), element("span", "", box.caption));
    const place = box.box, share = (value, whole) => (100 * value) / whole + "%";
    made.style.left = share(place[1], scene.width);
    made.style.top = share(place[2], scene.height);
    made.style.width = share(place[3], scene.width);
    made.style.height = share(place[4], scene.height);
    made.style.setProperty("--hue", String((Math.max(0, scene.classes.indexOf(place[0])) * 137.5) % 360));
    made.dataset.spoken = spoken;
    return made;
  }
  function pane(host, kind, made) {
    const place = host.querySelector('[data-pane="' + kind + '"]');
    if (!place) return;
    place.querySelector(".scene-boxes").replaceChildren(...made);
    place.querySelector(".scene-n").textContent = " " + made.length;
  }
  function paint(host) {
    const scene = sceneOf(host), found = shown(scene.found, thresholds.confidence, thresholds.overlap);
    const truth = scene.truth || [], agreed = agreement(found, truth), known = scene.truth !== null;
    pane(host, "truth", truth.map((box) => {
      const by = agreed.taken.get(box);
      const words = by ? "found with score " + by[5].toFixed(2) : "missed";
      return frame({ box: box, caption: box[0] }, scene, Boolean(by), "True " + box[0] + ", " + words + ".");
    }));
    pane(host, "found", found.map((box) => {
      const pair = agreed.partner.get(box);
      const words = !known ? "" : pair ? " It overlaps the true " + box[0] + " by " + pair[1].toFixed(2) + "." : " Nothing true agrees with it.";
      return frame({ box: box, caption: box[0] + " " + box[5].toFixed(2) }, scene, !known || Boolean(pair), box[0] + " with score " + box[5].toFixed(2) + "." + words);
    }));
    host.querySelector(".scene-counts").replaceChildren(counts(scene, found, agreed));
    const table = host.querySelector(".scene-table"); /* folded away, it need not follow the sliders */
    if (table.closest("details").open) table.replaceChildren(listing(found, truth, agreed));
    host.dataset.shown = String(found.length);
    host.shownBoxes = found; /* for assets/boxes.js */
    tell(host);
  }
  /* the Answer card tells the same number of objects, under the same limits */
  function tell(host) {
    const n = host.dataset.shown;
    if (n === undefined) return; /* not drawn yet */
    const told = { "scene-answer": n === "1" ? "1 object" : n + " objects" };
    ["confidence", "overlap"].forEach((name) => { told["scene-" + name] = thresholds[name].toFixed(2); });
    Object.entries(told).forEach(([css, text]) => document.querySelectorAll("." + css).forEach((place) => {
      if (place.textContent !== text) place.textContent = text;
    }));
  }
  function row(cells, head) {
    return element("tr", "", cells.map((text, at) => {
      const cell = element(head || at === 0 ? "th" : "td", at ? "num" : "", String(text));
      if (head) { cell.scope = "col"; } else if (at === 0) { cell.scope = "row"; }
      return cell;
    }));
  }
  function counts(scene, found, agreed) {
    const truth = scene.truth, of = (boxes, name) => boxes.filter((box) => box[0] === name).length;
    const names = scene.classes.filter((name) => of(found, name) || (truth && of(truth, name)));
    const right = [...agreed.partner.keys()];
    const line = (name, count) => (truth ? [name, count(truth), count(found), count(right)] : [name, count(found)]);
    const lines = names.map((name) => row(line(name, (boxes) => of(boxes, name))));
    lines.push(row(line("All", (boxes) => boxes.length)));
    lines[lines.length - 1].className = "scene-total";
    const heads = row(truth ? ["Class", "True", "Found", "Agree"] : ["Class", "Found"], true);
    return element("table", "data", [element("thead", "", heads), element("tbody", "", lines)]);
  }
  function listing(found, truth, agreed) {
    const short = (box) => [1, 2, 3, 4].map((at) => box[at].toFixed(1));
    const lines = found.map((box) => row([box[0], "found" + (agreed.partner.has(box) ? ", agrees" : ""), box[5].toFixed(3), ...short(box)]));
    truth.forEach((box) => lines.push(row([box[0], agreed.taken.has(box) ? "true, found" : "true, missed", "–", ...short(box)])));
    const heads = row(["Class", "Box", "Score", "x", "y", "Width", "Height"], true);
    return element("table", "data", [element("thead", "", heads), element("tbody", "", lines)]);
  }

  let next = 0;
  document.addEventListener("input", (event) => {
    const name = event.target.dataset && event.target.dataset.threshold;
    if (!name) return;
    const host = event.target.closest(".object-scene");
    thresholds[name] = Number(event.target.value);
    event.target.parentElement.querySelector("output").textContent = thresholds[name].toFixed(2);
    window.cancelAnimationFrame(next);
    next = window.requestAnimationFrame(() => paint(host));
  });
  document.addEventListener("toggle", (event) => {
    const host = event.target.open && event.target.querySelector(".scene-table") && event.target.closest(".object-scene");
    if (host) paint(host);
  }, true);
  document.addEventListener("pointerover", (event) => {
    const box = event.target.closest && event.target.closest(".object-box");
    const read = box && box.closest(".object-scene").querySelector(".scene-read");
    if (read) read.textContent = box.dataset.spoken;
  });

  /* search: a class, and a range with two handles */
  function handle(name, title, host) {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: Number(host.dataset.highest), step: 1 });
    input.value = host.dataset[name];
    input.dataset.search = name;
    input.setAttribute("aria-label", title);
    return input;
  }
  function controls(host) {
    const select = element("select", "form-select", [["", "any class"], ...JSON.parse(host.dataset.classes).map((name) => [name, name])].map(([value, text]) => {
      const option = element("option", "", text);
      option.value = value;
      return option;
    }));
    select.value = host.dataset.object;
    select.dataset.search = "object";
    const range = element("span", "two-handles", [handle("least", "At least so many objects", host), handle("most", "At most so many objects", host)]);
    const output = element("output", "figure-number", host.dataset.least + " to " + host.dataset.most);
    host.querySelector(".object-controls").replaceChildren(
      element("label", "field", [element("span", "field-label", "Pictures with objects of"), select]),
      element("div", "field", [element("span", "field-label", ["How many: ", output]), range]),
    );
  }
  function range(host) {
    const value = (name) => Number(host.querySelector('[data-search="' + name + '"]').value);
    return [Math.min(value("least"), value("most")), Math.max(value("least"), value("most"))];
  }
  document.addEventListener("input", (event) => {
    const name = event.target.dataset && event.target.dataset.search;
    if (name !== "least" && name !== "most") return;
    const host = event.target.closest(".object-search");
    host.querySelector("output").textContent = range(host).join(" to ");
  });
  document.addEventListener("change", (event) => {
    const data = event.target.dataset || {}, host = event.target.closest && event.target.closest(".object-search");
    if (data.threshold) { remember(sceneOf(event.target.closest(".object-scene"))); return; }
    if (!data.search || !host) return;
    const changes = { row: "", upload: "", flag: "", file: "" };
    if (data.search === "object") {
      Object.assign(changes, { object: event.target.value, least: event.target.value ? "1" : "", most: "" });
    } else {
      const [least, most] = range(host);
      Object.assign(changes, { least: least ? String(least) : "", most: most < Number(host.dataset.highest) ? String(Math.max(most, 1)) : "" });
    }
    window.dash_clientside.vitrine.changeQuery(host, changes);
  });
  /* with no picture chosen the first hit is; as a replacement, so that "back" does not end here again */
  function first(host) {
    const search = new URLSearchParams(window.location.search);
    const page = host.closest("[data-query-store]");
    if (!page || host.dataset.first === "" || ["row", "upload", "flag", "file"].some((name) => search.get(name))) return;
    search.set("row", host.dataset.first);
    window.history.replaceState(window.history.state, "", window.location.pathname + "?" + search);
    const query = Object.fromEntries([...search].filter(([key]) => key !== "embed" && key !== "theme"));
    window.dash_clientside.set_props(page.dataset.queryStore, { data: query });
  }

  /* by the innermost node, because a new tree may come with the same data and the same data with a new tree */
  const ready = new WeakMap();
  function fresh(place, told) {
    if (!place || ready.get(place) === told) return false;
    ready.set(place, told);
    return true;
  }
  function draw() {
    document.querySelectorAll(".object-search").forEach((host) => {
      if (!fresh(host.querySelector(".object-controls"), JSON.stringify(host.dataset))) return;
      controls(host);
      first(host);
    });
    document.querySelectorAll(".object-scene").forEach((host) => {
      if (!fresh(host.querySelector(".scene-table"), host.dataset.scene)) { tell(host); return; }
      const scene = sceneOf(host), chosen = settings(scene);
      host.querySelector(".scene-sliders").replaceChildren(
        slider("confidence", "Confidence at least", chosen.confidence),
        slider("overlap", "Overlap of one class at most", chosen.overlap),
      );
      paint(host);
      remember(scene);
    });
  }
  new MutationObserver(draw).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["data-scene", "data-first", "data-tree"],
  });
})();
