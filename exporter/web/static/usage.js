// Keeps the page fresh. Everything works without it; with it, nothing flashes, moves or loses the focus.
"use strict";

const main = document.getElementById("main");
const offline = document.getElementById("offline");
const asked = { page: 0, search: 0 };
// An exporter that has not answered by then does not: it takes milliseconds, and the network seconds at most.
const PATIENCE = 10_000;
let timer;
let answered = Date.now();

// Make `from` look like `to`, keeping every node that can stay: so focus, hover, scroll and open details stay too.
function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || from.id !== to.id) {
    from.replaceWith(to.cloneNode(true));
    return;
  }
  if (from.nodeType === Node.TEXT_NODE) {
    from.data = to.data;
    return;
  }
  if (from.nodeType === Node.ELEMENT_NODE) copyAttributes(from, to);
  const wanted = [...to.childNodes];
  const present = [...from.childNodes];
  wanted.forEach((node, index) => {
    if (present[index]) morph(present[index], node);
    else from.append(node.cloneNode(true));
  });
  present.slice(wanted.length).forEach((node) => node.remove());
}

function copyAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    if (name !== "open" && !to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

// The main part of the page at `url`, or null where a later question of its kind has overtaken this one.
async function fetched(url, kind) {
  const number = ++asked[kind];
  const address = new URL(url, location.href);
  address.searchParams.set("fragment", "");
  const patience = new AbortController();
  const ended = setTimeout(() => patience.abort(), PATIENCE);
  let response, html;
  try {
    response = await fetch(address, { headers: { Accept: "text/html" }, signal: patience.signal });
    html = await response.text();
  } finally {
    clearTimeout(ended);
  }
  if (!(response.headers.get("Content-Type") || "").startsWith("text/html") || response.status >= 500) {
    throw new Error(`the exporter answered ${response.status}`);
  }
  if (number !== asked[kind]) return null;
  return new DOMParser().parseFromString(`<main>${html}</main>`, "text/html").querySelector("main");
}

async function refresh() {
  clearTimeout(timer);
  try {
    const fresh = await fetched(location.href, "page");
    offline.hidden = true;
    answered = Date.now();
    if (fresh) show(fresh);
  } catch {
    offline.hidden = false;
    age();
  }
  plan();
}

// What is on the page grows older, whether or not the exporter is there to say so.
function age() {
  const time = main.querySelector(".age time");
  if (!time) return;
  const seconds = Number(time.dataset.age) + (Date.now() - answered) / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]].find(
    ([name, length]) => seconds >= (name === "day" ? 2 : 1) * length,
  ) ?? ["second", 1];
  const amount = Math.floor(seconds / size);
  time.textContent = `Updated ${amount} ${unit}${amount === 1 ? "" : "s"} ago`;
}

function show(fresh) {
  fresh.normalize();
  const holder = main.cloneNode(false);
  holder.append(...fresh.childNodes);
  morph(main, holder);
  state();
  rove();
}

// The tab says how it stands, too.
function state() {
  const { title, icon } = main.querySelector("[data-refresh]")?.dataset ?? {};
  if (title) document.title = title;
  if (icon) document.getElementById("icon").setAttribute("href", icon);
}

// Times are the reader's: the server gives them in the zone of this cookie.
function readInOwnZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const shown = main.querySelector("[data-zone]")?.dataset.zone;
  if (!zone || !shown) return;
  document.cookie = `zone=${zone}; path=/; max-age=31536000; SameSite=Strict`;
  if (zone !== shown) refresh();
}

function plan() {
  clearTimeout(timer);
  const seconds = Number(main.querySelector("[data-refresh]")?.dataset.refresh) || 30;
  if (!document.hidden) timer = setTimeout(refresh, seconds * 1000);
}

// The chart is one stop of the Tab key; the arrow keys walk along the bars.
function rove(current) {
  const days = [...main.querySelectorAll(".day")];
  const stop = current || days.find((day) => day === document.activeElement) || days.at(-1);
  for (const day of days) day.setAttribute("tabindex", day === stop ? "0" : "-1");
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

main.addEventListener("keydown", (event) => {
  const day = event.target.closest(".day");
  if (!day || !(event.key in STEPS)) return;
  event.preventDefault();
  const days = [...main.querySelectorAll(".day")];
  const next = Math.min(days.length - 1, Math.max(0, days.indexOf(day) + STEPS[event.key]));
  days[next].focus();
});
main.addEventListener("focusin", (event) => {
  const day = event.target.closest(".day");
  if (day) rove(day);
});

// Choosing what the chart shows needs no new page.
function formUrl(form) {
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form));
  return url;
}

main.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (!form) return;
  const url = formUrl(form);
  url.hash = "";
  history.replaceState(null, "", url);
  refresh();
});

// Typing in a search shows the matches at once, wherever the search stands.
async function search(form) {
  const fresh = await fetched(formUrl(form), "search").catch(() => null);
  const found = fresh?.querySelector("#choices");
  if (found) morph(form.parentElement.querySelector("#choices"), found);
  if (main.contains(form)) history.replaceState(null, "", formUrl(form));
}

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form.search");
  if (!form) return;
  clearTimeout(typing);
  typing = setTimeout(search, 150, form);
});

// The arrows move from the search to what it found, and among that.
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const place = event.target.closest("form.search, .choices a");
  if (!step || !place || event.target.nodeName === "SELECT") return;
  const part = place.closest("section, .drop");
  const stops = [part.querySelector("form.search input[type=search]"), ...part.querySelectorAll(".choices a")];
  const next = stops.indexOf(event.target) + step;
  if (next < 0 || next >= stops.length) return;
  event.preventDefault();
  stops[next].focus();
});

// Taking the page away: its address, as it stands, or paper.
main.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "print") print();
  else button.textContent = (await copied(location.href)) ? "Copied" : location.href;
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without TLS browsers give no clipboard, but to what is marked.
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

// Escape, or a click elsewhere, closes the list of organisations.
const switcher = document.querySelector(".switcher");
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !switcher?.open) return;
  switcher.open = false;
  switcher.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  if (switcher?.open && !switcher.contains(event.target)) switcher.open = false;
});
switcher?.addEventListener("toggle", () => {
  if (!switcher.open) return;
  switcher.querySelector("input").focus();
  search(switcher.querySelector("form"));
});

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
document.documentElement.classList.add("scripted");
rove();
plan();
readInOwnZone();
