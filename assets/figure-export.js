/* Every figure can be had as PNG and as SVG, by two buttons in place of plotly's own. */
(function () {
  "use strict";
  function button(format) {
    const link = document.createElement("button");
    link.type = "button";
    link.className = "modebar-export";
    link.dataset.format = format;
    link.textContent = format.toUpperCase();
    link.title = "Download figure as " + format.toUpperCase();
    return link;
  }
  function complete(host) {
    host.querySelectorAll(".modebar").forEach((bar) => {
      if (bar.querySelector(".modebar-export") || !bar.querySelector(".modebar-btn")) return;
      const group = document.createElement("div");
      group.className = "modebar-group";
      group.append(button("png"), button("svg"));
      bar.append(group);
    });
  }
  /* what the picture shows: model and version, panel, and of several figures in one panel its own title */
  function name(plot) {
    const facts = document.querySelector(".run-facts[data-stem]"), panel = plot.closest("[data-panel]");
    const title = plot.closest(".multiple") && plot.closest(".multiple").querySelector("h3");
    const word = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const words = [facts && facts.dataset.stem, panel && panel.dataset.panel, title && word(title.textContent)];
    return words.filter(Boolean).join("-") || "vitrine";
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest(".modebar-export");
    if (!link) return;
    const plot = link.closest(".js-plotly-plot"), format = link.dataset.format;
    window.Plotly.downloadImage(plot, {
      format: format, width: plot.clientWidth, height: plot.clientHeight, filename: name(plot), scale: format === "png" ? 2 : 1,
    });
  });
  new MutationObserver((changes) => {
    changes.forEach((change) => change.addedNodes.forEach((node) => {
      if (node.nodeType !== Node.ELEMENT_NODE) return;
      if (node.closest(".modebar-container, .js-plotly-plot") || node.querySelector(".modebar")) complete(node.closest(".js-plotly-plot") || node);
    }));
  }).observe(document.body, { subtree: true, childList: true });
  complete(document.body);
})();
