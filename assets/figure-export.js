/* Plotly's own button gives a figure as PNG; this one beside it gives it as SVG. */
(function () {
  "use strict";
  function button() {
    const group = document.createElement("div");
    const link = document.createElement("button");
    group.className = "modebar-group";
    link.type = "button";
    link.className = "modebar-svg";
    link.textContent = "SVG";
    link.title = "Download figure as SVG";
    group.append(link);
    return group;
  }
  function complete(host) {
    host.querySelectorAll(".modebar").forEach((bar) => {
      if (!bar.querySelector(".modebar-svg") && bar.querySelector("[data-attr='toImage'], .modebar-btn")) bar.append(button());
    });
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest(".modebar-svg");
    if (!link) return;
    const plot = link.closest(".js-plotly-plot");
    window.Plotly.downloadImage(plot, {
      format: "svg", width: plot.clientWidth, height: plot.clientHeight, filename: "vitrine",
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
