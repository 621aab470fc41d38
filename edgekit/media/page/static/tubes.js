// Shows tubes over time, one row each. The bar is the tube. Within it, frames with a detected box are
// solid, frames with an extrapolated box are hatched, and frames without a box are pale. Boxes shown
// outside the tube form a strip. Missing frames are striped.

const LONGEST = 60;
const SHORTEST = 10;
const STEPS = [2, 5, 10, 15, 20];

export class Tubes {
  constructor(list, axis, count, empty, key) {
    Object.assign(this, { list, axis, count, empty, key });
    this.rows = new Map();
  }

  begin(hello) {
    this.hello = hello;
    this.rows.forEach((row) => row.item.remove());
    this.rows.clear();
  }

  show(state) {
    const { fps } = state; // a camera may be slower than the rate that it declares
    const longest = this.list.clientWidth < 500 ? LONGEST / 2 : LONGEST;
    const seconds = Math.min(Math.max((state.now + 1) / fps, SHORTEST), longest);
    const span = { end: state.now + 1, frames: seconds * fps };
    span.begin = span.end - span.frames;
    this.showAxis(seconds);
    const room = this.room();
    const tubes = state.tubes.filter((tube) => Math.max(tube.end, ...tube.runs.slice(-1).map(([, last]) => last)) >= span.begin);
    const shown = tubes.slice(0, room);
    const ids = new Set(shown.map((tube) => tube.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        row.item.remove();
        this.rows.delete(id);
      }
    }
    shown.forEach((tube, place) => this.showRow(tube, place, span, state.gaps));
    const alive = tubes.filter((tube) => tube.alive).length;
    const hidden = tubes.length - shown.length;
    this.count.textContent = tubes.length
      ? `${alive} now, ${tubes.length} in the last ${Math.round(seconds)} s` + (hidden ? `, ${hidden} not shown` : "")
      : "";
    this.empty.hidden = tubes.length > 0;
    this.key.hidden = !tubes.length;
    this.axis.style.visibility = tubes.length ? "visible" : "hidden";
  }

  // Returns the number of rows that fit into the list, at least 7: on a phone the page may grow.
  room() {
    const box = this.list.parentElement;
    const fits = Math.floor((box.clientHeight - this.list.offsetTop + box.offsetTop - 10) / 27);
    return Math.max(7, fits);
  }

  showAxis(seconds) {
    const width = this.axis.clientWidth;
    const step = STEPS.find((step) => (width * step) / seconds > 64) || STEPS.at(-1);
    const marks = [];
    for (let ago = step; ago < seconds; ago += step) {
      const left = 1 - ago / seconds;
      if (left * width > 14) marks.unshift([left, `−${ago} s`]);
    }
    marks.push([1, "now"]);
    this.axis.replaceChildren(
      ...marks.map(([left, text]) => {
        const mark = document.createElement("span");
        mark.textContent = text;
        mark.style.left = `${100 * left}%`;
        return mark;
      }),
    );
  }

  showRow(tube, place, span, gaps) {
    const row = this.rows.get(tube.id) || this.addRow(tube.id);
    const colour = this.hello.colours[tube.label];
    row.item.className = tube.alive ? "" : "past";
    row.dot.style.background = colour;
    row.name.textContent = this.hello.classes[tube.label];
    row.number.textContent = `#${tube.id}`;
    row.score.textContent = tube.score.toFixed(2);
    const parts = [bar("whole", tube.start, tube.end, span, colour)];
    for (const [first, last, observed] of tube.runs) {
      const kind = observed ? "" : "extrapolated";
      parts.push(
        bar(`strip ${kind}`, first, Math.min(last, tube.start - 1), span, colour),
        bar(kind, Math.max(first, tube.start), Math.min(last, tube.end), span, colour),
        bar(`strip ${kind}`, Math.max(first, tube.end + 1), last, span, colour),
      );
    }
    for (const [first, last] of gaps) if (last > first) parts.push(bar("hole", first, last - 1, span));
    row.track.replaceChildren(...parts.filter(Boolean));
    if (this.list.children[place] !== row.item) this.list.insertBefore(row.item, this.list.children[place] || null);
  }

  addRow(id) {
    const item = document.createElement("li");
    item.innerHTML = '<div class="name"><i></i><span></span><small></small><small class="score"></small></div><div class="track"></div>';
    const [dot, name, number, score] = item.firstChild.children;
    const row = { item, dot, name, number, score, track: item.lastChild };
    this.rows.set(id, row);
    return row;
  }
}

function bar(kind, first, last, span, colour) {
  const left = Math.max(first, span.begin);
  const right = Math.min(last + 1, span.end);
  if (right <= left) return null;
  const element = document.createElement("b");
  element.className = kind;
  element.style.left = `${(100 * (left - span.begin)) / span.frames}%`;
  element.style.width = `${(100 * (right - left)) / span.frames}%`;
  if (colour) element.style[kind.includes("extrapolated") ? "color" : "background"] = colour;
  return element;
}
