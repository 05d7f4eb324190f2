/* Boxes to correct in "Judge this answer": plotly draws, moves and erases them on the picture of the scene above, the
   lines of the text field say the same in words, and each follows the other. Nothing is written before the first change. */
(function () {
  "use strict";
  const FIELD = { type: "flagging-field", name: "corrected" };

  function shape(scene, label, x, y, w, h) {
    const hue = (Math.max(0, scene.classes.indexOf(label)) * 137.5) % 360;
    return Object.assign(style(label, "hsl(" + hue + ", 90%, 58%)"), {
      type: "rect", editable: true, xref: "x", yref: "y", x0: x, y0: y, x1: x + w, y1: y + h,
    });
  }
  function style(label, color) {
    const text = { text: label, textposition: "top left", font: { size: 13 } };
    return { label: text, line: { color: color, width: 2 }, fillcolor: "rgba(0, 0, 0, 0)" };
  }
  function lines(shapes) {
    const line = (one) => {
      const [x, y] = [Math.min(one.x0, one.x1), Math.min(one.y0, one.y1)];
      const numbers = [x, y, Math.abs(one.x1 - one.x0), Math.abs(one.y1 - one.y0)];
      return [one.label.text, ...numbers.map((value) => Number(value.toFixed(1)))].join(" ");
    };
    return shapes.length ? shapes.map(line).join("\n") : "none";
  }
  function parsed(text, scene) {
    const found = text.split("\n").map((line) => /^\s*(.*\S)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$/.exec(line)).filter(Boolean);
    return found.map((parts) => [parts[1], ...parts.slice(2).map(Number)])
      .filter((box) => box.slice(1).every(Number.isFinite)).map((box) => shape(scene, ...box));
  }
  function picker(place, names, chosen) {
    const select = Object.assign(document.createElement("select"), { className: "form-select" });
    select.append(...names.map((name) => new Option(name, name)));
    select.addEventListener("change", () => chosen(select.value));
    const label = Object.assign(document.createElement("label"), { className: "field" });
    label.append(Object.assign(document.createElement("span"), { className: "field-label", textContent: "Class of the box" }), select);
    place.replaceChildren(label);
  }

  function begin(host, plot, source) {
    const scene = JSON.parse(source.dataset.scene), names = JSON.parse(host.dataset.classes);
    const text = host.querySelector("textarea");
    let following = false; /* while the picture follows the text */
    const show = (changes) => {
      following = true;
      return window.Plotly.relayout(plot, changes).then(() => { following = false; });
    };
    const choose = (name) => {
      const changes = { newshape: style(name, shape(scene, name, 0, 0, 1, 1).line.color) };
      const active = plot._fullLayout._activeShapeIndex;
      if (active >= 0) changes["shapes[" + active + "].label.text"] = name;
      window.Plotly.relayout(plot, changes);
    };
    picker(host.querySelector(".drawing-class"), names.length ? names : ["object"], choose);
    host.style.setProperty("--ratio", scene.width + " / " + scene.height);
    plot.on("plotly_relayout", (changes) => {
      const touched = Object.keys(changes).some((name) => name.startsWith("shapes"));
      if (touched && !following) window.dash_clientside.set_props(FIELD, { value: lines(plot.layout.shapes || []) });
    });
    text.addEventListener("input", () => show({ shapes: parsed(text.value, scene) }));
    const image = {
      source: source.querySelector(".scene-image").src, xref: "x", yref: "y", x: 0, y: 0,
      sizex: scene.width, sizey: scene.height, sizing: "stretch", layer: "below", xanchor: "left", yanchor: "top",
    };
    show({
      "xaxis.range": [0, scene.width], "yaxis.range": [scene.height, 0], images: [image], dragmode: "drawrect",
      newshape: style(names[0] || "object", shape(scene, names[0], 0, 0, 1, 1).line.color),
      shapes: (source.shownBoxes || []).map((box) => shape(scene, ...box.slice(0, 5))),
    });
  }
  document.addEventListener("toggle", (event) => {
    const host = event.target.open && event.target.querySelector(".drawn-boxes");
    const source = document.querySelector(".object-scene");
    if (!host || host.dataset.begun || !source) return;
    host.dataset.begun = "true";
    const wait = () => {
      const plot = host.querySelector(".js-plotly-plot");
      if (plot && plot._fullLayout && window.Plotly) begin(host, plot, source);
      else if (host.isConnected) window.requestAnimationFrame(wait);
    };
    wait();
  }, true);
})();
