/* The sliders of a generator. The picture follows the drag over a plain request (/pictures/live/<run>): one in flight,
   the newest position wins, no Dash callback, because a changed property wakes every component of the page. At rest the
   page's query, and with it the address, takes over the numbers. */
(function () {
  "use strict";
  const SHOWN = 16, STEPS = 200;
  let panel = null;

  function element(tag, properties, children) {
    const { css, ...rest } = properties || {};
    const made = Object.assign(document.createElement(tag), rest);
    if (css) made.className = css;
    made.append(...(children || []));
    return made;
  }
  const button = (text, click) => element("button", { type: "button", css: "btn-quiet", textContent: text, onclick: click });
  function range(label, low, high, value, follow) {
    const input = element("input", { type: "range", min: low, max: high, step: (high - low) / STEPS });
    input.value = value;
    input.setAttribute("aria-label", label);
    input.addEventListener("input", follow);
    return input;
  }
  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  class Panel {
    constructor(card) {
      this.card = card;
      this.text = card.dataset.latent;
      this.spec = JSON.parse(this.text);
      this.ends = [null, null];
      this.values = this.asked() || new Array(this.spec.size).fill(this.middle());
      this.build();
      this.draw();
    }
    middle() { return this.within(0); }
    within(value) { return Math.min(this.spec.high, Math.max(this.spec.low, value)); }
    /* the numbers in the address, where they fit this generator */
    asked() {
      try {
        const found = JSON.parse(new URLSearchParams(window.location.search).get("values"))[this.spec.name];
        const fits = Array.isArray(found) && found.length === this.spec.size && found.every(Number.isFinite);
        return fits ? found : null;
      } catch (none) { return null; }
    }
    build() {
      const { size, low, high } = this.spec;
      this.outputs = [];
      this.inputs = this.values.map((value, i) => range("Number " + (i + 1), low, high, value, () => {
        this.values[i] = Number(this.inputs[i].value);
        this.told(i);
        this.draw();
      }));
      const lines = this.inputs.map((input, i) => {
        this.outputs.push(element("output", { css: "num" }));
        return element("label", { css: "latent" }, [element("span", { textContent: i + 1 }), input, this.outputs[i]]);
      });
      this.status = element("p", { css: "card-note generator-status" });
      this.status.setAttribute("role", "status");
      const more = size > SHOWN ? [element("details", {}, [element("summary", { textContent: size - SHOWN + " more" }), ...lines.slice(SHOWN)])] : [];
      const tools = element("div", { css: "toolbar" }, [
        button("Random", () => this.go(this.values.map(() => this.within(normal())))),
        button("Middle", () => this.go(this.values.map(() => this.middle()))),
        this.status,
      ]);
      const place = this.card.querySelector(".generator");
      place.replaceChildren(tools, ...lines.slice(0, SHOWN), ...more, this.between());
      place.onchange = () => this.rest();
      this.values.forEach((_, i) => this.told(i));
    }
    /* two remembered positions and a slider between them */
    between() {
      this.marks = [0, 1].map(() => element("span", { css: "latent-end" }));
      this.mix = range("From A to B", 0, 1, 0, () => {
        const t = Number(this.mix.value), [a, b] = this.ends;
        this.show(a.map((value, i) => value + t * (b[i] - value)));
        this.draw();
      });
      this.mix.disabled = true;
      const keep = (which) => button("Keep as " + "AB"[which], () => this.keep(which));
      const heading = element("h3", { css: "field-label", textContent: "Interpolate between two" });
      const row = element("div", { css: "latent-between" }, [keep(0), this.marks[0], this.mix, this.marks[1], keep(1)]);
      return element("div", { css: "mt-3" }, [heading, row]);
    }
    keep(which) {
      this.ends[which] = this.values.slice();
      const picture = this.picture() && this.picture().src;
      this.marks[which].replaceChildren(...(picture ? [this.copy(which)] : []));
      this.mix.disabled = !(this.ends[0] && this.ends[1]);
      if (!this.mix.disabled) this.mix.value = which;
    }
    /* drawn, not linked: the address of the picture shown is given back when the next one comes */
    copy(which) {
      const shown = this.picture(), canvas = element("canvas", { width: shown.naturalWidth, height: shown.naturalHeight });
      canvas.getContext("2d").drawImage(shown, 0, 0);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "Picture " + "AB"[which]);
      return canvas;
    }
    told(i) { this.outputs[i].textContent = this.values[i].toFixed(2); }
    show(values) {
      this.values = values;
      values.forEach((value, i) => { this.inputs[i].value = value; this.told(i); });
    }
    go(values) {
      this.show(values);
      this.draw();
      this.rest();
    }
    picture() { return document.querySelector(".live-picture img"); }
    async draw() {
      if (this.busy) { this.again = true; return; }
      this.busy = true;
      do {
        this.again = false;
        await this.fetch();
      } while (this.again && panel === this);
      this.busy = false;
    }
    async fetch() {
      const began = performance.now();
      const options = {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Vitrine-Upload": "1" },
        body: JSON.stringify(this.values),
      };
      try {
        const reply = await fetch("/pictures/live/" + this.spec.run, options);
        if (!reply.ok) throw new Error((await reply.json()).error);
        await this.place(await reply.blob());
        if (panel !== this) return;
        this.status.textContent = "drawn in " + Math.round(performance.now() - began) + " ms";
        this.status.classList.remove("problem");
      } catch (error) {
        const away = error instanceof TypeError || error instanceof SyntaxError;
        this.status.textContent = away ? "The server does not answer; move a slider to try again." : error.message;
        this.status.classList.add("problem");
        if (!this.picture()) window.setTimeout(() => { if (panel === this && !this.picture()) this.draw(); }, 3000);
      }
    }
    async place(blob) {
      const home = document.querySelector(".live-picture");
      if (!home || panel !== this) return;
      const fresh = element("img", { src: URL.createObjectURL(blob), alt: "What " + this.spec.model + " draws from these numbers" });
      await fresh.decode();
      if (panel !== this) return;
      const old = this.picture();
      if (old) URL.revokeObjectURL(old.src);
      if (fresh.naturalWidth < 32) fresh.className = "small-picture";
      home.replaceChildren(fresh);
    }
    /* the query takes the numbers, shortened so that the address stays readable */
    rest() {
      const text = JSON.stringify({ [this.spec.name]: this.values.map((value) => Number(value.toFixed(3))) });
      const none = { row: "", text: "", upload: "", flag: "", file: "" };
      if (text.length < 3500) window.dash_clientside.vitrine.changeQuery(this.card, { ...none, values: text });
    }
    leave() {
      const home = document.querySelector(".live-picture");
      if (home) home.replaceChildren();
      this.card.querySelector(".generator").replaceChildren();
    }
  }

  function follow() {
    const card = document.querySelector("[data-latent]"), text = card ? card.dataset.latent : "";
    if (panel && (panel.card !== card || panel.text !== text)) { panel.leave(); panel = null; }
    if (!panel && text && document.querySelector(".live-picture")) {
      panel = new Panel(card);
    }
  }
  new MutationObserver(follow).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-latent"] });
  /* back and forward: the numbers of the address */
  window.addEventListener("popstate", () => {
    const values = panel && panel.asked();
    if (!values) return;
    panel.show(values);
    panel.draw();
  });
})();
