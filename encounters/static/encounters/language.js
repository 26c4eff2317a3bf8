// Words in the reader's language. Sentences are written in English here; the page brings the translations.

/** CLDR's names of plural forms, in the order in which a catalogue lists those that its language has. */
const FORMS = ["zero", "one", "two", "few", "many", "other"];

let catalogue = {};
let plurals = new Intl.PluralRules("en");
if (globalThis.document) {
  const words = document.getElementById("words");
  speak(document.documentElement.lang, words ? JSON.parse(words.textContent) : {});
}

/** @param {string} language @param {Record<string, string | string[]>} words translations by English sentence */
export function speak(language, words) {
  plurals = new Intl.PluralRules(language);
  catalogue = words;
}

/**
 * @param {string} english may hold names in braces
 * @param {Record<string, string | number>} [values] to put in their place
 */
export function t(english, values = {}) {
  return fill(catalogue[english] ?? english, values);
}

/** The same for something that is counted. @param {string} one @param {string} many @param {number} count */
export function tn(one, many, count) {
  const forms = catalogue[one];
  const { pluralCategories } = plurals.resolvedOptions();
  const known = FORMS.filter((form) => pluralCategories.includes(form));
  const words = forms?.[known.indexOf(plurals.select(count))] ?? (count === 1 ? one : many);
  return fill(words, { count });
}

function fill(words, values) {
  return words.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
