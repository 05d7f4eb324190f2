/* Named browser-side functions: the URL mirrors the page's query, links inside a page change it, themes switch. */
(function () {
  "use strict";
  const root = document.documentElement;
  const params = new URLSearchParams(window.location.search);
  const asked = params.get("theme");
  if (params.get("embed") === "1") root.dataset.embed = "1";
  applyTheme(asked === "light" || asked === "dark" ? asked : stored());

  function stored() {
    try { return window.localStorage.getItem("vitrine-theme") || "auto"; } catch (refused) { return "auto"; }
  }
  function applyTheme(theme) {
    if (theme === "auto") { delete root.dataset.theme; } else { root.dataset.theme = theme; }
    const dark = theme === "dark" || (theme === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!root.dataset.theme) applyTheme("auto");
  });

  const frame = ["embed", "theme", "token"];
  function search(query) {
    const next = new URLSearchParams();
    const now = new URLSearchParams(window.location.search);
    Object.entries(query || {}).forEach(([key, value]) => {
      if (value !== null && value !== undefined && value !== "") next.set(key, value);
    });
    frame.forEach((key) => { if (now.has(key)) next.set(key, now.get(key)); });
    const text = next.toString();
    return text ? "?" + text : "";
  }

  /* the rows behind a cell or class open further down: bring them into view once they are there */
  function showRows(page) {
    const rows = page.querySelector("[id$='-rows']"), until = Date.now() + 8000;
    if (!rows) return;
    const timer = window.setInterval(() => {
      const there = rows.firstElementChild && !rows.dataset.dashIsLoading;
      if (there) rows.scrollIntoView({ behavior: "smooth", block: "nearest" });
      if (there || Date.now() > until) window.clearInterval(timer);
    }, 150);
  }

  /* A click on <a class="view-link"> inside [data-query-store] changes the page's query instead of loading a page. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.view-link");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const page = link.closest("[data-query-store]");
    const target = new URL(link.href);
    if (!page || target.pathname !== window.location.pathname) return;
    event.preventDefault();
    const asked = Object.fromEntries([...target.searchParams].filter(([key]) => !frame.includes(key)));
    const menu = link.closest("details.menu");
    if (menu) menu.open = false;
    const next = changed(link, asked);
    if (link.closest(".confusion [data-chosen]")) opened.forEach((name) => delete next[name]); /* a second click closes */
    window.dash_clientside.set_props(page.dataset.queryStore, { data: next });
    if (link.closest(".confusion") || (link.closest("table.data td") && next.label)) showRows(page);
  });
  /* Inside [data-base] a link changes only what it differs by: other parameters may have moved on since it was drawn. */
  function changed(link, asked) {
    const drawn = link.closest("[data-base]");
    if (!drawn) return asked;
    const base = Object.fromEntries(new URLSearchParams(drawn.dataset.base));
    const now = new URLSearchParams(window.location.search);
    frame.forEach((key) => now.delete(key));
    new Set([...Object.keys(base), ...Object.keys(asked)]).forEach((key) => {
      if (base[key] === asked[key]) return;
      if (asked[key] === undefined) { now.delete(key); } else { now.set(key, asked[key]); }
    });
    (link.dataset.clear || "").split(" ").forEach((key) => { if (asked[key] === undefined) now.delete(key); });
    return Object.fromEntries(now);
  }
  /* A matrix is not drawn again for each cell that is opened: the open cell, row or column is marked here. */
  const opened = ["label", "predicted", "open", "offset"];
  function markChosen(query) {
    const parts = opened.slice(0, 2), value = (name) => String((query || {})[name] || "");
    document.querySelectorAll(".confusion a.view-link").forEach((link) => {
      const asked = new URLSearchParams(link.search);
      const same = [...parts, "filter"].every((name) => (asked.get(name) || "") === value(name));
      const place = link.closest("td, th");
      if (same && parts.some(value)) { place.dataset.chosen = "true"; } else { delete place.dataset.chosen; }
    });
  }
  /* dcc.Input puts the caret back a moment after each key, to where it was then: on a busy machine the next
     letters land in the middle of the word. The browser keeps the caret by itself. */
  document.addEventListener("focusin", (event) => {
    if (event.target.matches && event.target.matches("input.dash-input-element")) event.target.setSelectionRange = () => {};
  });

  /* A menu of links closes on a click elsewhere and on Escape. */
  document.addEventListener("click", (event) => {
    document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
  });

  /* Elements with data-tree hold plain HTML as data (layouts/frozen.py): drawn here, never parsed. */
  const drawn = new WeakMap();
  const tags = new Set(("a b button br caption code dd details div dl dt em figcaption figure footer h1 h2 h3 h4 header " +
    "i img li nav ol p pre section small span strong summary table tbody td th thead tr u ul").split(" "));
  function element(spec) {
    if (typeof spec === "string") return document.createTextNode(spec);
    const [tag, attributes, children] = spec;
    const made = document.createElement(tags.has(tag) ? tag : "span");
    Object.entries(attributes).forEach(([name, value]) => {
      if (name === "style") {
        Object.entries(value).forEach(([property, setting]) => {
          const text = typeof setting === "number" && setting ? setting + "px" : String(setting);
          if (property.startsWith("--")) made.style.setProperty(property, text); else made.style[property] = text;
        });
      } else if (value !== false) made.setAttribute(name, value === true ? "" : value);
    });
    children.forEach((child) => made.append(element(child)));
    return made;
  }
  /* The menu that is open: also where the whole part around it is made anew. A removed element tells no toggle. */
  let inUse = null;
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!menu.matches || !menu.matches("details.menu") || !menu.isConnected) return;
    const text = menu.querySelector("summary").textContent;
    if (menu.open) inUse = text; else if (inUse === text) inUse = null;
  }, true);
  function draw(host) {
    const summaries = (open) => [...host.querySelectorAll("details" + open + " > summary")];
    const opened = new Set(summaries("[open]").map((summary) => summary.textContent)); /* a menu in use stays open */
    if (inUse !== null) opened.add(inUse);
    (drawn.get(host) || []).forEach((node) => node.remove());
    const nodes = host.dataset.tree ? JSON.parse(host.dataset.tree).map(element) : [];
    drawn.set(host, nodes);
    host.append(...nodes);
    summaries("").forEach((summary) => { if (opened.has(summary.textContent)) summary.parentElement.open = true; });
  }
  new MutationObserver((changes) => {
    const hosts = new Set();
    changes.forEach((change) => {
      if (change.type === "attributes") hosts.add(change.target);
      change.addedNodes.forEach((node) => {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        if (node.dataset.tree && !drawn.has(node)) hosts.add(node);
        node.querySelectorAll("[data-tree]").forEach((inner) => { if (!drawn.has(inner)) hosts.add(inner); });
      });
    });
    hosts.forEach(draw);
    if (hosts.size) markChosen(Object.fromEntries(new URLSearchParams(window.location.search)));
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-tree"] });

  /* Back and forward within one page: the address bar tells the page's query, not the other way round. */
  window.addEventListener("popstate", () => {
    const page = document.querySelector("[data-query-store]");
    if (!page || page.dataset.path !== window.location.pathname) return;
    const params = new URLSearchParams(window.location.search);
    const query = Object.fromEntries([...params].filter(([key]) => !frame.includes(key)));
    window.dash_clientside.set_props(page.dataset.queryStore, { data: query });
  });

  /* Links between pages are followed inside the application, as dcc.Link does. */
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a.page-link-in");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    window.history.pushState(null, "", link.href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  });

  /* Files travel as plain multipart requests; the answer names the stored file: {key, name, bytes}. */
  async function send(blob, name) {
    const limit = blob.size > 1e6 ? await fetch("/uploads").then((r) => r.json()) : null;
    if (limit && blob.size > limit.most_bytes) throw new Error(limit.sentence.replace("{name}", name));
    const form = new FormData();
    form.append("file", blob, name);
    const reply = await fetch("/uploads", { method: "POST", body: form, headers: { "X-Vitrine-Upload": "1" } });
    const found = await reply.json();
    if (!reply.ok) throw new Error(found.error.message || found.error);
    return found;
  }
  function notice(place, title, text) {
    const bold = { namespace: "dash_html_components", type: "B", props: { children: title } };
    const props = { className: "notice error", role: "alert", children: [bold, text] };
    window.dash_clientside.set_props(place, { children: { namespace: "dash_html_components", type: "Div", props } });
  }
  const failed = (place) => (error) => {
    const away = error instanceof TypeError || error instanceof SyntaxError;
    notice(place, "This could not be used", away ? "The server did not take the file; try again in a moment." : error.message);
  };
  function fieldValue(value, kind) {
    if (value === null || value === undefined || value === "") return null;
    const number = kind === "number" && String(value).trim() !== "" ? Number(value) : NaN;
    return Number.isFinite(number) ? number : value;
  }
  /* what of a query outlives its input */
  const given = new Set(["row", "text", "values", "upload", "flag", "file"]);
  const kept = (query) => Object.fromEntries(Object.entries(query).filter(([name]) => !given.has(name)));
  /* On narrow screens the answer may be out of sight of what asked for it. */
  function showAnswer() {
    const answer = document.getElementById("inference-answer");
    if (answer) answer.closest("section").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest && event.target.closest("a.example")) showAnswer();
  });
  /* The form is drawn anew after a prediction; whoever typed in it goes on where they were. */
  function keepFocus() {
    const id = document.activeElement && document.activeElement.id;
    const form = document.getElementById("inference-fields");
    if (!id || !form || !form.contains(document.activeElement)) return;
    const watch = new MutationObserver(() => {
      const again = document.getElementById(id);
      if (again && document.activeElement === document.body) again.focus();
    });
    watch.observe(form, { childList: true, subtree: true });
    window.setTimeout(() => watch.disconnect(), 3000);
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = document.getElementById("inference-predict");
    if (!button || !event.target.closest(".prediction-form")) return;
    event.target.blur(); /* because controls hand over what was typed when they lose the focus */
    window.setTimeout(() => button.click(), 50);
  });

  /* Dash's dropdown gives its tab stop to an input that it hides from screen readers; its button is the better one.
     Dash's upload has no way to name its file input. */
  new MutationObserver(() => {
    document.querySelectorAll("input[type=file]:not([aria-label])").forEach((input) => {
      input.setAttribute("aria-label", "Choose a file");
    });
    document.querySelectorAll(".dash-dropdown-focus-target[tabindex='0']").forEach((hidden) => {
      hidden.tabIndex = -1;
      if (hidden.nextElementSibling) hidden.nextElementSibling.tabIndex = 0;
    });
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["tabindex"] });

  /* resolves once no slot of the first kind (see layouts.page.slot) is being filled, at the latest after so many ms */
  function settled(most) {
    const until = Date.now() + most;
    return new Promise((resolve) => {
      const look = () => {
        const busy = document.querySelector(".slot-first[data-dash-is-loading=true]") && Date.now() < until;
        if (busy) { window.setTimeout(look, 25); } else { resolve(); }
      };
      window.setTimeout(look, 60); /* because a click marks the slots a moment later */
    });
  }
  const noUpdate = () => window.dash_clientside.no_update;
  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    vitrine: {
      send,
      notice,
      failed,
      /* query -> address bar (a new history entry once the page has shown something) and the shell's context */
      mirror(query) {
        const page = document.querySelector("[data-query-store]");
        if (page && !page.dataset.path) page.dataset.path = window.location.pathname;
        const target = search(query);
        if (target !== window.location.search) {
          const first = !new URLSearchParams(window.location.search).get("run");
          window.history[first ? "replaceState" : "pushState"](null, "", window.location.pathname + target);
        }
        markChosen(query);
        return query && query.run ? query.run : noUpdate();
      },
      /* the control <page>-<parameter> sets that parameter of the page's query; the page starts again at row one */
      setParam(value, query) {
        const context = window.dash_clientside.callback_context;
        const name = context.inputs_list[0].id.split("-").slice(1).join("-");
        const current = query || {};
        const text = value === null || value === undefined ? "" : String(value);
        if (name === "run" && !text) return; /* nobody chooses no run: the one asked for is not there */
        if ((current[name] === undefined ? "" : String(current[name])) === text) return;
        const next = Object.assign({}, current, { [name]: text });
        delete next.offset;
        if (!text) delete next[name];
        window.dash_clientside.set_props(context.states_list[0].id, { data: next });
      },
      /* a view follows some fields of the page's query, so that what it feeds is not drawn again for the others */
      pick(query, before) {
        const next = { fields: before.fields };
        before.fields.forEach((name) => {
          if (query && query[name] !== undefined && query[name] !== "") next[name] = String(query[name]);
        });
        return JSON.stringify(next) === JSON.stringify(before) ? noUpdate() : next;
      },
      /* the same for what stands further down: it waits until what was clicked is there, and so leaves the server to it */
      pickLater(query, before) {
        const found = window.dash_clientside.vitrine.pick(query, before);
        return found === noUpdate() ? found : settled(10000).then(() => found);
      },
      /* the query once more, for what may come after the answer; a slow answer holds nothing up */
      later(query, before) {
        return before ? settled(600).then(() => query) : query;
      },
      /* the control <page>-<parameter> shows what a link made of that parameter */
      follow(query, shown) {
        const name = window.dash_clientside.callback_context.outputs_list.id.split("-").slice(1).join("-");
        const value = query && query[name] !== undefined ? String(query[name]) : "";
        return value === (shown || "") ? noUpdate() : value;
      },
      /* a click on a heat map's cell opens the rows behind it; the figure's meta says what its axes select */
      heatmapCell(clicks, figures, query) {
        const click = clicks[0];
        if (!click || !click.points || !click.points.length) return;
        const next = Object.assign({}, query);
        ["label", "predicted", "open", "offset"].forEach((name) => delete next[name]);
        [["y", figures[0].layout.meta.y], ["x", figures[0].layout.meta.x]].forEach(([axis, side]) => {
          const value = String(click.points[0][axis]);
          if (side.parameter) { next[side.parameter] = value; return; }
          const more = side.filters[value];
          next.open = "all";
          if (!more || (next.filter || "").includes(more)) return;
          next.filter = next.filter ? "(" + next.filter + ") AND " + more : more;
        });
        const states = window.dash_clientside.callback_context.states_list;
        window.dash_clientside.set_props(states[states.length - 1].id, { data: next });
      },
      /* a script of the page changes parameters of its query; "" removes one */
      changeQuery(element, changes) {
        const next = Object.fromEntries(new URLSearchParams(window.location.search));
        frame.forEach((key) => delete next[key]);
        const before = JSON.stringify(next);
        Object.entries(changes).forEach(([key, value]) => { if (value === "") { delete next[key]; } else { next[key] = value; } });
        const store = element.closest("[data-query-store]").dataset.queryStore;
        if (JSON.stringify(next) !== before) window.dash_clientside.set_props(store, { data: next });
      },
      /* the form's text or values become the page's query; what is too long for an address is uploaded first */
      predict(clicks, submits, values, ids, text, kind, query) {
        const context = window.dash_clientside.callback_context;
        if (!context.triggered.some((item) => item.value)) return;
        const store = context.states_list[context.states_list.length - 1].id;
        const name = kind === "text" ? "text" : "values";
        const fields = ids.map((id, i) => [id.name, fieldValue(values[i], id.as)]);
        const input = kind === "text" ? text || "" : JSON.stringify(Object.fromEntries(fields));
        const ask = (given) => {
          keepFocus();
          showAnswer();
          window.dash_clientside.set_props(store, { data: Object.assign(kept(query), given) });
        };
        if (!input.trim()) {
          notice("inference-answer", "The text is empty", "Write at least one word, or click an example.");
        } else if (encodeURIComponent(input).length <= 1800) {
          ask({ [name]: input });
        } else {
          send(new Blob([input]), "input").then((token) => ask({ upload: token.key })).catch(failed("inference-answer"));
        }
      },
      /* the query's run, told only when it is another one: a new question must not disturb what works on the run */
      runOf(query, known) {
        const run = (query && query.run) || null;
        return run === known ? noUpdate() : run;
      },
      /* the index has changed: pages hear of it once nothing is loading, the next tick tries again */
      revise(seen, current) {
        return seen === current || document.querySelector("main [data-dash-is-loading=true]") ? noUpdate() : seen;
      },
      /* figures are still being measured: ask again a second after the answer */
      again(pending, store) {
        const there = () => document.querySelector(`[data-query-store^="${store.split("-")[0]}-"]`);
        if (pending) window.setTimeout(() => there() && window.dash_clientside.set_props(store, { data: Date.now() }), 1000);
      },
      nav(pathname, run, hrefs) {
        const targets = hrefs.map((href) => href + search(run && href.length > 1 ? { run: run } : {}));
        return targets.concat(hrefs.map((href) => (href === window.vitrinePath.within(pathname) ? "page" : "false")));
      },
      theme(clicks) {
        if (clicks) {
          const next = { auto: "light", light: "dark", dark: "auto" }[root.dataset.theme || "auto"];
          try { window.localStorage.setItem("vitrine-theme", next); } catch (refused) { /* private mode: for this page only */ }
          applyTheme(next);
        }
        return "Theme: " + (root.dataset.theme || "auto");
      },
    },
  });
})();
