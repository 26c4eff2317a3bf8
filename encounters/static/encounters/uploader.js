// The upload protocol: announce a file, send what the store does not have yet, complete.
// Knows nothing of the page; the page gives it a file and a way to send, and hears of progress.

import { sha256, toBase64, toHex } from "./sha256.js";

const MIB = 1024 * 1024;
const PARTS_IN_FLIGHT = 3;
const MOST_TRIES = 10;
const LONGEST_PAUSE = 30_000;
const COMPLETION_ROUNDS = 3;

/** What the server or the store refused for good. `message` is a sentence for the person. */
export class Refused extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The person pressed stop. */
export class Stopped extends Error {}

/** The line broke, or the other side was busy: the same request may go through later. */
class Passing extends Error {}

/**
 * Tells a file offered again from another one: SHA-256 of size, modification time, first and last MiB.
 *
 * @param {File} file
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function fingerprint(file) {
  const head = new Uint8Array(await file.slice(0, MIB).arrayBuffer());
  const tail = new Uint8Array(await file.slice(Math.max(0, file.size - MIB)).arrayBuffer());
  const label = new TextEncoder().encode(`${file.size} ${file.lastModified} `);
  const whole = new Uint8Array(label.length + head.length + tail.length);
  whole.set(label);
  whole.set(head, label.length);
  whole.set(tail, label.length + head.length);
  return toHex(await sha256(whole));
}

/**
 * Sends one part by XMLHttpRequest, which unlike fetch tells how much has left.
 *
 * @param {{url: string, headers: Record<string, string>}} permission
 * @param {Blob} blob
 * @param {(bytes: number) => void} onSent
 * @param {AbortSignal} signal
 * @param {number} stallAfter milliseconds without a byte leaving
 * @returns {Promise<number>} the HTTP status; 0 if the line broke
 */
export function sendByXhr(permission, blob, onSent, signal, stallAfter = 45_000) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => request.abort(), stallAfter);
    };
    const stop = () => request.abort();
    request.upload.onprogress = (event) => {
      alive();
      onSent(event.loaded);
    };
    request.onloadend = () => {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", stop);
      resolve(request.status);
    };
    request.open("PUT", permission.url);
    for (const [name, value] of Object.entries(permission.headers)) request.setRequestHeader(name, value);
    signal.addEventListener("abort", stop);
    alive();
    request.send(blob);
  });
}

export class Upload {
  /**
   * @param {object} options
   * @param {File} options.file
   * @param {string} options.api address of the upload API, ending in a slash
   * @param {string} options.csrf
   * @param {(sent: number, total: number) => void} [options.onProgress] bytes
   * @param {(waiting: boolean) => void} [options.onWaiting] true while there is no line
   * @param {typeof sendByXhr} [options.send]
   * @param {(milliseconds: number) => Promise<void>} [options.pause]
   */
  constructor({ file, api, csrf, onProgress = () => {}, onWaiting = () => {}, send = sendByXhr, pause = sleep }) {
    this.file = file;
    this.api = api;
    this.csrf = csrf;
    this.onProgress = onProgress;
    this.onWaiting = onWaiting;
    this.send = send;
    this.pause = pause;
    this.id = null;
    this.stopper = new AbortController();
    /** @type {Map<number, number>} bytes that have left, by part */
    this.sent = new Map();
  }

  /** Send the file, or what is missing of it. Throws Refused or Stopped. Gives the received video. */
  async run() {
    const announced = await this.#announce();
    if (announced.received) {
      this.onProgress(this.file.size, this.file.size);
      return { id: announced.id };
    }
    let there = announced.parts;
    for (let round = 0; round < COMPLETION_ROUNDS; round++) {
      await this.#sendMissing(there);
      try {
        return (await this.#call("POST", `${this.id}/complete/`, {})).video;
      } catch (error) {
        if (!(error instanceof Refused) || error.code !== "parts_missing") throw error;
        const now = await this.#call("GET", `${this.id}/`);
        if (now.received) return { id: this.id };
        there = now.parts;
      }
    }
    throw new Refused("parts_missing", "The video did not arrive whole. Please try again.");
  }

  /** Stop for good: the server forgets what was sent. */
  async cancel() {
    this.stopper.abort();
    if (this.id) await this.#request("DELETE", `${this.id}/`).catch(() => {});
  }

  /** What has become of the video since: `{state, final, message}`. */
  progressAfterwards() {
    return this.#call("GET", `${this.id}/`);
  }

  async #announce() {
    const { name, size, type, lastModified } = this.file;
    const print = await readable(() => fingerprint(this.file));
    const announced = await this.#call("POST", "", {
      filename: name, size, type, last_modified: lastModified, fingerprint: print,
    });
    this.id = announced.id;
    this.partSize = announced.part_size;
    return announced;
  }

  /** @param {{number: number, size: number, sha256: string}[]} there parts that the store has */
  async #sendMissing(there) {
    const stored = new Map(there.map((part) => [part.number, part]));
    const numbers = Array.from({ length: Math.ceil(this.file.size / this.partSize) }, (_, index) => index + 1);
    for (const number of numbers) this.sent.set(number, 0);
    const next = numbers.values();
    const work = async () => {
      for (const number of next) await this.#sendPart(number, stored.get(number));
    };
    const workers = Array.from({ length: PARTS_IN_FLIGHT }, work);
    try {
      await Promise.all(workers);
    } catch (error) {
      this.stopper.abort();
      await Promise.allSettled(workers);
      throw error;
    }
  }

  async #sendPart(number, stored) {
    const start = (number - 1) * this.partSize;
    const blob = this.file.slice(start, Math.min(start + this.partSize, this.file.size));
    const checksum = toBase64(await sha256(new Uint8Array(await readable(() => blob.arrayBuffer()))));
    if (stored?.size !== blob.size || stored?.sha256 !== checksum) {
      await this.#insist(() => this.#tryPart(number, blob, checksum));
    }
    this.#progress(number, blob.size);
  }

  async #tryPart(number, blob, checksum) {
    const { urls } = await this.#request("POST", `${this.id}/parts/`, { parts: [{ number, sha256: checksum }] });
    const status = await this.send(urls[0], blob, (bytes) => this.#progress(number, bytes), this.stopper.signal);
    if (status >= 200 && status < 300) return;
    this.#progress(number, 0);
    // 403: the permission ran out while the phone slept; the next try brings a new one.
    if (status === 0 || status === 403 || status === 408 || status === 429 || status >= 500) throw new Passing();
    throw new Refused("store_refused", "A piece of the video was refused. Please choose the video again.");
  }

  #progress(number, bytes) {
    this.sent.set(number, bytes);
    let total = 0;
    for (const sent of this.sent.values()) total += sent;
    this.onProgress(total, this.file.size);
  }

  #call(method, path, body) {
    return this.#insist(() => this.#request(method, path, body));
  }

  /** Try again after ever longer pauses while the trouble is a passing one. */
  async #insist(attempt) {
    for (let tries = 1; ; tries++) {
      if (this.stopper.signal.aborted) throw new Stopped();
      try {
        return await attempt();
      } catch (error) {
        if (this.stopper.signal.aborted) throw new Stopped();
        if (!(error instanceof Passing)) throw error;
        if (tries >= MOST_TRIES) {
          throw new Refused("no_connection", "The connection is too weak just now. Try again to go on where it stopped.");
        }
      }
      this.onWaiting(true);
      await this.pause(Math.min(LONGEST_PAUSE, 500 * 2 ** tries) * (0.5 + Math.random() / 2));
      await online(this.stopper.signal);
      this.onWaiting(false);
    }
  }

  async #request(method, path, body) {
    let response;
    try {
      response = await fetch(this.api + path, {
        method,
        headers: { "Content-Type": "application/json", "X-CSRFToken": this.csrf },
        body: body && JSON.stringify(body),
        signal: method === "DELETE" ? undefined : this.stopper.signal,
      });
    } catch {
      throw new Passing();
    }
    if (response.ok) return response.json().catch(() => { throw new Passing(); });
    if (response.status >= 500 || response.status === 429) throw new Passing();
    const problem = await response.json().catch(() => ({}));
    throw new Refused(
      problem.code ?? "error",
      problem.message ?? "This page was open for too long. Please reload it: what was sent so far is kept.",
    );
  }
}

/** A file that was moved, deleted or is still in the cloud cannot be read: say so in words. */
async function readable(read) {
  try {
    return await read();
  } catch {
    throw new Refused("unreadable", "Your phone cannot open this video just now. Please choose it again.");
  }
}

const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** Wait until the device says it has a line, or the person gives up. */
function online(signal) {
  if (globalThis.navigator?.onLine !== false || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    globalThis.addEventListener("online", resolve, { once: true });
    signal.addEventListener("abort", resolve, { once: true });
  });
}
