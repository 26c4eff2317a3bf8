// How many parts a line carries at once.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { Pace } = await load("pace.js");
const MB = 1_000_000;
const PART = 8 * 1024 * 1024;

/** A pace after so many seconds at so many bytes a second. */
function after(seconds, rate, pace = undefined, clock = { now: 0 }) {
  const made = pace ?? new Pace(() => clock.now);
  for (let tick = 0; tick < seconds * 10; tick++) {
    made.moved(rate / 10);
    clock.now += 100;
  }
  return [made, clock];
}

test("before anything is known one part travels", () => {
  assert.equal(new Pace(() => 0).inFlight(PART), 1);
});

for (const [line, rate, parts] of [
  ["3G", 94_000, 1], ["a weak 4G", 0.5 * MB, 1], ["half of what three need", 0.9 * MB, 2], ["4G", 2 * MB, 3], ["Wi-Fi", 20 * MB, 3],
]) {
  test(`${line} carries ${parts}`, () => {
    const [pace] = after(10, rate);

    assert.equal(pace.inFlight(PART), parts);
    assert.ok(Math.abs(pace.rate - rate) / rate < 0.1, `${pace.rate}`);
  });
}

test("a line that gets worse carries fewer, one that gets better more", () => {
  const [pace, clock] = after(10, 5 * MB);
  after(10, 0.1 * MB, pace, clock);
  assert.equal(pace.inFlight(PART), 1);

  after(10, 5 * MB, pace, clock);
  assert.equal(pace.inFlight(PART), 3);
});

test("a line that stands still is slow", () => {
  const [pace, clock] = after(10, 5 * MB);
  clock.now += 10_000;

  assert.equal(pace.rate, 0);
  assert.equal(pace.inFlight(PART), 1);
});
