// Draws the newest frame with the tubes over it: sharp at any size, and without work for the device.

const TRAIL_SECONDS = 1.5;

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.trails = new Map();
    this.frame = null;
    this.bitmap = null;
    this.classes = [];
    this.colours = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  begin(hello) {
    this.classes = hello.classes;
    this.colours = hello.colours;
    this.fps = hello.fps;
    this.run = hello;
    this.trails.clear();
  }

  // Forgets everything, because the next frame is from another source.
  clear() {
    if (this.bitmap) this.bitmap.close();
    this.run = this.frame = this.bitmap = null;
    this.trails.clear();
    this.draw();
  }

  // Resolves to whether the frame was shown.
  async show(frame, jpeg) {
    const { run } = this;
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
    if (run !== this.run) return false;
    if (this.bitmap) this.bitmap.close();
    this.bitmap = bitmap;
    this.frame = frame;
    this.follow(frame);
    this.draw();
    return true;
  }

  // Extends the trail of each tube. It moves only half of each step, because boxes jitter.
  follow(frame) {
    for (const { id, box } of frame.tubes) {
      const trail = this.trails.get(id) || [];
      const last = trail.at(-1) || { x: (box[0] + box[2]) / 2, y: box[3] };
      trail.push({ index: frame.index, x: (last.x + (box[0] + box[2]) / 2) / 2, y: (last.y + box[3]) / 2 });
      this.trails.set(id, trail);
    }
    const oldest = frame.index - TRAIL_SECONDS * this.fps;
    for (const [id, trail] of this.trails) {
      while (trail.length && (trail[0].index < oldest || trail[0].index > frame.index)) trail.shift();
      if (!trail.length) this.trails.delete(id);
    }
  }

  draw() {
    const { canvas, frame } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    if (!frame) return;
    const pen = canvas.getContext("2d");
    // Pixels of a source need not be square.
    const down = Math.min(width / (frame.size[0] * frame.aspect), height / frame.size[1]);
    const across = down * frame.aspect;
    const area = { width: frame.size[0] * across, height: frame.size[1] * down };
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.translate((width - area.width) / 2, (height - area.height) / 2);
    pen.beginPath();
    pen.rect(0, 0, area.width, area.height);
    pen.clip();
    pen.imageSmoothingQuality = "high";
    if (this.bitmap) pen.drawImage(this.bitmap, 0, 0, area.width, area.height);
    const tubes = frame.tubes.map((tube) => ({
      ...tube,
      box: tube.box.map((value, place) => value * (place % 2 ? down : across)),
      colour: this.colours[tube.label],
      trail: (this.trails.get(tube.id) || []).map(({ x, y }) => [x * across, y * down]),
    }));
    tubes.forEach((tube) => drawTrail(pen, tube));
    // The best tube comes first, and is drawn last so that it lies on top.
    tubes.toReversed().forEach((tube) => drawBox(pen, tube));
    const taken = [];
    const letters = width < 600 ? 12 : 13;
    tubes.forEach((tube) => this.drawLabel(pen, tube, area, letters, taken));
  }

  drawLabel(pen, tube, area, letters, taken) {
    const name = `${this.classes[tube.label]} `;
    const rest = `${tube.score.toFixed(2)}  #${tube.id}`;
    const [bold, plain] = [`650 ${letters}px system-ui, sans-serif`, `${letters}px system-ui, sans-serif`];
    pen.font = bold;
    const split = pen.measureText(name).width;
    pen.font = plain;
    const width = Math.ceil(split + pen.measureText(rest).width) + 12;
    const height = letters + 9;
    const [x, y] = place(tube.box, width, height, area, taken);
    taken.push([x, y, x + width, y + height]);
    pen.fillStyle = tube.colour;
    pen.beginPath();
    pen.roundRect(x, y, width, height, 4);
    pen.fill();
    pen.fillStyle = contrast(tube.colour);
    pen.textBaseline = "middle";
    pen.fillText(rest, x + 6 + split, y + height / 2 + 0.5);
    pen.font = bold;
    pen.fillText(name, x + 6, y + height / 2 + 0.5);
  }
}

function drawTrail(pen, { trail, colour }) {
  pen.strokeStyle = colour;
  pen.lineCap = "round";
  pen.lineWidth = 3;
  for (let step = 1; step < trail.length; step++) {
    pen.globalAlpha = step / trail.length;
    pen.beginPath();
    pen.moveTo(...trail[step - 1]);
    pen.lineTo(...trail[step]);
    pen.stroke();
  }
  pen.globalAlpha = 1;
}

// Draws a dark line around the bright one for light backgrounds; dashed if there was no detection.
function drawBox(pen, { box, colour, observed }) {
  const [x1, y1, x2, y2] = box;
  pen.setLineDash(observed ? [] : [7, 6]);
  pen.lineJoin = "round";
  for (const [style, width] of [["#000a", 4.5], [colour, 2.5]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }
  pen.setLineDash([]);
}

// Places a label above the box, else inside or below it, and off other labels if possible.
function place([left, top, , bottom], width, height, area, taken) {
  const limit = (value, most) => Math.min(Math.max(value, 0), Math.max(most, 0));
  const x = limit(left, area.width - width);
  const choices = [top - height - 2, top + 3, bottom + 2, bottom - height - 3].map((y) => limit(y, area.height - height));
  const isFree = (y) =>
    !taken.some(([a, b, right, lower]) => x < right && a < x + width && y < lower && b < y + height);
  const y = choices.find(isFree);
  return [x, y === undefined ? choices[0] : y];
}

function contrast(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff";
}
