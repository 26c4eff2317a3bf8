// One row of the queue: a preview, a name, how far it is, and what can be done.

const TONES = ["done", "bad", "wait", "paused"];

export class Item {
  /** @param {HTMLElement} element @param {Record<string, () => void>} actions by data-action */
  constructor(element, actions) {
    this.element = element;
    this.name = element.querySelector(".queue__name").textContent;
    this.text = element.querySelector(".queue__text");
    this.bar = element.querySelector("progress");
    element.addEventListener("click", (event) => {
      const action = event.target.closest("[data-action]")?.dataset.action;
      if (action === "watch") this.#watch();
      else if (action) actions[action]?.();
    });
  }

  static fromTemplate(template, name, actions) {
    const element = template.content.firstElementChild.cloneNode(true);
    element.querySelector(".queue__name").textContent = name;
    return new Item(element, actions);
  }

  say(words) {
    if (this.text.textContent !== words) this.text.textContent = words;
  }

  /** @param {"done"|"bad"|"wait"|"paused"|""} tone */
  tone(tone) {
    for (const each of TONES) this.element.classList.toggle(`queue__item--${each}`, each === tone);
  }

  /** @param {number | null} fraction null: there is nothing to show */
  show(fraction) {
    this.bar.hidden = fraction === null;
    if (fraction !== null) this.bar.value = fraction;
  }

  /** @param {Record<string, string>} offered the words on each button that there shall be, by data-action */
  offer(offered) {
    for (const button of this.element.querySelectorAll(".queue__actions [data-action]")) {
      const words = offered[button.dataset.action];
      button.hidden = words === undefined;
      if (!words) continue;
      button.textContent = words;
      button.setAttribute("aria-label", `${words}: ${this.name}`);
    }
  }

  /** Show the file at once, as far as this browser can. */
  preview(file) {
    this.forgetPreview();
    this.address = URL.createObjectURL(file);
    const button = this.element.querySelector(".queue__preview");
    const picture = button.querySelector("video");
    picture.addEventListener("loadeddata", () => { button.hidden = false; }, { once: true });
    picture.addEventListener("error", () => { button.hidden = true; }, { once: true });
    picture.src = `${this.address}#t=0.1`;
  }

  #watch() {
    const button = this.element.querySelector(".queue__preview");
    let player = this.element.querySelector(".queue__player");
    if (player) {
      player.remove();
    } else {
      player = document.createElement("video");
      player.className = "queue__player";
      player.controls = player.playsInline = true;
      player.src = this.address;
      this.element.append(player);
      player.play().catch(() => {});
    }
    button.setAttribute("aria-expanded", String(player.isConnected));
  }

  forgetPreview() {
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = null;
    this.element.querySelector(".queue__player")?.remove();
    const button = this.element.querySelector(".queue__preview");
    button.hidden = true;
    button.querySelector("video").removeAttribute("src");
  }

  remove() {
    this.forgetPreview();
    this.element.remove();
  }
}
