// Requests to the portal over a line that breaks: what is worth trying again, and when.

import { t } from "./language.js";

const LONGEST_PAUSE = 30_000;
const PATIENCE = 30_000;
const PATIENCE_TO_JOIN = 300_000;

/** What the server or the store refused for good. `message` is a sentence for the person. */
export class Refused extends Error {
  /** @param {string} code @param {string} message @param {object} [values] what else the server said */
  constructor(code, message, values = {}) {
    super(message);
    this.code = code;
    this.values = values;
  }
}

/** The person pressed stop. */
export class Stopped extends Error {}

/** The line broke, or the other side was busy: the same request may go through later. */
export class Passing extends Error {
  /** @param {"line"|"server"} cause @param {string} [message] what the server said to the person */
  constructor(cause, message = "") {
    super(message);
    this.cause = cause;
  }
}

export class Line {
  /**
   * @param {object} options
   * @param {string} options.api address of the upload API, ending in a slash
   * @param {string} options.csrf
   * @param {(trouble: Passing | null) => void} [options.onTrouble] what keeps us waiting; null: it goes on
   * @param {(milliseconds: number) => Promise<void>} [options.pause]
   */
  constructor({ api, csrf, onTrouble = () => {}, pause = sleep }) {
    this.api = api;
    this.csrf = csrf;
    this.onTrouble = onTrouble;
    this.pause = pause;
    this.wake = new EventTarget();
  }

  /** Ask the portal until it answers. Throws Refused or Stopped. */
  call(method, path, body, signal) {
    return this.insist(() => this.request(method, path, body, signal), signal);
  }

  /**
   * Try again after ever longer pauses while the trouble is a passing one, and never give up: whoever left
   * the phone on the table in a dead spot shall find the video sent.
   *
   * @param {(tries: number) => Promise<T>} attempt
   * @param {AbortSignal} signal
   * @template T
   */
  async insist(attempt, signal) {
    for (let tries = 1; ; tries++) {
      if (signal.aborted) throw new Stopped();
      try {
        const result = await attempt(tries);
        if (tries > 1) this.onTrouble(null);
        return result;
      } catch (error) {
        if (signal.aborted) throw new Stopped();
        if (!(error instanceof Passing)) throw error;
        this.onTrouble(error);
      }
      await this.rest(Math.min(LONGEST_PAUSE, 500 * 2 ** tries) * (0.5 + Math.random() / 2), signal);
    }
  }

  /** Wait: so long, or while the device has no line; less if it comes back or the person presses "try now". */
  async rest(milliseconds, signal) {
    if (signal.aborted) return;
    const over = new AbortController();
    const until = (target, name) => new Promise((resolve) => {
      target.addEventListener?.(name, resolve, { once: true, signal: over.signal });
    });
    const long = globalThis.navigator?.onLine === false ? LONGEST_PAUSE : milliseconds;
    const ends = [until(globalThis, "online"), until(this.wake, "hurry"), until(signal, "abort")];
    await Promise.race([this.pause(long), ...ends]);
    over.abort();
  }

  /** The person does not want to wait for the next try. */
  hurry() {
    this.wake.dispatchEvent(new Event("hurry"));
  }

  /** One request. Throws Refused or Passing. */
  async request(method, path, body, signal) {
    const timer = new AbortController();
    const giveUp = () => timer.abort();
    const clock = setTimeout(giveUp, path.endsWith("complete/") ? PATIENCE_TO_JOIN : PATIENCE);
    signal?.addEventListener("abort", giveUp);
    try {
      const response = await fetch(this.api + path, {
        method,
        headers: { "Content-Type": "application/json", "X-CSRFToken": this.csrf },
        body: body && JSON.stringify(body),
        keepalive: method === "DELETE",
        signal: timer.signal,
      });
      if (response.ok) return await response.json();
      throw await refusal(response);
    } catch (error) {
      throw error instanceof Refused || error instanceof Passing ? error : new Passing("line");
    } finally {
      clearTimeout(clock);
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  if (response.status >= 500 || response.status === 429 || response.status === 408) {
    return new Passing("server", problem.message);
  }
  return new Refused(
    problem.code ?? "error",
    problem.message ?? t("This page was open for too long. Please reload it: what was sent so far is kept."),
    problem,
  );
}

export const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
