// Which seconds of a film a player has shown.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { Watched } = await load("watched.js");

function player(pieces = []) {
  return [new Watched(pieces), pieces];
}

test("what runs on is one piece", () => {
  const [shown, pieces] = player();
  shown.runs(0);
  for (const at of [0.25, 0.5, 3]) shown.reached(at);
  assert.deepEqual(pieces, [[0, 3]]);
});

test("a jump leaves out what was jumped over", () => {
  const [shown, pieces] = player();
  shown.runs(0);
  shown.reached(2);
  shown.broke();
  shown.reached(50);
  shown.runs(50);
  shown.reached(51);
  assert.deepEqual(pieces, [[0, 2], [50, 51]]);
});

test("a jump back shows the same seconds again, as another piece", () => {
  const [shown, pieces] = player();
  shown.runs(10);
  shown.reached(12);
  shown.broke();
  shown.runs(10);
  shown.reached(11);
  assert.deepEqual(pieces, [[10, 12], [10, 11]]);
});

test("a pause in the line loses nothing", () => {
  const [shown, pieces] = player();
  shown.runs(0);
  shown.reached(4);
  shown.runs(4.2);
  shown.reached(5);
  assert.deepEqual(pieces, [[0, 5]]);
});

test("before it runs nothing is shown", () => {
  const [shown, pieces] = player();
  shown.reached(7);
  assert.deepEqual(pieces, []);
});

test("what was told is not told again", () => {
  const [shown, pieces] = player();
  shown.runs(0);
  shown.reached(5);
  pieces.splice(0);
  shown.reached(6);
  assert.deepEqual(pieces, [[5, 6]]);
});
