// Figures in plain words. No line breaks between a figure and its unit.

/** @param {number} bytes */
export function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))}\u00a0kB`;
  const millions = bytes / 1e6;
  return millions < 1e3 ? `${millions.toFixed(millions < 10 ? 1 : 0)}\u00a0MB` : `${(millions / 1e3).toFixed(1)}\u00a0GB`;
}

/** @param {number} seconds */
export function timeLeft(seconds) {
  if (seconds < 20) return "a few seconds left";
  if (seconds < 90) return "about a minute left";
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} minutes left` : `about ${Math.round(minutes / 60)} hours left`;
}

/**
 * @param {number} sent bytes
 * @param {number} total bytes
 * @param {number} rate bytes a second; 0: not known yet
 */
export function progress(sent, total, rate) {
  const percent = Math.floor((sent / total) * 100);
  const done = `${percent}\u00a0% of ${megabytes(total)}`;
  return rate > 0 ? `${done}, ${megabytes(rate)} a second, ${timeLeft((total - sent) / rate)}` : done;
}

/** Which quarter has just been reached, to be spoken; null: none. */
export function quarter(before, now) {
  const reached = [75, 50, 25].find((percent) => now * 100 >= percent && before * 100 < percent);
  return reached ?? null;
}
