// The upload protocol: announce a file, send what the store does not have yet, complete.
// Knows nothing of the page; the page gives it a file and a way to send, and hears of progress.

import { hashHere } from "./hashing.js";
import { t } from "./language.js";
import { Line, Passing, Refused, Stopped } from "./line.js";
import { Pace } from "./pace.js";
import { sha256, toHex } from "./sha256.js";

export { Refused, Stopped };

const MIB = 1024 * 1024;
const STALLED = 60_000;
const UNANSWERED = 180_000;
const MOST_SIGNATURES = 3;
const MOST_ROUNDS = 5;
const LOOK_AGAIN = 10_000;

/**
 * Tells a file offered again from another one: 32 digits of SHA-256 over size, first and last MiB, then 32 over
 * the modification time, which some phones set anew whenever they hand a video over.
 *
 * @param {File} file
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function fingerprint(file) {
  const head = new Uint8Array(await file.slice(0, MIB).arrayBuffer());
  const tail = new Uint8Array(await file.slice(Math.max(0, file.size - MIB)).arrayBuffer());
  const size = new TextEncoder().encode(`${file.size} `);
  const content = new Uint8Array(size.length + head.length + tail.length);
  content.set(size);
  content.set(head, size.length);
  content.set(tail, size.length + head.length);
  const time = new TextEncoder().encode(`${file.lastModified}`);
  return toHex(await sha256(content)).slice(0, 32) + toHex(await sha256(time)).slice(0, 32);
}

/** What the store's answer to a part means. @param {number} status 0: the line broke */
export function verdict(status) {
  if (status >= 200 && status < 300) return "stored";
  if (status === 403) return "sign again"; // the permission ran out while the phone slept
  if (status === 404) return "look again"; // the upload was completed or stopped from elsewhere
  if (status === 0 || status === 408 || status === 429 || status >= 500) return "try again";
  return "stop";
}

/**
 * Sends one part by XMLHttpRequest, which unlike fetch tells how much has left.
 *
 * @param {{url: string, headers: Record<string, string>}} permission
 * @param {Blob} blob
 * @param {(bytes: number) => void} onSent
 * @param {AbortSignal} signal
 * @returns {Promise<number>} the HTTP status; 0 if the line broke, or nothing moved for a minute
 */
export function sendByXhr(permission, blob, onSent, signal) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let watchdog = 0;
    // What has left the page may wait in the phone for long before it has left that too.
    const alive = (loaded) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => request.abort(), loaded < blob.size ? STALLED : UNANSWERED);
    };
    const stop = () => request.abort();
    request.upload.onprogress = (event) => {
      alive(event.loaded);
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
    alive(0);
    request.send(blob);
  });
}

/** Complete an upload of which the store has every part: the file itself is not needed for that. */
export function finish({ api, csrf, id, signal = new AbortController().signal, pause = undefined }) {
  return new Line({ api, csrf, pause }).call("POST", `${id}/complete/`, {}, signal);
}

/** What the store has of an upload, and what became of it. */
export function look({ api, csrf, id }) {
  return new Line({ api, csrf }).request("GET", `${id}/`);
}

/** Stop an unfinished upload for good. */
export function remove({ api, csrf, id }) {
  return new Line({ api, csrf }).request("DELETE", `${id}/`);
}

export class Upload {
  /**
   * @param {object} options
   * @param {File} options.file
   * @param {string} options.api address of the upload API, ending in a slash
   * @param {string} options.csrf
   * @param {string} [options.sender] a word that names this browser: two that send the same file take turns
   * @param {string} [options.continues] the upload that this file must belong to
   * @param {(sent: number, total: number) => void} [options.onProgress] bytes
   * @param {(trouble: {cause: string, message: string} | null) => void} [options.onTrouble]
   * @param {(elsewhere: boolean) => void} [options.onElsewhere] another device sends this video
   * @param {(announced: {id: string, resumed: boolean}) => void} [options.onAnnounced]
   * @param {(id: string, work: (waited: boolean) => Promise<T>) => Promise<T>} [options.alone] runs the work
   *   while no other tab of this browser does
   * @param {(blob: Blob) => Promise<string>} [options.hash] SHA-256 in base64
   * @param {typeof sendByXhr} [options.send]
   * @param {(milliseconds: number) => Promise<void>} [options.pause]
   * @template T
   */
  constructor({
    file, api, csrf, sender = "", continues = undefined, onProgress = () => {}, onTrouble = () => {},
    onElsewhere = () => {}, onAnnounced = () => {}, alone = (id, work) => work(false), hash = hashHere,
    send = sendByXhr, pause = undefined,
  }) {
    Object.assign(this, { file, sender, continues, onProgress, onElsewhere, onAnnounced, alone, hash, send });
    this.line = new Line({ api, csrf, onTrouble, pause });
    this.pace = new Pace();
    this.id = null;
    this.takeOver = false;
    this.stopper = new AbortController();
    /** @type {Map<number, number>} bytes that have left, by part */
    this.sent = new Map();
  }

  /** Send the file, or what is missing of it. Throws Refused or Stopped. Gives the received video. */
  async run() {
    const announced = await this.#announce();
    return this.alone(announced.id, async (waited) => {
      const video = await this.#deliver(waited ? await this.#announce() : announced);
      this.onProgress(this.file.size, this.file.size);
      return video;
    });
  }

  /** Stop for good: the server forgets what was sent. */
  async cancel() {
    this.stopper.abort();
    if (this.id) await this.line.request("DELETE", `${this.id}/`).catch(() => {});
  }

  /** Do not wait for the next try. */
  hurry() {
    this.line.hurry();
  }

  /** Send from here, whoever else is at it. */
  takeItOver() {
    this.takeOver = true;
    this.line.hurry();
  }

  /** Have the server file a file that the page itself refuses: the clinic shall know that somebody tried. */
  async report() {
    await this.#announce().catch(() => {});
  }

  /** What has become of the video since: `{state, final, message}`. */
  progressAfterwards() {
    return this.#call("GET", `${this.id}/`);
  }

  async #deliver(announced) {
    let now = announced;
    for (let round = 0; round < MOST_ROUNDS;) {
      now = await this.#myTurn(now);
      if (now.received) return { id: this.id };
      try {
        await this.#sendMissing(now.parts);
        return (await this.#call("POST", `${this.id}/complete/`, {})).video;
      } catch (error) {
        if (!isOutOfStep(error)) throw error;
        if (error.code !== "sent_elsewhere") round++;
      }
      now = await this.#announce();
    }
    throw new Refused("parts_missing", t("The video did not arrive whole. Please try again."));
  }

  /** While another device sends the same video: wait until it is done, or falls silent, or must yield. */
  async #myTurn(announced) {
    let now = announced;
    while (now.busy) {
      this.onElsewhere(true);
      if (!this.takeOver) await this.line.rest(LOOK_AGAIN, this.stopper.signal);
      now = await this.#announce();
      if (!now.busy) this.onElsewhere(false);
    }
    return now;
  }

  async #announce() {
    const { name, size, type, lastModified } = this.file;
    this.print ??= await readable(() => fingerprint(this.file));
    const announced = await this.#call("POST", "", {
      filename: name, size, type, last_modified: lastModified, fingerprint: this.print,
      sender: this.sender, continues: this.continues, take_over: this.takeOver,
    });
    this.takeOver = false;
    this.id = announced.id;
    this.partSize = announced.part_size;
    this.onAnnounced(announced);
    return announced;
  }

  /** @param {{number: number, size: number, sha256: string}[]} there parts that the store has */
  async #sendMissing(there) {
    const session = new AbortController();
    const end = () => session.abort();
    this.stopper.signal.addEventListener("abort", end);
    const take = ahead(this.#missing(there, session.signal));
    const underWay = new Set();
    let failure = null;
    const failed = (error) => {
      failure ??= error;
      session.abort();
    };
    try {
      for (;;) {
        await this.#room(underWay);
        const { value: part, done } = await take();
        if (done || failure) break;
        const sending = this.#sendPart(part, session.signal).catch(failed).finally(() => underWay.delete(sending));
        underWay.add(sending);
      }
    } catch (error) {
      failed(error);
    } finally {
      await Promise.all(underWay);
      this.stopper.signal.removeEventListener("abort", end);
    }
    if (this.stopper.signal.aborted) throw new Stopped();
    if (failure) throw failure;
  }

  /** Until the line has room for another part. */
  async #room(underWay) {
    while (underWay.size >= this.pace.inFlight(this.partSize)) {
      const moved = new Promise((resolve) => { this.onMoved = resolve; });
      await Promise.race([...underWay, moved]);
    }
  }

  /** The parts that the store lacks, in order, each with its checksum. */
  async *#missing(there, signal) {
    const stored = new Map(there.map((part) => [part.number, part]));
    const count = Math.ceil(this.file.size / this.partSize);
    this.sent = new Map();
    for (let number = 1; number <= count; number++) {
      if (signal.aborted) throw new Stopped();
      const start = (number - 1) * this.partSize;
      const blob = this.file.slice(start, Math.min(start + this.partSize, this.file.size));
      const checksum = await readable(() => this.hash(blob));
      const known = stored.get(number);
      if (known?.size === blob.size && known.sha256 === checksum) this.#isThere(number, blob);
      else yield { number, blob, checksum };
    }
  }

  #sendPart(part, signal) {
    return this.line.insist(async (tries) => {
      // Maybe it was the answer that was lost, and not the part.
      if (tries > 1 && await this.#isStored(part, signal)) this.#isThere(part.number, part.blob);
      else await this.#tryPart(part, signal);
    }, signal);
  }

  async #isStored({ number, blob, checksum }, signal) {
    await readable(() => blob.slice(0, 1).arrayBuffer()); // a file that has changed breaks the line too
    const now = await this.line.request("GET", `${this.id}/`, undefined, signal);
    if (now.received) throw new Refused("out_of_step", "");
    return now.parts.some((known) => known.number === number && known.size === blob.size && known.sha256 === checksum);
  }

  /** Its permission is fetched just before, so that a device that must leave the video to another one has none left. */
  async #tryPart({ number, blob, checksum }, signal) {
    for (let signatures = 1; ; signatures++) {
      const wanted = { parts: [{ number, sha256: checksum }], sender: this.sender };
      const { urls } = await this.line.request("POST", `${this.id}/parts/`, wanted, signal);
      const status = await this.send(urls[0], blob, (bytes) => this.#progress(number, bytes), signal);
      const meaning = verdict(status);
      if (meaning === "stored") return this.#progress(number, blob.size);
      this.#progress(number, 0);
      if (meaning === "try again") throw new Passing(status ? "server" : "line");
      if (meaning === "look again") throw new Refused("out_of_step", "");
      if (meaning === "stop" || signatures >= MOST_SIGNATURES) {
        throw new Refused("store_refused", t("A piece of the video was refused. Please choose the video again."));
      }
    }
  }

  #progress(number, bytes) {
    const more = bytes - (this.sent.get(number) ?? 0);
    this.sent.set(number, bytes);
    if (more > 0) this.pace.moved(more);
    this.#tell();
  }

  /** Found at the store: this time nothing has travelled. */
  #isThere(number, blob) {
    this.sent.set(number, blob.size);
    this.#tell();
  }

  #tell() {
    this.onMoved?.();
    let total = 0;
    for (const sent of this.sent.values()) total += sent;
    this.onProgress(total, this.file.size);
  }

  #call(method, path, body) {
    return this.line.call(method, path, body, this.stopper.signal);
  }
}

/** Whether announcing the file once more will tell how to go on. */
function isOutOfStep(error) {
  if (!(error instanceof Refused)) return false;
  if (error.code === "upload_gone") return !error.values.stopped;
  return ["out_of_step", "parts_missing", "sent_elsewhere", "bad_parts"].includes(error.code);
}

/** Ask a generator for the next value before it is needed: one part is hashed while others travel. */
function ahead(source) {
  const ask = () => {
    const answer = source.next();
    answer.catch(() => {}); // whoever takes it hears of it
    return answer;
  };
  let next = ask();
  return () => {
    const now = next;
    next = ask();
    return now;
  };
}

/** A file that was moved, deleted or is still in the cloud cannot be read: say so in words. */
async function readable(read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Stopped) throw error;
    throw new Refused("unreadable", t("Your phone cannot open this video just now. Please choose it again."));
  }
}
