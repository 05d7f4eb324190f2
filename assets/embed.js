/* Sharing a panel: its link and its embed code. And inside a frame: the token on every request, no way out of the
   panel's scope, the height told to the page around. */
(function () {
  "use strict";
  const root = document.documentElement;
  const params = new URLSearchParams(window.location.search);
  const token = window.vitrinePath.within(window.location.pathname) === "/embed" ? params.get("token") : null;

  function make(tag, attributes, ...children) {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => {
      if (value !== false) made.setAttribute(name, value === true ? "" : value);
    });
    made.append(...children);
    return made;
  }

  if (token) frame(); else document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button.share-panel");
    if (button) share(button);
  });

  /* ---- inside a frame ---- */
  function frame() {
    root.dataset.embed = "1";
    const plain = window.fetch;
    window.fetch = (target, options) => {
      const address = new URL(typeof target === "string" ? target : target.url, window.location.href);
      if (address.origin !== window.location.origin) return plain.call(window, target, options);
      const headers = new Headers((options && options.headers) || (target.headers || {}));
      headers.set("X-Vitrine-Embed", token);
      return plain.call(window, target, Object.assign({}, options, { headers: headers, credentials: "omit" })).then((reply) => {
        const refused = reply.headers.get("X-Vitrine-Refused");
        if (refused) explain(refused);
        return reply;
      });
    };
    tellHeight();
    new MutationObserver((changes, watch) => {
      const page = document.querySelector("[data-embedded]");
      if (!page) return;
      watch.disconnect();
      guard(page, JSON.parse(page.dataset.embedded));
    }).observe(document.body, { subtree: true, childList: true });
  }

  /* why nothing is shown, in one line, with the way to the full view */
  let full = "/";
  function explain(sentence) {
    if (document.querySelector(".embed-refused")) return;
    const link = make("a", { href: window.vitrinePath.at(full), target: "_blank", rel: "noopener" }, "Open Vitrine");
    const line = make("p", { class: "embed-refused", role: "alert" }, sentence + " ", link);
    document.getElementById("react-entry-point").hidden = true;
    document.querySelectorAll(".embed-open").forEach((other) => other.remove());
    document.body.append(line);
  }

  function guard(page, facts) {
    const store = page.dataset.queryStore, free = new Set(facts.free), set = window.dash_clientside.set_props;
    full = facts.full;
    const within = (data) => Object.assign(
      Object.fromEntries(Object.entries(data || {}).filter(([name]) => free.has(name))), facts.locked);
    window.dash_clientside.set_props = (id, props) =>
      set(id, id === store && props.data ? Object.assign({}, props, { data: within(props.data) }) : props);
    const inScope = (link) => {
      const target = new URL(link.href);
      if (target.origin !== window.location.origin) return false;
      if (window.vitrinePath.within(target.pathname) !== facts.path || link.hasAttribute("download")) return false;
      const asked = [...target.searchParams].filter(([name]) => !free.has(name));
      return asked.length === Object.keys(facts.locked).length && asked.every(([name, value]) => facts.locked[name] === value);
    };
    /* the table behind the panel: fetched without headers, so the token goes into its address */
    const isTable = (link) => link.hasAttribute("download") && window.vitrinePath.within(new URL(link.href).pathname).startsWith("/export/");
    /* a link that leads out of the panel is plain text here */
    function tame(node) {
      node.querySelectorAll("a[href][download]:not([data-allowed])").forEach((link) => {
        if (!isTable(link)) return;
        const address = new URL(link.href);
        address.searchParams.set("token", token);
        link.dataset.allowed = "1";
        link.classList.remove("chrome");
        link.href = address;
      });
      node.querySelectorAll("a[href]:not([data-allowed])").forEach((link) => { if (!inScope(link)) link.removeAttribute("href"); });
      /* pictures are fetched without headers: the token goes into their address */
      node.querySelectorAll("img[src*='/pictures/']:not([src*='token='])").forEach((image) => {
        image.src = image.getAttribute("src") + "?token=" + encodeURIComponent(token);
      });
      if (!free.has("text")) node.querySelectorAll(".prediction-form, .generator-card").forEach((form) => { form.inert = true; });
    }
    tame(page);
    new MutationObserver(() => tame(page)).observe(page, { subtree: true, childList: true, attributes: true, attributeFilter: ["href", "src"] });
    document.addEventListener("click", (event) => {
      const link = event.target.closest && event.target.closest("a[href]");
      if (!link || !page.contains(link) || link.dataset.allowed) return;
      event.preventDefault();
      event.stopPropagation();
      if (inScope(link)) window.dash_clientside.set_props(store, { data: Object.fromEntries(new URL(link.href).searchParams) });
    }, true);
    renew();
    const open = { class: "embed-open", href: window.vitrinePath.at(full), target: "_blank", rel: "noopener" };
    document.body.append(make("a", open, "Open in Vitrine"));
  }

  /* When the run index has changed the panel is drawn anew; a link that was revoked says so, because this asks too. */
  function renew() {
    let shown = null;
    window.setInterval(() => {
      if (document.hidden || document.querySelector("main [data-dash-is-loading=true]")) return;
      fetch("/embed/revision").then((reply) => reply.json()).then((found) => {
        if (found.revision === undefined || found.revision === shown) return;
        if (shown !== null) window.dash_clientside.set_props("shell-revision", { data: found.revision });
        shown = found.revision;
      }).catch(() => { /* the server is away: asked again */ });
    }, 2500);
  }

  /* the height goes to the exact origin of the page around, which the frame-ancestors policy has let in */
  function tellHeight() {
    const above = window.location.ancestorOrigins && window.location.ancestorOrigins[0];
    const origin = above || (document.referrer ? new URL(document.referrer).origin : null);
    if (!origin || origin === "null" || window.parent === window) return;
    let told = 0;
    new ResizeObserver(() => {
      const height = Math.ceil(document.body.getBoundingClientRect().height);
      if (height !== told) window.parent.postMessage({ vitrine: "height", height: (told = height) }, origin);
    }).observe(document.body);
  }

  /* ---- sharing ---- */
  function share(button) {
    const box = button.closest("[data-panel]"), page = button.closest("[data-query-store]");
    const query = Object.fromEntries(new URLSearchParams(window.location.search));
    ["embed", "theme", "token"].forEach((name) => delete query[name]);
    let slot = box.parentElement;
    while (slot !== page && (!slot.id || slot.id.startsWith("{"))) slot = slot.parentElement;
    const wanted = {
      path: window.vitrinePath.within(window.location.pathname), panel: box.dataset.panel,
      slot: slot === page ? "" : slot.id, params: query,
    };
    const title = button.getAttribute("aria-label").replace(/^Share /, "");
    dialog(title, wanted, page.dataset.refused);
  }

  function copyRow(label, text) {
    const field = make("textarea", { class: "form-control mono", readonly: true, rows: label === "Link" ? "2" : "4", "aria-label": label });
    field.value = text;
    const copy = make("button", { class: "btn btn-primary", type: "button" }, "Copy");
    copy.addEventListener("click", () => {
      field.select();
      const done = () => { copy.textContent = "Copied"; };
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => { if (document.execCommand("copy")) done(); });
      else if (document.execCommand("copy")) done();
    });
    return make("div", { class: "share-row" }, make("span", { class: "field-label" }, label), field, copy);
  }

  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);

  /* `refused` says why this user makes no embed codes */
  function dialog(title, wanted, refused) {
    const told = make("div", { class: "share-told", "aria-live": "polite" });
    const days = make("select", { class: "form-select", "aria-label": "Valid for" });
    [7, 30, 90].forEach((n) => days.append(make("option", { value: n, selected: n === 30 }, n + " days")));
    const predicts = make("input", { type: "checkbox", id: "share-predict" });
    const more = wanted.panel === "live"
      ? [make("label", { for: "share-predict", class: "share-check" }, predicts, " Visitors may try the model")] : [];
    const go = make("button", { class: "btn btn-primary", type: "button" }, "Make embed code");
    const close = make("button", { class: "btn-quiet", type: "button", "aria-label": "Close" }, "Close");
    const links = make("div", { class: "share-links" });
    const note = make("p", { class: "card-note" }, "An embed code shows this panel, with its run and filters, to anyone who has it, without signing in.");
    const box = make("dialog", { class: "share-dialog", "aria-label": "Share " + title },
      make("div", { class: "card-head" }, make("h2", {}, "Share " + title), close),
      copyRow("Link", window.location.href), make("span", { class: "field-label" }, "Embed code"), note);
    if (refused) box.append(make("p", { class: "only-editors" }, refused));
    else box.append(make("div", { class: "toolbar" }, days, ...more, go), told, links);
    close.addEventListener("click", () => box.close());
    box.addEventListener("close", () => box.remove());
    go.addEventListener("click", () => {
      const body = Object.assign({}, wanted, { days: Number(days.value), scope: predicts.checked ? "predict" : "view" });
      ask("POST", "/embed/links", body).then((made) => {
        const until = make("p", { class: "card-note" }, "Valid until " + day(made.expires) + ".");
        told.replaceChildren(copyRow("Embed code for a wiki", made.code), until);
        list(links, wanted);
      }).catch((error) => told.replaceChildren(make("p", { class: "notice error", role: "alert" }, error.message)));
    });
    document.body.append(box);
    box.showModal();
    if (!refused) list(links, wanted);
  }

  /* the links that were made for this panel, each with a way to end it */
  function list(place, wanted) {
    ask("GET", "/embed/links").then((found) => {
      const ours = found.links.filter((link) => link.path === wanted.path && link.panel === wanted.panel && !link.revoked);
      const lines = ours.slice(0, 20).map((link) => {
        const end = make("button", { class: "btn-quiet", type: "button" }, "Revoke");
        const what = link.id.slice(0, 8) + " · until " + day(link.expires) + (link.scope === "predict" ? " · may predict" : "") + (link.author ? " · " + link.author : "");
        const line = make("li", {}, make("span", {}, what), " ", end);
        end.addEventListener("click", () => ask("DELETE", "/embed/links/" + link.id).then(() => line.remove()));
        return line;
      });
      place.replaceChildren(...(lines.length ? [make("span", { class: "field-label" }, "Links of this panel"), make("ul", {}, ...lines)] : []));
    }).catch(() => place.replaceChildren());
  }

  function ask(method, path, body) {
    const options = { method: method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) };
    return fetch(path, options).then((reply) => reply.json().then((found) => {
      if (!reply.ok) throw new Error(found.error.message);
      return found;
    }));
  }
})();
