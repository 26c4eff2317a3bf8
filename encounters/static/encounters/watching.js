// Telling the portal which seconds were watched: while a video plays, when it stops, and when the page goes
// away. What could not be told is kept and told later.

import { Watched } from "./watched.js";

const EVERY = 15_000;

/** Address → what nobody was told of yet, and whether the page owes a last word. */
const untold = new Map();
/** Player → what it shows. */
const players = new WeakMap();

function of(event) {
  const player = event.target;
  if (!(player instanceof HTMLVideoElement)) return null;
  if (!players.has(player)) {
    const address = player.closest("[data-watched]")?.dataset.watched;
    if (!address) return null;
    if (!untold.has(address)) untold.set(address, { pieces: [], owes: false });
    players.set(player, { address, shown: new Watched(untold.get(address).pieces) });
  }
  return players.get(player);
}

// Media events do not bubble, but they can be caught on their way down.
function on(name, act) {
  document.addEventListener(name, (event) => {
    const known = of(event);
    if (known) act(known, event.target);
  }, true);
}

on("playing", ({ shown }, player) => shown.runs(player.currentTime));
on("seeked", ({ shown }, player) => { if (!player.paused) shown.runs(player.currentTime); });
on("timeupdate", ({ shown }, player) => { if (!player.seeking) shown.reached(player.currentTime); });
for (const name of ["seeking", "loadstart", "emptied"]) on(name, ({ shown }) => shown.broke());
for (const name of ["pause", "ended"]) {
  on(name, ({ shown, address }, player) => {
    if (!player.seeking) shown.reached(player.currentTime);
    shown.broke();
    tell(address);
  });
}

function body(pieces, isLast) {
  const csrf = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const told = new URLSearchParams({ csrfmiddlewaretoken: csrf, played: JSON.stringify(pieces) });
  if (isLast) told.set("last", "1");
  return told;
}

async function tell(address) {
  const entry = untold.get(address);
  if (!entry.pieces.length) return;
  const pieces = entry.pieces.splice(0);
  entry.owes = true;
  let status = 0;
  try {
    // A redirect leads to the sign-in page, which takes no report: not followed, its status is 0.
    const options = { method: "POST", body: body(pieces, false), keepalive: true, redirect: "manual" };
    status = (await fetch(address, options)).status;
  } catch {
    // The line is down.
  }
  if (status === 0 || status >= 500) entry.pieces.unshift(...pieces);
}

/** A page that goes away waits for no answer. */
function leave() {
  for (const player of document.querySelectorAll("video")) {
    const known = players.get(player);
    if (known && !player.paused && !player.seeking) known.shown.reached(player.currentTime);
  }
  for (const [address, entry] of untold) {
    if (!entry.pieces.length && !entry.owes) continue;
    if (navigator.sendBeacon(address, body(entry.pieces, true))) {
      entry.pieces.splice(0);
      entry.owes = false;
    }
  }
}

addEventListener("pagehide", leave);
// A phone may drop a page that is out of sight without another word.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") for (const address of untold.keys()) tell(address);
});
setInterval(() => { for (const address of untold.keys()) tell(address); }, EVERY);
