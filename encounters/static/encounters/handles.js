// Files that the browser can open again by itself after a reload: handles, kept in IndexedDB by upload.
// Only desktop browsers give handles. Nothing of the file itself is kept here.

const STORE = "handles";

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("uploads", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Private windows and old browsers may refuse: then there is simply nothing kept. */
async function use(mode, act) {
  let database;
  try {
    database = await open();
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return undefined;
  } finally {
    database?.close();
  }
}

/** @param {string} upload @param {FileSystemFileHandle} handle */
export const keep = (upload, handle) => use("readwrite", (store) => store.put(handle, upload));

/** @param {string} upload @returns {Promise<FileSystemFileHandle | undefined>} */
export const find = (upload) => use("readonly", (store) => store.get(upload));

/** @param {string} upload */
export const forget = (upload) => use("readwrite", (store) => store.delete(upload));

/** Forget all but these. @param {string[]} uploads */
export async function forgetOthers(uploads) {
  const kept = (await use("readonly", (store) => store.getAllKeys())) ?? [];
  for (const upload of kept) if (!uploads.includes(upload)) await forget(upload);
}
