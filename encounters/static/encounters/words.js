// Figures in plain words.

/** @param {number} bytes */
export function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
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
  const done = `${percent} % of ${megabytes(total)}`;
  return rate > 0 ? `${done}, ${megabytes(rate)} a second, ${timeLeft((total - sent) / rate)}` : done;
}

/** Which quarter has just been reached, to be spoken; null: none. */
export function quarter(before, now) {
  const reached = [75, 50, 25].find((percent) => now * 100 >= percent && before * 100 < percent);
  return reached ?? null;
}
