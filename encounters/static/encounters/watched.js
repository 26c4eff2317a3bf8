// Which seconds of a film one player has shown. Knows nothing of the page.

export class Watched {
  #at = null;
  #pieces;

  /** @param {Array<[number, number]>} pieces where to put what was shown; several players may share it */
  constructor(pieces) {
    this.#pieces = pieces;
  }

  /** It runs, from this second of the film. */
  runs(at) {
    this.#at ??= at;
  }

  /** It has come so far without a jump. */
  reached(at) {
    if (this.#at === null) return;
    if (at > this.#at) this.#add(this.#at, at);
    this.#at = at;
  }

  /** It stands, or jumps: what comes next does not follow from what was. */
  broke() {
    this.#at = null;
  }

  #add(from, to) {
    const last = this.#pieces.at(-1);
    if (last && last[1] === from) last[1] = to;
    else this.#pieces.push([from, to]);
  }
}
