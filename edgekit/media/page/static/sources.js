// Lists the sources of the run, with the state of each, and marks the one that is shown.

const TONES = { ok: "good", starting: "", ended: "", stalled: "bad", lost: "bad", failed: "bad" };

export class Sources {
  // `choose` is called when the page's address names another source than before.
  constructor(box, choose) {
    this.box = box;
    this.choose = choose;
    this.chips = [];
  }

  show(sources) {
    if (sources.length !== this.chips.length) {
      this.chips = sources.map((_, number) => this.addChip(number));
      this.box.replaceChildren(...this.chips.map((chip) => chip.button));
      this.box.hidden = !sources.length;
    }
    sources.forEach(({ source, status, tubes }, number) => {
      const { button, name, count } = this.chips[number];
      button.dataset.tone = TONES[status];
      button.setAttribute("aria-pressed", number === chosen());
      button.title = `${source || "source"}: ${status}`;
      name.textContent = shortName(source) || "\u2013";
      count.textContent = tubes ? `${tubes} live` : status === "ok" ? "" : status;
    });
  }

  addChip(number) {
    const button = document.createElement("button");
    button.innerHTML = "<i></i><b></b><span></span><small></small>";
    const [, place, name, count] = button.children;
    place.textContent = number;
    button.onclick = () => {
      if (number === chosen()) return;
      history.replaceState(null, "", number ? `?source=${number}` : location.pathname);
      this.chips.forEach((chip, place) => chip.button.setAttribute("aria-pressed", place === number));
      this.choose();
    };
    return { button, name, count };
  }
}

function chosen() {
  return Number(new URLSearchParams(location.search).get("source"));
}

// Returns the last part of a path or address.
export function shortName(source) {
  return source.split("/").pop() || source;
}
