// Words in the reader's language.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./modules.mjs";

const { speak, t, tn } = await load("language.js");

test("without translations it is English", () => {
  speak("en-GB", {});
  assert.equal(t("Sent. {size}", { size: "7 MB" }), "Sent. 7 MB");
  assert.equal(tn("{count} hour", "{count} hours", 1), "1 hour");
  assert.equal(tn("{count} hour", "{count} hours", 2), "2 hours");
});

test("a sentence is translated and filled, names with braces in them included", () => {
  speak("cy", { "{name} is sent.": "Mae {name} wedi'i anfon." });
  assert.equal(t("{name} is sent.", { name: "{size}.mov" }), "Mae {size}.mov wedi'i anfon.");
  assert.equal(t("Not there."), "Not there.");
  assert.equal(t("{name} is sent."), "Mae {name} wedi'i anfon.");
});

test("Welsh has six forms, in the order of its catalogue", () => {
  speak("cy", { "{count} cat": ["0 cath", "1 gath", "2 gath", "3 cath", "6 chath", "{count} o gathod"] });
  const said = [0, 1, 2, 3, 6, 4, 10].map((count) => tn("{count} cat", "{count} cats", count));
  assert.deepEqual(said, ["0 cath", "1 gath", "2 gath", "3 cath", "6 chath", "4 o gathod", "10 o gathod"]);
});
