/* Inputs of the Inference page: files picked, dropped or pasted travel as multipart requests; a row is chosen by number. */
(function () {
  "use strict";
  const inputs = ["row", "text", "values", "upload", "flag", "file"];
  const cleared = Object.fromEntries(inputs.map((name) => [name, ""]));
  const vitrine = () => window.dash_clientside.vitrine;

  /* [data-upload="input"] asks the model about the file, any other value names the store that takes its token */
  function take(box, file) {
    if (!file) return;
    const store = box.dataset.upload, place = store === "input" ? "inference-answer" : box.dataset.place;
    box.setAttribute("aria-busy", "true");
    vitrine().send(file, file.name || "clipboard").then((token) => {
      if (store === "input") vitrine().changeQuery(box, Object.assign({}, cleared, { upload: token.key }));
      else window.dash_clientside.set_props(store, { data: token });
    }).catch(vitrine().failed(place)).finally(() => box.removeAttribute("aria-busy"));
  }
  /* an invisible file input covers the box: clicks, keys and dropped files reach it as the browser means them to */
  function fit(box) {
    if (box.querySelector("input[type=file]")) return;
    const input = document.createElement("input");
    input.type = "file";
    input.setAttribute("aria-label", box.textContent.trim());
    input.addEventListener("change", () => { take(box, input.files[0]); input.value = ""; });
    ["dragenter", "dragover"].forEach((name) => input.addEventListener(name, () => box.classList.add("dragging")));
    ["dragleave", "drop"].forEach((name) => input.addEventListener(name, () => box.classList.remove("dragging")));
    box.append(input);
  }
  new MutationObserver(() => document.querySelectorAll("[data-upload]").forEach(fit))
    .observe(document.body, { subtree: true, childList: true });

  /* a picture in the clipboard is an input wherever on the page it is pasted */
  document.addEventListener("paste", (event) => {
    const box = document.querySelector(".prediction-form[data-kind=image] [data-upload=input]");
    const picture = [...(event.clipboardData ? event.clipboardData.files : [])].find((file) => file.type.startsWith("image/"));
    if (!box || !picture) return;
    event.preventDefault();
    take(box, picture);
  });

  /* code to copy */
  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button.copy-code");
    if (!button) return;
    const code = button.parentElement.querySelector("pre");
    const done = (said) => { button.textContent = said; window.setTimeout(() => { button.textContent = "Copy"; }, 2000); };
    const select = () => { window.getSelection().selectAllChildren(code); done("Selected"); };
    if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => done("Copied"), select); else select();
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    inputs: {
      /* a row's number in its field asks about that row of the evaluation */
      row(value, query) {
        const store = window.dash_clientside.callback_context.states_list[0].id;
        const row = value === null || value === undefined ? "" : String(value).trim();
        const others = inputs.some((name) => name !== "row" && query && query[name]);
        if (!row || (String((query || {}).row) === row && !others)) return;
        const next = Object.assign({}, query, { row: row });
        inputs.forEach((name) => { if (name !== "row") delete next[name]; });
        window.dash_clientside.set_props(store, { data: next });
      },
    },
  });
})();
