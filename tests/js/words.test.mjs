// Figures in plain words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { megabytes, progress, quarter, timeLeft } = await load("words.js");

const plain = (text) => text.replaceAll("\u00a0", " ");

test("sizes", () => {
  const written = [[1, "1 kB"], [999_000, "999 kB"], [1_500_000, "1.5 MB"], [42_400_000, "42 MB"], [2_000_000_000, "2.0 GB"]];
  for (const [bytes, words] of written) assert.equal(plain(megabytes(bytes)), words);
});

test("time left", () => {
  const written = [
    [5, "a few seconds left"], [60, "about a minute left"], [89, "about a minute left"], [100, "about 2 minutes left"],
    [3600, "about 60 minutes left"], [7200, "about 2 hours left"],
  ];
  for (const [seconds, words] of written) assert.equal(timeLeft(seconds), words);
});

test("progress says how much, how fast and how long, as far as it knows", () => {
  assert.equal(plain(progress(31_000_000, 50_000_000, 0)), "62 % of 50 MB");
  assert.equal(plain(progress(31_000_000, 50_000_000, 1_200_000)), "62 % of 50 MB, 1.2 MB a second, a few seconds left");
});

test("only quarters are spoken, each once, and the highest if several are passed", () => {
  const spoken = [];
  for (let percent = 1; percent <= 100; percent++) {
    const reached = quarter((percent - 1) / 100, percent / 100);
    if (reached) spoken.push(reached);
  }
  assert.deepEqual(spoken, [25, 50, 75]);
  assert.equal(quarter(0, 0.62), 50);
  assert.equal(quarter(0.3, 0.4), null);
});
