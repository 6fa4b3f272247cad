"use strict";
// The whole script of the status page. `view` is what the server showed last; changes are merged into it.
const $ = (id) => document.getElementById(id);
const MANY = 200;         // virtual servers shown at once
const ROW = 52;           // height of a real server, as in page.css
let view = null, real = {}, history = [], admin = false, source = null, names = [], drawn = false;
let open = decodeURIComponent(location.hash.slice(1));
const tooks = new Map();  // virtual server -> [[time, median, p95]]
const cards = new Map();

function merge(old, change) {
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete old[key];
    else if (key === "cells" && typeof value === "object") {
      const cells = old.cells.split("");
      for (const [i, c] of Object.entries(value.at)) cells[i] = c;
      old.cells = cells.join("");
    } else if (typeof value === "object" && !Array.isArray(value) && old[key] && typeof old[key] === "object")
      merge(old[key], value);
    else old[key] = value;
  }
}

function connect() {
  if (source) source.close();
  real = {};
  source = new EventSource("events" + (open ? "?open=" + encodeURIComponent(open) : ""));
  source.addEventListener("whole", (e) => {
    const data = JSON.parse(e.data);
    ({ view, real, history, admin } = data);
    live(true); later();
  });
  source.addEventListener("change", (e) => {
    const data = JSON.parse(e.data), now = Date.now() / 1000;
    for (const [name, one] of Object.entries(data.view.instances || {}))
      if (one && one.state) history.push([name, one.since || now, one.state]);
    merge(view, data.view); merge(real, data.real);
    later();
  });
  source.onerror = () => live(false);
}

function live(yes) {
  $("live").textContent = yes ? "live" : "no connection";
  $("live").className = "pill " + (yes ? "good" : "bad");
}

function later() {
  if (!drawn) { drawn = true; requestAnimationFrame(() => { drawn = false; draw(); }); }
}

const ago = (t) => {
  const s = Math.max(0, Date.now() / 1000 - t);
  return s < 60 ? `${s | 0} s` : s < 3600 ? `${s / 60 | 0} min` : s < 86400 ? `${s / 3600 | 0} h` : `${s / 86400 | 0} d`;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const text = (tag, words, cls) => { const e = document.createElement(tag); e.textContent = words; if (cls) e.className = cls; return e; };
const trouble = (s) => !s.up || s.panic || /[dk]/.test(s.cells);
const count = (cells, letter) => { let n = 0; for (const c of cells) if (c === letter) n++; return n; };

function draw() {
  if (!view) return;
  const { about, instances, servers } = view;
  const alarms = [];
  if (!about.answers) alarms.push("The daemon does not answer.");
  if (about.refused) alarms.push("The last reload was refused: " + about.refused);
  for (const [role, [state, restarts]] of Object.entries(about.children || {}))
    if (state !== "running") alarms.push(`The ${role} process is ${state} (started again ${restarts} times).`);
  for (const [name, one] of Object.entries(instances)) if (one.two_masters) alarms.push(`${name}: another router is master beside us.`);
  for (const [key, one] of Object.entries(servers)) if (one.panic && alarms.length < 6) alarms.push(`${key}: too many real servers fell at once; some are kept.`);
  $("alarm").hidden = !alarms.length;
  $("alarm").textContent = alarms.join(" ");
  $("about").textContent = about.answers ? `${about.version}, up ${ago(about.started)}, ${about.file}` : "";
  $("unlock").hidden = !admin;
  $("unlock").textContent = sessionStorage.token ? "Lock" : "Unlock";
  sums(instances, servers, about);
  drawInstances(instances);
  const now = Date.now() / 1000;
  for (const [key, s] of Object.entries(servers)) if (s.took.length) {
    const all = tooks.get(key) || tooks.set(key, []).get(key);
    if (!all.length || now - all[all.length - 1][0] >= 1) all.push([now, ...s.took]);
    if (all.length > 900) all.shift();
  }
  const inside = open && servers[open];
  $("inside").hidden = !inside;
  $("pools").hidden = !!inside || !Object.keys(servers).length;
  if (inside) drawInside(inside); else drawServers(servers);
}

function sums(instances, servers, about) {
  const states = Object.values(instances).map((i) => i.state), pools = Object.values(servers);
  const cells = pools.reduce((n, s) => n + s.cells.length, 0), downs = pools.reduce((n, s) => n + count(s.cells, "d") + count(s.cells, "k"), 0);
  const down = pools.filter((s) => !s.up).length;
  const out = [];
  const sum = (number, label, bad) => { const d = text("div", "", "card sum" + (bad ? " bad" : "")); d.append(text("b", number), text("span", label)); out.push(d); };
  if (states.length) sum(`${states.filter((s) => s === "master").length} of ${states.length}`, "instances are master here", states.includes("fault"));
  if (pools.length) sum(`${pools.length - down} of ${pools.length}`, "virtual servers have their quorum", down);
  if (cells) sum(`${cells - downs} of ${cells}`, "real servers are not down", downs);
  if (about.backend) sum(String(about.drift), `drift repaired (${about.backend})`, false);
  $("sums").replaceChildren(...out);
}

function drawInstances(instances) {
  const all = Object.entries(instances);
  $("vrrp").hidden = !all.length || !!(open && view.servers[open]);
  if ($("vrrp").hidden) return;
  const order = { fault: 0, init: 1, master: 2, backup: 3 };
  all.sort((a, b) => order[a[1].state] - order[b[1].state]);
  $("instances").replaceChildren(...all.slice(0, MANY).map(([name, one]) => {
    const card = text("div", "", "card"), row = text("div", "", "row");
    row.append(text("b", name), text("span", one.state, "state " + one.state));
    card.append(row, text("div", `${one.interface} vrid ${one.vrid}, priority ${one.priority}, for ${ago(one.since)}`, "quiet"),
      text("div", (one.faults && one.faults.length ? one.faults.join(", ") : one.why) || "", "quiet"));
    return card;
  }));
  timeline(all.slice(0, 12).map((a) => a[0]));
}

function surface(canvas, height) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.width = width * scale; canvas.height = height * scale; canvas.style.height = height + "px";
  const c = canvas.getContext("2d");
  c.scale(scale, scale);
  return [c, width];
}

function timeline(shown) {
  const [c, width] = surface($("time"), 20 * shown.length), now = Date.now() / 1000;
  const first = Math.min(...history.map((h) => h[1]), now - 60), from = Math.max(first, now - 3600), left = Math.min(90, width / 4);
  $("span").textContent = `(${ago(from)})`;
  const paint = { master: color("master"), backup: color("backup"), fault: color("down"), init: color("line") };
  c.font = "12px system-ui"; c.textBaseline = "middle";
  const at = (t) => left + (width - left) * Math.max(0, t - from) / (now - from);
  shown.forEach((name, i) => {
    c.fillStyle = color("quiet"); c.fillText(name, 0, 20 * i + 10, left - 6);
    const own = history.filter((h) => h[0] === name);
    own.forEach(([, t, state], n) => {
      const end = n + 1 < own.length ? own[n + 1][1] : now;
      c.fillStyle = paint[state]; c.fillRect(at(t), 20 * i + 3, Math.max(1, at(end) - at(t)), 14);
    });
  });
}

function cells(canvas, letters) {
  const width0 = canvas.clientWidth || 260, most = 6 * Math.max(1, Math.floor(width0 / 4));
  const size = letters.length <= most ? 10 : 4, per = Math.max(1, Math.floor(width0 / size));
  const [c] = surface(canvas, size * Math.max(1, Math.ceil(letters.length / per)));
  const paint = { u: color("up"), d: color("down"), k: color("odd"), "?": color("odd"), x: color("out") };
  for (let i = 0; i < letters.length; i++) {
    c.fillStyle = paint[letters[i]];
    c.fillRect(size * (i % per), size * Math.floor(i / per), size - 1, size - 1);
  }
}

function drawServers(servers) {
  const words = $("find").value.toLowerCase(), bad = $("bad").checked;
  let all = Object.entries(servers).filter(([key, s]) => key.toLowerCase().includes(words) && (!bad || trouble(s)));
  all.sort((a, b) => (a[1].up - b[1].up) || (trouble(b[1]) - trouble(a[1])));
  $("more").textContent = all.length > MANY ? `and ${all.length - MANY} more: find them by name` : "";
  all = all.slice(0, MANY);
  const out = all.map(([key, s]) => {
    let card = cards.get(key);
    if (!card) {
      card = text("button", "", "card pool");
      card.onclick = () => { location.hash = encodeURIComponent(key); };
      cards.set(key, card);
    }
    card.className = "card pool" + (trouble(s) ? " bad" : "");
    card.dataset.key = key;
    card.dataset.cells = s.cells.length <= 100 ? s.cells : "";
    return card;
  });
  const box = $("servers");
  if (out.length !== box.children.length || out.some((card, i) => box.children[i] !== card)) box.replaceChildren(...out);
  for (const [key, s] of all) {
    const card = cards.get(key), mark = JSON.stringify(s) + card.clientWidth + matchMedia("(prefers-color-scheme:dark)").matches;
    if (card.mark === mark) continue;
    card.mark = mark;
    const row = text("div", "", "row"), canvas = document.createElement("canvas");
    row.append(text("b", key), text("span", s.suspended ? "suspended" : s.up ? (s.sorry ? "sorry server" : "up") : "no quorum", "state " + (s.up ? (s.sorry ? "odd" : "up") : "down")));
    const down = count(s.cells, "d") + count(s.cells, "k"), took = s.took.length ? `, ${s.took[0]} ms` : "";
    card.replaceChildren(row, canvas, text("div", `${s.cells.length - down} of ${s.cells.length} up, weight ${s.live_weight}, needs ${s.quorum}${took}`, "quiet"));
    cells(canvas, s.cells);
  }
}

function drawInside(s) {
  $("name").textContent = open;
  $("facts").textContent = `${s.up ? "has its quorum" : "NO QUORUM"} for ${ago(s.since)}; ${s.scheduler} ${s.forward}; live weight ${s.live_weight}, needs ${s.quorum}`;
  plot(tooks.get(open) || []);
  const words = $("findreal").value.toLowerCase(), bad = $("badreal").checked;
  names = Object.keys(real).filter((n) => n.toLowerCase().includes(words) && (!bad || real[n].cell !== "u"));
  const order = { d: 0, k: 1, "?": 2, x: 3, u: 4 };
  names.sort((a, b) => order[real[a].cell] - order[real[b].cell]);
  $("count").textContent = `${names.length} of ${Object.keys(real).length}`;
  $("room").style.height = names.length * ROW + "px";
  rows();
}

function rows() {
  // Only what can be seen is in the document.
  const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5), last = Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5;
  $("room").replaceChildren(...names.slice(first, last).map((name, i) => {
    const one = real[name], row = text("div", "", "real"), words = text("div", ""), right = text("div", "", "num");
    row.style.top = (first + i) * ROW + "px";
    row.dataset.name = name;
    const what = one.mode || (one.kept ? `down, kept by ${one.kept}` : one.health);
    words.append(text("b", name), text("small", `${what} for ${ago(one.since)}: ${one.why || ""}`));
    words.title = one.why || "";
    right.append(text("div", one.in_table === undefined ? "not in table" : `weight ${one.weight}`), text("div", one.active ? `${one.active} connections` : one.took === undefined ? "" : `${one.took} ms`));
    if (admin && sessionStorage.token) {
      const act = text("span", "", "act"), out = one.mode === "drain" || one.mode === "disabled";
      const button = text("button", out ? "enable" : "drain");
      button.onclick = () => decide(out ? "enable" : "drain", name);
      act.append(button); right.append(act);
    }
    row.append(text("i", "", one.cell === "?" ? "q" : one.cell), words, right);
    return row;
  }));
}

function plot(points) {
  const [c, width] = surface($("took"), 90), most = Math.max(0.001, ...points.map((p) => p[2]));
  c.font = "12px system-ui"; c.fillStyle = color("quiet"); c.textBaseline = "top";
  c.fillText(`${most} ms`, 0, 0);
  if (points.length < 2) return;
  const from = points[0][0], span = points[points.length - 1][0] - from || 1;
  for (const [n, name] of [[2, "backup"], [1, "accent"]]) {
    c.strokeStyle = color(name); c.lineWidth = 1.5; c.beginPath();
    points.forEach((p, i) => c[i ? "lineTo" : "moveTo"](width * (p[0] - from) / span, 88 - 70 * p[n] / most));
    c.stroke();
  }
}

function sure(question, secret) {
  $("question").textContent = question;
  $("token").hidden = !secret; $("token").value = "";
  $("ask").showModal();
  return new Promise((done) => { $("ask").onclose = () => done($("ask").returnValue === "yes" ? (secret ? $("token").value : true) : false); });
}

async function decide(action, name, force) {
  if (!force && !await sure(`${action} ${name} of ${open}?`)) return;
  const answer = await fetch("override", { method: "POST", headers: { "Content-Type": "application/json", Authorization: "Bearer " + sessionStorage.token },
    body: JSON.stringify({ action, virtual_servers: [open], real_servers: [name], ...(force ? { force } : {}) }) });
  const said = await answer.json();
  if (said.ok) return;
  if (answer.status === 403) delete sessionStorage.token;
  if (answer.status === 409 && !force && await sure(`${said.error}. Do it all the same?`)) return decide(action, name, true);
  if (answer.status !== 409) await sure(said.error);
  later();
}

$("unlock").onclick = async () => {
  if (sessionStorage.token) delete sessionStorage.token;
  else { const token = await sure("Admin token", true); if (token) sessionStorage.token = token; }
  later();
};
$("back").onclick = () => { location.hash = ""; };
addEventListener("hashchange", () => { open = decodeURIComponent(location.hash.slice(1)); $("list").scrollTop = 0; connect(); later(); scrollTo(0, 0); });
$("list").addEventListener("scroll", rows, { passive: true });
for (const id of ["find", "bad", "findreal", "badreal"]) $(id).addEventListener("input", later);
addEventListener("resize", later);
setInterval(later, 5000);
connect();
