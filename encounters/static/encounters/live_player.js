// Watching a video while it still converts. The card goes on asking how far it is; its player must not be
// torn out by the answers, and becomes the finished video at the same moment of the film.

/** Safari plays no MP4 that grows while it is sent: it wants ranges. */
const canPlay = !/apple/i.test(navigator.vendor)
  && document.createElement("video").canPlayType('video/mp4; codecs="avc1.640028, mp4a.40.2"') !== "";

const EARLY = "Early view in a smaller picture. The full one takes its place by itself.";
const STOPPED = "The early view stopped. The video appears here as soon as it is converted.";

function offer(root) {
  if (!canPlay) return;
  for (const line of root.querySelectorAll(".watch-live[hidden]")) line.hidden = false;
}

offer(document);
document.addEventListener("htmx:load", (event) => offer(event.detail.elt.parentElement ?? document));

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-watch-live]");
  if (button) watch(button.closest(".video-card"), button.dataset.watchLive);
});

function watch(card, address) {
  const player = document.createElement("video");
  player.className = "player";
  player.controls = true;
  player.playsInline = true;
  player.autoplay = true;
  player.dataset.live = "";
  player.setAttribute("aria-label", "Early view of this video");
  player.addEventListener("error", () => {
    if (!card.dataset.finishing) stop(player);
  });
  player.src = address;
  const note = document.createElement("p");
  note.className = "muted";
  note.textContent = EARLY;
  card.querySelector(".watch-live").replaceWith(player, note);
  player.focus();
}

function stop(player) {
  const note = player.nextElementSibling;
  note.setAttribute("role", "status");
  note.textContent = STOPPED;
  player.removeAttribute("src");
  player.remove();
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const card = event.detail.target;
  const player = card.querySelector?.(":scope > video[data-live]");
  if (!player || event.detail.xhr.status !== 200) return;
  const fresh = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html")
    .getElementById(card.id);
  if (!fresh) return;
  event.detail.shouldSwap = false;
  if (fresh.dataset.state === "waiting" || fresh.dataset.state === "converting") {
    renew(card, fresh);
  } else if (fresh.dataset.state === "ready") {
    finish(card, fresh, player);
  } else {
    card.replaceWith(fresh);
  }
});

/** Everything but the player. */
function renew(card, fresh) {
  for (const part of [".video-card__head", ".video-card__wait"]) {
    card.querySelector(part).replaceWith(fresh.querySelector(part));
  }
  card.dataset.state = fresh.dataset.state;
}

/** The finished video takes over once it can show the same moment. */
function finish(card, fresh, player) {
  if (card.dataset.finishing) return;
  card.dataset.finishing = "1";
  const finished = fresh.querySelector("video");
  const takeOver = () => {
    if (!card.isConnected) return;
    const playing = !player.paused && !player.ended;
    const inFocus = card.contains(document.activeElement);
    finished.muted = player.muted;
    finished.volume = player.volume;
    player.removeAttribute("src");
    player.load();
    card.remove();
    fresh.hidden = false;
    if (inFocus) finished.focus();
    if (playing) finished.play();
  };
  finished.preload = "auto";
  finished.addEventListener("loadedmetadata", () => {
    finished.addEventListener("seeked", takeOver, { once: true });
    finished.currentTime = Math.min(player.currentTime, finished.duration);
  }, { once: true });
  finished.addEventListener("error", () => {
    delete card.dataset.finishing;
    fresh.remove();
  }, { once: true });
  fresh.hidden = true;
  card.after(fresh);
}
