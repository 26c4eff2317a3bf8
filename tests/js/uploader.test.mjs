// The upload protocol, against a small server and store in this process.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";

import { load } from "./modules.mjs";

const { Refused, Stopped, Upload, fingerprint, finish, verdict } = await load("uploader.js");

const PART = 10;
const checksum = (bytes) => createHash("sha256").update(bytes).digest("base64");

function fileOf(content, { name = "IMG_0042.MOV", lastModified = 1_760_000_000_000 } = {}) {
  return Object.assign(new Blob([content], { type: "video/quicktime" }), { name, lastModified });
}

const answer = (status, body) => new Response(JSON.stringify(body), { status });

/** Portal and store at once. `before` may answer a request in the portal's stead. */
class Server {
  parts = new Map();
  requests = [];
  puts = [];
  inFlight = 0;
  mostInFlight = 0;
  completed = false;
  busy = false;
  deleted = false;
  before = () => undefined;
  put = async () => 200;

  fetch = async (address, { method, headers, body, signal }) => {
    if (signal?.aborted) throw new DOMException("aborted", "AbortError");
    const path = address.replace("/uploads/", "");
    this.requests.push(`${method} ${path}`);
    this.headers = headers;
    const asked = body && JSON.parse(body);
    return (await this.before(method, path, asked)) ?? this.#answer(method, path, asked);
  };

  #answer(method, path, asked) {
    if (method === "POST" && path === "") {
      this.announced = asked;
      return answer(201, {
        id: "7", part_size: PART, parts: this.listed(), resumed: false, received: this.completed, busy: this.busy,
      });
    }
    if (path === "7/parts/") {
      const urls = asked.parts.map(({ number, sha256 }) => ({ number, url: `put:${number}`, headers: { sha256 } }));
      return answer(200, { urls });
    }
    if (path === "7/complete/") {
      this.completed = true;
      return answer(200, { video: { id: "7", state: "waiting" } });
    }
    if (method === "DELETE") this.deleted = true;
    return answer(200, { parts: this.listed() });
  }

  listed() {
    return [...this.parts].map(([number, bytes]) => ({ number, size: bytes.length, sha256: checksum(bytes) }));
  }

  send = async (permission, blob, onSent, signal) => {
    const number = Number(permission.url.split(":")[1]);
    this.puts.push(number);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    try {
      const status = await this.put(number, signal);
      if (status >= 200 && status < 300) {
        const bytes = Buffer.from(await blob.arrayBuffer());
        assert.equal(permission.headers.sha256, checksum(bytes));
        this.parts.set(number, bytes);
        onSent(blob.size);
      }
      return status;
    } finally {
      this.inFlight--;
    }
  };

  content() {
    return Buffer.concat([...this.parts].sort(([a], [b]) => a - b).map(([, bytes]) => bytes)).toString();
  }
}

const CONTENT = "0123456789".repeat(4) + "the end";
let server;
let pauses;
let troubles;

beforeEach(() => {
  server = new Server();
  globalThis.fetch = server.fetch;
  pauses = [];
  troubles = [];
});

const uploadOf = (file = fileOf(CONTENT), options = {}) =>
  new Upload({
    file,
    api: "/uploads/",
    csrf: "token",
    send: server.send,
    pause: async (milliseconds) => { pauses.push(milliseconds); },
    onTrouble: (trouble) => troubles.push(trouble && trouble.cause),
    ...options,
  });

test("a file is announced, sent in parts and completed", async () => {
  const video = await uploadOf().run();

  assert.deepEqual(video, { id: "7", state: "waiting" });
  assert.equal(server.content(), CONTENT);
  assert.deepEqual([...server.puts].sort(), [1, 2, 3, 4, 5]);
  assert.deepEqual(server.announced, {
    filename: "IMG_0042.MOV",
    size: 47,
    type: "video/quicktime",
    last_modified: 1_760_000_000_000,
    fingerprint: await fingerprint(fileOf(CONTENT)),
    sender: "",
    take_over: false,
  });
  assert.equal(server.headers["X-CSRFToken"], "token");
  assert.equal(server.requests.at(-1), "POST 7/complete/");
  assert.deepEqual(troubles, []);
});

test("three parts travel at once and never more", async () => {
  server.put = () => new Promise((resolve) => { setTimeout(resolve, 5, 200); });

  await uploadOf(fileOf("0123456789".repeat(12))).run();

  assert.equal(server.mostInFlight, 3);
});

test("on a slow line one part travels at a time", async () => {
  server.put = () => new Promise((resolve) => { setTimeout(resolve, 2, 200); });
  const upload = uploadOf();
  upload.pace.inFlight = () => 1;

  await upload.run();

  assert.equal(server.mostInFlight, 1);
  assert.equal(server.content(), CONTENT);
});

test("progress grows to the whole", async () => {
  const seen = [];

  await uploadOf(fileOf(CONTENT), { onProgress: (sent, total) => seen.push([sent, total]) }).run();

  assert.deepEqual(seen.at(-1), [47, 47]);
  assert.ok(seen.every(([sent, total]) => sent <= total));
});

test("what the store has already is not sent again", async () => {
  server.parts.set(1, Buffer.from("0123456789"));
  server.parts.set(5, Buffer.from("the end"));

  await uploadOf().run();

  assert.deepEqual([...server.puts].sort(), [2, 3, 4]);
  assert.equal(server.content(), CONTENT);
});

test("a stored part of another size or with other bytes is sent again", async () => {
  server.parts.set(1, Buffer.from("01234"));
  server.parts.set(2, Buffer.from("9876543210"));

  await uploadOf().run();

  assert.deepEqual([...server.puts].sort(), [1, 2, 3, 4, 5]);
  assert.equal(server.content(), CONTENT);
});

test("a file that was received before is done at once", async () => {
  server.before = () => answer(201, { id: "7", part_size: PART, parts: [], resumed: true, received: true });
  const seen = [];

  const video = await uploadOf(fileOf(CONTENT), { onProgress: (...both) => seen.push(both) }).run();

  assert.equal(video.id, "7");
  assert.deepEqual(seen, [[47, 47]]);
  assert.deepEqual(server.puts, []);
});

for (const status of [0, 408, 429, 500, 503]) {
  test(`a part answered by ${status} is signed anew and sent again after a pause`, async () => {
    let failures = 2;
    server.put = async (number) => (number === 2 && failures-- > 0 ? status : 200);

    await uploadOf().run();

    assert.equal(server.puts.filter((number) => number === 2).length, 3);
    assert.equal(server.puts.length, 7);
    assert.equal(server.requests.filter((request) => request === "POST 7/parts/").length, 7);
    assert.equal(server.content(), CONTENT);
    assert.equal(pauses.length, 2);
    const cause = status ? "server" : "line";
    assert.deepEqual(troubles, [cause, cause, null]);
  });
}

test("a permission that ran out is replaced at once", async () => {
  let failures = 2;
  server.put = async (number) => (number === 2 && failures-- > 0 ? 403 : 200);

  await uploadOf().run();

  assert.equal(server.content(), CONTENT);
  assert.deepEqual(pauses, []);
});

test("a part that is refused by fresh permissions too ends the upload", async () => {
  server.put = async (number) => (number === 2 ? 403 : 200);

  await assert.rejects(uploadOf().run(), { code: "store_refused" });

  assert.equal(server.puts.filter((number) => number === 2).length, 3);
});

test("a part whose answer alone was lost is not sent again", async () => {
  let lost = 1;
  const send = server.send;
  server.send = async (...words) => {
    const status = await send(...words);
    return words[0].url === "put:2" && lost-- > 0 ? 0 : status;
  };

  await uploadOf().run();

  assert.deepEqual([...server.puts].sort(), [1, 2, 3, 4, 5]);
  assert.equal(server.content(), CONTENT);
});

test("a file that changes while it is sent is said in words", async () => {
  const file = fileOf(CONTENT);
  const slice = file.slice.bind(file);
  let changed = false;
  file.slice = (...range) => {
    const piece = slice(...range);
    const inner = piece.slice.bind(piece);
    piece.slice = (...part) => (changed ? { arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) } : inner(...part));
    return piece;
  };
  server.put = async () => { changed = true; return 0; };

  await assert.rejects(uploadOf(file).run(), { code: "unreadable" });
});

test("what the store's answers mean", () => {
  const meanings = {
    "stored": [200, 204], "sign again": [403], "look again": [404],
    "try again": [0, 408, 429, 500, 502, 503, 504], "stop": [400, 401, 405, 411, 412, 413],
  };
  for (const [meaning, statuses] of Object.entries(meanings)) {
    for (const status of statuses) assert.equal(verdict(status), meaning, `${status}`);
  }
});

for (const status of [400, 412, 413]) {
  test(`a part answered by ${status} ends the upload`, async () => {
    server.put = async (number) => (number === 2 ? status : 200);

    await assert.rejects(uploadOf().run(), (error) => error instanceof Refused && error.code === "store_refused");

    assert.ok(!server.completed);
    assert.deepEqual(pauses, []);
  });
}

test("a broken line is waited for, longer each time", async () => {
  let failures = 4;
  server.before = () => {
    if (failures-- > 0) throw new TypeError("Failed to fetch");
  };

  await uploadOf().run();

  assert.equal(server.content(), CONTENT);
  assert.equal(pauses.length, 4);
  pauses.forEach((pause, index) => {
    const longest = 500 * 2 ** (index + 1);
    assert.ok(pause >= longest / 2 && pause <= longest, `${pause} of ${longest}`);
  });
});

test("a line that breaks in the middle of an answer is waited for too", async () => {
  let failures = 1;
  server.before = () => {
    if (failures-- > 0) {
      return { ok: true, status: 201, json: () => Promise.reject(new TypeError("network error")) };
    }
    return undefined;
  };

  await uploadOf().run();

  assert.equal(server.content(), CONTENT);
});

test("a line that stays away is waited for without end", async () => {
  let failures = 40;
  server.before = () => {
    if (failures-- > 0) throw new TypeError("Failed to fetch");
  };

  await uploadOf().run();

  assert.equal(server.content(), CONTENT);
  assert.ok(Math.max(...pauses) <= 30_000);
});

test("trying now ends a pause", async () => {
  let failures = 1;
  server.before = () => {
    if (failures-- > 0) throw new TypeError("Failed to fetch");
  };
  const upload = uploadOf(undefined, { pause: () => new Promise(() => {}), onTrouble: (trouble) => trouble && setTimeout(() => upload.hurry(), 1) });

  await upload.run();

  assert.equal(server.content(), CONTENT);
});

test("a busy server is asked again", async () => {
  let busy = 1;
  server.before = (method, path) =>
    path === "7/complete/" && busy-- > 0 ? answer(503, { code: "store_unavailable" }) : undefined;

  assert.equal((await uploadOf().run()).id, "7");
});

test("a refusal is told in the server's words and not repeated", async () => {
  server.before = () => answer(415, { code: "not_a_video", message: "This file is not a video." });

  await assert.rejects(uploadOf().run(), { code: "not_a_video", message: "This file is not a video." });

  assert.equal(server.requests.length, 1);
});

test("a refusal that is no JSON has words of our own", async () => {
  server.before = () => new Response("<html>", { status: 403 });

  await assert.rejects(uploadOf().run(), (error) => error instanceof Refused && error.message.includes("reload"));
});

test("a part that the store lost is sent in another round", async () => {
  let rounds = 0;
  server.before = (method, path) => {
    if (path !== "7/complete/" || rounds++) return undefined;
    server.parts.delete(3);
    return answer(409, { code: "parts_missing", message: "A piece is missing.", missing: [3] });
  };

  await uploadOf().run();

  assert.equal(server.puts.filter((number) => number === 3).length, 2);
  assert.equal(server.puts.length, 6);
  assert.equal(server.content(), CONTENT);
});

test("what another tab completed in the same moment is not sent again", async () => {
  server.before = (method, path) => {
    if (path !== "7/complete/") return undefined;
    server.completed = true;
    return answer(409, { code: "parts_missing", message: "A piece is missing." });
  };

  assert.deepEqual(await uploadOf().run(), { id: "7" });
  assert.equal(server.puts.length, Math.ceil(CONTENT.length / PART));
});

test("what another device completed in the meantime is done", async () => {
  server.put = async (number) => {
    if (number !== 3) return 200;
    server.completed = true;
    return 404;
  };

  assert.deepEqual(await uploadOf().run(), { id: "7" });
});

test("an upload that the store forgot is begun anew", async () => {
  let forgotten = 1;
  server.before = (method, path) => {
    if (path !== "7/parts/" || server.parts.size < 2 || forgotten-- < 1) return undefined;
    server.parts.clear();
    return answer(410, { code: "upload_gone", message: "Gone.", stopped: false });
  };

  await uploadOf().run();

  assert.equal(server.content(), CONTENT);
});

test("an upload that was stopped elsewhere stays stopped", async () => {
  server.before = (method, path) =>
    path === "7/parts/" ? answer(410, { code: "upload_gone", message: "This upload was stopped.", stopped: true }) : undefined;

  await assert.rejects(uploadOf().run(), { code: "upload_gone", message: "This upload was stopped." });
});

test("while another device sends it, this one waits and says so", async () => {
  server.busy = true;
  const said = [];
  const upload = uploadOf(undefined, {
    onElsewhere: (elsewhere) => said.push(elsewhere),
    pause: async () => { server.busy = said.length < 3; },
  });

  await upload.run();

  assert.deepEqual(said, [true, true, true, false]);
  assert.equal(server.content(), CONTENT);
});

test("what the other device has sent is done here too", async () => {
  server.busy = true;

  const video = await uploadOf(undefined, { pause: async () => { server.completed = true; server.busy = false; } }).run();

  assert.deepEqual(video, { id: "7" });
  assert.deepEqual(server.puts, []);
});

test("the person may send from here all the same", async () => {
  server.busy = true;
  server.before = (method, path, asked) => {
    if (asked?.take_over) server.busy = false;
  };
  const upload = uploadOf(undefined, { pause: () => new Promise(() => {}), onElsewhere: (elsewhere) => elsewhere && setTimeout(() => upload.takeItOver(), 1) });

  await upload.run();

  assert.equal(server.content(), CONTENT);
});

test("a device that was overtaken stops sending and waits", async () => {
  let overtaken = 1;
  const said = [];
  server.before = (method, path) => {
    if (path !== "7/parts/" || server.parts.size < 1 || overtaken-- < 1) return undefined;
    server.busy = true;
    return answer(409, { code: "sent_elsewhere", message: "Elsewhere." });
  };

  await uploadOf(undefined, { onElsewhere: (elsewhere) => said.push(elsewhere), pause: async () => { server.busy = false; } }).run();

  assert.deepEqual(said, [true, false]);
  assert.equal(server.content(), CONTENT);
});

test("another tab of this browser is waited for, and then the store is asked again", async () => {
  await uploadOf(undefined, {
    alone: async (id, work) => {
      server.parts.set(1, Buffer.from("0123456789"));
      return work(true);
    },
  }).run();

  assert.deepEqual([...server.puts].sort(), [2, 3, 4, 5]);
});

test("an upload whose parts are all there is completed without its file", async () => {
  const video = await finish({ api: "/uploads/", csrf: "token", id: "7" });

  assert.deepEqual(video, { video: { id: "7", state: "waiting" } });
  assert.ok(server.completed);
});

test("after five rounds without success it gives up", async () => {
  server.before = (method, path) =>
    path === "7/complete/" ? answer(409, { code: "parts_missing", message: "A piece is missing." }) : undefined;

  await assert.rejects(uploadOf().run(), { code: "parts_missing" });

  assert.equal(server.requests.filter((request) => request === "POST 7/complete/").length, 5);
});

test("stopping ends what is under way and tells the server", async () => {
  const upload = uploadOf();
  server.put = (number, signal) => new Promise((resolve) => { signal.addEventListener("abort", () => resolve(0)); });
  const running = upload.run();
  while (server.inFlight < 1) await new Promise((resolve) => { setTimeout(resolve, 1); });

  await upload.cancel();

  await assert.rejects(running, Stopped);
  assert.ok(server.deleted);
  assert.ok(!server.completed);
  assert.equal(server.puts.length, 1);
});

test("stopping without a line raises nothing", async () => {
  const upload = uploadOf();
  await upload.run();
  server.before = () => { throw new TypeError("Failed to fetch"); };

  await upload.cancel();
});

test("a file that the phone cannot open is said in words", async () => {
  const file = fileOf(CONTENT);
  file.slice = () => ({ arrayBuffer: () => Promise.reject(new DOMException("gone", "NotReadableError")) });

  await assert.rejects(uploadOf(file).run(), { code: "unreadable" });

  assert.deepEqual(server.requests, []);
});

test("a fingerprint tells files apart by size, time, beginning and end", async () => {
  const MIB = 1024 * 1024;
  const content = Buffer.alloc(3 * MIB, 1);
  const changed = (at) => {
    const copy = Buffer.from(content);
    copy[at] = 2;
    return fileOf(copy);
  };
  const original = await fingerprint(fileOf(content));

  assert.match(original, /^[0-9a-f]{64}$/);
  assert.equal(await fingerprint(fileOf(content, { name: "another name.mov" })), original);
  const redated = await fingerprint(fileOf(content, { lastModified: 1 }));
  assert.equal(redated.slice(0, 32), original.slice(0, 32));
  assert.notEqual(await fingerprint(fileOf(content, { lastModified: 1 })), original);
  assert.notEqual(await fingerprint(fileOf(content.subarray(1))), original);
  assert.notEqual(await fingerprint(changed(0)), original);
  assert.notEqual(await fingerprint(changed(3 * MIB - 1)), original);
});
