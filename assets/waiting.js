/* An answer that takes long: the place in the model's queue, and for about how long, in place of "Asking the model". */
(function () {
  "use strict";
  const FIRST = 700, AGAIN = 500;
  const place = "/prediction/place";
  if (document.documentElement.dataset.embed) return; /* an embed link reaches its own panel only */

  const followed = new WeakSet();
  const waits = (box) => box.isConnected && box.querySelector(":scope > [data-dash-is-loading='true']");
  function say(box, words) {
    let line = box.querySelector(":scope > .waiting-words");
    if (!words) { if (line) line.remove(); return; }
    if (!line) {
      line = document.createElement("p");
      line.className = "waiting-words";
      box.prepend(line);
    }
    if (line.textContent !== words) line.textContent = words;
  }
  async function follow(box) {
    if (followed.has(box)) return;
    followed.add(box);
    await new Promise((done) => window.setTimeout(done, FIRST));
    while (waits(box)) {
      const reply = await fetch(place + window.location.search).catch(() => null);
      const words = reply && reply.ok ? await reply.text() : "";
      say(box, waits(box) ? words : "");
      await new Promise((done) => window.setTimeout(done, AGAIN));
    }
    say(box, "");
    followed.delete(box);
  }
  new MutationObserver((changes) => {
    changes.forEach((change) => {
      const box = change.target.parentElement;
      if (box && box.matches(".waits") && waits(box)) follow(box);
    });
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["data-dash-is-loading"] });
})();
