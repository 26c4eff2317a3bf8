// SHA-256 by hand against Node's own.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { sha256, sha256ByHand, toBase64, toHex } = await load("sha256.js");

const bytesOf = (length) => Uint8Array.from({ length }, (_, index) => (index * 131 + length) % 256);
const expected = (bytes) => createHash("sha256").update(bytes).digest("hex");

test("every length around the borders of a block gives the right digest", () => {
  for (let length = 0; length <= 260; length++) {
    assert.equal(toHex(sha256ByHand(bytesOf(length))), expected(bytesOf(length)), `${length} bytes`);
  }
});

test("a long message gives the right digest", () => {
  for (const length of [1000, 65_535, 65_536, 1024 * 1024 + 1]) {
    assert.equal(toHex(sha256ByHand(bytesOf(length))), expected(bytesOf(length)));
  }
});

test("a view into a larger buffer is hashed alone", () => {
  const part = bytesOf(500).subarray(13, 313);

  assert.equal(toHex(sha256ByHand(part)), expected(part));
});

test("the message is left as it was", () => {
  const bytes = bytesOf(200);
  sha256ByHand(bytes);

  assert.deepEqual(bytes, bytesOf(200));
});

test("the published examples of FIPS 180-4 come out", () => {
  const digest = (text) => toHex(sha256ByHand(new TextEncoder().encode(text)));

  assert.equal(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(
    digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  );
});

test("the browser's own and ours agree", async () => {
  for (const length of [0, 55, 56, 64, 5000]) {
    assert.equal(toHex(await sha256(bytesOf(length))), toHex(sha256ByHand(bytesOf(length))));
  }
});

test("digests are written as S3 reads them", () => {
  const digest = sha256ByHand(bytesOf(9));

  assert.equal(toBase64(digest), Buffer.from(digest).toString("base64"));
  assert.equal(toHex(Uint8Array.of(0, 15, 255)), "000fff");
});
