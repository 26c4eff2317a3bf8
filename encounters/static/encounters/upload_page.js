// The patient's upload page: a queue of videos, sent one after the other, and those that wait to be continued.

import * as handles from "./handles.js";
import { hashInWorker } from "./hashing.js";
import { t } from "./language.js";
import { Item } from "./queue_item.js";
import { finish, look, Refused, remove, Upload } from "./uploader.js";
import { megabytes, progress, quarter } from "./words.js";

const section = document.getElementById("uploads");
const queue = document.getElementById("queue");
const template = document.getElementById("queue-item");
const announcer = document.getElementById("announcer");
const finished = document.getElementById("finish");
const { api, csrf, hashWorker, maxBytes, extensions } = section.dataset;
const hash = hashInWorker(hashWorker);
const SHOW_EVERY = 250;
const sender = nameOfThisBrowser();

/**
 * @typedef {object} Entry
 * @property {"paused"|"waiting"|"sending"|"done"|"failed"} state
 * @property {Item} item
 * @property {File} [file]
 * @property {FileSystemFileHandle} [handle]
 * @property {string} [id] of an upload that was begun before
 * @property {Upload} [upload]
 */
/** @type {Entry[]} */
const entries = [];
let wakeLock = null;

for (const id of ["choose", "record"]) {
  const input = document.getElementById(id);
  input.addEventListener("change", () => take(input));
  take(input); // on a slow line it may have been chosen before this script was there
}
for (const element of queue.querySelectorAll("[data-upload]")) takeUp(element);
handles.forgetOthers(entries.flatMap((entry) => entry.id ?? []));
document.querySelector("label[for=choose]").addEventListener("click", pick);
section.addEventListener("dragover", (event) => event.preventDefault());
section.addEventListener("drop", drop);

globalThis.addEventListener("beforeunload", (event) => {
  if (entries.some(unfinished)) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible" || !entries.some(unfinished)) return;
  stayAwake();
  for (const entry of entries) entry.upload?.hurry();
});

globalThis.addEventListener("offline", () => {
  for (const entry of entries) if (entry.state === "sending") troubled(entry, { cause: "line", message: "" });
});

function unfinished(entry) {
  return entry.state === "waiting" || entry.state === "sending";
}

// What comes in

function take(input) {
  for (const file of input.files) add(file);
  input.value = "";
  work();
}

/** Desktop browsers that have it give a handle with each file, by which it can go on after a reload. */
async function pick(event) {
  if (!globalThis.showOpenFilePicker || !matchMedia("(pointer: fine)").matches) return;
  event.preventDefault();
  const accept = { "video/*": extensions.split(" ").map((extension) => `.${extension}`) };
  const types = [{ description: t("Videos"), accept }];
  const chosen = await globalThis.showOpenFilePicker({ multiple: true, types }).catch(() => []);
  for (const handle of chosen) add(await handle.getFile(), handle);
  work();
}

async function drop(event) {
  event.preventDefault();
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  const dropped = items.map((item) => ({ file: item.getAsFile(), handle: item.getAsFileSystemHandle?.() }));
  for (const { file, handle } of dropped) add(file, await handle?.catch(() => undefined));
  work();
}

function add(file, handle) {
  const entry = { file, handle, state: "waiting" };
  entry.item = Item.fromTemplate(template, file.name || t("Video"), actions(entry));
  queue.append(entry.item.element);
  entries.push(entry);
  entry.item.preview(file);
  entry.item.element.scrollIntoView({ block: "nearest" });
  const words = misfit(file);
  if (words) {
    new Upload({ file, api, csrf }).report();
    failed(entry, new Refused("misfit", words));
  } else {
    entry.item.say(t("Waiting. {size}", { size: megabytes(file.size) }));
    entry.item.offer({ cancel: t("Remove") });
  }
}

/** Why this file is not even begun, in words; empty: it may be sent. */
function misfit(file) {
  if (file.size === 0) return t("This file is empty. Please choose another video, or record it again.");
  if (file.size > Number(maxBytes)) {
    return t("This video is larger than {limit}. Please record a shorter one.", { limit: megabytes(Number(maxBytes)) });
  }
  const extension = file.name.toLowerCase().split(".").pop();
  const isVideo = file.type.startsWith("video/") || extensions.split(" ").includes(extension);
  return isVideo ? "" : t("This file is not a video. Please choose a video instead.");
}

function actions(entry) {
  return {
    cancel: () => cancel(entry),
    retry: () => retry(entry),
    hurry: () => entry.upload?.hurry(),
    takeOver: () => entry.upload?.takeItOver(),
    go: () => goOn(entry),
    addNew: () => {
      const { file } = entry;
      pause(entry);
      add(file);
      work();
    },
  };
}

// What was begun before

/** A row that the server knows of: an upload that stopped before it was whole. */
async function takeUp(element) {
  const entry = { id: element.dataset.upload, sent: Number(element.dataset.sent), state: "paused" };
  entry.item = new Item(element, actions(entry));
  entries.push(entry);
  const again = element.querySelector("input[type=file]");
  again.addEventListener("change", () => {
    const [file] = again.files;
    again.value = "";
    if (file && !unfinished(entry) && entry.state !== "done") proceed(entry, file);
  });
  if (entry.sent === 1) {
    await conclude(entry);
    return;
  }
  entry.handle = await handles.find(entry.id);
  if (entry.handle && await entry.handle.queryPermission({ mode: "read" }) === "granted") await goOn(entry);
  else if (entry.handle) pause(entry);
  else await watchOtherTabs(entry);
}

/** Every part has arrived, only the last word was never said. The file is not needed for that. */
async function conclude(entry) {
  entry.item.offer({});
  try {
    await finish({ api, csrf, id: entry.id });
    handles.forget(entry.id);
    done(entry);
  } catch {
    pause(entry);
  }
}

/** With the handle that the browser kept. */
async function goOn(entry) {
  try {
    if (await entry.handle.requestPermission({ mode: "read" }) !== "granted") return;
    proceed(entry, await entry.handle.getFile());
  } catch {
    handles.forget(entry.id); // the file was moved or deleted
    entry.handle = undefined;
    pause(entry);
  }
}

function proceed(entry, file) {
  entry.file = file;
  entry.item.preview(file);
  retry(entry);
}

/** Back to waiting for its file. */
function pause(entry) {
  entry.state = "paused";
  entry.file = undefined;
  entry.item.forgetPreview();
  entry.item.tone("paused");
  const isKnown = Number.isFinite(entry.sent);
  entry.item.show(isKnown ? entry.sent : null);
  entry.item.say(isKnown
    ? t("{percent} % is sent. Choose the same video again, and it goes on from there.", { percent: Math.floor(entry.sent * 100) })
    : t("A part is sent. Choose the same video again, and it goes on from there."));
  entry.item.offer({ ...entry.handle ? { go: t("Continue") } : { again: t("Choose the same video") }, cancel: t("Remove") });
}

async function watchOtherTabs(entry) {
  const held = (await navigator.locks?.query())?.held ?? [];
  if (!held.some((lock) => lock.name === lockOf(entry.id))) return;
  entry.item.say(t("Being sent in another window of this browser."));
  entry.item.offer({});
  await navigator.locks.request(lockOf(entry.id), () => {});
  const now = await look({ api, csrf, id: entry.id }).catch(() => null);
  if (now?.received) {
    done(entry);
  } else {
    entry.sent = now ? now.parts.reduce((sum, part) => sum + part.size, 0) / now.size : NaN;
    pause(entry);
  }
}

// Sending

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
  const { file, item } = entry;
  let told = 0;
  let shownAt = -Infinity;
  entry.troubled = false;
  entry.upload = new Upload({
    file, api, csrf, sender, hash, continues: entry.id,
    alone: (id, sending) => alone(entry, id, sending),
    onTrouble: (trouble) => troubled(entry, trouble),
    onElsewhere: (elsewhere) => sentElsewhere(entry, elsewhere),
    onAnnounced: ({ id }) => begun(entry, id),
    onProgress: (sent, total) => {
      const spoken = quarter(told, sent / total);
      if (spoken) announce(t("{name}: {percent} % sent.", { name: item.name, percent: spoken }));
      told = sent / total;
      const now = performance.now();
      if (now - shownAt < SHOW_EVERY && sent < total) return;
      shownAt = now;
      item.show(told);
      if (!entry.troubled) item.say(t("Sending. {progress}", { progress: progress(sent, total, entry.upload.pace.rate) }));
    },
  });
  item.say(t("Getting ready…"));
  item.tone("");
  item.show(entry.sent || 0);
  item.offer({ cancel: t("Stop") });
  try {
    await entry.upload.run();
    if (entry.state === "sending") done(entry);
  } catch (error) {
    if (entry.state === "sending") failed(entry, error);
  }
}

function lockOf(id) {
  return `upload-${id}`;
}

/** Run the work while no other tab of this browser sends the same video. */
async function alone(entry, id, sending) {
  if (!navigator.locks) return sending(false);
  const free = await navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
    return lock ? { video: await sending(false) } : null;
  });
  if (free) return free.video;
  entry.item.tone("wait");
  entry.item.say(t("This video is being sent in another window of this browser. If that one is closed, it goes on here."));
  return navigator.locks.request(lockOf(id), { signal: entry.upload.stopper.signal }, () => {
    entry.item.tone("");
    return sending(true);
  });
}

/** The server has a name for it now. The row of an earlier visit makes way for this one. */
function begun(entry, id) {
  const earlier = entries.find((other) => other !== entry && other.id === id && other.state === "paused");
  if (earlier) {
    entries.splice(entries.indexOf(earlier), 1);
    earlier.item.remove();
  }
  if (entry.handle) handles.keep(id, entry.handle);
}

function troubled(entry, trouble) {
  entry.troubled = Boolean(trouble);
  entry.item.tone(trouble ? "wait" : "");
  entry.item.offer(trouble ? { hurry: t("Try now"), cancel: t("Stop") } : { cancel: t("Stop") });
  if (trouble) entry.item.say(inWords(trouble));
}

function inWords(trouble) {
  if (trouble.message) return trouble.message;
  if (trouble.cause === "server") return t("Your clinic's video store is busy. It goes on by itself. Nothing is lost.");
  return t("The connection is gone. It goes on by itself when it is back. Nothing is lost.");
}

function sentElsewhere(entry, elsewhere) {
  entry.troubled = elsewhere;
  entry.item.tone(elsewhere ? "wait" : "");
  entry.item.offer(elsewhere ? { takeOver: t("Send it from here"), cancel: t("Stop") } : { cancel: t("Stop") });
  if (elsewhere) entry.item.say(t("Another device is sending this video just now. You can leave it to that one."));
}

function done(entry) {
  entry.state = "done";
  entry.item.tone("done");
  entry.item.show(null);
  entry.item.offer({});
  entry.item.say(entry.file ? t("Sent. {size}", { size: megabytes(entry.file.size) }) : t("Sent."));
  announce(t("{name} is sent.", { name: entry.item.name }));
  if (entry.upload) {
    handles.forget(entry.upload.id);
    watch(entry);
  }
  update();
}

/** Until it is known whether the video can be watched: if not, the person learns it here and now. */
async function watch(entry) {
  const video = await entry.upload.progressAfterwards().catch(() => null);
  if (!video || entry.state !== "done") return;
  if (!video.final) {
    setTimeout(watch, 3000, entry);
  } else if (video.message) {
    entry.item.tone("bad");
    entry.item.say(video.message);
    announce(video.message);
  } else {
    entry.item.say(t("Sent and checked. Your clinic can watch it."));
  }
}

function failed(entry, error) {
  entry.state = "failed";
  const words = error instanceof Refused ? error.message : t("Something went wrong. Please try again.");
  if (error.code === "another_file") {
    const { file } = entry;
    pause(entry);
    entry.file = file;
    entry.item.offer({ again: t("Choose the same video"), addNew: t("Add as a new video"), cancel: t("Remove") });
  } else {
    entry.item.show(null);
    const unfit = ["misfit", "empty", "not_a_video", "too_large"].includes(error.code);
    entry.item.offer(unfit ? { cancel: t("Remove") } : { retry: t("Try again"), cancel: t("Remove") });
  }
  entry.item.tone("bad");
  entry.item.say(words);
  announce(words);
  update();
}

function retry(entry) {
  entry.state = "waiting";
  entry.item.tone("");
  entry.item.say(t("Waiting."));
  entry.item.offer({ cancel: t("Remove") });
  work();
}

async function cancel(entry) {
  entry.state = "failed";
  entries.splice(entries.indexOf(entry), 1);
  entry.item.remove();
  announce(t("{name} was taken off the list.", { name: entry.item.name }));
  const id = entry.upload?.id ?? entry.id;
  if (id) handles.forget(id);
  if (entry.upload) await entry.upload.cancel();
  else if (entry.id) await remove({ api, csrf, id: entry.id }).catch(() => {});
  work();
}

// The page around

function update() {
  const sent = queue.querySelector(".queue__item--done");
  finished.hidden = !sent || entries.some(unfinished);
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

function announce(words) {
  announcer.textContent = words;
}

/** A random word, kept by the browser, so that a second device can be told from a second visit. */
function nameOfThisBrowser() {
  const fresh = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const known = localStorage.getItem("browser");
    if (/^[0-9a-f]{32}$/.test(known ?? "")) return known;
    localStorage.setItem("browser", fresh);
  } catch {
    // A private window may keep nothing: then this page is a device of its own.
  }
  return fresh;
}
