// Figures in plain words. No line breaks between a figure and its unit.

import { t, tn } from "./language.js";

/** @param {number} bytes */
export function megabytes(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))}\u00a0kB`;
  const millions = bytes / 1e6;
  return millions < 1e3 ? `${millions.toFixed(millions < 10 ? 1 : 0)}\u00a0MB` : `${(millions / 1e3).toFixed(1)}\u00a0GB`;
}

/** @param {number} seconds */
export function timeLeft(seconds) {
  if (seconds < 20) return t("a few seconds left");
  if (seconds < 90) return t("about a minute left");
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return tn("about {count} minute left", "about {count} minutes left", minutes);
  return tn("about {count} hour left", "about {count} hours left", Math.round(minutes / 60));
}

/**
 * @param {number} sent bytes
 * @param {number} total bytes
 * @param {number} rate bytes a second; 0: not known yet
 */
export function progress(sent, total, rate) {
  const percent = Math.floor((sent / total) * 100);
  const done = t("{percent}\u00a0% of {size}", { percent, size: megabytes(total) });
  if (rate <= 0) return done;
  return t("{done}, {rate} a second, {left}", { done, rate: megabytes(rate), left: timeLeft((total - sent) / rate) });
}

/** Which quarter has just been reached, to be spoken; null: none. */
export function quarter(before, now) {
  const reached = [75, 50, 25].find((percent) => now * 100 >= percent && before * 100 < percent);
  return reached ?? null;
}
