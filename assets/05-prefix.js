/* Below a path of another address (VITRINE_URL_PREFIX, X-Forwarded-Prefix) links and requests that begin with "/" get
   that path in front; nothing happens here without one. */
(function () {
  "use strict";
  const config = document.getElementById("_dash-config");
  const prefix = config ? JSON.parse(config.textContent).requests_pathname_prefix.replace(/\/$/, "") : "";
  const ours = (path) => path.startsWith("/") && !path.startsWith("//");
  const below = (path) => path === prefix || path.startsWith(prefix + "/") || path.startsWith(prefix + "?");
  const at = (path) => (prefix && ours(path) && !below(path) ? prefix + path : path);
  window.vitrinePath = { at: at, within: (path) => (prefix && below(path) ? path.slice(prefix.length) || "/" : path) };
  if (!prefix) return;

  const plain = window.fetch;
  window.fetch = (target, options) => plain.call(window, typeof target === "string" ? at(target) : target, options);

  function mend(node) {
    ["href", "src"].forEach((name) => {
      const value = node.getAttribute(name);
      if (value && at(value) !== value) node.setAttribute(name, at(value));
    });
  }
  const linked = "a[href^='/'], img[src^='/']";
  new MutationObserver((changes) => {
    changes.forEach((change) => {
      if (change.type === "attributes") { if (change.target.matches(linked)) mend(change.target); return; }
      change.addedNodes.forEach((node) => {
        if (node.nodeType !== Node.ELEMENT_NODE) return;
        if (node.matches(linked)) mend(node);
        node.querySelectorAll(linked).forEach(mend);
      });
    });
  }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, attributeFilter: ["href", "src"] });
})();
