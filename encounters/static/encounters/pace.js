// How fast the line is, and how many parts it can carry at once.

const MOST_IN_FLIGHT = 3;
const WINDOW = 5000;
const SHORTEST = 1000;
const PARTS_WITHIN = 20;

export class Pace {
  /** @param {() => number} [now] milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    /** @type {{at: number, bytes: number}[]} */
    this.moves = [];
    this.began = null;
  }

  /** So many bytes have left just now. */
  moved(bytes) {
    const at = this.now();
    this.began ??= at;
    this.moves.push({ at, bytes });
    while (this.moves[0].at < at - WINDOW) this.moves.shift();
  }

  /** Bytes a second over the last seconds; 0 before anything has left. */
  get rate() {
    if (this.began === null) return 0;
    const now = this.now();
    const recent = this.moves.filter((move) => move.at >= now - WINDOW);
    const span = Math.max(SHORTEST, Math.min(WINDOW, now - this.began));
    return (recent.reduce((sum, move) => sum + move.bytes, 0) / span) * 1000;
  }

  /**
   * As many parts at once as the line carries within twenty seconds: three on a good one, one on a slow
   * one, where several would only lose more at the next break.
   *
   * @param {number} partSize bytes
   */
  inFlight(partSize) {
    return Math.min(MOST_IN_FLIGHT, Math.max(1, Math.floor((this.rate * PARTS_WITHIN) / partSize)));
  }
}
