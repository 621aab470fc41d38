// Connection to the device: answers each message, and reconnects when the connection is lost.

const SILENCE = 3500; // Milliseconds; the device sends a message every second.
const LONGEST_WAIT = 5000;
const CLOSED = { 4000: "over", 4001: "full" };

export class Link {
  // `take(header, jpeg)` may return a promise; the message is answered when it resolves.
  constructor(take, changed) {
    this.take = take;
    this.changed = changed;
    this.isOpen = false;
    this.reason = "";
    this.lastHeard = 0;
    this.wait = 500;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => this.follow());
    window.addEventListener("online", () => this.connect());
    setInterval(() => this.watch(), 500);
    this.follow();
  }

  // Disconnects while the page is hidden, so that it costs the device nothing.
  follow() {
    if (document.hidden) this.close();
    else this.connect();
  }

  connect() {
    if (this.socket || document.hidden) return;
    clearTimeout(this.timer);
    const url = new URL("live" + location.search, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    this.lastHeard = performance.now();
    socket.onmessage = (event) => this.receive(socket, event.data);
    socket.onclose = (event) => this.lost(socket, CLOSED[event.code] || "");
  }

  // Reconnects at once, to the source in the page's current address.
  restart() {
    this.wait = 500;
    this.close();
    this.reason = "";
    this.connect();
  }

  async receive(socket, data) {
    if (socket !== this.socket) return;
    this.lastHeard = performance.now();
    if (!this.isOpen) {
      this.isOpen = true;
      this.wait = 500;
      this.reason = "";
      this.changed();
    }
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    try {
      await this.take(header, new Uint8Array(data, 4 + length));
    } finally {
      if (header.type !== "hello" && socket.readyState === WebSocket.OPEN) socket.send("k");
    }
  }

  watch() {
    if (this.socket && performance.now() - this.lastHeard > SILENCE) this.close();
  }

  close() {
    const socket = this.socket;
    if (!socket) return;
    this.lost(socket, "");
    socket.close();
  }

  lost(socket, reason) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.isOpen = false;
    this.reason = reason || this.reason;
    this.changed();
    this.timer = setTimeout(() => this.retry(), this.wait * (0.8 + 0.4 * Math.random()));
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  async retry() {
    // A WebSocket does not show that the token was refused; plain HTTP does.
    const answer = await fetch("page.js", { method: "HEAD" }).catch(() => null);
    if (answer && [401, 403].includes(answer.status)) return location.reload();
    if (answer && location.search) {
      // This run may have fewer sources than the previous one.
      const live = await fetch("live" + location.search, { method: "HEAD" }).catch(() => null);
      if (live && live.status === 404) history.replaceState(null, "", location.pathname);
    }
    this.connect();
  }
}
