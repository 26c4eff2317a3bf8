// A worker that reads pieces of a file and hashes them, so that the page stays smooth meanwhile.

import { sha256, toBase64 } from "./sha256.js";

globalThis.addEventListener("message", async ({ data: { id, blob } }) => {
  try {
    const digest = await sha256(new Uint8Array(await blob.arrayBuffer()));
    globalThis.postMessage({ id, checksum: toBase64(digest) });
  } catch (error) {
    globalThis.postMessage({ id, error: error.name });
  }
});
