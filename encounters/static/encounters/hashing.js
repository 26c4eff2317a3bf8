// SHA-256 of a piece of a file, in a worker where the browser has one.

import { sha256, toBase64 } from "./sha256.js";

/** @param {Blob} blob @returns {Promise<string>} base64; rejects if the file cannot be read */
export async function hashHere(blob) {
  return toBase64(await sha256(new Uint8Array(await blob.arrayBuffer())));
}

/**
 * @param {string} address of hash_worker.js
 * @returns {(blob: Blob) => Promise<string>}
 */
export function hashInWorker(address) {
  let worker = null;
  let broken = false;
  const waiting = new Map();
  let last = 0;

  function start() {
    worker = new Worker(address, { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      const { resolve, reject } = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.checksum) resolve(data.checksum);
      else reject(new DOMException("The file cannot be read.", data.error));
    });
    // An old browser without workers of modules, or one that could not be fetched: hash in the page.
    worker.addEventListener("error", () => {
      broken = true;
      for (const { blob, resolve } of waiting.values()) resolve(hashHere(blob));
      waiting.clear();
    });
  }

  return (blob) => {
    if (!globalThis.Worker || broken) return hashHere(blob);
    if (!worker) start();
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { blob, resolve, reject });
      worker.postMessage({ id, blob });
    });
  };
}
