// The patient's upload page: a queue of videos, sent one after the other.

import { Refused, Stopped, Upload } from "./uploader.js";

const section = document.getElementById("uploads");
const queue = document.getElementById("queue");
const template = document.getElementById("queue-item");
const announcer = document.getElementById("announcer");
const finish = document.getElementById("finish");
const { api, csrf } = section.dataset;

/** @type {{file: File, item: HTMLElement, state: "waiting"|"sending"|"done"|"failed", upload?: Upload}[]} */
const entries = [];
let wakeLock = null;

for (const id of ["choose", "record"]) {
  const input = document.getElementById(id);
  input.addEventListener("change", () => take(input));
  take(input); // on a slow line it may have been chosen before this script was there
}

globalThis.addEventListener("beforeunload", (event) => {
  if (entries.some(unfinished)) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && entries.some(unfinished)) stayAwake();
});

function unfinished(entry) {
  return entry.state === "waiting" || entry.state === "sending";
}

function take(input) {
  for (const file of input.files) add(file);
  input.value = "";
  work();
}

function add(file) {
  const item = template.content.firstElementChild.cloneNode(true);
  const entry = { file, item, state: "waiting" };
  item.querySelector(".queue__name").textContent = file.name || "Video";
  item.querySelector("[data-action=cancel]").addEventListener("click", () => cancel(entry));
  item.querySelector("[data-action=retry]").addEventListener("click", () => retry(entry));
  queue.append(item);
  entries.push(entry);
  say(entry, `Waiting. ${megabytes(file.size)}`);
  item.scrollIntoView({ block: "nearest" });
}

async function work() {
  if (entries.some((entry) => entry.state === "sending")) return;
  const entry = entries.find((candidate) => candidate.state === "waiting");
  update();
  if (!entry) return;
  entry.state = "sending";
  await stayAwake();
  await send(entry);
  work();
}

async function send(entry) {
  const { file } = entry;
  const started = performance.now();
  let resumedAt = null;
  let waiting = false;
  entry.upload = new Upload({
    file, api, csrf,
    onWaiting: (state) => {
      waiting = state;
      if (state) say(entry, "The connection is gone. It goes on by itself when it is back.");
    },
    onProgress: (sent, total) => {
      resumedAt ??= sent;
      show(entry, sent / total);
      if (!waiting) say(entry, inWords(sent, total, resumedAt, (performance.now() - started) / 1000));
    },
  });
  say(entry, "Getting ready…");
  show(entry, 0);
  try {
    await entry.upload.run();
    done(entry);
  } catch (error) {
    if (entry.state !== "sending") return;
    failed(entry, error);
  }
}

function done(entry) {
  entry.state = "done";
  entry.item.classList.add("queue__item--done");
  entry.item.querySelector("progress").hidden = true;
  buttons(entry, {});
  say(entry, `Sent. ${megabytes(entry.file.size)}`);
  announce(`${entry.file.name} is sent.`);
  watch(entry);
}

/** Until it is known whether the video can be watched: if not, the person learns it here and now. */
async function watch(entry) {
  const video = await entry.upload.progressAfterwards().catch(() => null);
  if (!video || entry.state !== "done") return;
  if (!video.final) {
    setTimeout(watch, 3000, entry);
  } else if (video.message) {
    entry.item.classList.replace("queue__item--done", "queue__item--bad");
    say(entry, video.message);
    announce(video.message);
  } else {
    say(entry, "Sent and checked. Your clinic can watch it.");
  }
}

function failed(entry, error) {
  entry.state = "failed";
  entry.item.classList.add("queue__item--bad");
  entry.item.querySelector("progress").hidden = true;
  const unfit = ["empty", "not_a_video", "too_large"].includes(error.code);
  buttons(entry, { retry: !unfit && !(error instanceof Stopped), cancel: true });
  const words = error instanceof Refused ? error.message : "Something went wrong. Please try again.";
  say(entry, words);
  announce(words);
}

function retry(entry) {
  entry.state = "waiting";
  entry.item.classList.remove("queue__item--bad");
  entry.item.querySelector("progress").hidden = false;
  buttons(entry, { cancel: true });
  say(entry, "Waiting.");
  work();
}

async function cancel(entry) {
  const was = entry.state;
  entry.state = "failed";
  entries.splice(entries.indexOf(entry), 1);
  entry.item.remove();
  announce(`${entry.file.name} was taken off the list.`);
  if (was !== "done") await entry.upload?.cancel();
  work();
}

function buttons(entry, shown) {
  for (const button of entry.item.querySelectorAll("button")) {
    button.hidden = !shown[button.dataset.action];
    if (button.dataset.action === "cancel") button.textContent = entry.state === "failed" ? "Remove" : "Stop";
  }
}

function update() {
  const sent = entries.some((entry) => entry.state === "done") || queue.querySelector(".queue__item--done");
  finish.hidden = !sent || entries.some(unfinished);
  if (!entries.some(unfinished)) {
    wakeLock?.release().catch(() => {});
    wakeLock = null;
  }
}

/** Keep the screen on while sending: phones cut the line of a page that sleeps. */
async function stayAwake() {
  if (wakeLock && !wakeLock.released) return;
  wakeLock = await navigator.wakeLock?.request("screen").catch(() => null) ?? null;
}

function show(entry, fraction) {
  entry.item.querySelector("progress").value = fraction;
}

function say(entry, words) {
  const text = entry.item.querySelector(".queue__text");
  if (text.textContent !== words) text.textContent = words;
}

function announce(words) {
  announcer.textContent = words;
}

function inWords(sent, total, resumedAt, seconds) {
  const percent = Math.floor((sent / total) * 100);
  const rate = (sent - resumedAt) / seconds;
  if (seconds < 3 || rate <= 0) return `Sending. ${percent} % of ${megabytes(total)}`;
  return `Sending. ${percent} % of ${megabytes(total)}, ${timeLeft((total - sent) / rate)}`;
}

function timeLeft(seconds) {
  if (seconds < 20) return "a few seconds left";
  if (seconds < 100) return "about a minute left";
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} minutes left` : `about ${Math.round(minutes / 60)} hours left`;
}

function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
