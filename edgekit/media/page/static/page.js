// Assembles the page, and always shows whether its content is current.

import { clock, Figures } from "./figures.js";
import { Link } from "./link.js";
import { Picture } from "./picture.js";
import { Sources } from "./sources.js";
import { Tubes } from "./tubes.js";

const SLOW = 3000;
const PHASES = {
  connecting: ["Connecting", "", "", ""],
  live: ["Live", "good", "", ""],
  playing: ["Playing", "play", "", ""],
  waiting: ["Waiting", "warn", "Waiting for the first frame", "The run has started; the source has given nothing yet."],
  stalled: ["No signal", "bad", "No signal", "No frame for {}. This is the last one."],
  slow: ["Slow link", "warn", "The connection is too slow", "This picture is {} old."],
  lost: ["Connection lost", "bad", "Connection to the device lost", "Last heard {} ago. Trying again."],
  full: ["Full", "warn", "The device has as many viewers as it takes", "Trying again."],
  done: ["Ended", "", "This source has ended", "This is its last frame. Others go on."],
  broken: ["Failed", "bad", "This source has ended with an error", "This is its last frame. Others go on."],
  over: ["Ended", "", "The run has ended", "This is its last frame. A new run appears here by itself."],
  failed: ["Failed", "bad", "The run has ended with an error", "This is its last frame. A new run appears here by itself."],
};

const find = (id) => document.getElementById(id);
const picture = new Picture(document.querySelector("canvas"));
const tubes = new Tubes(find("tubes"), find("axis"), find("tube-count"), find("no-tubes"), find("key"));
const figures = new Figures();
const sources = new Sources(find("sources"), choose);
let hello = null;
let state = null;
let stateAt = 0;
let frame = null;
let frameAt = 0;

async function take(header, jpeg) {
  if (header.type === "hello") {
    hello = header;
    state = frame = null;
    [picture, tubes, figures].forEach((part) => part.begin(hello));
  } else if (header.type === "frame") {
    if (!(await picture.show(header, jpeg))) return;
    frame = header;
    frameAt = performance.now();
    figures.showFrame(header);
  } else if (header.type === "state") {
    state = header;
    stateAt = performance.now();
    figures.showState(state);
    tubes.show(state);
    sources.show(state.sources);
  }
  update();
}

const link = new Link(take, update);

function choose() {
  hello = state = frame = null;
  picture.clear();
  link.restart();
}

function phase() {
  const now = performance.now();
  if (!link.isOpen) {
    if (link.reason) return [link.reason, 0];
    if (!hello) return ["connecting", 0];
    if (state && state.ended) return [ending(), 0];
    return ["lost", now - link.lastHeard];
  }
  if (!state) return ["connecting", 0];
  if (state.ended) return [ending(), 0];
  if (!state.frames) return ["waiting", 0];
  const idle = 1000 * state.seconds_since_frame + now - stateAt;
  const spent = frame ? Object.values(frame.ms).reduce((sum, ms) => sum + ms, 0) : 0;
  // Frames that the run leaves out on purpose are not missing.
  const patience = 1000 * hello.step + Math.max(2500, 5000 / hello.fps, 3 * spent);
  if (idle > patience) return ["stalled", idle];
  if (frame && now - frameAt > SLOW + idle) return ["slow", now - frameAt];
  return [frame && frame.age !== null ? "live" : "playing", 0];
}

function ending() {
  const failed = state.ended === "failed";
  if (link.isOpen && state.sources.some(({ status }) => !["ended", "failed"].includes(status))) return failed ? "broken" : "done";
  return failed ? "failed" : "over";
}

function update() {
  const [name, milliseconds] = phase();
  const [word, tone, title, text] = PHASES[name];
  const fresh = name === "live" || name === "playing";
  document.body.toggleAttribute("data-fresh", fresh);
  document.body.dataset.tone = tone;
  find("phase").textContent = word;
  const notice = find("notice");
  notice.hidden = !title;
  notice.firstElementChild.textContent = title;
  notice.lastElementChild.textContent = text.replace("{}", clock(milliseconds / 1000));
  document.title = [fresh ? "" : word, hello && hello.source, "EdgeKit"].filter(Boolean).join(" · ");
}

setInterval(update, 250);
update();
