/* The filter box: completion while typing, conditions built by clicks. Everything offered stands in [data-words]. */
(function () {
  "use strict";
  const COMPARE = { number: ["=", "<>", "<", "<=", ">", ">=", "BETWEEN"], text: ["=", "<>", "IN", "LIKE"], boolean: ["="], time: ["<", "<=", ">", ">=", "BETWEEN"] };
  const EMPTY = ["IS NULL", "IS NOT NULL"];
  const TOKEN = /"(?:[^"]|"")*"?|'(?:[^']|'')*'?|[A-Za-z_]\w*|<>|<=|>=|!=|[=<>(),]|[\d.]+/g;
  const KEYWORD = /^(?:AND|OR|NOT|IN|LIKE|ILIKE|BETWEEN|IS|NULL|TRUE|FALSE)$/i;
  const MOST = 8;
  const operators = (word) => COMPARE[word.kind].concat(EMPTY);
  const parse = (text) => { try { return JSON.parse(text || "[]"); } catch (broken) { return []; } };
  function literal(value, kind) {
    if (typeof value === "boolean") return String(value);
    return kind === "number" && value !== "" && Number.isFinite(Number(value)) ? String(value) : "'" + String(value).replaceAll("'", "''") + "'";
  }
  function examples(word) {
    if (word.kind === "boolean") return ["true", "false"];
    /* of numbers only classes are listed; the others carry their smallest and largest value */
    if (word.kind === "number" && !word.values.every((value) => typeof value === "string")) return [];
    return word.values.map((value) => literal(value, word.kind));
  }

  /* what may stand at the end of the text: {from, options}; from is where the word being typed begins */
  function expected(text, words) {
    const tokens = [...text.matchAll(TOKEN)];
    const last = tokens[tokens.length - 1];
    const named = (token) => words.find((word) => token !== undefined && word.name.toLowerCase() === token.toLowerCase());
    let kept = tokens.length;
    if (last && last.index + last[0].length === text.length && !/^(?:[=<>(),]|<>|<=|>=|!=)$/.test(last[0])) kept -= 1;
    /* a name of several words, not yet in quotes */
    while (kept > 0 && /^[A-Za-z_]\w*$/.test(tokens[kept - 1][0]) && !KEYWORD.test(tokens[kept - 1][0]) && !named(tokens[kept - 1][0])) kept -= 1;
    const from = kept < tokens.length ? tokens[kept].index : text.length;
    const partial = text.slice(from);
    const before = tokens.slice(0, kept).map((token) => token[0]);
    const end = before[before.length - 1], upper = (end || "").toUpperCase();
    const column = [...before].reverse().map(named).find(Boolean);
    let options;
    if (!end || ["AND", "OR", "NOT"].includes(upper) || (end === "(" && (before[before.length - 2] || "").toUpperCase() !== "IN")) {
      options = words.map((word) => word.name).concat("NOT");
    } else if (named(end)) {
      options = operators(named(end));
    } else if (upper === "IS") {
      options = ["NULL", "NOT NULL"];
    } else if (/^(?:=|<>|!=|<|>|<=|>=|\(|,|LIKE|ILIKE)$/.test(upper)) {
      options = column ? examples(column) : [];
    } else if (["BETWEEN", "IN"].includes(upper)) {
      options = upper === "IN" ? ["("] : [];
    } else {
      options = ["AND", "OR"];
    }
    const wanted = partial.replace(/^['"]/, "").trimEnd().toLowerCase();
    const plain = (option) => option.replace(/^['"]/, "").toLowerCase();
    const fitting = options.filter((option) => plain(option).includes(wanted) && option !== partial);
    fitting.sort((a, b) => plain(b).startsWith(wanted) - plain(a).startsWith(wanted));
    return { from: from, options: fitting.slice(0, MOST) };
  }

  let open = null; /* the list that is shown: {input, list, found, active} */
  function close() {
    if (!open) return;
    open.list.remove();
    open.input.setAttribute("aria-expanded", "false");
    open.input.removeAttribute("aria-activedescendant");
    open = null;
  }
  function typed(input) {
    const box = input.closest(".filter-box");
    const words = box && parse(box.querySelector("[data-words]").dataset.words);
    close();
    if (!words || !words.length || input.selectionStart !== input.value.length) return;
    const found = expected(input.value, words);
    if (!found.options.length) return;
    const list = document.createElement("ul");
    list.className = "suggestions";
    list.id = input.id + "-suggestions";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "Words that fit here");
    found.options.forEach((option, index) => {
      const item = document.createElement("li");
      item.id = list.id + "-" + index;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.textContent = option;
      item.addEventListener("pointerdown", (event) => { event.preventDefault(); take(index); });
      list.append(item);
    });
    input.closest(".filter-field").append(list);
    input.setAttribute("aria-expanded", "true");
    open = { input: input, list: list, found: found, active: -1 };
  }
  function move(step) {
    const items = [...open.list.children];
    open.active = (open.active + step + items.length) % items.length;
    items.forEach((item, index) => item.setAttribute("aria-selected", String(index === open.active)));
    items[open.active].scrollIntoView({ block: "nearest" });
    open.input.setAttribute("aria-activedescendant", items[open.active].id);
  }
  function write(input, text) {
    /* through the element's own setter, so that the page's framework hears of it */
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function take(index) {
    const { input, found } = open;
    const chosen = found.options[index];
    write(input, input.value.slice(0, found.from) + chosen + (chosen === "(" ? "" : " "));
    typed(input);
  }
  const filterOf = (target) => (target.matches && target.matches(".filter-field input") ? target : null);
  document.addEventListener("focusin", (event) => {
    const input = filterOf(event.target);
    if (!input) return;
    const set = (name, value) => input.setAttribute(name, value);
    set("role", "combobox"); set("aria-autocomplete", "list"); set("aria-expanded", "false"); set("aria-controls", input.id + "-suggestions");
    typed(input);
  });
  document.addEventListener("focusout", (event) => { if (open && event.target === open.input) close(); });
  document.addEventListener("input", (event) => { const input = filterOf(event.target); if (input) typed(input); });
  document.addEventListener("keydown", (event) => {
    const input = filterOf(event.target);
    if (!input || event.isComposing) return;
    if (event.key === "Enter" && (!open || open.active < 0)) { close(); return; }
    if (event.key === "ArrowDown" && !open) { typed(input); }
    if (!open) return;
    if (event.key === "ArrowDown") { move(1); } else if (event.key === "ArrowUp") { move(-1); }
    else if (event.key === "Enter") { take(open.active); } else if (event.key === "Escape") { close(); } else { return; }
    event.preventDefault();
    event.stopPropagation();
  }, true);

  /* whoever typed before the words arrived sees them now */
  new MutationObserver(() => { const input = filterOf(document.activeElement); if (input && !open) typed(input); })
    .observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-words"] });

  const option = (text) => ({ namespace: "dash_html_components", type: "Option", props: { value: text } });
  function condition(word, operator, value) {
    if (operator.startsWith("IS ")) return word.name + " " + operator;
    const text = value === null || value === undefined ? "" : String(value).trim();
    const parts = operator === "BETWEEN" ? text.split(/\s*(?:\band\b|\bto\b|,|…)\s*/i) : operator === "IN" ? text.split(/\s*,\s*/) : [text];
    if (!text) throw new Error("Give a value for " + word.name + ".");
    if (operator === "BETWEEN" && parts.length !== 2) throw new Error("BETWEEN needs two values, such as 40 and 60.");
    const classes = word.values.length && word.values.every((known) => typeof known === "string");
    if (word.kind === "number" && !classes && !parts.every((part) => part !== "" && Number.isFinite(Number(part)))) {
      throw new Error(word.name + " holds numbers; " + text + " is none.");
    }
    if (word.kind === "boolean" && !/^(true|false)$/i.test(text)) throw new Error(word.name + " is true or false.");
    const written = parts.map((part) => (word.kind === "boolean" ? part.toLowerCase() : literal(part, word.kind)));
    if (operator === "BETWEEN") return word.name + " BETWEEN " + written.join(" AND ");
    return word.name + " " + operator + " " + (operator === "IN" ? "(" + written.join(", ") + ")" : written[0]);
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    filterBox: {
      /* the chosen column decides which operators and values are offered */
      offer(column, words) {
        const word = parse(words).find((known) => known.name === column);
        if (!word) return [[], null, [], ""];
        const names = operators(word);
        const values = word.kind === "boolean" ? ["true", "false"] : word.values.filter((value) => typeof value === "string");
        const ends = word.kind === "number" && !values.length ? word.values : [];
        return [names, names[0], values.map(option), ends.length === 2 ? ends[0] + " to " + ends[1] : ""];
      },
      /* column, operator and value become one more condition of the page's filter */
      add(clicks, column, operator, value, words, query) {
        if (!clicks) return window.dash_clientside.no_update;
        const word = parse(words).find((known) => known.name === column);
        if (!word || !operator) return "Choose a column and an operator.";
        const now = ((query && query.filter) || "").trim();
        try {
          const added = condition(word, operator, value);
          const kept = /\bor\b/i.test(now) ? "(" + now + ")" : now;
          const states = window.dash_clientside.callback_context.states_list;
          const next = Object.assign({}, query, { filter: kept ? kept + " AND " + added : added });
          delete next.offset;
          window.dash_clientside.set_props(states[states.length - 1].id, { data: next });
          return "";
        } catch (refused) {
          return refused.message;
        }
      },
      /* what was stored elsewhere has changed: everything that follows the store's revision is asked for again */
      again(_changed, revision) {
        window.dash_clientside.set_props(window.dash_clientside.callback_context.states_list[0].id, { data: revision });
      },
    },
  });
})();
