// The clinician's pages: copying a link, and a player that outlives its short-lived address.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  } catch {
    // Without HTTPS there is no clipboard; the text is selected, ready for the keyboard.
    button.textContent = "Selected: press Ctrl+C";
  }
});

// Media events do not bubble, but they can be caught on their way down.
document.addEventListener("error", (event) => {
  if (event.target instanceof HTMLVideoElement && !event.target.dataset.live) renew(event.target);
}, true);

document.addEventListener("click", (event) => {
  const lost = event.target.closest(".player__lost button")?.closest(".player__lost");
  if (!lost) return;
  lost.hidden = true;
  reload(lost.parentElement.querySelector("video"));
});

/** The address of a video lasts minutes, a review may last an hour: fetch a new one, go on at the same place. */
function renew(video) {
  const now = performance.now();
  const lately = now - Number(video.dataset.renewedAt ?? -Infinity) < 10_000;
  video.dataset.renewedAt = String(now);
  if (lately) {
    video.parentElement.querySelector(".player__lost").hidden = false;
  } else {
    reload(video);
  }
}

function reload(video) {
  const at = video.currentTime;
  const playing = !video.paused;
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = at;
    if (playing) video.play();
  }, { once: true });
  video.load();
}
