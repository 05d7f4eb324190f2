/* A picture before and after share one place: a range input, made here because frozen trees hold no controls, moves the
   border between them. It lies over the pictures, so dragging anywhere on them works, and so do the arrow keys. */
(function () {
  "use strict";
  function slider(box) {
    const range = document.createElement("input");
    Object.assign(range, { type: "range", min: 0, max: 100, step: 1, value: 50 });
    range.setAttribute("aria-label", "Share of the picture that is shown as it was before");
    const show = () => {
      box.style.setProperty("--cut", range.value + "%");
      range.setAttribute("aria-valuetext", range.value + "% before, " + (100 - range.value) + "% after");
    };
    range.addEventListener("input", show);
    box.append(range);
    show();
  }
  new MutationObserver(() => {
    document.querySelectorAll(".before-after").forEach((box) => { if (!box.querySelector("input")) slider(box); });
  }).observe(document.body, { subtree: true, childList: true });
})();
