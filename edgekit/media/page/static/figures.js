// Shows the numbers: tiles, stages, the source and the outputs.

import { shortName } from "./sources.js";

const REASONS = { dropped: "too late", reconnect: "reconnected", resize: "new size", seek: "jumped" };
const put = (id, text) => {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
};

export class Figures {
  begin(hello) {
    this.hello = hello;
    put("source", shortName(hello.source) || "EdgeKit");
    document.getElementById("source").title = hello.source;
    put("bundle", hello.bundle || "\u00a0");
  }

  showFrame(frame) {
    this.frame = frame;
  }

  showState(state) {
    const { frame, hello } = this;
    put("rate", state.frames > 1 ? number(state.rate) : "–");
    if (frame) {
      const { capture, ...stages } = frame.ms;
      put("inference", number(Object.values(stages).reduce((sum, ms) => sum + ms, 0)));
      const isLive = frame.age !== null;
      put("moment-name", isLive ? "Frame age" : "Position");
      put("moment", isLive ? number(frame.age) : clock(frame.time));
      put("moment-unit", isLive ? "ms" : hello.frames ? `of ${clock(hello.frames / hello.fps)}` : "");
    }
    const share = state.dropped / Math.max(state.dropped + state.frames, 1);
    put("dropped", count(state.dropped));
    put("share", state.dropped ? percent(share) : "frames");
    document.getElementById("dropped-tile").classList.toggle("bad", share > 0.02);
    this.showStages(state.stages);
    this.showHealth(state);
    this.showSinks(state.sinks);
  }

  showStages(stages) {
    const interval = 1000 / this.hello.fps;
    const slowest = Math.max(...Object.entries(stages).map(([name, times]) => (name === "capture" ? 0 : times[1])), 1);
    const scale = interval <= 100 ? Math.max(slowest, interval) : slowest;
    const box = document.getElementById("stages");
    box.replaceChildren(
      ...Object.entries(stages).map(([name, [p50, p90]]) => {
        const row = element("div", "row");
        row.append(element("span", "", name));
        if (name === "capture") row.append(element("span", "wait", "with waiting"));
        else row.append(stageBar(p50, p90, interval, scale));
        row.append(element("b", "", p50.toFixed(1)), element("em", "", p90.toFixed(1)));
        return row;
      }),
    );
    const mark = interval <= scale ? "; the mark in each bar" : "";
    put("interval", `Frames come every ${interval.toFixed(1)} ms${mark}.`);
  }

  showHealth(state) {
    const { frame, hello } = this;
    const gaps = Object.entries(state.gaps).map(([reason, times]) => `${times} × ${REASONS[reason] || reason}`);
    const size = frame ? frame.size : hello.size;
    const facts = [
      ["State", ...sourceState(state)],
      ...(state.error && (state.ended === "failed" || !state.connected) ? [["", state.error, "error"]] : []),
      ["Picture", size[0] ? `${size[0]} × ${size[1]}, ${number(hello.fps)} FPS` : "–"],
      ["Frames", count(state.frames) + (hello.frames ? ` of ${count(hello.frames)}` : "")],
      ["Gaps", gaps.join(", ") || "none"],
      ["Reconnects", count(state.reconnects)],
      ...(state.bundle.refused ? [["Bundle", "another one was refused", "warn"], ["", state.bundle.refused, "error"]] : []),
      ["Running for", clock(state.uptime)],
    ];
    fill("health", facts);
  }

  showSinks(sinks) {
    document.getElementById("outputs").hidden = !sinks.length;
    const facts = [];
    for (const { name, written, lost, error } of sinks) {
      facts.push([name, lost ? `${count(lost)} lost, ${count(written)} written` : `${count(written)} written`, lost || error ? "warn" : ""]);
      if (error) facts.push(["", error, "error"]);
    }
    fill("sinks", facts);
  }
}

function sourceState(state) {
  if (state.ended) return state.ended === "failed" ? ["failed", "warn"] : ["ended", ""];
  const since = clock(state.seconds_since_frame);
  if (!state.connected) return [`lost ${since} ago, reconnecting`, "warn"];
  if (state.status === "starting") return ["connected, no frame yet", ""];
  if (state.status === "stalled") return [`no frame for ${since}`, "warn"];
  return ["connected", ""];
}

function fill(id, facts) {
  document.getElementById(id).replaceChildren(
    ...facts.flatMap(([name, text, kind]) =>
      name ? [element("dt", "", name), element("dd", kind, text)] : [element("dd", kind, text)],
    ),
  );
}

function stageBar(p50, p90, interval, scale) {
  const box = element("span", "bar");
  const parts = [["i", p50], ["i", p90]];
  if (interval < scale) parts.push(["u", interval]);
  for (const [tag, value] of parts) {
    const part = element(tag);
    part.style.width = `${Math.min(100, (100 * value) / scale)}%`;
    box.append(part);
  }
  return box;
}

function element(tag, kind = "", text = "") {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${parts.join(":")}` : `${Number(parts[0])}:${parts[1]}`;
}

function number(value) {
  return value < 100 ? value.toFixed(1) : Math.round(value).toString();
}

function percent(share) {
  return `${share < 0.1 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
}

function count(value) {
  if (value < 1e5) return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return value < 1e6 ? `${Math.round(value / 1e3)}k` : `${(value / 1e6).toFixed(1)}M`;
}
