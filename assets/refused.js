/* A callback that the server refuses (no right, too much, too often, signed out): its sentence is told on the page, and
   Dash hears that nothing changes, because it would leave an error in the console alone. */
(function () {
  "use strict";
  const PLACE = "shell-notices", STAYS = 12000;
  const plain = window.fetch;
  window.fetch = (target, options) => plain.call(window, target, options).then((reply) => {
    const path = new URL(typeof target === "string" ? target : target.url, window.location.href).pathname;
    if (reply.status < 400 || reply.status > 499 || !path.endsWith("/_dash-update-component")) return reply;
    const told = reply.headers.get("X-Vitrine-Refused") ? Promise.resolve() : sentence(reply).then(say);
    return told.then(() => new Response(null, { status: 204 }));
  });

  const sentence = (reply) => reply.json().then((found) => found.error.message)
    .catch(() => "The server refused it (" + reply.status + " " + reply.statusText + ").");

  let clearing = null;
  function say(text) {
    window.dash_clientside.vitrine.notice(PLACE, "This was not done", text);
    window.clearTimeout(clearing);
    clearing = window.setTimeout(() => window.dash_clientside.set_props(PLACE, { children: null }), STAYS);
  }
})();
