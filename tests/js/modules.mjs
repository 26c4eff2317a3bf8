// The browser's modules, for Node: from MODULES, a folder that says that they are ES modules.

const folder = process.env.MODULES
  ? new URL(`file://${process.env.MODULES}/`)
  : new URL("../../encounters/static/encounters/", import.meta.url);

export const load = (name) => import(new URL(name, folder).href);
